"""What a container may do, as data: from a task and the engine's facts to a container's spec.

Pure, so that the whole of the isolation can be read and tested in one place.
"""

import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lem.containers import ContainerSpec, EngineFacts, Mount
from lem.launchers import compiled, environment
from lem.launchers.folders import SECRETS_NAME
from lem.launchers.protocol import Folders, Task

OWNER = "org.lem.owner"
RUN = "org.lem.run"
"""The run's folder on the host."""
HOST = "org.lem.host"
"""The process that started it (:func:`lem.launchers.origin.origin`)."""

NOBODY = 65534
SECRETS_FOLDER = "/lem-secrets"
POWERCAP_ROOT = "/powercap"
"""Where the RAPL meter's files are in the container, if anywhere (``job.powercap_root``)."""
TMP_BYTES = 4 * 2**30
"""At most; it is memory, and counts against the container's limit."""

INSIDE = Folders(
    run=Path("/run"),
    requests=Path("/requests"),
    models=Path("/models"),
    compiled=Path("/compiled"),
)


@dataclass(frozen=True)
class Identity:
    """Whom the agent runs as. ``uid``/``gid`` are the owner that its files have on the host."""

    uid: int
    gid: int
    user: str
    """As the container is told."""
    user_namespace: str | None = None


def identity(facts: EngineFacts, uid: int, gid: int) -> Identity:
    """The invoking user, or an unprivileged one where that is root.

    In a rootless engine the container's root *is* the invoking user, and any other uid would be
    one that the user cannot remove files of. Where an engine maps uids, that is turned off for
    this container, because its files could not belong to the user either.
    """
    if facts.rootless:
        return Identity(uid, gid, "0:0")
    if uid == 0:
        uid = gid = NOBODY
    return Identity(uid, gid, f"{uid}:{gid}", "host" if facts.remapped else None)


class Powercap(NamedTuple):
    """Mounts that give a container the RAPL counters, and the groups that may read them."""

    mounts: tuple[Mount, ...]
    groups: tuple[int, ...]


def powercap(
    who: Identity, groups: Sequence[int], root: Path = Path("/sys/class/powercap")
) -> Powercap:
    """The zones that ``who`` may read, each below :data:`POWERCAP_ROOT`; none where they are
    root's alone. ``groups``: those that the invoking user may lend."""
    mounts: list[Mount] = []
    lent: set[int] = set()
    try:
        zones = sorted(root.glob("intel-rapl*:*"))
    except OSError:
        zones = []
    for zone in zones:
        try:
            counter = (zone / "energy_uj").stat()
        except OSError:
            continue
        mode = counter.st_mode
        if mode & stat.S_IROTH or (mode & stat.S_IRUSR and counter.st_uid == who.uid):
            pass
        elif mode & stat.S_IRGRP and counter.st_gid != 0 and counter.st_gid in groups:
            lent.add(counter.st_gid)
        else:
            continue
        # The class folder holds links; a mount needs the places that they lead to.
        mounts.append(Mount(zone.resolve(), f"{POWERCAP_ROOT}/{zone.name}"))
    return Powercap(tuple(mounts), tuple(sorted(lent)))


def container(
    task: Task,
    facts: EngineFacts,
    who: Identity,
    rapl: Powercap,
    secrets: Path | None,
    environ: Mapping[str, str],
    host: str,
) -> ContainerSpec:
    """The container for one start of the agent."""
    variables = environment.settings(environ) | environment.common("/tmp", task.network, task.owner)
    variables["LEM_CONTAINER"] = "docker"
    mounts = folder_mounts(task.folders, models_writable=task.verb == "stage")
    if secrets is not None:
        mounts.append(Mount(secrets, SECRETS_FOLDER, writable=True))
        variables["LEM_SECRETS_FILE"] = f"{SECRETS_FOLDER}/{SECRETS_NAME}"
    if task.folders.compiled is not None and INSIDE.compiled is not None:
        variables |= compiled.environment(INSIDE.compiled)
    if not task.gpus:
        # Images may ask for all GPUs, which an engine with an NVIDIA default runtime would grant.
        variables |= {"NVIDIA_VISIBLE_DEVICES": "void", "CUDA_VISIBLE_DEVICES": ""}
    security = ["no-new-privileges", *(["label=disable"] if facts.selinux else [])]
    tmp_bytes = min(TMP_BYTES, (task.memory_bytes or 2 * TMP_BYTES) // 2)
    return ContainerSpec(
        image=task.prepared.image or "",
        command=("python3", "-m", "lem.agent", task.verb, argument(task, INSIDE.run)),
        user=who.user,
        environment=variables,
        labels={OWNER: task.owner, RUN: str(task.folders.run), HOST: host},
        mounts=(*mounts, *rapl.mounts),
        tmpfs={"/tmp": f"rw,exec,nosuid,nodev,mode=1777,size={tmp_bytes}"},
        network="bridge" if task.network else "none",
        memory_bytes=task.memory_bytes,
        pids=task.pids,
        gpus=task.gpus,
        groups=rapl.groups,
        security=tuple(security),
        user_namespace=who.user_namespace,
    )


def argument(task: Task, run: Path) -> str:
    """What the agent's verb is about: a document in the run's folder, or a backend's name."""
    return task.prepared.setup.name if task.verb == "describe" else str(run / task.document)


def folder_mounts(folders: Folders, models_writable: bool) -> list[Mount]:
    """The host's folders at their places in the container."""
    mounts = [Mount(folders.run.resolve(), str(INSIDE.run), writable=True)]
    if folders.requests is not None:
        mounts.append(Mount(folders.requests.resolve(), str(INSIDE.requests)))
    if folders.models is not None:
        mounts.append(Mount(folders.models.resolve(), str(INSIDE.models), models_writable))
    if folders.source is not None:
        mounts.append(source_mount(folders.source)[0])
    if folders.compiled is not None:
        mounts.append(Mount(folders.compiled.resolve(), str(INSIDE.compiled), writable=True))
    return mounts


def seen_from_inside(folders: Folders) -> Folders:
    """The same folders, as the agent in a container sees them."""
    return Folders(
        run=INSIDE.run,
        requests=INSIDE.requests if folders.requests is not None else None,
        models=INSIDE.models if folders.models is not None else None,
        source=source_mount(folders.source)[1] if folders.source is not None else None,
        compiled=INSIDE.compiled if folders.compiled is not None else None,
    )


def source_mount(source: Path) -> tuple[Mount, Path]:
    """A local model's mount, and where the agent finds it.

    A file keeps its name, because its ending says what it is. A folder of the hub's cache holds
    relative links to files two folders up (``snapshots/REVISION/x`` to ``blobs/``): then the
    folder that holds both is mounted, read-only.
    """
    source = source.resolve()
    place = Path("/source")
    if source.is_file():
        return Mount(source, str(place / source.name)), place / source.name
    targets = [p.resolve() for p in source.rglob("*") if p.is_symlink()]
    cache = source.parent.parent
    if source.parent.name == "snapshots" and any(
        t.is_relative_to(cache) and not t.is_relative_to(source) for t in targets
    ):
        return Mount(cache, str(place)), place / source.relative_to(cache)
    return Mount(source, str(place)), place
