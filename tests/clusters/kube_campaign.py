"""A campaign of two backends on a played cluster, and the command line that submits it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clusters.kube_work import DIGEST
from tick import write_campaign

HOST = Path(__file__).with_name("kube_host.py")
TOCK = """
from lem_tick import Tick

class Tock(Tick):
    name = "tock"

plugin = Tock
"""
BLOCKS = 3
ARMS = 4


def volume(tmp_path: Path) -> Path:
    """The claim's, which is at the same path here and there; beside it the second backend."""
    place = tmp_path / "claim"
    site = tmp_path / "site"
    info = site / "lem_tock-1.0.dist-info"
    for folder in (place, info):
        folder.mkdir(parents=True)
    (site / "lem_tock.py").write_text(TOCK)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lem-tock\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lem.backends]\ntock = lem_tock:plugin\n")
    return place


def image(claim: Path) -> dict[str, str]:
    """The environment that every image has."""
    return {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(claim.parent / "site"), "OF_IMAGE": "1",
    }  # fmt: skip


class Host:
    """The command line that submits and follows."""

    def __init__(self, claim: Path, *words: str | Path, **variables: str) -> None:
        self._log = claim.parent / f"said-{len(list(claim.parent.glob('said-*')))}"
        place = claim.parent
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(HOST), *map(str, words)],
                cwd=place,
                env={
                    **os.environ,
                    "KUBECONFIG": str(place / "kubeconfig"),
                    "LEM_CACHE": str(claim / "cache"),
                    "NO_COLOR": "1",
                    "OMP_NUM_THREADS": "1",
                    "PYTHONPATH": str(place / "site"),
                    "HF_TOKEN": "hf_not-a-real-token",
                    **variables,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def end(self, code: int = 0) -> str:
        found = self.process.wait(240)
        said = self._log.read_text()
        assert found == code, said
        return said

    def until(self, what: Callable[[], Any]) -> Any:
        limit = time.monotonic() + 120
        while not (found := what()):
            assert self.process.poll() is None and time.monotonic() < limit, self._log.read_text()
            time.sleep(0.05)
        return found


def campaign(claim: Path, **changes: Any) -> Path:
    images = {b: {"image": f"registry.example.org/lem/{b}@{DIGEST}"} for b in ("tick", "tock")}
    measure = {
        "preset": "quick", "blocks": BLOCKS, "window_s": 0.3, "idle_s": 0.02, "settle_s": 0,
        "warm_up_cap_s": 0.05, "seed": 1,
    }  # fmt: skip
    launcher = {"kind": "kubernetes", "claim": "campaigns", "mount": str(claim)}
    whole = {
        "backends": images,
        "sweep": {"engine.max_batch_size": [1, 4]},
        "measure": measure,
        "launcher": launcher,
        "parallel_blocks": 2,
    }
    return write_campaign(claim.parent / "campaign.yaml", **whole | changes)
