"""Starts agents as bare processes, with an interpreter that has lem and the engine installed.

The same agent on the same documents as in a container, with a clean environment, a home of its own
and no leftovers. What a container can do and this cannot: take away the network, make the disk
read-only, limit the number of processes, and limit the memory of the whole tree (the limit here is
of each process's private writable memory, RLIMIT_DATA; a limit of address space would refuse the
large reservations that GPU drivers make).
"""

import os
import select
import signal
import site
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from lem.errors import EnvironmentFault
from lem.launchers import compiled, environment, folders, install
from lem.launchers.description import described
from lem.launchers.hardening import argument
from lem.launchers.log import AgentLog
from lem.launchers.protocol import BackendSetup, Exit, Folders, Prepared, Say, Task

SUPERVISOR = Path(__file__).with_name("supervise.py")
DESCRIBE_TIMEOUT_S = 120.0
KILL_TIMEOUT_S = 60.0
CHUNK_BYTES = 2**16
START = "LEM_START"
OWNER = "LEM_OWNER"
"""Environment variables by which the processes of one start, and of one campaign, are known."""


class ProcessAgent:
    """An agent below its supervisor."""

    def __init__(
        self, command: list[str], cwd: Path, env: dict[str, str], task: Task, hidden: list[str]
    ) -> None:
        self._log = AgentLog(task.folders.run / "agent.log", hidden)
        self._mark = uuid.uuid4().hex
        self._ooms = oom_kills()
        self._killed = False
        self._exit: Exit | None = None
        self._report, report = os.pipe()
        try:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", str(SUPERVISOR)),
                    *(str(report), str(task.memory_bytes or 0)),
                    *command,
                ],
                cwd=cwd,
                env=env | {START: self._mark},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(report,),
                start_new_session=True,
                bufsize=0,
            )
        except BaseException:
            os.close(self._report)
            self._log.close()
            raise
        finally:
            os.close(report)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait(self, timeout_s: float) -> Exit | None:
        if self._exit is None:
            # The report's pipe, not waitpid with a time-out, which would poll.
            poll = select.poll()
            poll.register(self._report, select.POLLIN | select.POLLHUP)
            if not poll.poll(max(0.0, timeout_s) * 1000):
                return None
            said = os.read(self._report, 64)
            self._process.wait()
            if not said:
                # The supervisor itself was killed, and its agent with it; nobody reaped the rest.
                _kill(START, self._mark)
            self._reader.join(10)
            status = int(said) if said.strip().isdigit() else 128 + signal.SIGKILL
            killed_by_kernel = (
                status == 128 + signal.SIGKILL
                and not self._killed
                and self._ooms is not None
                and (oom_kills() or 0) > self._ooms
            )
            self._exit = Exit(status, killed_by_kernel, self._log.close())
        return self._exit

    def stop(self, grace_s: float) -> Exit:
        self._order(b"T")
        ended = self.wait(grace_s)
        if ended is None:
            self._killed = True
            self._order(b"K")
            ended = self.wait(KILL_TIMEOUT_S)
        if ended is None:
            raise EnvironmentFault(
                f"the process {self._process.pid} does not end, not even by SIGKILL",
                hint="it waits for a device; see dmesg, and restart the machine",
            )
        return ended

    def close(self) -> None:
        """End it if it still runs, and let go of its pipes."""
        if self._exit is None:
            self._killed = True
            self._order(b"K")
            self.wait(KILL_TIMEOUT_S)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        os.close(self._report)
        self._log.close()

    def _order(self, letter: bytes) -> None:
        with suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.write(letter)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with suppress(OSError, ValueError):
            while chunk := self._process.stdout.read(CHUNK_BYTES):
                self._log.write(chunk)


class Process:
    name = "process"
    powercap_root = "/sys/class/powercap"

    def prepare(self, setup: BackendSetup, say: Say) -> Prepared:
        python = interpreter(setup)
        try:
            result = subprocess.run(
                [python, "-m", "lem.agent", "describe", setup.name],
                env=environment.of_process(os.environ)
                | environment.common(tempfile.gettempdir(), network=False, owner="")
                | _user_site(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=DESCRIBE_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as e:
            raise EnvironmentFault(
                f"the interpreter {python} cannot be run: {e}",
                hint=f"set backends.{setup.name}.python in the campaign file",
                kind="image",
            ) from e
        if result.returncode != 0:
            last = result.stderr.decode(errors="replace").strip().splitlines()[-5:]
            raise EnvironmentFault(
                f"{python} has no lem agent for {setup.name}:\n"
                + "\n".join(f"    {line}" for line in last),
                hint=install.hint(setup.name, setup.gpu, python),
                kind="image",
            )
        found = described(result.stdout, result.returncode, setup.name)
        if found.engine_version == "missing":
            raise EnvironmentFault(
                f"{setup.name} is not installed for {python}",
                hint=install.hint(setup.name, setup.gpu, python),
                kind="image",
            )
        return Prepared(setup, found, image=None, digest=None)

    def inside(self, folders: Folders) -> Folders:
        return Folders(
            run=folders.run.absolute(),
            requests=folders.requests and folders.requests.absolute(),
            models=folders.models and folders.models.absolute(),
            source=folders.source and folders.source.absolute(),
            compiled=folders.compiled and folders.compiled.absolute(),
        )

    def gpus_inside(self, gpus: Sequence[int]) -> list[int]:
        """The same GPUs' indices as the agent's meters count them: a process sees all."""
        return list(gpus)

    def given(self, environ: Mapping[str, str]) -> dict[str, str]:
        """What an agent gets of this process's environment."""
        return (
            environment.of_process(environ)
            | environment.of_meters(environ)
            | environment.settings(environ)
            | _user_site()
        )

    @contextmanager
    def start(self, task: Task) -> Iterator[ProcessAgent]:
        run = task.folders.run.absolute()
        folders.check_writable(run)
        secrets = dict(task.secrets)
        if task.network:
            secrets |= environment.of_network(os.environ)
        with (
            tempfile.TemporaryDirectory(prefix="lem-home-", ignore_cleanup_errors=True) as home,
            folders.secrets_folder(secrets, os.getuid(), os.getgid()) as hidden,
        ):
            variables = (
                self.given(os.environ)
                | environment.common(home, task.network, task.owner)
                | {"TMPDIR": home, "CUDA_VISIBLE_DEVICES": ",".join(map(str, task.gpus))}
            )
            if task.folders.compiled is not None:
                place = task.folders.compiled.absolute()
                compiled.make(place, os.getuid(), os.getgid())
                variables |= compiled.environment(place)
            if hidden is not None:
                variables["LEM_SECRETS_FILE"] = str(hidden / folders.SECRETS_NAME)
            command = [
                *(interpreter(task.prepared.setup), "-m", "lem.agent"),
                *(task.verb, argument(task, run)),
            ]
            hidden_words = [*task.secrets.values(), *environment.passwords(secrets)]
            agent = ProcessAgent(command, run, variables, task, hidden_words)
            try:
                yield agent
            finally:
                agent.close()

    def reclaim(self, owner: str) -> int:
        return kill_owned(owner)


def interpreter(setup: BackendSetup) -> str:
    """The Python that has this engine. Not resolved: a virtual environment's link is its name."""
    if setup.python is None:
        return sys.executable
    return os.path.abspath(Path(setup.python).expanduser())  # noqa: PTH100 - see above


def leftovers(variable: str, value: str, proc: Path = Path("/proc")) -> list[int]:
    """Processes of this user with that variable in their environment; never this one."""
    found = []
    for folder in proc.iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        if _bears(folder, variable, value):
            found.append(int(folder.name))
    return found


def _bears(folder: Path, variable: str, value: str) -> bool:
    with suppress(OSError):
        environ = (folder / "environ").read_bytes().split(b"\0")
        return f"{variable}={value}".encode() in environ
    return False


def kill_owned(owner: str) -> int:
    """Kill what a killed host left behind under this owner; how many processes."""
    return _kill(OWNER, owner) if owner else 0


def _kill(variable: str, value: str) -> int:
    """Kill the :func:`leftovers` and wait until they are gone; how many."""
    handles = []
    for pid in leftovers(variable, value):
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            # The number may be another process's by now. The handle is one process's for good.
            if not _bears(Path(f"/proc/{pid}"), variable, value):
                os.close(handle)
                continue
            handles.append(handle)
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    try:
        deadline = time.monotonic() + KILL_TIMEOUT_S
        for handle in handles:
            poll = select.poll()
            poll.register(handle, select.POLLIN)
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise EnvironmentFault(
                    "processes of an earlier run do not end, not even by SIGKILL",
                    hint="they wait for a device; see dmesg, and restart the machine",
                )
    finally:
        for handle in handles:
            os.close(handle)
    return len(handles)


def oom_kills(proc: Path = Path("/proc")) -> int | None:
    """How many processes this kernel has killed for want of memory since boot, in any group; None
    where it does not count them (before Linux 4.13)."""
    with suppress(OSError, ValueError):
        for line in (proc / "vmstat").read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    return None


def _user_site() -> dict[str, str]:
    """Packages installed for the user stay importable though HOME is another one."""
    return {"PYTHONUSERBASE": site.getuserbase()}


plugin = Process
