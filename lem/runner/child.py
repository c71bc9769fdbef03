"""The process that runs a campaign, as the runner sees it: started, listened to, ended.

It is in a session of its own, so that a Ctrl-C of the terminal is the runner's alone. Of the
environment it gets a list of names that tell an engine, a meter, a container engine or a package
index how to work; never the runner's token.
"""

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lem import plugins
from lem.errors import LemError
from lem.launchers import environment
from lem.launchers.process import leftovers
from lem.runner.orders import Orders
from lem.runner.pipe import DROPPABLE, KEPT, MESSAGE
from lem.runner.policy import Policy

MARK = "LEM_RUNNER_CHILD_OF"
"""In the environment of such a process: whose it is."""
MAX_LINE = 2**22
LOG_BYTES = 4 * 2**20
KILL_S = 30.0
NAMES = (
    *("HOME", "USER", "LOGNAME", "VIRTUAL_ENV", "PYTHONPATH", "PYTHONUSERBASE"),
    *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"),
    *("LEM_METERS", "LEM_HARNESS_PYTHON", "LEM_PLAYED_NVML", "PYTHONHASHSEED"),
)
PREFIXES = ("DOCKER_", "PIP_", "NVIDIA_", "CUDA_")


class Child:
    """Runs one campaign.

    ``on_event``: gets each live event as JSON, and whether it may be dropped. ``on_message``: gets
    what the process says to the runner; ``{"gone": status}`` is the last. Both are called by a
    thread of this object's.
    """

    def __init__(
        self,
        folder: Path,
        orders: Orders,
        variables: Mapping[str, str],
        on_event: Callable[[bytes, bool], None],
        on_message: Callable[[dict[str, Any]], None],
    ) -> None:
        self._on_event = on_event
        self._on_message = on_message
        log = folder.parent / f"{folder.name}.log"
        with suppress(OSError):
            if log.stat().st_size > LOG_BYTES:
                log.unlink()
        with log.open("ab") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "lem.runner.work", str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                env=dict(variables),
                start_new_session=True,
            )
        self._tell(orders.model_dump_json().encode() + b"\n")
        self._reader = threading.Thread(target=self._read, name="child", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def acknowledge(self) -> None:
        """What it asked for is done."""
        self._tell(b"ack\n")

    def stop_after_this_run(self) -> None:
        self._tell(b"stop\n")

    def interrupt(self) -> None:
        """End now, in order: the run that goes on is broken off."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()

    def ended(self, timeout_s: float) -> bool:
        """Whether it has ended, after at most so long."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def close(self) -> None:
        """End it if it still runs, and let go of its pipes."""
        if not self.ended(0):
            self.interrupt()
            if not self.ended(KILL_S):
                self.kill()
                self._process.wait()
        self._reader.join(5)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()

    def _tell(self, line: bytes) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        stream = self._process.stdout
        with suppress(OSError, ValueError):
            while line := stream.readline(MAX_LINE):
                first, rest = line[:1], line[1:].rstrip(b"\n")
                if first in (DROPPABLE, KEPT):
                    self._on_event(rest, first == DROPPABLE)
                elif first == MESSAGE:
                    self._on_message(json.loads(rest))
        self._on_message({"gone": self._process.wait()})


def variables(
    environ: Mapping[str, str], policy: Policy, data: Path, cache: Path
) -> dict[str, str]:
    """The environment of such a process. Its cache, and where it looks for the hub's token, are
    the runner's own."""
    known = environment.of_process(environ) | environment.of_network(environ)
    known |= environment.settings(environ)
    known |= {k: v for k, v in environ.items() if k in NAMES or k.startswith(PREFIXES)}
    known |= {"LEM_CACHE": str(cache), MARK: str(data), "HF_HOME": str(data / "hub")}
    # Folders that containers get: where the runner itself is in one, only its own folder is where
    # Docker looks for them, too.
    known["TMPDIR"] = str(data / "tmp")
    if policy.hub_token:
        known |= {k: environ[k] for k in ("HF_TOKEN", "HF_HOME") if k in environ}
    return known


def end_leftovers(data: Path) -> int:
    """Kill the processes of a runner of this folder that was killed; how many there were."""
    found = 0
    for pid in leftovers(MARK, str(data)):
        try:
            handle = os.pidfd_open(pid)
        except OSError:
            continue
        try:
            # The number may be another process's by now; the handle is one process's for good.
            if pid in leftovers(MARK, str(data)):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                poll = select.poll()
                poll.register(handle, select.POLLIN)
                poll.poll(KILL_S * 1000)
                found += 1
        except ProcessLookupError:
            pass
        finally:
            os.close(handle)
    return found


def reclaim(owner: str, launchers: tuple[str, ...], say: Callable[[str], None]) -> None:
    """Remove what runs of a campaign have left: processes and containers."""
    for name in launchers:
        try:
            if left := plugins.load("launchers", name)().reclaim(owner):
                say(f"removed {left} left over from a run that was killed")
        except LemError as e:
            say(e.message)
