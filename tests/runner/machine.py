"""``lem runner`` as a process of its own, on a machine that knows nothing yet."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tick import LEM, environment

POLICY = """\
version: 1
models: {kinds: [synthetic]}
backends: [tick]
args: {tick: [token_ms, static, paced]}
quotas: {campaigns: null, hours: null, kwh: null}
min_free_gb: 0
max_experiments: 8
"""
PATIENCE_S = 90.0


def campaign(**changes: Any) -> dict[str, Any]:
    """Two experiments × three blocks, about a second a run."""
    spec: dict[str, Any] = {
        "version": 1,
        "name": "tick",
        "models": [{"id": "nothing", "synthetic": {}}],
        "backends": {"tick": {}},
        "sweep": {"engine.max_batch_size": [1, 4]},
        "workload": {
            "requests": 20,
            "dataset": {"kind": "random", "input_tokens": 8, "output_tokens": 4},
        },
        "measure": {
            "preset": "quick",
            "window_s": 0.1,
            "idle_s": 0.02,
            "settle_s": 0,
            "warm_up_cap_s": 0.05,
        },
    }
    return spec | changes


class Machine:
    """Folders of one machine, and the runner that is started there."""

    def __init__(self, root: Path, url: str, token: str, policy: str = POLICY) -> None:
        self.root, self.url, self.token = root, url, token
        root.mkdir(parents=True, exist_ok=True)
        self.data = root / "data"
        self.log = root / "runner.log"
        (root / "token").write_text(token + "\n")
        (root / "policy.yaml").write_text(policy)
        self.process: subprocess.Popen[bytes] | None = None
        self._said_before = 0

    def start(self, *more: str, launcher: str = "process") -> "subprocess.Popen[bytes]":
        variables = {k: v for k, v in environment(self.root).items() if not k.startswith("LEM_")}
        variables |= {
            "XDG_CONFIG_HOME": str(self.root / "config"),
            "XDG_STATE_HOME": str(self.root / "state"),
            "XDG_CACHE_HOME": str(self.root / "xdg-cache"),
            "A_SECRET": "do not tell",
            "HF_TOKEN": "hf_do_not_tell",
        }
        command = [*LEM, "runner", "--server", self.url, "--launcher", launcher]
        command += ["--token-file", str(self.root / "token")]
        command += ["--policy", str(self.root / "policy.yaml"), "--data", str(self.data), *more]
        self._said_before = len(self.said())
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self.process

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def has_registered(self) -> bool:
        """Whether the runner that was started last got so far. Before that a signal may meet a
        Python that has not begun to run it."""
        return "registered at" in self.said()[self._said_before :]

    def end(self, how: int = signal.SIGTERM) -> int:
        """Ask it to end; its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def processes(self) -> list[int]:
        """Processes that still work for this machine."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(self.data).encode() in line:
                found.append(int(entry.name))
        return found


def wait(machine: Machine, until: Callable[[], Any], what: str, seconds: float = PATIENCE_S) -> Any:
    """Wait for something; say what the runner said where it does not come."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := until():
            return found
        time.sleep(0.05)
    raise AssertionError(f"no {what} within {seconds:g} s:\n{machine.said()}")
