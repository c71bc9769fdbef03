"""What a launcher is: one file in this package whose ``plugin`` fills :class:`Launcher`."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from lem.contract.stage import Described

Say = Callable[[str], None]
"""Tells the user what is going on, a line at a time."""


@dataclass(frozen=True)
class BackendSetup:
    """How the campaign wants one backend to be started."""

    name: str
    image: str | None = None
    base_image: str | None = None
    python: str | None = None
    gpu: bool = False
    """Whether the arms use a GPU: picks the image variant."""


@dataclass(frozen=True)
class Prepared:
    """A backend that is ready to start."""

    setup: BackendSetup
    described: Described
    image: str | None
    """Image id to start, for launchers that use images."""
    digest: str | None


@dataclass(frozen=True)
class Folders:
    """The host's folders that one agent start may see. ``run`` is writable, and ``compiled`` (for
    what engines compile, :mod:`lem.launchers.compiled`); so is ``models`` while staging; the rest
    is read-only."""

    run: Path
    requests: Path | None = None
    models: Path | None = None
    source: Path | None = None
    compiled: Path | None = None


@dataclass(frozen=True)
class Task:
    """One start of the agent: ``python -m lem.agent VERB /run/job.json``."""

    verb: Literal["run", "stage", "validate", "describe"]
    prepared: Prepared
    folders: Folders
    document: str
    """File name in ``folders.run`` that the agent reads: job.json, stage.json, …"""
    network: bool = False
    secrets: dict[str, str] = field(default_factory=dict)
    """Environment variables that never reach a document, a log or an argument list."""
    gpus: tuple[int, ...] = ()
    memory_bytes: int | None = None
    pids: int = 4096
    owner: str = ""
    """Label of the campaign folder, by which leftovers of a killed host are found."""


@dataclass(frozen=True)
class Exit:
    status: int
    out_of_memory: bool
    last_lines: list[str]


class Agent(Protocol):
    """A started agent."""

    def wait(self, timeout_s: float) -> Exit | None:
        """Its end, or None if it has not ended within ``timeout_s``. Blocks without polling the
        machine it measures."""

    def stop(self, grace_s: float) -> Exit:
        """SIGTERM, then SIGKILL after ``grace_s``; nothing of it is left afterwards."""


class Launcher(Protocol):
    name: str
    powercap_root: str
    """Where the agent finds the powercap tree, if anywhere."""

    def prepare(self, setup: BackendSetup, say: Say) -> Prepared:
        """Build or find the image or interpreter, check its contract version.
        Raises :class:`lem.errors.EnvironmentFault` with the fix."""

    def inside(self, folders: Folders) -> Folders:
        """The same folders as the agent will see them."""

    def gpus_inside(self, gpus: Sequence[int]) -> list[int]:
        """The same GPUs as the agent will count them."""

    def start(self, task: Task) -> AbstractContextManager[Agent]:
        """Start the agent; on leaving, nothing of it is left, and files belong to the user. The
        agent's output is in ``folders.run/agent.log``."""

    def reclaim(self, owner: str) -> int:
        """Remove what a killed host left behind under this owner; how many there were."""
