"""Starts agents in containers of Charliecloud: unprivileged, without a daemon, as clusters have it.

The image is a tree of files (:mod:`lem.launchers.rootfs`), mounted read-only. What ``ch-run`` does
not do (no network, folders that may only be read) is done around it (:mod:`lem.launchers.apart`)
where the kernel lets users; what it has no limits for is as with the process launcher, whose
supervisor it shares: memory by process, and nothing of the agent is left when it ends.
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

from lem.errors import EnvironmentFault
from lem.launchers import compiled, driver, environment, folders, hardening, rootfs
from lem.launchers.apart import REFUSED
from lem.launchers.cache import cache_root
from lem.launchers.converted import Converted, converted, of_id
from lem.launchers.description import described
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
                "network, and could write to the models' cache"
            )
        with tempfile.TemporaryDirectory(prefix="lem-ch-") as place:
            variables = environment.common("/tmp", network=False, owner="")
            command = [
                *around(network=False, read_only=()),
                *inside(tree, Path(place), variables, []),
                *("python3", "-m", "lem.agent", "describe", setup.name),
            ]
            try:
                done = subprocess.run(
                    command,
                    env=_outside(""),
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=DESCRIBE_TIMEOUT_S,
                    check=False,
                )
            except (OSError, subprocess.TimeoutExpired) as e:
                raise EnvironmentFault(f"ch-run cannot be run: {e}", kind="image") from e
        if done.returncode != 0:
            last = done.stderr.decode(errors="replace").strip()[-1000:]
            raise EnvironmentFault(f"ch-run did not start the image: {last}", kind="image")
        found = described(done.stdout, done.returncode, setup.name)
        return Prepared(setup, found, image=tree.id, digest=tree.id)

    def inside(self, folders: Folders) -> Folders:
        return hardening.seen_from_inside(folders)

    def gpus_inside(self, gpus: Sequence[int]) -> list[int]:
        """The same: a container of Charliecloud sees the node's devices."""
        return list(gpus)

    @contextmanager
    def start(self, task: Task) -> Iterator[ProcessAgent]:
        run = task.folders.run.absolute()
        folders.check_writable(run)
        secrets = dict(task.secrets)
        if task.network:
            secrets |= environment.of_network(os.environ)
        tree = of_id(task.prepared.image or "", rootfs.FORM, cache_root())
        with (
            tempfile.TemporaryDirectory(prefix="lem-ch-", ignore_cleanup_errors=True) as name,
            folders.secrets_folder(secrets, os.getuid(), os.getgid()) as hidden,
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
                compiled.make(task.folders.compiled.absolute(), os.getuid(), os.getgid())
                variables |= compiled.environment(hardening.INSIDE.compiled)
            if hidden is not None:
                mounts.append((hidden, hardening.SECRETS_FOLDER, True))
                variables["LEM_SECRETS_FILE"] = SECRETS
            command = [
                *around(
                    task.network, [s for s, _, writable in mounts if not writable and s.is_dir()]
                ),
                *inside(tree, place, variables, [(s, t) for s, t, _ in mounts]),
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


def around(network: bool, read_only: Sequence[Path]) -> list[str]:
    """What goes before ``ch-run``, where the kernel allows it."""
    if not set_apart():
        return []
    kept = [] if network else ["--no-network"]
    shut = [word for folder in read_only for word in ("--read-only", str(folder.absolute()))]
    return [sys.executable, "-I", "-S", str(APART), *kept, *shut, "--"]


@cache
def set_apart() -> bool:
    """Whether this kernel lets this user have namespaces of their own."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(APART), "--no-network", "--", "true"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode != REFUSED


def inside(
    tree: Converted,
    place: Path,
    variables: Mapping[str, str],
    mounts: Sequence[tuple[Path, str]],
) -> list[str]:
    """``ch-run`` with its options, up to the command in the container. ``place``: a folder for what
    it needs beside."""
    file = place / "environment"
    lines = [f"{n}={v}\n" for n, v in variables.items() if re.fullmatch(r"[^\n\0]*", v)]
    file.write_text("".join(lines), encoding="utf-8")
    binds: list[str] = []
    for source, target in mounts:
        if source.is_file():
            # A mount needs something to lie on, and the tree is read-only.
            stand = place / Path(target).parent.name
            stand.mkdir(exist_ok=True)
            (stand / Path(target).name).touch()
            binds.append(f"--bind={stand}:{Path(target).parent}")
        binds.append(f"--bind={source.absolute()}:{target}")
    return [
        *("ch-run", "--private-tmp", "--env-no-expand", f"--set-env={file}"),
        *("--cd=/", *binds, str(tree.folder / rootfs.TREE), "--"),
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
