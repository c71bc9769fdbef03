"""Starts agents in hardened containers on this machine's Docker engine."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from lem import containers
from lem.containers import ContainerSpec
from lem.contract.stage import Described
from lem.errors import EnvironmentFault
from lem.launchers import compiled, environment, folders, hardening, image
from lem.launchers.description import described
from lem.launchers.log import AgentLog
from lem.launchers.origin import is_gone, origin
from lem.launchers.protocol import BackendSetup, Exit, Folders, Prepared, Say, Task

DESCRIBE_TIMEOUT_S = 120.0
DESCRIBE_MEMORY_BYTES = 4 * 2**30
DESCRIPTION_BYTES = 2**20
KILL_TIMEOUT_S = 60.0


class DockerAgent:
    """An agent in its container."""

    def __init__(self, container: containers.Container, log: AgentLog) -> None:
        self._container = container
        self._log = log

    def wait(self, timeout_s: float) -> Exit | None:
        ended = self._container.wait(timeout_s)
        if ended is None:
            return None
        self._container.drain()
        return Exit(ended.status, ended.out_of_memory, self._log.close())

    def stop(self, grace_s: float) -> Exit:
        self._container.signal("SIGTERM")
        ended = self.wait(grace_s)
        if ended is None:
            self._container.signal("SIGKILL")
            ended = self.wait(KILL_TIMEOUT_S)
        if ended is None:
            raise EnvironmentFault(
                f"the container {self._container.name} does not end, not even by SIGKILL",
                hint="a process in it waits for a device; see dmesg, and restart the machine",
            )
        return ended


class Docker:
    name = "docker"
    powercap_root = hardening.POWERCAP_ROOT

    def prepare(self, setup: BackendSetup, say: Say) -> Prepared:
        if setup.image is None and not setup.gpu:
            _check_cpu(setup.name)
        with containers.connect() as engine:
            if setup.gpu and not engine.facts.nvidia:
                raise EnvironmentFault(
                    "Docker cannot give a container the GPU on this machine",
                    hint="install the NVIDIA Container Toolkit, then sudo nvidia-ctk runtime "
                    "configure --runtime=docker and sudo systemctl restart docker",
                )
            if setup.image is None:
                variant: image.Variant = "cuda" if setup.gpu else "cpu"
                found = image.ensure(engine, setup.name, variant, setup.base_image, say)
            else:
                found = engine.image(setup.image) or engine.pull(setup.image, say)
                image.check(found, setup.image, setup.name)
            described = _describe(engine, found.id, setup.name)
        return Prepared(setup, described, image=found.id, digest=found.digest)

    def inside(self, folders: Folders) -> Folders:
        return hardening.seen_from_inside(folders)

    def gpus_inside(self, gpus: Sequence[int]) -> list[int]:
        """The same GPUs' indices as the agent counts them: a container has only its own."""
        return list(range(len(gpus)))

    @contextmanager
    def start(self, task: Task) -> Iterator[DockerAgent]:
        folders.check_writable(task.folders.run)
        secrets = dict(task.secrets)
        if task.network:
            secrets |= environment.of_network(os.environ)
        with containers.connect() as engine:
            who = hardening.identity(engine.facts, os.getuid(), os.getgid())
            hidden_words = [*task.secrets.values(), *environment.passwords(secrets)]
            if task.folders.compiled is not None:
                compiled.make(task.folders.compiled, who.uid, who.gid)
            log = AgentLog(task.folders.run / "agent.log", hidden_words)
            try:
                with (
                    folders.handed_over(_handed(task), who.uid, who.gid),
                    folders.secrets_folder(secrets, who.uid, who.gid) as hidden,
                    engine.container(
                        hardening.container(
                            task,
                            engine.facts,
                            who,
                            hardening.powercap(who, os.getgroups()),
                            hidden,
                            os.environ,
                            origin(),
                        ),
                        log.write,
                    ) as container,
                ):
                    yield DockerAgent(container, log)
            finally:
                log.close()
                for folder in (*_written(task), task.folders.compiled):
                    if folder is not None:
                        folders.disarm(folder)

    def reclaim(self, owner: str) -> int:
        if not owner:
            return 0

        def left_behind(labels: Mapping[str, str]) -> bool:
            whose = labels.get(hardening.OWNER, "")
            # Staging and describing have no owner: nobody's, once their host has ended.
            return whose == owner or (not whose and is_gone(labels[hardening.HOST]))

        with containers.connect() as engine:
            found = engine.remove_labelled(hardening.HOST, left_behind)
        for mounts in found:
            run = mounts.get(str(hardening.INSIDE.run))
            # Where the killed host was root, it could not take the folder back itself.
            if os.getuid() == 0 and run is not None and run.is_dir():
                folders.give(run, run.parent.stat().st_uid, run.parent.stat().st_gid)
        return len(found)


def _written(task: Task) -> list[Path]:
    """The folders that the container can write to."""
    staged = [task.folders.models] if task.verb == "stage" and task.folders.models else []
    return [task.folders.run, *staged]


def _handed(task: Task) -> list[Path]:
    """Those to hand over: only needed where the agent cannot be the invoking user."""
    return _written(task) if os.getuid() == 0 else []


def _check_cpu(backend: str) -> None:
    """Refuse a backend that has an image for GPUs alone in a campaign that uses none."""
    if backend in image.buildable() and "cpu" not in image.variants(backend):
        raise EnvironmentFault(
            f"{backend} is for NVIDIA GPUs only, and none is used here",
            hint="run it on a machine whose Docker can give containers a GPU (`lem doctor` tells), "
            f"or leave {backend} out of `backends`",
            kind="image",
        )


def _describe(engine: containers.Engine, image_id: str, backend: str) -> Described:
    """Ask the image itself what is in it."""
    who = hardening.identity(engine.facts, os.getuid(), os.getgid())
    spec = ContainerSpec(
        image=image_id,
        command=("python3", "-m", "lem.agent", "describe", backend),
        user=who.user,
        user_namespace=who.user_namespace,
        environment=environment.common("/tmp", network=False, owner=""),
        # All of them, so that none is the image's own.
        labels={hardening.HOST: origin(), hardening.OWNER: "", hardening.RUN: ""},
        memory_bytes=DESCRIBE_MEMORY_BYTES,
        tmpfs={"/tmp": "rw,exec,size=64m,mode=1777"},
    )
    output = bytearray()

    def keep(chunk: bytes) -> None:
        # An image that has no end must not fill the host's memory: only the last part is kept.
        output.extend(chunk)
        del output[:-DESCRIPTION_BYTES]

    with engine.container(spec, keep) as container:
        ended = container.wait(DESCRIBE_TIMEOUT_S)
        container.drain()
    return described(bytes(output), None if ended is None else ended.status, backend)


plugin = Docker
