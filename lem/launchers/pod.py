"""Starts agents in the container that this process is in: a pod's, which Kubernetes has started
from the backend's own image (:mod:`lem.campaign.node`).

So the agent is a process beside what started it, as with the process launcher, and has the image's
environment. What shuts it in is the pod's security context, and a NetworkPolicy where the cluster
enforces one. On the machine that submits, something else stands in, to look into images and to
prepare models with them: this machine's Docker, or the cluster itself where there is none.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import cache

from lem.errors import BadInput, EnvironmentFault
from lem.launchers.process import Process, ProcessAgent
from lem.launchers.protocol import Agent, BackendSetup, Folders, Launcher, Prepared, Say, Task

POD = "LEM_POD_"
"""Prefix of what lem's manifest tells a pod of itself."""
ROOM_BYTES = 512 * 2**20
"""What of a pod's memory is kept from agents: where a container runs out of it, the kernel ends all
that is in it, and nobody is left to say what ran out."""
NOT_GIVEN = (POD, "KUBERNETES_", "JOB_COMPLETION_INDEX", "HOSTNAME")
DOCKER_HUB = ("docker.io/library/", "docker.io/", "index.docker.io/library/", "index.docker.io/")


class Pod:
    name = "pod"
    powercap_root = "/sys/class/powercap"

    def prepare(self, setup: BackendSetup, say: Say) -> Prepared:
        if not _in_pod() and STAND_IN.get() is None:
            raise BadInput(
                "launcher: pod is how runs are started in a cluster's pods, and nowhere else",
                hint="launcher: {kind: kubernetes, claim: NAME, mount: /PATH}",
            )
        if setup.image is None:
            raise BadInput(
                f"backends.{setup.name}: a cluster's nodes pull their images: name one",
                hint=f"lem images build {setup.name}, push it to a registry that the cluster "
                f"reaches, and set backends.{setup.name}.image: REGISTRY/NAME@sha256:…",
            )
        # What is in the image can be seen without a GPU.
        found = _inner().prepare(replace(setup, gpu=False), say)
        image = found.image or ""
        pinned = image if "@" in image else _pinned(setup.image, image)
        return replace(found, setup=setup, image=pinned, digest=pinned.rpartition("@")[2])

    def inside(self, folders: Folders) -> Folders:
        return _inner().inside(folders)

    def gpus_inside(self, gpus: Sequence[int]) -> list[int]:
        """The same GPUs' indices as the agent counts them: it sees what the pod sees."""
        return list(gpus)

    @contextmanager
    def start(self, task: Task) -> Iterator[Agent]:
        if task.verb == "run" and not _in_pod():
            raise EnvironmentFault(
                "this is no pod of lem's: nothing is measured here",
                hint="go on where the campaign was begun: launcher: {kind: kubernetes, …}",
            )
        with _inner().start(task) as agent:
            yield agent

    def reclaim(self, owner: str) -> int:
        return _inner().reclaim(owner)


class _Here(Process):
    """The process launcher with what is the pod's."""

    name = "pod"

    def given(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The image's own environment and the engines' settings, as a container's agent has it."""
        return {k: v for k, v in environ.items() if not k.startswith(NOT_GIVEN)}

    @contextmanager
    def start(self, task: Task) -> Iterator[ProcessAgent]:
        setup = replace(task.prepared.setup, python=None)
        limits = [task.memory_bytes, _memory(os.environ)]
        least = min((n for n in limits if n is not None), default=None)
        inside = replace(task, prepared=replace(task.prepared, setup=setup), memory_bytes=least)
        with super().start(inside) as agent:
            yield agent


STAND_IN: ContextVar[Callable[[], Launcher] | None] = ContextVar("stand_in", default=None)
"""What is used in place of Docker where none answers."""


def _in_pod() -> bool:
    return f"{POD}UID" in os.environ


def _inner() -> Launcher:
    if _in_pod():
        return _Here()
    other = STAND_IN.get()
    return _docker() if other is None or _docker_answers() else other()


@cache
def _docker_answers() -> bool:
    from lem import containers

    try:
        with containers.connect():
            return True
    except EnvironmentFault:
        return False


def _docker() -> Launcher:
    # Not in images, which have no Docker.
    from lem.launchers.docker import Docker

    return Docker()


def _memory(environ: Mapping[str, str]) -> int | None:
    given = environ.get(f"{POD}MEMORY_BYTES", "")
    return max(ROOM_BYTES, int(given) - ROOM_BYTES) if given.isdigit() else None


def _pinned(named: str, image_id: str) -> str:
    """The image as a registry has it, for good: ``NAME@sha256:…``. Raises :class:`EnvironmentFault`
    where no registry of that name is known to have it."""
    from lem import containers

    name, _, digest = named.partition("@")
    if digest:
        return f"{_repository(name)}@{digest}"
    with containers.connect() as engine:
        found = engine.image(image_id)
    wanted = _familiar(_repository(name))
    for reference in () if found is None else found.references:
        repository, _, digest = reference.partition("@")
        if _familiar(repository) == wanted and digest.startswith("sha256:"):
            return f"{_repository(name)}@{digest}"
    raise EnvironmentFault(
        f"the image {named} is only on this machine: nodes could not pull it",
        hint=f"docker push {named}",
        kind="image",
    )


def _repository(name: str) -> str:
    """Without its tag."""
    last = name.rpartition("/")[2]
    return name[: -len(last)] + last.partition(":")[0]


def _familiar(repository: str) -> str:
    return next(
        (repository.removeprefix(p) for p in DOCKER_HUB if repository.startswith(p)), repository
    )


plugin = Pod
