"""What comes before the first run, in the cluster: where no Docker is at hand."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from clusters.kube_campaign import Host, campaign, image, volume
from clusters.kube_fake import Cluster, serve
from clusters.kube_work import DIGEST, full, spec

from lem.campaign import staging_pods
from lem.campaign.staging_pods import MAX_BYTES, PATIENCE_S, PodAgent, _bring_back
from lem.clusters.kubernetes_job import MEASUREMENT, POLICY, policy
from lem.clusters.kubernetes_staging import staging_job
from lem.config.kubernetes_spec import KubernetesSpec
from lem.contract.lock import Lock
from lem.errors import EnvironmentFault
from lem.stores.counted import counted
from lem.stores.folder import outcomes


@pytest.fixture
def claim(tmp_path: Path) -> Path:
    return volume(tmp_path)


@pytest.fixture
def cluster(claim: Path) -> Iterator[Cluster]:
    played = Cluster(image(claim), volume=claim)
    played.objects["networkpolicies", POLICY] = policy(spec())
    with serve(played, claim.parent):
        yield played


@pytest.mark.slow
def test_a_campaign_without_docker(cluster: Cluster, claim: Path) -> None:
    """Images named by tags: the nodes tell which they are, and those are what is run."""
    out = claim / "out"
    file = campaign(
        claim,
        backends={b: {"image": f"registry.example.org/lem/{b}:1.0"} for b in ("tick", "tock")},
    )
    words = ("campaign", "run", file, "--out", out, "--blocks", "1")
    said = Host(claim, *words, NO_DOCKER="1").end()
    assert "asking the cluster what is in registry.example.org/lem/tick:1.0" in said
    assert len(counted(outcomes(out))) == 4
    lock = Lock.read(out / "campaign.lock.json")
    assert {b.digest for b in lock.backends.values()} == {DIGEST}
    (job,) = cluster.of("jobs")
    pod = job["spec"]["template"]["spec"]
    images = {c["image"] for c in [*pod["initContainers"], *pod["containers"]]}
    assert images == {f"registry.example.org/lem/{b}@{DIGEST}" for b in ("tick", "tock")}
    # Its own Jobs are gone, and what was copied with them.
    assert sum("lem-staging-" in path for _, path, _ in cluster.asked) > 4
    assert list((claim / "cache" / "staging").iterdir()) == []


@pytest.mark.slow
def test_an_image_that_tells_no_digest_is_refused(cluster: Cluster, claim: Path) -> None:
    cluster.image_id = "sha256:" + "1" * 64
    file = campaign(claim, backends={"tick": {"image": "registry.example.org/lem/tick:1.0"}})
    words = ("campaign", "run", file, "--out", claim / "out")
    said = Host(claim, *words, NO_DOCKER="1").end(3)
    assert "does not tell the digest" in said and "backends.tick.image" in said


def made(own: KubernetesSpec, network: bool, gpus: int = 0) -> dict[str, Any]:
    return staging_job(
        "lem-staging-0123456789abcdef",
        own,
        f"registry.example.org/lem/vllm@{DIGEST}",
        ["stage", "/data/$(HOME)/stage.json"],
        {"HF_HUB_OFFLINE": "1"},
        {Path("/data/cache/staging/x"): True, Path("/data/models/y"): False},
        network,
        None,
        gpus,
        3600,
    )


@pytest.mark.parametrize("own", [spec(hub_secret="hub"), full()], ids=["plain", "full"])
@pytest.mark.parametrize("network", [True, False])
def test_the_api_s_schemas_take_it(own: KubernetesSpec, network: bool) -> None:
    kubernetes_validate.validate(made(own, network), "1.37", strict=True)


def test_only_what_may_use_the_network_has_it_and_the_hub_s_token() -> None:
    own = spec(hub_secret="hub")
    for network in (True, False):
        template = made(own, network)["spec"]["template"]
        assert (MEASUREMENT.items() <= template["metadata"]["labels"].items()) is not network
        (container,) = template["spec"]["containers"]
        token = [e for e in container["env"] if e["name"] == "HF_TOKEN"]
        wanted = {"secretKeyRef": {"name": "hub", "key": "HF_TOKEN"}}
        assert token == ([{"name": "HF_TOKEN", "valueFrom": wanted}] if network else [])


def test_it_is_shut_in_and_has_no_gpu_unasked() -> None:
    pod = made(spec(), True)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["args"] == ["stage", "/data/$$(HOME)/stage.json"]
    assert {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"} in container["env"]
    (container,) = made(spec(), False, 1)["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "1"}


class Api:
    """Answers with one pod."""

    def __init__(self, *statuses: dict[str, Any]) -> None:
        self.statuses = list(statuses)
        self.deleted: list[str] = []

    def pods(self, selector: str) -> list[dict[str, Any]]:
        if not self.statuses:
            return []
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return [{"metadata": {"name": "p"}, "status": status}]

    def log(self, pod: str, most: int) -> bytes:
        return b"first\nlast words"

    def delete_job(self, name: str) -> None:
        self.deleted.append(name)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def agent(*statuses: dict[str, Any], log: Path | None = None) -> PodAgent:
    clock = Clock()
    return PodAgent(Api(*statuses), "j", log, clock=clock, sleep=clock.sleep)  # type: ignore[arg-type]


def waiting(reason: str) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": "so it says"}}
    return {"phase": "Pending", "containerStatuses": [{"state": state}]}


def ended(phase: str, code: int, reason: str = "Error") -> dict[str, Any]:
    state = {"terminated": {"exitCode": code, "reason": reason}}
    return {"phase": phase, "containerStatuses": [{"state": state}]}


def test_its_end_is_its_container_s(tmp_path: Path) -> None:
    log = tmp_path / "agent.log"
    end = agent({"phase": "Pending"}, ended("Succeeded", 0), log=log).wait(60)
    assert end is not None and (end.status, end.out_of_memory) == (0, False)
    assert end.last_lines == ["first", "last words"]
    assert log.read_bytes() == b"first\nlast words\n"
    end = agent(ended("Failed", 137, "OOMKilled")).wait(60)
    assert end is not None and (end.status, end.out_of_memory) == (137, True)


def test_no_token_stands_in_what_a_pod_has_said(tmp_path: Path) -> None:
    """lem's own, and that of a Secret in the cluster, which lem does not know."""
    own, theirs = "own-token-of-a-mirror", "hf_Zq9NotARealTokenButLikeOne"

    class Tells(Api):
        def log(self, pod: str, most: int) -> bytes:
            return f"\x1b[31mfirst\nit is {theirs}, not {own}\n".encode()

    log = tmp_path / "agent.log"
    pod = PodAgent(Tells(ended("Failed", 1)), "j", log, hidden=[own])  # type: ignore[arg-type]
    end = pod.wait(60)
    assert end is not None
    assert end.last_lines == ["first", "it is [secret], not [secret]"]
    assert "it is [secret], not [secret]" in log.read_text().splitlines()


def test_a_pod_that_was_evicted_has_failed() -> None:
    end = agent({"phase": "Failed", "reason": "Evicted"}).wait(60)
    assert end is not None and end.status == 137
    assert end.last_lines[-1] == "the pod ended: Evicted"


def test_no_end_within_the_time() -> None:
    assert agent({"phase": "Running"}).wait(60) is None
    assert agent().wait(60) is None


@pytest.mark.parametrize("reason", ["InvalidImageName", "CreateContainerConfigError"])
def test_what_can_never_start_is_told_at_once(reason: str) -> None:
    with pytest.raises(EnvironmentFault, match=f"{reason}: so it says"):
        agent(waiting(reason)).wait(0)


def test_a_registry_is_given_a_while() -> None:
    late = [waiting("ErrImagePull")] * 3
    end = agent(*late, ended("Succeeded", 0)).wait(600)
    assert end is not None and end.status == 0
    one = agent(waiting("ImagePullBackOff"))
    with pytest.raises(EnvironmentFault, match="ImagePullBackOff"):
        one.wait(600)
    assert PATIENCE_S <= one._clock() <= PATIENCE_S + 2 * staging_pods.POLL_S


def test_what_an_agent_left_is_taken_with_care(tmp_path: Path) -> None:
    place, run = tmp_path / "place", tmp_path / "run"
    for folder in (place, run, place / "folder"):
        folder.mkdir()
    (place / "staged.json").write_text("{}")
    (place / "link.json").symlink_to("/etc/passwd")
    os.mkfifo(place / "pipe.json")
    with (place / "large.json").open("wb") as f:
        f.truncate(MAX_BYTES + 1)
    (place / "agent.log").write_text("another's")
    (run / "staged.json").write_text("older")
    _bring_back(place, run)
    assert {p.name: p.read_text() for p in run.iterdir()} == {"staged.json": "{}"}
