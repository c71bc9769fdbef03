"""What this machine knows of archives: which one answers at an address, and what a person said.

An archive is known by its id and its salt from the first contact on. Another one under the same
address is refused: boards would be hashed with another salt, and what was sent would be elsewhere.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field

from lem.contract.base import Part, Sha256
from lem.contract.submission import ArchiveInfo
from lem.errors import BadInput, EnvironmentFault
from lem.submit.kept import Kept
from lem.submit.places import config_folder

FILE = "archives.json"


class Head(Part):
    """The newest entry of an archive's public log that was seen."""

    seq: Annotated[int, Field(ge=0)]
    hash: Sha256


class Known(Part):
    """An archive that was spoken to."""

    archive: Sha256
    board_salt: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    plain_http: bool = False
    """Whether a person has said that it may be spoken to without encryption."""
    keys: list[Sha256] = []
    """Keys of this machine that it has taken."""


class Settings(Kept):
    schema_version: Literal[1] = 1
    server: str | None = None
    """Where to send to where nothing else is said: the one that was used last."""
    submit: Literal["always", "never"] | None = None
    """What a person answered to ``submit: ask``."""
    archives: dict[str, Known] = {}
    """By address."""
    heads: dict[Sha256, Head] = {}
    """By archive."""
    harmless: list[str] = []
    """Names of this machine that a person has called harmless, in lower case."""

    def knowing(self, url: str, info: ArchiveInfo, plain_http: bool = False) -> "Settings":
        """With this archive pinned, and the default. Raises :class:`BadInput` where another one
        answered at this address before."""
        known = self.archives.get(url)
        if known is not None and known.archive != info.archive:
            raise BadInput(
                f"another archive than before answers at {url}: {info.archive[:12]}… and not"
                f" {known.archive[:12]}…",
                hint="nothing was sent. Ask its operator; if it was begun anew on purpose, remove"
                f" it from {config_folder() / FILE}",
            )
        if known is not None and known.board_salt != info.board_salt:
            raise BadInput(
                f"the archive at {url} has another salt than before, so that boards could be told"
                " apart no more",
                hint="nothing was sent. Ask its operator",
            )
        new = known or Known(archive=info.archive, board_salt=info.board_salt)
        new = new.model_copy(update={"plain_http": new.plain_http or plain_http})
        return self.model_copy(update={"server": url, "archives": {**self.archives, url: new}})

    def with_key(self, url: str, key: str) -> "Settings":
        """Knowing that the archive at this address has taken a key."""
        return self._with_keys(url, [*self.archives[url].keys, key])

    def without_key(self, url: str, key: str) -> "Settings":
        """Knowing that it takes that key no more."""
        return self._with_keys(url, [k for k in self.archives[url].keys if k != key])

    def _with_keys(self, url: str, keys: list[str]) -> "Settings":
        new = self.archives[url].model_copy(update={"keys": list(dict.fromkeys(keys))})
        return self.model_copy(update={"archives": {**self.archives, url: new}})

    def allowing(self, words: Iterable[str]) -> "Settings":
        """Knowing that these words tell nobody whose machine it is."""
        new = dict.fromkeys([*self.harmless, *(w.strip().lower() for w in words)])
        return self.model_copy(update={"harmless": [w for w in new if w]})

    def seen(self, archive: str, seq: int, hash_: str) -> "Settings":
        """Knowing an entry of an archive's log, where it is newer than the one that was known.
        Raises :class:`BadInput` where the log was another when it was seen before."""
        head = self.heads.get(archive)
        if head is not None and head.seq == seq and head.hash != hash_:
            raise BadInput(
                f"entry {seq} of the archive's public log is another than when it was seen before:"
                " the log has been rewritten"
            )
        if head is not None and head.seq >= seq:
            return self
        return self.model_copy(update={"heads": {**self.heads, archive: Head(seq=seq, hash=hash_)}})


def read(folder: Path | None = None) -> Settings:
    """What this machine knows; nothing where it has no file yet."""
    path = (folder or config_folder()) / FILE
    return Settings.read(path) if path.exists() else Settings()


@contextmanager
def changed(folder: Path | None = None) -> Iterator["Change"]:
    """Read, change and write the settings, one process at a time::

    with settings.changed() as change:
        change.to(change.settings.knowing(url, info))
    """
    folder = folder or config_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as e:
        raise EnvironmentFault(f"{folder} cannot be written: {e.strerror}") from e
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        change = Change(read(folder))
        before = change.settings
        yield change
        if change.settings != before:
            change.settings.write(folder / FILE)
    finally:
        os.close(handle)


class Change:
    """Settings that are being changed."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def to(self, settings: Settings) -> None:
        self.settings = settings


def address(url: str) -> str:
    """An archive's address in its one spelling: ``https://host[:port][/path]``. Raises
    :class:`BadInput` for what is none."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as e:
        raise BadInput(f"{url!r} is no address: {e}") from e
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(
            f"{url!r} is no address of an archive", hint="it begins with https:// (or http://)"
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise BadInput(f"{url!r} has more than an archive's address")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    shown = "" if port in (None, {"http": 80, "https": 443}[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{shown}{parts.path.rstrip('/')}"
