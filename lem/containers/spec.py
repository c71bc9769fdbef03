"""What a container is asked to be, and what it and the engine say of themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class EngineFacts:
    """What the engine says about itself."""

    version: str
    api_version: str
    rootless: bool
    remapped: bool
    """User namespaces: the container's uids are not the machine's."""
    selinux: bool
    nvidia: bool
    """Whether a GPU can be given to a container (runtime or CDI device named)."""


@dataclass(frozen=True)
class Image:
    """``digest`` is the registry's where the image came from one, else the image id."""

    id: str
    digest: str
    tags: tuple[str, ...]
    labels: Mapping[str, str]
    size_bytes: int
    created: str
    references: tuple[str, ...] = ()
    """``NAME@DIGEST``, by which registries have this very image."""


@dataclass(frozen=True)
class Mount:
    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True)
class ContainerSpec:
    """One container, everything said: nothing is left to the engine's defaults that matters."""

    image: str
    command: tuple[str, ...]
    user: str
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    tmpfs: Mapping[str, str] = field(default_factory=dict)
    network: str = "none"
    memory_bytes: int | None = None
    pids: int = 4096
    shm_bytes: int = 2**30
    gpus: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()
    security: tuple[str, ...] = ("no-new-privileges",)
    user_namespace: str | None = None
    working_folder: str = "/tmp"


@dataclass(frozen=True)
class Ended:
    """How a container ended. ``status`` is 128 + n where signal n killed it."""

    status: int
    out_of_memory: bool
