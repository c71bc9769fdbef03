"""What a scheduler says of a campaign's jobs: asked rarely, whoever follows it, from anywhere."""

import fcntl
import os
import stat
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from lem.campaign.claims import FOLDER
from lem.campaign.orders import names_of
from lem.clusters.protocol import Cluster, Task
from lem.contract.base import Part, write_atomic
from lem.contract.order import Accounted
from lem.errors import BadInput, EnvironmentFault
from lem.launchers.protocol import Say

ASK_S = 10.0
"""A scheduler is asked no oftener for one campaign."""
SEEN = "seen.json"
PATIENCE_S = 600.0
PLAIN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Whatever lies there is opened without following it or waiting for it."""
MAX_BYTES = 16 * 2**20


class _Task(Part):
    job: str
    number: int
    state: Literal["waiting", "running", "cancelled"]
    where: str


class Seen(Part):
    """An answer; left in the folder, for others who follow the campaign."""

    at: float
    """Unix time."""
    jobs: list[str]
    """About which was asked."""
    tasks: list[_Task]

    def of(self, jobs: Collection[str]) -> list[Task]:
        """Those of some jobs."""
        return [Task(t.job, t.number, t.state, t.where) for t in self.tasks if t.job in jobs]


class Asked:
    """What the scheduler says, for who follows a campaign for long."""

    def __init__(self, folder: Path, cluster: Cluster, say: Say) -> None:
        self._folder = folder
        self._cluster = cluster
        self._say = say
        self._seen: Seen | None = None
        self._failed = 0.0
        """When it first did not answer; 0 where it does."""
        self._again = 0.0

    def about(self, jobs: Mapping[str, str]) -> tuple[Seen, bool]:
        """The newest answer, and whether it is another one than before.

        Raises :class:`EnvironmentFault` where it has never answered, or not for ten minutes: a
        controller that is begun anew ends nothing here.
        """
        now = time.monotonic()
        if self._seen is not None and now < self._again:
            return self._seen, False
        try:
            seen = ask(self._folder, self._cluster, jobs)
        except EnvironmentFault as e:
            self._failed = self._failed or now
            if self._seen is None or now - self._failed > PATIENCE_S:
                raise
            if self._failed == now:
                self._say(f"the scheduler does not answer, and is asked again: {e.message}")
            self._again = now + ASK_S
            return self._seen, False
        self._failed = 0.0
        new = self._seen is None or seen.at != self._seen.at
        self._seen = seen
        return seen, new


def ask(folder: Path, cluster: Cluster, jobs: Mapping[str, str]) -> Seen:
    """The scheduler's answer about these jobs (with the names that they must have), or the last one
    if it is young: that may be about others (``Seen.jobs``)."""
    path = folder / FOLDER / SEEN
    if (young := _young(path)) is not None:
        return young
    with _one_at_a_time(path.with_suffix(".lock")):
        if (young := _young(path)) is not None:
            return young
        found = [
            _Task(job=t.job, number=t.number, state=t.state, where=t.where)
            for t in (cluster.alive(jobs) if jobs else [])
        ]
        seen = Seen(at=time.time(), jobs=sorted(jobs), tasks=found)
        # Who may only look at the folder asks for themselves.
        with suppress(OSError):
            if jobs:
                write_atomic(path, seen.model_dump_json().encode())
        return seen


def tasks_of(folder: Path, owner: str, cluster: Cluster) -> list[Task]:
    """The campaign's jobs that run or wait. Raises :class:`lem.errors.EnvironmentFault` where the
    scheduler cannot be asked, :class:`BadInput` where the folder's note of jobs is damaged."""
    jobs = names_of(folder, owner)
    return [t for t in ask(folder, cluster, jobs).of(jobs) if t.state != "cancelled"]


def accounted(folder: Path) -> list[Accounted]:
    """What the scheduler itself accounts for the jobs that are over."""
    found = []
    for path in sorted((folder / FOLDER / "accounted").glob("*.json")):
        try:
            found.append(Accounted.read(path))
        except BadInput:
            continue
    return found


def _young(path: Path) -> Seen | None:
    """The last answer, if nobody needs to ask again yet."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | PLAIN), "rb") as f:
            if not stat.S_ISREG(os.fstat(f.fileno()).st_mode):
                return None
            last = Seen.model_validate_json(f.read(MAX_BYTES))
    except (OSError, ValidationError, BadInput):
        return None
    # Login nodes' clocks differ: what was answered in the future is young for as long.
    return last if abs(time.time() - last.at) < ASK_S else None


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    """Where the file system has locks; where it has none, two may ask."""
    with ExitStack() as stack:
        with suppress(OSError):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | PLAIN, 0o644)
            stack.callback(os.close, handle)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
