"""What a cluster is: one file in this package whose ``plugin`` fills :class:`Cluster`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from lem.contract.order import Order


class Task(NamedTuple):
    """One of an order's jobs that is not over, or that somebody has cancelled."""

    job: str
    number: int
    """Counted from 0 in its order."""
    state: Literal["waiting", "running", "cancelled"]
    where: str
    """The node, or why it waits, in the scheduler's words."""


@dataclass(frozen=True)
class Work:
    """What a scheduler is asked to run."""

    folder: Path
    """The campaign's, under the same absolute path on every node."""
    name: str
    """Of its jobs, by which they are found again."""
    order: Order
    at_once: int | None
    """How many of its jobs may run at a time; None: as many as there is room for."""
    memory_bytes: int | None
    variables: Mapping[str, str]
    """Of the environment, for nodes that have the same programs as this machine."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Those of them that are the user's own settings of engines, for nodes that have not."""
    turns: Sequence[Sequence[str]] = ()
    """Of each block of the order: the backends of its runs, in the order in which they are made."""


class Cluster(Protocol):
    @property
    def kind(self) -> Literal["slurm", "kubernetes"]: ...

    def check(self) -> None:
        """Raises :class:`lem.errors.EnvironmentFault` where nothing can be submitted from here."""

    def render(self, work: Work) -> str:
        """What would be submitted, to be read, changed and submitted by hand."""

    def submit(self, work: Work) -> str:
        """Submit it; the scheduler's name for it. Raises :class:`EnvironmentFault` with the
        scheduler's own words where it refuses."""

    def find(self, name: str) -> str | None:
        """The job of that name that is not over, if there is one."""

    def alive(self, jobs: Mapping[str, str]) -> list[Task]:
        """What of these is not over, and what was cancelled. ``jobs``: job → the name under which
        it was submitted; what has another name is somebody else's."""

    def cancel(self, jobs: Mapping[str, str]) -> None:
        """End them; one that is over already is no error, and one of another name is left."""
