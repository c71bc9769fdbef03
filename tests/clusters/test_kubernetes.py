"""The client's side of a campaign on Kubernetes, against a played API (``kube_fake``)."""

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from clusters.kube_fake import INDEX, NODE, Canned, Cluster, serve, status
from clusters.kube_work import spec, work

from lem.clusters import kubernetes_api, kubernetes_state
from lem.clusters.kubernetes import Kubernetes
from lem.clusters.kubernetes_job import POLICY, policy
from lem.clusters.protocol import Task
from lem.config.kubernetes_spec import KubernetesSpec
from lem.errors import EnvironmentFault

JOBS = "/jobs"


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    cluster = Cluster({}, runs=False)
    with serve(cluster, tmp_path) as config:
        monkeypatch.setenv("KUBECONFIG", str(config))
        yield cluster


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, without waiting."""
    waited: list[float] = []
    monkeypatch.setattr(kubernetes_api.time, "sleep", waited.append)
    monkeypatch.setattr(kubernetes_api.Api.__init__, "__defaults__", (waited.append,))
    return waited


@pytest.fixture
def there(api: Cluster) -> Cluster:
    made = policy(spec())
    api.objects["networkpolicies", POLICY] = made
    return api


def test_a_job_is_submitted_found_and_deleted(there: Cluster) -> None:
    scheduler = Kubernetes(spec())
    scheduler.check()
    name = scheduler.submit(work())
    assert name == work().name
    (made,) = there.of("jobs")
    assert made["spec"]["completions"] == 12
    assert there.asked[-1][2]["fieldValidation"] == ["Strict"]
    assert scheduler.find(name) == name
    assert scheduler.find("lem-other-1") is None
    assert [(t.number, t.state, t.where) for t in scheduler.alive([name])] == [
        (i, "waiting", "no pod yet") for i in range(12)
    ]
    scheduler.cancel([name])
    assert there.of("jobs") == []
    assert scheduler.alive([name]) == []
    scheduler.cancel([name])
    method, _, query = there.asked[-1]
    assert method == "DELETE" and query["propagationPolicy"] == ["Foreground"]


def test_its_namespace_is_the_context_s_or_the_file_s(there: Cluster) -> None:
    Kubernetes(spec()).check()
    assert "/namespaces/energy/" in there.asked[-1][1]
    with pytest.raises(EnvironmentFault, match="in the namespace elsewhere"):
        Kubernetes(spec(namespace="elsewhere")).check()
    assert "/namespaces/elsewhere/" in there.asked[-1][1]


def test_an_order_that_was_taken_unheard_is_its_own(there: Cluster, waits: list[float]) -> None:
    """The answer to a POST may be lost: asked again, the API says that it is there."""
    scheduler = Kubernetes(spec())
    scheduler.submit(work())
    assert Kubernetes(spec()).submit(work()) == work().name
    assert len(there.of("jobs")) == 1


def test_somebody_else_s_job_of_that_name_is_left_alone(there: Cluster) -> None:
    Kubernetes(spec()).submit(work())
    other = replace(work(), folder=Path("/data/copy"))
    with pytest.raises(EnvironmentFault, match="not this campaign folder's"):
        Kubernetes(spec()).submit(other)
    changed = work().order.model_copy(update={"blocks": [7, *range(11)]})
    with pytest.raises(EnvironmentFault, match="not this campaign folder's"):
        Kubernetes(spec()).submit(replace(work(), order=changed))


@pytest.mark.parametrize(
    ("body", "words", "hint"),
    [
        (status(401, "Unauthorized", "Unauthorized"), "Unauthorized", "log in"),
        (status(403, "Forbidden", 'jobs is forbidden: User "ada"'), "ada", "Role"),
        (status(403, "Forbidden", "exceeded quota: gpus"), "quota", "ask for less"),
        (status(404, "NotFound", "namespaces not found"), "namespaces", "launcher.namespace"),
        (status(422, "Invalid", "must be no more than"), "no more than", "render"),
        ({"anything": 1}, "the Job was not taken", None),
    ],
)
def test_what_is_refused_is_told_with_its_fix(
    there: Cluster, body: dict[str, Any], words: str, hint: str | None
) -> None:
    there.answer_once("POST", JOBS, Canned(body.get("code", 400), body))
    with pytest.raises(EnvironmentFault, match=words) as e:
        Kubernetes(spec()).submit(work())
    assert hint is None or hint in str(e.value.hint)


def test_a_busy_server_is_asked_again(there: Cluster, waits: list[float]) -> None:
    there.answer_once(
        "POST", JOBS, Canned(429, status(429, "TooManyRequests", "busy"), {"Retry-After": "7"})
    )
    there.answer_once("POST", JOBS, Canned(503, status(503, "ServiceUnavailable", "away")))
    Kubernetes(spec()).submit(work())
    assert waits[0] == 7 and 0 < waits[1] <= 30


def test_a_server_that_stays_away_is_an_error(there: Cluster, waits: list[float]) -> None:
    for _ in range(kubernetes_api.TRIES):
        there.answer_once("GET", JOBS, Canned(500, status(500, "InternalError", "etcd is away")))
    with pytest.raises(EnvironmentFault, match="etcd is away"):
        Kubernetes(spec()).alive(["a"])
    assert len(waits) == kubernetes_api.TRIES - 1


def test_nobody_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, waits: list[float]) -> None:
    cluster = Cluster({}, runs=False)
    with serve(cluster, tmp_path) as config:
        monkeypatch.setenv("KUBECONFIG", str(config))
    with pytest.raises(EnvironmentFault, match="does not answer"):
        Kubernetes(spec()).check()


def test_no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(EnvironmentFault, match="no Kubernetes cluster is known") as e:
        Kubernetes(spec()).check()
    assert "KUBECONFIG" in str(e.value.hint)


def test_an_unknown_context(there: Cluster) -> None:
    with pytest.raises(EnvironmentFault, match="no Kubernetes cluster is known"):
        Kubernetes(spec(context="other")).check()


def test_no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "kubernetes", None)
    monkeypatch.setitem(sys.modules, "kubernetes.client", None)
    with pytest.raises(EnvironmentFault, match="not installed") as e:
        Kubernetes(spec()).check()
    assert e.value.hint == "pip install 'lem-energy[kubernetes]'"


def test_nothing_is_measured_where_pods_have_the_network(api: Cluster) -> None:
    with pytest.raises(EnvironmentFault, match=f"no NetworkPolicy {POLICY}"):
        Kubernetes(spec()).check()
    for change in (
        {"egress": [{}]},
        {"ingress": [{"from": []}]},
        {"policyTypes": ["Ingress"]},
        {"podSelector": {"matchLabels": {"app": "other"}}},
    ):
        made = copy.deepcopy(policy(spec()))
        made["spec"] |= change
        api.objects["networkpolicies", POLICY] = made
        with pytest.raises(EnvironmentFault, match="something else is the NetworkPolicy"):
            Kubernetes(spec()).check()
    api.answer_once("GET", POLICY, Canned(403, status(403, "Forbidden", "forbidden: ada")))
    with pytest.raises(EnvironmentFault, match="forbidden: ada"):
        Kubernetes(spec()).check()


def test_long_lists_come_in_pages(there: Cluster) -> None:
    scheduler = Kubernetes(spec())
    name = scheduler.submit(work())
    for i in range(12):
        there.objects["pods", f"p{i:02}"] = pod(name, i, ran=True)
    there.page = 5
    assert {t.state for t in scheduler.alive([name])} == {"running"}
    assert sum("continue" in q for _, path, q in there.asked if path.endswith("/pods")) == 2


def test_a_list_whose_place_is_forgotten_is_read_anew(there: Cluster) -> None:
    scheduler = Kubernetes(spec())
    name = scheduler.submit(work())
    for i in range(12):
        there.objects["pods", f"p{i:02}"] = pod(name, i, ran=True)
    there.page = 5
    gone = status(410, "Expired", "The provided continue parameter is too old")
    there.answer_once("GET", "/pods", Canned(200, {"items": [], "metadata": {"continue": "5"}}))
    there.answer_once("GET", "/pods", Canned(410, gone))
    assert len([t for t in scheduler.alive([name]) if t.state == "running"]) == 12


def test_what_somebody_deleted_is_cancelled_not_over(there: Cluster) -> None:
    scheduler = Kubernetes(spec())
    name = scheduler.submit(work())
    (job,) = there.of("jobs")
    job["status"] = {"completedIndexes": "0-9", "failedIndexes": "10"}
    assert [t.number for t in scheduler.alive([name])] == [11]
    job["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert scheduler.alive([name]) == [Task(name, 11, "cancelled", "")]
    del there.objects["jobs", name]
    assert scheduler.alive([name]) == [Task(name, 11, "cancelled", "")]
    # Another command knows of nothing: the blocks are given away again.
    assert Kubernetes(spec()).alive([name]) == []


@pytest.mark.parametrize("kind", ["Complete", "Failed"])
def test_what_is_over_is_nobody_s(there: Cluster, kind: str) -> None:
    scheduler = Kubernetes(spec())
    name = scheduler.submit(work())
    (job,) = there.of("jobs")
    job["status"]["conditions"] = [{"type": kind, "status": "True"}]
    assert scheduler.alive([name]) == []
    assert scheduler.find(name) is None
    del there.objects["jobs", name]  # as after ttlSecondsAfterFinished
    assert scheduler.alive([name]) == []


def pod(job: str, index: int, ran: bool = False, **status: Any) -> dict[str, Any]:
    if ran:
        status["initContainerStatuses"] = [{"state": {"running": {}}}]
    return {
        "metadata": {
            "labels": {"lem-energy.github.io/order": job, INDEX: str(index)},
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"nodeName": NODE} if ran else {},
        "status": {"phase": "Pending", **status},
    }


UNSCHEDULABLE = {
    "conditions": [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
        }
    ]
}
NO_IMAGE = {
    "initContainerStatuses": [
        {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "not\nfound" * 100}}}
    ]
}
SLOW = {"initContainerStatuses": [{"state": {"waiting": {"reason": "PodInitializing"}}}]}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (UNSCHEDULABLE, "Unschedulable: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu."),
        (NO_IMAGE, "ImagePullBackOff: not found"),
        (SLOW, ""),
        ({"conditions": "?", "containerStatuses": [3, {"state": []}]}, ""),
    ],
)
def test_why_a_pod_waits(status: dict[str, Any], words: str) -> None:
    (task,) = kubernetes_state.tasks(JOB, [pod("j", 0, **status)], NOW)
    assert task.state == "waiting" and task.where.startswith(words)
    assert len(task.where) < 400 and task.where.isprintable()


NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
JOB: dict[str, Any] = {
    "metadata": {"labels": {"lem-energy.github.io/order": "j"}},
    "spec": {"completions": 1},
    "status": {},
}


def test_a_pod_that_does_not_end_is_taken_for_lost() -> None:
    """As on a node that nobody hears of: its block is given to another, and the claim decides."""
    lost = pod("j", 0, ran=True)
    lost["metadata"]["deletionTimestamp"] = (NOW - timedelta(seconds=60)).isoformat()
    assert len(kubernetes_state.tasks(JOB, [lost], NOW)) == 1
    lost["metadata"]["deletionTimestamp"] = (NOW - timedelta(seconds=180)).isoformat()
    assert kubernetes_state.tasks(JOB, [lost], NOW) == []


def test_a_pod_that_has_ended_is_not_where_the_block_is() -> None:
    ended = pod("j", 0, ran=True) | {"status": {"phase": "Failed"}}
    assert kubernetes_state.tasks(JOB, [ended], NOW) == [Task("j", 0, "waiting", "no pod yet")]


def test_a_queue_s_job_waits() -> None:
    job = JOB | {"spec": {"completions": 1, "suspend": True}}
    assert kubernetes_state.tasks(job, [], NOW) == [Task("j", 0, "waiting", "Suspended")]
    queued = {**JOB["metadata"]["labels"], "kueue.x-k8s.io/queue-name": "research"}
    (task,) = kubernetes_state.tasks(job | {"metadata": {"labels": queued}}, [], NOW)
    assert task.where == "Suspended: in the queue research"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", set()), ("3", {3}), ("0-2,5", {0, 1, 2, 5}), ("5-3", set()), ("x,1", {1}),
        ("-1", set()), ("1-", set()), (None, set()), (["1"], set()),
    ],
)  # fmt: skip
def test_indices(text: object, found: set[int]) -> None:
    assert kubernetes_state.indices(text) == found


def test_a_range_without_end_fills_no_memory() -> None:
    assert len(kubernetes_state.indices("0-9999999")) <= kubernetes_state.MAX_INDEX + 1


@pytest.mark.parametrize("answer", [b"[]", b"no", b"{" * 100_000])
def test_what_is_no_object_is_an_error(answer: bytes) -> None:
    with pytest.raises(EnvironmentFault, match="answered what is no"):
        kubernetes_api._parsed(answer)


def test_rendering_needs_no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "kubernetes", None)
    text = Kubernetes(spec()).render(work())
    assert [d["kind"] for d in yaml.safe_load_all(text)] == ["NetworkPolicy", "Job"]
    assert json.loads(json.dumps(list(yaml.safe_load_all(text))))


def test_what_is_submitted_is_what_is_rendered(there: Cluster) -> None:
    own: KubernetesSpec = spec()
    Kubernetes(own).submit(work())
    (made,) = there.of("jobs")
    _, rendered = yaml.safe_load_all(Kubernetes(own).render(work()))
    for name in ("uid", "creationTimestamp"):
        del made["metadata"][name]
    del made["status"]
    assert made == rendered
