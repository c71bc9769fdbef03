"""The same campaign goes wrong in the same ways whoever starts its agents and whoever places them.

One table for docker, process, charliecloud, apptainer (where it is installed), and for the inner
ones on a real Slurm. A launcher alone is held against tests/launchers/conformance.py, and so is
``pod``, with which Kubernetes' pods start their agent.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from clusters.running import Running
from clusters.testbed import SlurmCluster
from launchers.test_charliecloud import need_charliecloud
from tick import write_campaign
from tick_image import need_docker, tick_image

from lem.contract.failure import Failure
from lem.stores.folder import outcomes

pytestmark = [pytest.mark.slow, pytest.mark.slurm, pytest.mark.docker]
TABLE: dict[str, tuple[dict[str, Any], str | None]] = {
    "nothing": ({}, None),
    "raises": ({"args.raise": "the engine is unwell"}, "engine_error"),
    "leaves": ({"args.exit_code": 42}, "agent_lost"),
    "is killed": ({"args.crash_signal": 9}, "agent_lost"),
    "crashes": ({"args.crash_signal": 11}, "agent_lost"),
    "hangs": ({"args.hang": True}, "timeout"),
    "takes all memory": ({"args.eat_memory": True}, "out_of_memory"),
}
MEASURE = {
    "preset": "quick", "blocks": 1, "window_s": 0.1, "idle_s": 0.02, "settle_s": 0,
    "warm_up_cap_s": 0.05,
}  # fmt: skip
LAUNCHERS: dict[str, dict[str, Any]] = {
    "process": {"kind": "process"},
    "docker": {"kind": "docker"},
    "charliecloud": {"kind": "charliecloud"},
    "slurm, process": {"kind": "slurm", "container": "process"},
    "slurm, charliecloud": {"kind": "slurm", "container": "charliecloud"},
}
# It has no package in Debian 12: elsewhere its golden command lines are what is known of it.
if shutil.which("apptainer") is not None:
    LAUNCHERS |= {
        "apptainer": {"kind": "apptainer"},
        "slurm, apptainer": {"kind": "slurm", "container": "apptainer"},
    }


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_every_failure_has_the_same_name(
    cluster: SlurmCluster, tmp_path: Path, launcher: str
) -> None:
    inner = launcher.split(", ")[-1]
    if inner == "charliecloud":
        need_charliecloud()
    backend = {}
    if inner != "process":
        need_docker()
        backend = {"image": tick_image()}
    file = write_campaign(
        tmp_path / "campaign.yaml",
        launcher=LAUNCHERS[launcher],
        backends={"tick": backend},
        sweep={},
        experiments=[point for point, _ in TABLE.values() if point],
        limits={"load_s": 6, "run_s": 9, "memory_bytes": 2 * 2**30},
        measure=MEASURE,
    )
    with Running(cluster, tmp_path, "campaign", "run", file, "--out", "out") as running:
        said = running.end(status=1)
    lock = json.loads((tmp_path / "out" / "campaign.lock.json").read_text())
    name_of = {arm["arm_id"]: named(arm["experiment"]["args"]) for arm in lock["arms"]}
    last = {o.arm_id: o for o in outcomes(tmp_path / "out")}
    assert {name_of[a]: o.failure_kind for a, o in last.items()} == {
        name: kind for name, (_, kind) in TABLE.items()
    }, said
    for o in last.values():
        if o.kind == "failure":
            failure = Failure.read(tmp_path / "out" / o.path / "failure.json")
            assert failure.message and "Traceback" not in failure.message


def named(args: dict[str, Any]) -> str:
    point = {f"args.{k}": v for k, v in args.items()}
    return next(name for name, (other, _) in TABLE.items() if other == point)
