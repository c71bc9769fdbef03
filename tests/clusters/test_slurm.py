"""A campaign whose blocks a real Slurm places."""

import json
import os
import random
import time
from pathlib import Path

import pytest
from clusters.running import (
    SLOW,
    SLURM,
    Running,
    a_run_has_begun,
    campaign,
    lem,
    of_folder,
    once_each,
)
from clusters.testbed import SlurmCluster

from lem.stores.counted import counted
from lem.stores.folder import outcomes

pytestmark = [pytest.mark.slow, pytest.mark.slurm]
KILLS = int(os.environ.get("LEM_NODE_KILLS", "1"))


def test_every_block_is_run_once_and_the_table_is_printed(
    cluster: SlurmCluster, tmp_path: Path
) -> None:
    said = lem(cluster, tmp_path, "campaign", "run", campaign(tmp_path), "--out", "out")
    found = outcomes(tmp_path / "out")
    assert sorted(o.block for o in counted(found)) == sorted([*range(4)] * 3)
    assert len(found) == 12
    assert "submitted 4 blocks as job" in said
    lock = json.loads((tmp_path / "out" / "campaign.lock.json").read_text())
    assert {a["launcher"] for a in lock["arms"]} == {"process"}
    again = lem(cluster, tmp_path, "campaign", "run", tmp_path / "out")
    assert "submitted" not in again


def test_what_a_lost_node_had_is_run_elsewhere_and_counts_once(
    cluster: SlurmCluster, tmp_path: Path
) -> None:
    """``LEM_NODE_KILLS`` says how often (20 before a release; once here)."""
    for i in range(KILLS):
        folder = tmp_path / str(i)
        folder.mkdir()
        lose_a_node(cluster, folder, random.Random(i))


def lose_a_node(cluster: SlurmCluster, folder: Path, chance: random.Random) -> None:
    measure = {
        "preset": "quick", "blocks": 12, "window_s": 0.3, "idle_s": 0.02, "settle_s": 0,
        "warm_up_cap_s": 0.05,
    }  # fmt: skip
    file = campaign(folder, measure=measure)
    with Running(cluster, folder, "campaign", "run", file, "--out", "out") as running:
        cluster.wait(lambda: [j for j in cluster.jobs() if "RUNNING" in str(j["job_state"])])
        time.sleep(chance.uniform(0, 12))
        # Its steps go on for a while, as on a node that only the network has lost.
        cluster.script("kill", "n1")
        cluster.command("scontrol", "update", "nodename=n1", "state=down", "reason=test")
        time.sleep(chance.uniform(0, 5))
        cluster.script("node", "n1")
        said = running.end()
    found = outcomes(folder / "out")
    assert sorted(o.block for o in counted(found)) == sorted([*range(12)] * 3), said
    assert not [o for o in found if o.kind == "open"], said


def test_a_job_that_is_told_to_end_leaves_a_typed_failure(
    cluster: SlurmCluster, tmp_path: Path
) -> None:
    """As Slurm does before the time limit, or before it gives the node to somebody else."""
    file = campaign(tmp_path, measure=SLOW)
    with Running(cluster, tmp_path, "campaign", "run", file, "--out", "out") as running:
        cluster.wait(lambda: a_run_has_begun(tmp_path, "0000"))
        (job,) = {str(j["array_job_id"]) for j in of_folder(cluster, tmp_path)}
        cluster.command("scancel", "--batch", "--signal=TERM", f"{job}_0")
        said = running.end()
    once_each(tmp_path, 3, said)
    failures = [o for o in outcomes(tmp_path / "out") if o.kind == "failure"]
    assert [f.failure_kind for f in failures] == ["interrupted"], said
    assert "submitted 1 block " in said


def test_the_time_limit_ends_a_run_in_order(cluster: SlurmCluster, tmp_path: Path) -> None:
    long = SLOW | {"blocks": 1, "window_s": 600}
    file = campaign(tmp_path, measure=long, launcher=SLURM | {"time": "2"}, limits={"run_s": 1000})
    with Running(cluster, tmp_path, "campaign", "run", file, "--out", "out"):
        cluster.wait(lambda: a_run_has_begun(tmp_path))
        cluster.wait(lambda: any((tmp_path / "out").glob("blocks/*/*/*/failure.json")), 120)
        (found,) = [o for o in outcomes(tmp_path / "out") if o.kind == "failure"]
        assert found.failure_kind == "interrupted"


def test_what_was_cancelled_is_not_submitted_again_unasked(
    cluster: SlurmCluster, tmp_path: Path
) -> None:
    file = campaign(tmp_path, measure=SLOW)
    with Running(cluster, tmp_path, "campaign", "run", file, "--out", "out") as running:
        cluster.wait(lambda: a_run_has_begun(tmp_path))
        (job,) = {str(j["array_job_id"]) for j in of_folder(cluster, tmp_path)}
        cluster.command("scancel", f"{job}_2")
        said = running.end(status=3)
    assert "1 block was cancelled at the scheduler" in said
    said = lem(cluster, tmp_path, "campaign", "run", tmp_path / "out")
    assert "submitted 1 block " in said
    once_each(tmp_path, 3, said)


def test_ctrl_c_without_a_terminal_leaves_the_jobs(cluster: SlurmCluster, tmp_path: Path) -> None:
    file = campaign(tmp_path, measure=SLOW)
    with Running(cluster, tmp_path, "campaign", "run", file, "--out", "out") as running:
        cluster.wait(lambda: a_run_has_begun(tmp_path))
        running.interrupt()
        assert "its jobs go on" in running.end(status=130)
    said = lem(cluster, tmp_path, "campaign", "run", tmp_path / "out")
    assert "submitted" not in said
    once_each(tmp_path, 3, said)


def test_a_host_that_is_killed_finds_its_jobs_again(cluster: SlurmCluster, tmp_path: Path) -> None:
    """Also where it could not write down what it had submitted."""
    file = campaign(tmp_path, measure=SLOW)
    with Running(cluster, tmp_path, "campaign", "run", file, "--out", "out") as running:
        cluster.wait(lambda: a_run_has_begun(tmp_path))
        running.process.kill()
        running.process.wait()
    (tmp_path / "out" / "cluster" / "jobs.json").unlink()
    said = lem(cluster, tmp_path, "campaign", "run", tmp_path / "out")
    assert "submitted" not in said
    once_each(tmp_path, 3, said)


def test_two_campaigns_at_once(cluster: SlurmCluster, tmp_path: Path) -> None:
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    with (
        Running(cluster, folders[0], "campaign", "run", campaign(folders[0])) as first,
        Running(cluster, folders[1], "campaign", "run", campaign(folders[1])) as second,
    ):
        said = first.end() + second.end()
    for folder in folders:
        found = outcomes(folder / "results" / "tick")
        assert sorted(o.block for o in counted(found)) == sorted([*range(4)] * 3), said
