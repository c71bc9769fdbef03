"""Starts agents in containers of Apptainer (once called Singularity), as clusters have it.

The image becomes one file (SIF), made once from this machine's Docker, from a Docker archive, or
taken as it is, and is kept in the cache by its id. As with the process launcher, whose supervisor
it shares, memory is limited by process, and nothing of the agent is left when it ends.

Its command lines are checked; it was not run against Apptainer itself (``docs/hpc.md``).
"""

import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from lem.errors import EnvironmentFault
from lem.launchers import compiled, environment, folders, hardening, sif
from lem.launchers.cache import cache_root
from lem.launchers.converted import converted, of_id
from lem.launchers.description import ask
from lem.launchers.process import ProcessAgent, kill_owned
from lem.launchers.protocol import BackendSetup, Folders, Prepared, Say, Task

DESCRIBE_TIMEOUT_S = 300.0
COMMANDS = ("apptainer", "singularity")


class Apptainer:
    name = "apptainer"
    powercap_root = "/sys/class/powercap"
    """A container of Apptainer sees the node's ``/sys``."""

    def prepare(self, setup: BackendSetup, say: Say) -> Prepared:
        program = command()
        check_rights(os.getuid())
        image = converted(setup, sif.form(program), cache_root(), say)
        with tempfile.TemporaryDirectory(prefix="lem-apptainer-") as place:
            words = [
                *inside(
                    program,
                    image.folder / sif.FILE,
                    Path(place),
                    environment.common("/tmp", False, ""),
                    [],
                ),
                *("python3", "-m", "lem.agent", "describe", setup.name),
            ]
            outside = _outside(os.environ, "")
            found = ask(words, outside, setup.name, program, DESCRIBE_TIMEOUT_S)
        return Prepared(setup, found, image=image.id, digest=image.id)

    def inside(self, folders: Folders) -> Folders:
        return hardening.seen_from_inside(folders)

    def gpus_inside(self, gpus: Sequence[int]) -> list[int]:
        """The same: a container of Apptainer sees the node's devices."""
        return list(gpus)

    @contextmanager
    def start(self, task: Task) -> Iterator[ProcessAgent]:
        run = task.folders.run.absolute()
        folders.check_writable(run)
        secrets = dict(task.secrets)
        if task.network:
            secrets |= environment.of_network(os.environ)
        program = command()
        check_rights(os.getuid())
        image = of_id(task.prepared.image or "", sif.form(program), cache_root())
        with (
            tempfile.TemporaryDirectory(prefix="lem-sif-", ignore_cleanup_errors=True) as name,
            folders.secrets_folder(secrets, os.getuid(), os.getgid()) as hidden,
        ):
            variables = (
                environment.settings(os.environ)
                | environment.common("/tmp", task.network, task.owner)
                | {
                    "LEM_CONTAINER": "apptainer",
                    "CUDA_VISIBLE_DEVICES": ",".join(map(str, task.gpus)),
                }
            )
            mounts = [
                (m.source, m.target, m.writable)
                for m in hardening.folder_mounts(task.folders, task.verb == "stage")
            ]
            if task.folders.compiled is not None and hardening.INSIDE.compiled is not None:
                compiled.make(task.folders.compiled.absolute(), os.getuid(), os.getgid())
                variables |= compiled.environment(hardening.INSIDE.compiled)
            if hidden is not None:
                mounts.append((hidden, hardening.SECRETS_FOLDER, True))
                variables["LEM_SECRETS_FILE"] = f"{hardening.SECRETS_FOLDER}/{folders.SECRETS_NAME}"
            words = [
                *inside(
                    program,
                    image.folder / sif.FILE,
                    Path(name),
                    variables,
                    mounts,
                    gpu=bool(task.gpus),
                    network=task.network,
                ),
                *("python3", "-m", "lem.agent", task.verb),
                hardening.argument(task, hardening.INSIDE.run),
            ]
            hidden_words = [*task.secrets.values(), *environment.passwords(secrets)]
            outside = _outside(os.environ, task.owner)
            agent = ProcessAgent(words, run, outside, task, hidden_words)
            try:
                yield agent
            finally:
                agent.close()
                for folder in (run, task.folders.compiled):
                    if folder is not None:
                        folders.disarm(folder)

    def reclaim(self, owner: str) -> int:
        return kill_owned(owner)


def command() -> str:
    """``apptainer``, or ``singularity`` where only that is here."""
    for name in COMMANDS:
        if shutil.which(name):
            return name
    raise EnvironmentFault(
        "Apptainer is not here: neither apptainer nor singularity found",
        hint="module load apptainer; lem itself needs nothing else of it",
    )


def check_rights(uid: int) -> None:
    """Raise :class:`EnvironmentFault` where agents would be root on the node: root without any
    capability still owns the kernel's settings in ``/proc/sys``."""
    if uid == 0:
        raise EnvironmentFault(
            "root's agents would be root on this machine, also in a container of Apptainer",
            hint="run lem as another user, or use the docker launcher",
            kind="image",
        )


def inside(
    program: str,
    image: Path,
    place: Path,
    variables: Mapping[str, str],
    mounts: Sequence[tuple[Path, str, bool]],
    gpu: bool = False,
    network: bool = False,
) -> list[str]:
    """``apptainer exec`` with its options, up to the command in the container. Pure but for the
    file of variables, which is written into ``place``."""
    file = place / "environment"
    # It is read as shell: single quotes let nothing be anything else.
    lines = [
        f"{n}={shlex.quote(v)}\n"
        for n, v in sorted(variables.items())
        if "\n" not in v and "\0" not in v
    ]
    file.write_text("".join(lines), encoding="utf-8")
    binds = [
        f"--mount=type=bind,source={_field(str(source.absolute()))},destination={_field(target)}"
        + ("" if writable else ",ro")
        for source, target, writable in mounts
    ]
    return [
        # The first means: processes, shared memory, a few devices and temporary folders of its own.
        *(program, "exec", "--containall", "--cleanenv", "--no-home", "--no-privs"),
        *([_vendor()] if gpu else []),
        *([] if network else ["--net", "--network=none"]),
        *("--pwd=/", f"--env-file={file}", *binds, str(image)),
    ]


def _vendor() -> str:
    """The option that brings the driver of the node's boards: AMD's, or NVIDIA's."""
    amd = Path("/dev/kfd").exists() and not Path("/dev/nvidiactl").exists()
    return "--rocm" if amd else "--nv"


def _field(text: str) -> str:
    """A value of ``--mount``, which is a line of CSV."""
    return '"' + text.replace('"', '""') + '"' if set(text) & {",", '"'} else text


def _outside(environ: Mapping[str, str], owner: str) -> dict[str, str]:
    """The environment of the program itself: what the container gets is told apart."""
    kept = ("PATH", "HOME", "USER", "TMPDIR", "APPTAINER_TMPDIR", "APPTAINER_CACHEDIR")
    return {k: environ[k] for k in kept if k in environ} | {"LEM_OWNER": owner}


plugin = Apptainer
