"""``lem doctor`` on a cluster: on a login node, and in a job."""

import json
from pathlib import Path

import pytest
from clusters.testbed import SlurmCluster
from tick import LEM

from lem.agent.environment import gpus
from lem.cli import doctor_cluster

pytestmark = [pytest.mark.slow, pytest.mark.slurm]


def told(cluster: SlurmCluster, *before: str) -> dict[str, dict[str, str]]:
    said = cluster.command(*before, *map(str, LEM), "doctor", "--json")
    return {f["subject"]: f for f in json.loads(said)["findings"]}


def test_a_login_node(cluster: SlurmCluster) -> None:
    found = told(cluster)
    assert found["slurm"]["state"] == "ok"
    assert "debug: 2 nodes, infinite, gpu:fake:2" in found["slurm"]["what"]
    assert not [s for s in found if s.startswith("job/")]


def test_a_job_on_a_shared_node_without_gpus(cluster: SlurmCluster) -> None:
    found = told(cluster, "srun", "--ntasks=1", "--cpus-per-task=1")
    assert found["job/node"]["state"] == "note"
    assert "1 of the node's 2 CPUs" in found["job/node"]["what"]
    assert "exclusive" in found["job/node"]["fix"]
    assert "was given no GPU" in found["job/gpus"]["what"]
    assert found["job/scratch"]["state"] == "ok"
    assert "does not account" in found["job/energy"]["what"]


@pytest.mark.skipif(bool(gpus(None)), reason="the fake GPUs would be taken for real ones")
def test_a_job_that_sees_none_of_its_gpus(cluster: SlurmCluster) -> None:
    found = told(cluster, "srun", "--exclusive", "--gres=gpu:2")
    assert found["job/node"] == {
        "subject": "job/node", "state": "ok", "what": "all 2 CPUs of the node", "fix": None,
    }  # fmt: skip
    assert found["job/gpus"]["state"] == "missing"
    assert (
        "a block needs 2 GPUs; the job was given '0,1', of which it sees 0"
        in (found["job/gpus"]["what"])
    )


def test_a_controller_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "none"))
    assert doctor_cluster.scheduler().state == "missing"


def test_scratch_that_cannot_be_written(tmp_path: Path) -> None:
    assert doctor_cluster.scratch(tmp_path).state == "ok"
    assert doctor_cluster.scratch(tmp_path / "absent").state == "missing"
