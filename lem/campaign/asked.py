"""What a scheduler says of a campaign's jobs: asked rarely, whoever follows it, from anywhere."""

import fcntl
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from lem.campaign.claims import FOLDER
from lem.clusters.protocol import Cluster, Task
from lem.contract.base import Part, write_atomic
from lem.contract.order import Accounted, Jobs
from lem.errors import BadInput

ASK_S = 10.0
"""A scheduler is asked no oftener for one campaign."""
JOBS, SEEN = "jobs.json", "seen.json"
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


def ask(folder: Path, cluster: Cluster, jobs: Collection[str]) -> Seen:
    """The scheduler's answer about these jobs, or the last one if it is young: that may be about
    others (``Seen.jobs``)."""
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


def jobs_of(folder: Path) -> list[str]:
    """The scheduler's names of what was submitted and is not known to be over."""
    path = folder / FOLDER / JOBS
    return [o.job for o in Jobs.read(path).orders] if path.exists() else []


def tasks_of(folder: Path, cluster: Cluster) -> list[Task]:
    """The campaign's jobs that run or wait. Raises :class:`lem.errors.EnvironmentFault` where the
    scheduler cannot be asked, :class:`BadInput` where the folder's note of jobs is damaged."""
    jobs = jobs_of(folder)
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
        with path.open("rb") as f:
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
            f = stack.enter_context(path.open("ab"))
            fcntl.flock(f, fcntl.LOCK_EX)
        yield
