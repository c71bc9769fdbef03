"""Starts agents in containers of Charliecloud: unprivileged, without a daemon, as clusters have it.

The image is a tree of files (:mod:`lem.launchers.rootfs`), mounted read-only. What ``ch-run`` does
not do (no network, processes and shared memory of its own, folders that may only be read) is done
around it (:mod:`lem.launchers.apart`) where the kernel lets users; what it has no limits for is as
with the process launcher, whose supervisor it shares: memory by process, and nothing of the agent
is left when it ends. Where the invoking user is root, the agent is an unprivileged one.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from lem.errors import BadInput, EnvironmentFault
from lem.launchers import compiled, driver, environment, folders, hardening, rootfs
from lem.launchers.cache import cache_root
from lem.launchers.converted import Converted, converted, of_id
from lem.launchers.description import ask
from lem.launchers.process import ProcessAgent, kill_owned
from lem.launchers.protocol import BackendSetup, Folders, Prepared, Say, Task

APART = Path(__file__).with_name("apart.py")
DESCRIBE_TIMEOUT_S = 120.0
SECRETS = f"{hardening.SECRETS_FOLDER}/{folders.SECRETS_NAME}"


class Charliecloud:
    name = "charliecloud"
    powercap_root = "/sys/class/powercap"
    """A container of Charliecloud sees the node's ``/sys``."""

    def prepare(self, setup: BackendSetup, say: Say) -> Prepared:
        if shutil.which("ch-run") is None:
            raise EnvironmentFault(
                "Charliecloud is not here: ch-run not found",
                hint="module load charliecloud, or sudo apt-get install charliecloud-runtime",
            )
        tree = converted(setup, rootfs.FORM, cache_root(), say)
        if not set_apart():
            say(
                "this kernel lets no user set processes apart: agents in Charliecloud keep the "
                "network, see this user's processes, and could write to the models' cache"
            )
        check_rights(os.getuid())
        with tempfile.TemporaryDirectory(prefix="lem-ch-", dir=_beside()) as place:
            variables = environment.common("/tmp", network=False, owner="")
            command = [
                *container(tree, Path(place), variables, [], network=False),
                *("python3", "-m", "lem.agent", "describe", setup.name),
            ]
            found = ask(command, _outside(""), setup.name, "ch-run", DESCRIBE_TIMEOUT_S)
        return Prepared(setup, found, image=tree.id, digest=tree.id)

    def inside(self, folders: Folders) -> Folders:
        return hardening.seen_from_inside(folders)

    def gpus_inside(self, gpus: Sequence[int]) -> list[int]:
        """The same: a container of Charliecloud sees the node's devices."""
        return list(gpus)

    @contextmanager
    def start(self, task: Task) -> Iterator[ProcessAgent]:
        run = task.folders.run.absolute()
        check_rights(os.getuid())
        folders.check_writable(run)
        secrets = dict(task.secrets)
        if task.network:
            secrets |= environment.of_network(os.environ)
        tree = of_id(task.prepared.image or "", rootfs.FORM, cache_root())
        uid, gid = identity(os.getuid(), os.getgid())
        with (
            tempfile.TemporaryDirectory(
                prefix="lem-ch-", dir=_beside(), ignore_cleanup_errors=True
            ) as name,
            folders.handed_over(_handed(task), uid, gid),
            folders.secrets_folder(secrets, uid, gid) as hidden,
        ):
            place = Path(name)
            variables = (
                dict(tree.environment)
                | environment.settings(os.environ)
                | environment.common("/tmp", task.network, task.owner)
                | {
                    "LEM_CONTAINER": "charliecloud",
                    "CUDA_VISIBLE_DEVICES": ",".join(map(str, task.gpus)),
                }
            )
            mounts = [
                (m.source, m.target, m.writable)
                for m in hardening.folder_mounts(task.folders, task.verb == "stage")
            ]
            if task.gpus:
                of_node = driver.libraries()
                mounts += driver.mounts(of_node)
                own = tree.environment.get("LD_LIBRARY_PATH", "")
                variables |= driver.search_path(of_node, own)
            if task.folders.compiled is not None and hardening.INSIDE.compiled is not None:
                compiled.make(task.folders.compiled.absolute(), uid, gid)
                variables |= compiled.environment(hardening.INSIDE.compiled)
            if hidden is not None:
                mounts.append((hidden, hardening.SECRETS_FOLDER, True))
                variables["LEM_SECRETS_FILE"] = SECRETS
            command = [
                *container(tree, place, variables, mounts, task.network),
                *("python3", "-m", "lem.agent", task.verb),
                hardening.argument(task, hardening.INSIDE.run),
            ]
            hidden_words = [*task.secrets.values(), *environment.passwords(secrets)]
            agent = ProcessAgent(command, run, _outside(task.owner), task, hidden_words)
            try:
                yield agent
            finally:
                agent.close()
                for folder in (run, task.folders.compiled):
                    if folder is not None:
                        folders.disarm(folder)

    def reclaim(self, owner: str) -> int:
        return kill_owned(owner)


def identity(uid: int, gid: int) -> tuple[int, int]:
    """Whom the agent runs as: the invoking user, or an unprivileged one where that is root."""
    return (hardening.NOBODY, hardening.NOBODY) if uid == 0 else (uid, gid)


def check_rights(uid: int) -> None:
    """Raise :class:`EnvironmentFault` where an agent would have root's rights on the node."""
    if uid == 0 and not set_apart():
        raise EnvironmentFault(
            "root's agents would be root on this machine: its kernel lets no process be set apart",
            hint="run lem as another user, or use the docker launcher",
            kind="image",
        )


def _beside() -> str | None:
    """Where what a container needs is put; to root's own places the agent would have no way."""
    return "/tmp" if os.getuid() == 0 else None


def _handed(task: Task) -> list[Path]:
    """The folders to hand over: only needed where the agent cannot be the invoking user."""
    if os.getuid() != 0:
        return []
    staged = [task.folders.models] if task.verb == "stage" and task.folders.models else []
    return [task.folders.run, *staged]


def set_apart() -> bool:
    """Whether this kernel lets this user have namespaces of their own."""
    return apart_options() is not None


@cache
def apart_options() -> tuple[str, ...] | None:
    """With what options of :mod:`lem.launchers.apart` this kernel lets this user have namespaces of
    their own; None where it does not. (A new ``/proc`` is refused in some containers.)"""
    uid, gid = identity(os.getuid(), os.getgid())
    who = () if uid == os.getuid() else ("--as", f"{uid}:{gid}")
    for options in (who, (*who, "--shared-processes")):
        done = subprocess.run(
            [*_apart(options), "--no-network", "--", "true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        if done.returncode == 0:
            return options
    return None


def _apart(options: Sequence[str]) -> list[str]:
    return [sys.executable, "-I", "-S", str(APART), *options]


def container(
    tree: Converted,
    place: Path,
    variables: Mapping[str, str],
    mounts: Sequence[tuple[Path, str, bool]],
    network: bool,
) -> list[str]:
    """``ch-run`` with its options and what goes around it, up to the command in the container.
    ``place``: a folder for what it needs beside. ``mounts``: source, target, whether it may be
    written to.

    Raises :class:`BadInput` where a path cannot be told to ``ch-run``.
    """
    file = place / "environment"
    lines = [f"{n}={v}\n" for n, v in variables.items() if re.fullmatch(r"[^\n\0]*", v)]
    file.write_text("".join(lines), encoding="utf-8")
    file.chmod(0o600)
    if os.getuid() == 0:
        # Who the agent is sees its own part of it.
        place.chmod(0o711)
        os.chown(file, *identity(os.getuid(), os.getgid()))
    told: list[tuple[Path, str, bool]] = []
    for source, target, writable in mounts:
        if source.is_file():
            # A mount needs something to lie on, and the tree is read-only.
            stand = place / Path(target).parent.name
            stand.mkdir(mode=0o755, exist_ok=True)
            (stand / Path(target).name).touch()
            if not any(s == stand for s, _, _ in told):
                told.append((stand, str(Path(target).parent), False))
        told.append((source.absolute(), target, writable))
    root = tree.folder / rootfs.TREE
    for path in (str(root), *(word for s, t, _ in told for word in (str(s), t))):
        if ":" in path:
            raise BadInput(
                f"{path}: ch-run takes no path with ':' in it",
                hint="put the campaign's folder, the cache and the model elsewhere",
            )
    options = apart_options()
    around: list[str] = []
    if options is not None:
        seen = place / "seen"
        seen.mkdir(mode=0o755)
        every = [(root.absolute(), False), *((s, writable) for s, _, writable in told)]
        around = [
            *_apart(options),
            *([] if network else ["--no-network"]),
            *("--seen", str(seen)),
            *(w for s, rw in every for w in ("--writable" if rw else "--read-only", str(s))),
            "--",
        ]
        root = seen / "1"
        told = [(seen / str(n), t, rw) for n, (_, t, rw) in enumerate(told, 2)]
    return [
        *around,
        *(shutil.which("ch-run") or "ch-run", "--private-tmp", "--env-no-expand"),
        *(f"--set-env={file}", "--cd=/", *(f"--bind={s}:{t}" for s, t, _ in told)),
        *(str(root), "--"),
    ]


def _outside(owner: str) -> dict[str, str]:
    """The environment of ``ch-run`` itself."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        # It refuses to start without a name.
        "USER": os.environ.get("USER") or "lem",
        "HOME": "/nonexistent",
        "LEM_OWNER": owner,
    }


plugin = Charliecloud
