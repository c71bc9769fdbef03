"""A whole campaign on a played cluster: two backends, each with its image, in one pod for each
block. The pods' containers are processes with the manifest's command and environment."""

import itertools
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from clusters.kube_campaign import ARMS, BLOCKS, Host, campaign, image, volume
from clusters.kube_fake import NODE, Cluster, serve
from clusters.kube_work import DIGEST, spec
from launchers.rig import probe_of
from tick_image import need_docker, tick_image

from lem.campaign.plan import order
from lem.clusters.kubernetes_job import POLICY, policy
from lem.contract.lock import Lock
from lem.contract.order import Claim
from lem.contract.record import Record
from lem.stores.counted import counted
from lem.stores.folder import entries, outcomes

pytestmark = pytest.mark.slow


@pytest.fixture
def claim(tmp_path: Path) -> Path:
    return volume(tmp_path)


@pytest.fixture
def cluster(claim: Path) -> Iterator[Cluster]:
    played = Cluster(image(claim), volume=claim)
    played.objects["networkpolicies", POLICY] = policy(spec())
    with serve(played, claim.parent):
        yield played


def records(out: Path) -> list[Record]:
    return [e.record for e in entries(out) if e.record is not None]


def once_each(out: Path, said: str) -> None:
    found = outcomes(out)
    assert sorted(o.block for o in counted(found)) == sorted([*range(BLOCKS)] * ARMS), said
    assert not [o for o in found if o.kind == "open"], said
    place = {(o.block, o.arm_id, o.attempt) for o in found}
    assert len(place) == len(found)


def test_every_run_is_made_once_in_the_order_that_was_drawn(cluster: Cluster, claim: Path) -> None:
    out = claim / "out"
    said = Host(claim, "campaign", "run", campaign(claim), "--out", out).end()
    once_each(out, said)
    assert len(outcomes(out)) == BLOCKS * ARMS
    found = records(out)
    lock = Lock.read(out / "campaign.lock.json")
    (job,) = cluster.of("jobs")
    assert job["status"]["completedIndexes"] == "0,1,2"
    for block in range(BLOCKS):
        # One after another, each by the container of its backend, in one pod.
        own = sorted((r for r in found if r.block == block), key=lambda r: r.started_at)
        assert all(a.ended_at <= b.started_at for a, b in itertools.pairwise(own))
        arms = [a.arm_id for a in lock.arms]
        assert [r.arm_id for r in own] == order(lock.seed, block, 0, arms)
        claimed = Claim.read(out / "cluster" / "claims" / f"{block:04d}.json")
        assert claimed.host == NODE and claimed.start == 0
        assert claimed.of == f"kubernetes {job['metadata']['name']}-{block}"
    for record in found:
        about = record.environment
        assert about.launcher == "pod" and about.container
        assert about.image_digest == DIGEST
        assert about.allocation is not None and about.allocation.scheduler == "kubernetes"
        assert about.allocation.cpus == 1 and "shared_node" in record.flags
    pods = {pod for pod, _ in cluster.containers}
    assert len(pods) == BLOCKS
    text = "".join(p.read_text() for p in (out / "cluster" / "logs").glob("1-*.log"))
    assert text.count("begun on node-1") == text.count(": done") == BLOCKS * ARMS
    again = Host(claim, "campaign", "run", out).end()
    assert "submitted" not in again


def test_what_the_agent_is_given(cluster: Cluster, claim: Path) -> None:
    file = campaign(
        claim, backends={"tick": {"image": f"r.example/tick@{DIGEST}", "args": {
            "print_variable": "OF_IMAGE"}}}, sweep={},
    )  # fmt: skip
    out = claim / "out"
    Host(claim, "campaign", "run", file, "--out", out, "--blocks", "1").end()
    (log,) = out.glob("blocks/*/*/*/agent.log")
    assert "it is 1" in log.read_text().splitlines()
    ((_, name),) = cluster.containers
    assert name == "block"
    everything = [p.read_bytes() for p in out.rglob("*") if p.is_file()]
    assert not [b for b in everything if b"hf_not" in b]
    assert not [j for j in cluster.of("jobs") if "hf_not" in json.dumps(j)]


@pytest.mark.docker
def test_a_block_in_a_real_image(cluster: Cluster, claim: Path) -> None:
    """As its manifest shuts it in: nobody's user, a read-only root and cache, no network."""
    need_docker()
    cluster.docker = tick_image()
    file = campaign(
        claim, backends={"tick": {"image": f"r.example/tick@{DIGEST}", "args": {"probe": True}}}
    )
    out = claim / "out"
    said = Host(claim, "campaign", "run", file, "--out", out, "--blocks", "1").end()
    assert len(counted(outcomes(out))) == 2, said
    for log in out.glob("blocks/*/*/*/agent.log"):
        seen = probe_of(log.parent)
        assert seen["uid"] == (os.getuid() or 65534)
        assert seen["connects"] is False
        assert seen["writable"] == []
        assert not any(seen["capabilities"]) and seen["no_new_privileges"] is True
    for record in records(out):
        assert record.environment.container and record.environment.launcher == "pod"


def begun(out: Path) -> list[Path]:
    return list(out.glob("blocks/*/*/*/events.ndjson"))


LONG = {
    "preset": "quick", "blocks": BLOCKS, "window_s": 1.5, "idle_s": 0.02, "settle_s": 0,
    "warm_up_cap_s": 0.05, "seed": 1,
}  # fmt: skip


def a_pod_in_the_middle(cluster: Cluster, out: Path) -> str | None:
    """One whose block has a record and has not come to its end."""
    for pod in cluster.of("pods"):
        block = int(pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"])
        there = list(out.glob(f"blocks/{block:04d}/*/*/record.json"))
        going = len(list(out.glob(f"blocks/{block:04d}/*/*/events.ndjson"))) > len(there)
        if pod["status"]["phase"] in ("Pending", "Running") and there and going:
            return str(pod["metadata"]["name"])
    return None


@pytest.mark.parametrize("disrupted", [True, False], ids=["evicted", "failed"])
def test_what_a_killed_pod_had_is_run_again_and_counts_once(
    cluster: Cluster, claim: Path, disrupted: bool
) -> None:
    """In the middle of a block. What was evicted Kubernetes begins anew; what failed lem gives
    away again."""
    out = claim / "out"
    host = Host(claim, "campaign", "run", campaign(claim, measure=LONG), "--out", out)
    pod = host.until(lambda: a_pod_in_the_middle(cluster, out))
    cluster.kill(pod, disrupted)
    said = host.end()
    once_each(out, said)
    cut = [o for o in outcomes(out) if o.kind == "failure"]
    assert [o.failure_kind for o in cut] == ["interrupted"], said
    assert len(cluster.of("jobs")) == (1 if disrupted else 2)
    restarts = {r.environment.allocation.restarts for r in records(out) if r.environment.allocation}
    assert restarts == ({0, 1} if disrupted else {0})


def test_a_pod_that_is_told_to_end_leaves_a_typed_failure(cluster: Cluster, claim: Path) -> None:
    out = claim / "out"
    host = Host(claim, "campaign", "run", campaign(claim, measure=LONG), "--out", out)
    pod = host.until(lambda: a_pod_in_the_middle(cluster, out))
    cluster.terminate(pod)
    said = host.end()
    once_each(out, said)
    cut = [o for o in outcomes(out) if o.kind == "failure"]
    assert [o.failure_kind for o in cut] == ["interrupted"], said


def test_a_pod_that_was_taken_for_dead_stops_at_its_next_step(
    cluster: Cluster, claim: Path
) -> None:
    """Its containers go on, on a node that nobody hears of; another pod has the block since."""
    out = claim / "out"
    host = Host(
        claim, "campaign", "run", campaign(claim, measure=LONG | {"window_s": 4}), "--out", out
    )
    dead = host.until(lambda: a_pod_in_the_middle(cluster, out))
    (job,) = cluster.of("jobs")
    pod = cluster._pod(job["metadata"]["name"], int(dead.split("-")[-2]))
    assert pod is not None
    phase = cluster._kubelet(pod)
    assert phase == "Succeeded"
    said = host.end()
    once_each(out, said)
    logs = "".join(p.read_text() for p in (out / "cluster" / "logs").glob("*.log"))
    assert "ended: the block is" in logs


def test_deleted_jobs_are_not_submitted_again_unasked(cluster: Cluster, claim: Path) -> None:
    out = claim / "out"
    host = Host(claim, "campaign", "run", campaign(claim, measure=LONG), "--out", out)
    host.until(lambda: begun(out))
    (job,) = cluster.of("jobs")
    with cluster._lock:
        cluster._delete("jobs", job["metadata"]["name"], "Foreground")
    said = host.end(3)
    assert "cancelled at the scheduler" in said
    said = Host(claim, "campaign", "run", out).end()
    once_each(out, said)


def test_render_prints_what_is_submitted(cluster: Cluster, claim: Path) -> None:
    out = claim / "out"
    file = campaign(claim)
    said = Host(claim, "campaign", "render", file, "--out", out, "--format", "k8s").end()
    _, made = yaml.safe_load_all(said[said.index("apiVersion") :].split("\nit reads")[0])
    assert cluster.asked == []
    assert made["kind"] == "Job" and made["spec"]["completions"] == BLOCKS
    assert len(made["spec"]["template"]["spec"]["initContainers"]) >= 1


def test_status_shows_where_pods_are(cluster: Cluster, claim: Path) -> None:
    """Also without ``LEM_CACHE``: nothing is to be submitted."""
    out = claim / "out"
    host = Host(claim, "campaign", "run", campaign(claim, measure=LONG), "--out", out)
    host.until(lambda: begun(out))
    time.sleep(1)
    said = Host(claim, "campaign", "status", out, LEM_CACHE="").end()
    assert f"jobs run on {NODE}" in said and "no pod yet" in said
    host.end()


def test_staging_elsewhere_is_refused(cluster: Cluster, claim: Path) -> None:
    words = ("campaign", "stage", campaign(claim))
    said = Host(claim, *words, LEM_CACHE="/tmp/elsewhere").end(2)
    assert f"LEM_CACHE={claim}/cache" in said


def test_a_folder_that_pods_do_not_see_is_refused_before_anything(
    cluster: Cluster, claim: Path
) -> None:
    said = Host(claim, "campaign", "run", campaign(claim), "--out", claim.parent / "out").end(2)
    assert "which pods do not see" in said and f"--out {claim}" in said
    assert cluster.asked == []
