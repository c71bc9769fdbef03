"""What is to be sent lies on disk, whole, before anything is sent; receipts stay.

``OUTBOX/<archive>-<submission>/`` holds ``entry.json`` and ``files/<sha256>``; afterwards
``receipt.json`` or ``refused.json``. A folder is made aside and renamed, so that a process that is
killed at any moment leaves a whole entry or none. That nothing is there twice, the archive sees to:
the same content is the same submission, and gets the same receipt.
"""

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field

from lem.contract.base import Sha256, Timestamp, utc_now
from lem.contract.submission import Content, Receipt
from lem.errors import BadInput, EnvironmentFault
from lem.submit.bundle import Bundle, Place
from lem.submit.kept import Kept
from lem.submit.manifest import content_sha256
from lem.submit.places import state_folder

ENTRY, RECEIPT, REFUSED, TRIED, FILES = (
    "entry.json", "receipt.json", "refused.json", "tried", "files",
)  # fmt: skip
ASIDE = ".aside-"
ABANDONED_S = 86_400.0
ATTEMPT_KNOWN = "attempt_known"
"""An archive's code: it has an attempt already, with the same bytes, in another submission."""
_NAME = re.compile(r"[0-9a-f]{16}-[0-9a-f]{64}", re.ASCII)
State = Literal["queued", "sent", "refused"]


class Queued(Kept):
    """A submission that is to be sent, and where to."""

    schema_version: Literal[1] = 1
    url: str
    archive: Sha256
    submission: Sha256
    campaign_name: str
    queued_at: Timestamp
    content: Content


class Refusal(Kept):
    """Why an archive did not take a submission."""

    schema_version: Literal[1] = 1
    reason: str
    message: str
    status: int = Field(ge=100, le=599)
    refused_at: Timestamp


class Entry(NamedTuple):
    """A submission in the outbox."""

    path: Path
    queued: Queued
    receipt: Receipt | None
    refusal: Refusal | None

    @property
    def state(self) -> State:
        if self.receipt is not None:
            return "sent"
        return "queued" if self.refusal is None else "refused"

    @property
    def tried(self) -> bool:
        """Whether it may have arrived, though no answer did."""
        return (self.path / TRIED).exists()

    @property
    def there(self) -> bool:
        """Whether it is one attempt that the archive has from another submission: an outbox was
        lost, or the folder was pushed from elsewhere."""
        known = self.refusal is not None and self.refusal.reason == ATTEMPT_KNOWN
        return known and len(self.queued.content.runs) == 1

    @property
    def places(self) -> set[Place]:
        return {(r.block, r.arm_id, r.attempt) for r in self.queued.content.runs}

    def files(self) -> dict[str, bytes]:
        """Its files by their SHA-256. Raises :class:`BadInput` where one is another."""
        content = self.queued.content
        found = {}
        for sha in {content.lock, *(s for r in content.runs for s in r.files())}:
            path = self.path / FILES / sha
            try:
                data = path.read_bytes()
            except OSError as e:
                raise BadInput(f"{path} cannot be read: {e.strerror}") from e
            if hashlib.sha256(data).hexdigest() != sha:
                raise BadInput(
                    f"{path} is damaged",
                    hint=f"remove {self.path} and push the campaign's folder again",
                )
            found[sha] = data
        return found


class Outbox:
    """The folder of this machine's submissions."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or state_folder() / "outbox"

    def put(self, bundle: Bundle, url: str, archive: str, campaign_name: str) -> Entry:
        """Keep a submission until it is sent. One that is there already stays as it is."""
        submission = content_sha256(bundle.content)
        target = self.root / f"{archive[:16]}-{submission}"
        queued = Queued(
            url=url,
            archive=archive,
            submission=submission,
            campaign_name=campaign_name,
            queued_at=utc_now(),
            content=bundle.content,
        )
        try:
            if not target.exists():
                self._put(target, queued, bundle)
        except OSError as e:
            raise EnvironmentFault(
                f"the outbox ({self.root}) cannot be written: {e.strerror}", kind="disk"
            ) from e
        return _entry(target)

    def _put(self, target: Path, queued: Queued, bundle: Bundle) -> None:
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside = Path(tempfile.mkdtemp(dir=self.root, prefix=ASIDE))
        try:
            (aside / FILES).mkdir()
            for sha, data in bundle.files.items():
                with (aside / FILES / sha).open("xb") as f:
                    f.write(data)
                    f.flush()
                    os.fsync(f.fileno())
            _sync(aside / FILES)
            queued.write(aside / ENTRY)
            with suppress(FileExistsError):
                # Somebody else put the same there meanwhile: a folder that is not empty stays.
                aside.rename(target)
            _sync(self.root)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def entries(self) -> list[Entry]:
        """Every submission, in the order in which they came."""
        if not self.root.is_dir():
            return []
        found = [_entry(p) for p in self.root.iterdir() if _NAME.fullmatch(p.name) and p.is_dir()]
        return sorted(found, key=lambda e: (e.queued.queued_at, e.path.name))

    def waiting(self) -> list[Entry]:
        """Those that are still to be sent."""
        return [e for e in self.entries() if e.state == "queued"]

    def of(self, archive: str, campaign: str) -> list[Entry]:
        """Those of one campaign (``Content.campaign``)."""
        return [
            e
            for e in self.entries()
            if e.queued.archive == archive and e.queued.content.campaign == campaign
        ]

    def done(self, archive: str, campaign: str) -> set[Place]:
        """The attempts that are sent, or are going to be."""
        every = (e.places for e in self.of(archive, campaign) if e.state != "refused" or e.there)
        return set().union(*every)

    @contextmanager
    def alone(self, wait_s: float = 0.0) -> Iterator[bool]:
        """Whether this process, and no other, may send now; the kernel frees it when we end."""
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(self.root / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as e:
            raise EnvironmentFault(f"{self.root} cannot be written: {e.strerror}") from e
        try:
            if held := _locked(handle, time.monotonic() + wait_s):
                self._clear()
            yield held
        finally:
            os.close(handle)

    def try_(self, entry: Entry) -> None:
        """Note that it is being sent: from now on it may have arrived."""
        (entry.path / TRIED).touch()
        _sync(entry.path)

    def sent(self, entry: Entry, receipt: Receipt) -> Entry:
        """Keep the receipt; the files are the archive's now."""
        receipt.write(entry.path / RECEIPT)
        (entry.path / REFUSED).unlink(missing_ok=True)
        shutil.rmtree(entry.path / FILES, ignore_errors=True)
        return entry._replace(receipt=receipt, refusal=None)

    def refused(self, entry: Entry, reason: str, message: str, status: int) -> Entry:
        """Keep why it was not taken; it is not sent again by itself."""
        refusal = Refusal(
            reason=reason[:200], message=message[:2000], status=status, refused_at=utc_now()
        )
        refusal.write(entry.path / REFUSED)
        return entry._replace(refusal=refusal)

    def forget(self, entry: Entry) -> None:
        """Remove an entry that was refused, or whose campaign was taken back."""
        aside = Path(tempfile.mkdtemp(dir=self.root, prefix=ASIDE))
        entry.path.rename(aside / entry.path.name)
        shutil.rmtree(aside, ignore_errors=True)

    def _clear(self) -> None:
        """What processes that were killed have left."""
        for path in self.root.iterdir():
            if path.name.startswith(ASIDE):
                with suppress(OSError):
                    if time.time() - path.stat().st_mtime > ABANDONED_S:
                        shutil.rmtree(path, ignore_errors=True)
            elif (path / RECEIPT).exists() and (path / FILES).exists():
                shutil.rmtree(path / FILES, ignore_errors=True)


def _entry(path: Path) -> Entry:
    queued = Queued.read(path / ENTRY)
    if path.name != f"{queued.archive[:16]}-{content_sha256(queued.content)}":
        raise BadInput(f"{path} is not what its name says", hint="remove it")
    receipt = Receipt.read(path / RECEIPT) if (path / RECEIPT).exists() else None
    refusal = Refusal.read(path / REFUSED) if (path / REFUSED).exists() else None
    return Entry(path, queued, receipt, refusal)


def _locked(handle: int, until: float) -> bool:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.1)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
