"""A real Slurm cluster on this machine for as long as tests need it."""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "slurm-testbed.sh"
NODES = 2


class SlurmCluster:
    """Its commands, for a test."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment

    def command(self, *words: str) -> str:
        done = subprocess.run(
            words, env=self.environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
        return done.stdout

    def script(self, *words: str) -> None:
        self.command(str(SCRIPT), *words)

    def jobs(self) -> list[dict[str, object]]:
        """All that Slurm still knows, those that are over included."""
        found: list[dict[str, object]] = json.loads(self.command("squeue", "--json"))["jobs"]
        return found

    def wait(self, what: Callable[[], object], seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < until, self.command("squeue", "-t", "all")
            time.sleep(0.1)


@contextmanager
def slurm() -> Iterator[SlurmCluster]:
    if os.getuid() != 0:
        how = "a cluster of one's own needs root: run these tests as root"
        if os.environ.get("CI") == "true":
            pytest.fail(how)
        pytest.skip(how)
    # Its path is in names of sockets, which are short.
    with tempfile.TemporaryDirectory(prefix="lem-slurm-", dir="/var/tmp") as name:
        folder = Path(name) / "s"
        port = 17000 + os.getpid() % 20000
        environment = {
            **os.environ,
            "LEM_SLURM_DIR": str(folder),
            "LEM_SLURM_PORT": str(port),
            "SLURM_CONF": str(folder / "slurm.conf"),
        }
        cluster = SlurmCluster(folder, environment)
        try:
            cluster.script("start", str(NODES))
            yield cluster
        finally:
            cluster.script("stop")
