"""A runner's folder: who it is, what it has begun, and how much room that takes.

``DATA/runner.json``    the runner's random id
``DATA/begun/ID.json``  what is known of each campaign that was claimed
``DATA/campaigns/ID/``  its campaign folder, as any
``DATA/handed/``        what other runners submitted of it before
``DATA/outbox/``        submissions, kept until the archive has them
``DATA/cache/``         models, as they were fetched and prepared
``DATA/tmp/``           what is needed while something runs
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from lem.analysis.blocks import seconds_between
from lem.contract.base import Timestamp, utc_now
from lem.contract.queue import Claimed, Fence, Instance, QueuedId
from lem.errors import EnvironmentFault, LemError
from lem.runner.policy import Policy
from lem.submit.kept import Kept
from lem.submit.outbox import Outbox
from lem.submit.places import state_folder
from lem.submit.veil import campaign_of

GB = 1e9
DAY_S = 86_400.0
Ended = Literal["done", "failed", "cancelled", "declined", "unfit", "elsewhere", "later"]
"""``elsewhere``: over, or somebody else's, without this runner's doing. ``later``: given back for a
while."""


class Own(Kept):
    schema_version: Literal[1] = 1
    instance: Instance


class Begun(Kept):
    """A campaign that was claimed."""

    schema_version: Literal[1] = 1
    queued: QueuedId
    fence: Fence
    """Of the last claim."""
    owner: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    person: str
    claimed_at: Timestamp
    whole: bool = False
    """Whether all that others have done of it is here."""
    spent_s: Annotated[float, Field(ge=0)] = 0.0
    spent_kwh: Annotated[float, Field(ge=0)] = 0.0
    ended: Ended | None = None
    ended_at: Timestamp | None = None


class Home:
    """The folder, of one runner at a time: use :meth:`alone`."""

    def __init__(self, root: Path | None = None) -> None:
        # Not resolved: a link to a larger disk is its owner's business.
        self.root = Path(os.path.abspath(root or state_folder() / "runner"))  # noqa: PTH100

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Raises :class:`EnvironmentFault` where another runner has the folder, or where it cannot
        be written."""
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            for name in ("begun", "campaigns", "handed", "cache", "hub", "tmp"):
                (self.root / name).mkdir(exist_ok=True, mode=0o700)
            handle = os.open(self.root / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as e:
            raise EnvironmentFault(
                f"{self.root} cannot be written: {e.strerror}", hint="choose another with --data"
            ) from e
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            os.close(handle)
            raise EnvironmentFault(
                f"another runner works in {self.root}", hint="give this one a --data of its own"
            ) from e
        try:
            yield
        finally:
            os.close(handle)

    def clear_temporary(self) -> None:
        """Remove what a runner that was killed left; call it where nothing of it runs any more."""
        for path in (self.root / "tmp").iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def instance(self) -> str:
        """The runner's own id, made when it is first asked for."""
        path = self.root / "runner.json"
        if not path.exists():
            Own(instance=secrets.token_hex(16)).write(path)
        return Own.read(path).instance

    def outbox(self) -> Outbox:
        return Outbox(self.root / "outbox")

    def campaign(self, queued: str) -> Path:
        return self.root / "campaigns" / queued

    def handed(self, queued: str) -> Path:
        return self.root / "handed" / f"{queued}.json"

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    def begun(self, queued: str) -> Begun | None:
        """What is known of a campaign; None where that is nothing that can be read."""
        try:
            return Begun.read(self._begun(queued))
        except LemError:
            return None

    def every_begun(self) -> list[Begun]:
        """All that were claimed and are remembered, the latest last."""
        names = sorted(p.stem for p in (self.root / "begun").glob("q*.json"))
        found = [b for n in names if (b := self.begun(n)) is not None and b.queued == n]
        return sorted(found, key=lambda b: b.claimed_at)

    def open_begun(self) -> list[Begun]:
        """Those that may have to go on."""
        return [b for b in self.every_begun() if b.ended is None]

    def keep(self, begun: Begun) -> None:
        begun.write(self._begun(begun.queued))

    def claimed(self, claimed: Claimed) -> tuple[Begun, bool]:
        """Note a claim. Returns what is known of the campaign, and whether its folder can go on:
        nobody else has had the campaign since, or nothing of it was submitted. One that cannot is
        removed, with what was still to be sent of it."""
        known = self.begun(claimed.queued)
        same = known is not None and known.owner == claimed.owner
        goes_on = (
            known is not None
            and same
            and known.whole
            and known.ended in (None, "elsewhere", "later")
            and (not claimed.begun or not _others_since(known.fence, claimed))
        )
        if not goes_on:
            self.remove(claimed.queued)
        begun = Begun(
            queued=claimed.queued,
            fence=claimed.fence,
            owner=claimed.owner,
            person=claimed.person.id,
            claimed_at=utc_now(),
            whole=goes_on,
            spent_s=known.spent_s if known is not None and same else 0.0,
            spent_kwh=known.spent_kwh if known is not None and same else 0.0,
        )
        self.keep(begun)
        return begun, goes_on

    def ended(self, begun: Begun, how: Ended) -> None:
        """Note that a campaign is over for this runner."""
        self.keep(begun.model_copy(update={"ended": how, "ended_at": utc_now()}))

    def remove(self, queued: str) -> None:
        """Everything of a campaign but the note that there was one."""
        folder = self.campaign(queued)
        for path in (folder, folder.with_name(f"{queued}.log"), self.handed(queued)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def used_models(self, folders: set[str]) -> None:
        """Note that models in the cache (``LockedModel.folder``) were used now."""
        for name in {f.partition("/")[0] for f in folders}:
            with suppress(OSError):
                os.utime(self.cache / "models" / name)

    def tidy(self, policy: Policy) -> list[str]:
        """Remove what is over: campaigns after ``keep_days``; where there is still too much, the
        oldest of them, then models that were not used for longest. Returns what was removed."""
        done = []
        over = [b for b in self.every_begun() if b.ended is not None]
        for begun in over:
            age_s = seconds_between(begun.ended_at or begun.claimed_at, utc_now())
            if age_s >= policy.keep_days * DAY_S:
                self._forget(begun)
                done.append(begun.queued)
        over = [b for b in over if b.queued not in done]
        too_much = used_bytes(self.root) - policy.max_disk_gb * GB
        while too_much > 0 and over:
            begun = over.pop(0)
            too_much -= used_bytes(self.campaign(begun.queued))
            self._forget(begun)
            done.append(begun.queued)
        if too_much > 0 and not self.open_begun():
            done += self._remove_models(too_much)
        return done

    def _remove_models(self, too_much: float) -> list[str]:
        found = []
        for place in ("models", "downloads", "compiled"):
            with suppress(OSError):
                found += [p for p in (self.cache / place).iterdir() if p.is_dir()]
        done = []
        for path in sorted(found, key=lambda p: p.stat().st_mtime):
            if too_much <= 0:
                break
            too_much -= used_bytes(path)
            shutil.rmtree(path, ignore_errors=True)
            done.append(f"{path.parent.name}/{path.name}")
        return done

    def _forget(self, begun: Begun) -> None:
        self.remove(begun.queued)
        outbox = self.outbox()
        for entry in outbox.entries():
            content = entry.queued.content
            if content.campaign == campaign_of(begun.owner, content.board_salt):
                outbox.forget(entry)
        self._begun(begun.queued).unlink(missing_ok=True)

    def _begun(self, queued: str) -> Path:
        return self.root / "begun" / f"{queued}.json"


def _others_since(fence: int, claimed: Claimed) -> bool:
    """Whether another runner may have held it since this one's claim with that fence. Fences in
    between may be this runner's own: the answer to a claim was lost."""
    if claimed.others_fence is None:
        return fence + 1 != claimed.fence
    return claimed.others_fence > fence


def used_bytes(folder: Path) -> int:
    """Of all files below; links are not followed, and what disappears meanwhile is nothing."""
    total = 0
    left = [os.fspath(folder)]
    while left:
        try:
            with os.scandir(left.pop()) as found:
                for entry in found:
                    with suppress(OSError):
                        if entry.is_dir(follow_symlinks=False):
                            left.append(entry.path)
                        else:
                            total += entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError:
            continue
    return total


def free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free
