"""The command line on a cluster, and the campaign that tests give it."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any, Self

from clusters.testbed import SlurmCluster
from tick import LEM, write_campaign

from lem.stores.counted import counted
from lem.stores.folder import outcomes

SLURM = {"kind": "slurm", "container": "process", "partition": "debug", "time": "5"}


def lem(cluster: SlurmCluster, tmp_path: Path, *words: str | Path, code: str = "") -> str:
    """``code``: what is run in place of the command line's own start."""
    done = subprocess.run(
        [*([LEM[0], "-c", code] if code else LEM), *map(str, words)],
        env={**cluster.environment, "LEM_CACHE": str(tmp_path / "cache"), "NO_COLOR": "1"},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


class Running:
    """The command line, while something else happens."""

    def __init__(self, cluster: SlurmCluster, folder: Path, *words: str | Path) -> None:
        self.log = folder / "said"
        self._command = [*LEM, *map(str, words)]
        self._options: dict[str, Any] = {
            "env": {**cluster.environment, "LEM_CACHE": str(folder / "cache"), "NO_COLOR": "1"},
            "cwd": folder,
        }

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._options,
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def end(self, status: int = 0, seconds: float = 240) -> str:
        """Wait for it; what it has said."""
        found = self.process.wait(seconds)
        said = self.log.read_text()
        assert found == status, said
        return said

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)


def campaign(tmp_path: Path, **changes: Any) -> Path:
    measure = {
        "preset": "quick", "blocks": 4, "window_s": 0.1, "idle_s": 0.02, "settle_s": 0,
        "warm_up_cap_s": 0.05,
    }  # fmt: skip
    return write_campaign(
        tmp_path / "campaign.yaml", **{"launcher": SLURM, "measure": measure, **changes}
    )


SLOW = {
    "preset": "quick", "blocks": 3, "window_s": 2, "idle_s": 0.02, "settle_s": 0,
    "warm_up_cap_s": 0.05,
}  # fmt: skip


def once_each(folder: Path, blocks: int, said: str, arms: int = 3) -> None:
    found = outcomes(folder / "out")
    assert sorted(o.block for o in counted(found)) == sorted([*range(blocks)] * arms), said
    assert not [o for o in found if o.kind == "open"], said


def a_run_has_begun(folder: Path, block: str = "*") -> bool:
    return any((folder / "out").glob(f"blocks/{block}/*/*/events.ndjson"))


def of_folder(cluster: SlurmCluster, folder: Path, over: bool = True) -> list[dict[str, object]]:
    """The jobs of the campaign in a folder. ``over``: also those that are over."""
    lock = json.loads((folder / "out" / "campaign.lock.json").read_text())
    mine = [j for j in cluster.jobs() if str(j["name"]).startswith(f"lem-{lock['owner']}-")]
    return [j for j in mine if over or str(j["job_state"]) in ("PENDING", "RUNNING", "COMPLETING")]
