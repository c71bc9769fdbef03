"""The manifests: golden files, the API's own schemas, and what may not be in them."""

import itertools
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from clusters.kube_work import DIGEST, full, spec, work

from lem.clusters.kubernetes import Kubernetes
from lem.clusters.kubernetes_job import MEASUREMENT, check_places, job, policy, turns
from lem.clusters.protocol import Work
from lem.config.kubernetes_spec import KubernetesSpec
from lem.errors import BadInput

GOLDEN = Path(__file__).parent / "golden"
PAIRED = (("vllm", "llama_cpp", "vllm"), ("llama_cpp", "vllm", "vllm")) * 6


def paired(**changes: Any) -> Work:
    return work(turns=PAIRED, **changes)


def containers(made: dict[str, Any]) -> list[dict[str, Any]]:
    pod = made["spec"]["template"]["spec"]
    return [*pod.get("initContainers", []), *pod["containers"]]


@pytest.mark.parametrize(
    ("name", "own", "what"),
    [("plain", spec(), work()), ("full", full(), paired())],
    ids=["plain", "full"],
)
def test_the_manifests_are_as_they_were_read(name: str, own: KubernetesSpec, what: Work) -> None:
    assert Kubernetes(own).render(what) == (GOLDEN / f"{name}.yaml").read_text()


@pytest.mark.parametrize("version", ["1.29", "1.33", "1.37"])
@pytest.mark.parametrize("name", ["plain", "full"])
def test_the_api_s_schemas_take_them(name: str, version: str) -> None:
    """Its own, of these versions, where a field that it does not know is an error, too."""
    for document in yaml.safe_load_all((GOLDEN / f"{name}.yaml").read_text()):
        kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("own", [spec(), full()], ids=["plain", "full"])
@pytest.mark.parametrize("what", [work(), paired()], ids=["one backend", "two"])
def test_pods_are_as_shut_in_as_docker_s_containers(own: KubernetesSpec, what: Work) -> None:
    made = job(what, own)
    pod = made["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & set(pod)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers(made):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
        }
    assert [v["name"] for v in pod["volumes"]] == ["campaign", "tmp", "shm"]
    assert not any("hostPath" in v for v in pod["volumes"])


def test_the_policy_is_for_these_pods_and_lets_nothing_through() -> None:
    made = policy(spec())["spec"]
    assert set(made) == {"podSelector", "policyTypes"}
    assert made["podSelector"]["matchLabels"] == MEASUREMENT
    for own in (spec(), full()):
        labels = job(work(), own)["spec"]["template"]["metadata"]["labels"]
        assert MEASUREMENT.items() <= labels.items()


def test_one_pod_s_failure_ends_no_other() -> None:
    made = job(work(), spec())["spec"]
    assert made["template"]["spec"]["restartPolicy"] == "Never"
    assert made["backoffLimitPerIndex"] == 0
    assert not {"backoffLimit", "maxFailedIndexes", "activeDeadlineSeconds"} & set(made)
    (rule,) = made["podFailurePolicy"]["rules"]
    assert rule["action"] == "Ignore"
    assert rule["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]


def test_images_are_those_that_were_staged_and_no_others() -> None:
    for container in containers(job(paired(), full())):
        assert container["image"].endswith(f"@{DIGEST}")


def test_nothing_of_the_submitting_shell_is_in_them_but_engines_settings() -> None:
    text = Kubernetes(full()).render(paired())
    assert "OMP_NUM_THREADS" in text
    assert "/home/ada" not in text and "PYTHONPATH" not in text


def test_without_gpus_none_is_granted() -> None:
    (one,) = containers(job(work(), spec()))
    variables = {e["name"]: e.get("value") for e in one["env"]}
    assert variables["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert "resources" not in one
    (one,) = containers(job(work(), spec(gpus=2, gpu_resource="amd.com/gpu")))
    assert one["resources"]["limits"] == {"amd.com/gpu": "2"}
    assert "NVIDIA_VISIBLE_DEVICES" not in {e["name"] for e in one["env"]}


def test_no_node_whose_boards_are_shared() -> None:
    """What a board draws that several pods use is none's. By the label of NVIDIA's discovery."""

    def affinity(**changes: Any) -> Any:
        return job(work(), spec(**changes))["spec"]["template"]["spec"].get("affinity")

    required = affinity(gpus=1)["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    ((term,),) = (t["matchExpressions"] for t in required["nodeSelectorTerms"])
    assert term == {
        "key": "nvidia.com/gpu.sharing-strategy",
        "operator": "NotIn",
        "values": ["mps", "time-slicing"],
    }
    assert affinity() is None
    assert affinity(gpus=1, gpu_resource="amd.com/gpu") is None


def test_every_container_of_a_pod_is_given_the_same() -> None:
    """So kubelet gives to each what the one before had."""
    made = containers(job(paired(), full()))
    assert len(made) > 3
    assert all(c["resources"] == made[0]["resources"] for c in made)
    assert len({c["name"] for c in made}) == len(made)
    assert all(re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", c["name"]) for c in made)


def test_one_backend_needs_one_container() -> None:
    (one,) = containers(job(work(), spec()))
    assert "--backend" not in one["args"]


def test_every_image_is_on_the_node_before_the_first_run() -> None:
    """A pull between two runs would be a pause in the block."""
    made = containers(job(paired(), spec()))
    first = next(i for i, c in enumerate(made) if c["args"])
    pulled = {c["image"] for c in made[: first + 1]}
    assert pulled == {c["image"] for c in made}
    assert all(c["command"] == ["python3", "-c", "pass"] for c in made[:first])


def test_a_pod_sees_its_campaign_and_the_cache_and_no_more_of_the_volume() -> None:
    for one in containers(job(paired(), spec())):
        seen = [m for m in one["volumeMounts"] if m["name"] == "campaign"]
        assert all(m["mountPath"] == f"/data/{m['subPath']}" for m in seen)
        assert {m["subPath"] for m in seen if m.get("readOnly")} == {"cache", "results/precision"}
        assert {m["subPath"] for m in seen if not m.get("readOnly")} == {
            "cache/compiled",
            "results/precision/blocks",
            "results/precision/cluster/claims",
            "results/precision/cluster/logs",
        }
        # A mount hides those below it that came before.
        paths = [m["mountPath"] for m in seen]
        assert all(not a.startswith(f"{b}/") for a, b in itertools.combinations(paths, 2))


def test_an_image_cannot_change_what_the_submitting_host_acts_by() -> None:
    """The campaign's file and lock, the orders, and what was submitted."""
    for one in containers(job(paired(), spec())):
        open_to = [m["mountPath"] for m in one["volumeMounts"] if not m.get("readOnly")]
        for name in ("campaign.yaml", "campaign.lock.json", "cluster/1.json", "cluster/jobs.json"):
            place = Path("/data/results/precision") / name
            assert not any(place.is_relative_to(p) for p in open_to)


def test_all_but_the_first_go_on() -> None:
    made = [c for c in containers(job(paired(), spec())) if c["args"]]
    assert ["--goes-on" in c["args"] for c in made] == [False] + [True] * (len(made) - 1)


def goes_through(sequence: list[str], block: list[str]) -> bool:
    """Whether a block is made by containers that each make what is next and theirs."""
    left = list(block)
    for backend in sequence:
        while left and left[0] == backend:
            left.pop(0)
    return not left


def test_every_block_fits_into_the_turns() -> None:
    chance = random.Random(1)
    for _ in range(300):
        backends = [f"b{i}" for i in range(chance.randint(1, 4))]
        arms = [b for b in backends for _ in range(chance.randint(1, 5))]
        blocks = [chance.sample(arms, len(arms)) for _ in range(chance.randint(1, 5))]
        sequence = turns(blocks, backends)
        assert all(goes_through(sequence, b) for b in blocks)
        assert not all(goes_through(sequence[:-1], b) for b in blocks)
        assert all(a != b for a, b in itertools.pairwise(sequence)) or len(backends) == 1


@pytest.mark.parametrize(
    ("folder", "cache", "words"),
    [
        ("/elsewhere/x", "/data/cache", "--out /data/"),
        ("/data/x", "/home/ada/.cache/lem", "LEM_CACHE=/data/cache"),
        ("/data/../etc", "/data/cache", "--out /data/"),
        ("/database", "/data/cache", "--out /data/"),
    ],
)
def test_what_pods_do_not_see_is_refused_with_the_fix(folder: str, cache: str, words: str) -> None:
    with pytest.raises(BadInput) as e:
        check_places(spec(), Path(folder), Path(cache))
    assert words in str(e.value)


@pytest.mark.parametrize("folder", ["/data/a\nb", "/data/a\x00b", "/data/a\x1bb"])
def test_a_name_that_no_manifest_has_is_refused(folder: str) -> None:
    with pytest.raises(BadInput, match="no manifest"):
        job(work(folder), spec())


def put_in(text: str) -> str:
    """As kubelet does: ``$(NAME)``; ``$$`` is a plain ``$``."""
    known = {"HOME": "/tmp", "JOB_COMPLETION_INDEX": "7"}

    def found(m: re.Match[str]) -> str:
        return "$" if m[0] == "$$" else known.get(m[1], m[0])

    return re.sub(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_]*)\)", found, text)


@pytest.mark.parametrize(
    "folder",
    ["/data/$(HOME)", "/data/$$(HOME)", "/data/a b", "/data/{}", "/data/ü: #x", "/data/$x"],
)
def test_a_folder_s_name_is_only_a_name(folder: str) -> None:
    text = Kubernetes(spec()).render(work(folder))
    (*_, made) = yaml.safe_load_all(text)
    (one,) = containers(made)
    assert [put_in(a) for a in one["args"]] == [folder, "1", "7"]


def test_settings_are_only_settings() -> None:
    from dataclasses import replace

    own = replace(work(), settings={"OMP_PLACES": "$(HOME)", "HOME": "/root", "LEM_POD_UID": "x"})
    (one,) = containers(job(own, spec()))
    variables = {e["name"]: e for e in one["env"]}
    assert len(variables) == len(one["env"]) or "valueFrom" in one["env"][-1]
    assert put_in(variables["OMP_PLACES"]["value"]) == "$(HOME)"
    assert variables["HOME"]["value"] == "/tmp"
    with pytest.raises(BadInput, match="OMP_X"):
        job(replace(work(), settings={"OMP_X": "a\nb"}), spec())


def test_a_job_larger_than_etcd_takes_is_refused() -> None:
    block = tuple(itertools.islice(itertools.cycle(["llama_cpp", "vllm"]), 2000))
    with pytest.raises(BadInput, match="larger than Kubernetes takes"):
        job(work(turns=(block,) * 12), spec())


def strings(thing: Any) -> Iterator[str]:
    if isinstance(thing, dict):
        for value in thing.values():
            yield from strings(value)
    elif isinstance(thing, list):
        for value in thing:
            yield from strings(value)
    elif isinstance(thing, str):
        yield thing


def test_no_secret_is_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_not-a-real-token")
    assert not any("hf_not" in s for s in strings(json.loads(json.dumps(job(work(), full())))))
