"""Kubernetes: an Indexed Job for each order. No cluster has run it yet: its manifests are held
against the API's own schemas, and what it does against a played API."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, Literal

import yaml

from lem.clusters import kubernetes_job as manifest
from lem.clusters import kubernetes_state as state
from lem.clusters.kubernetes_api import Api, Refused, fault
from lem.clusters.protocol import Task, Work
from lem.config.kubernetes_spec import KubernetesSpec
from lem.errors import EnvironmentFault


class Kubernetes:
    kind: Literal["kubernetes"] = "kubernetes"

    def __init__(self, spec: KubernetesSpec) -> None:
        self._spec = spec
        self._known: Api | None = None
        self._open: dict[str, set[int]] = {}
        """Job → its indices that were not over when it was last seen."""

    @property
    def _api(self) -> Api:
        if self._known is None:
            self._known = Api(self._spec.context, self._spec.namespace)
        return self._known

    def check(self) -> None:
        """Nothing is measured in a namespace whose pods have the network."""
        try:
            found = self._api.policy(manifest.POLICY)
        except Refused as e:
            raise fault(e, f"the NetworkPolicy {manifest.POLICY} cannot be read") from e
        wanted = manifest.policy(self._spec)["spec"]
        if found is None or not _denies(found.get("spec"), wanted):
            what = "there is no" if found is None else "something else is the"
            raise EnvironmentFault(
                f"{what} NetworkPolicy {manifest.POLICY} in the namespace {self._api.namespace}, "
                "by which a measurement has no network",
                hint="kubectl apply -k deploy/kubernetes/base, or only the first document of "
                "`lem campaign render --format k8s`",
            )

    def render(self, work: Work) -> str:
        named = {"name": work.name}
        text = yaml.safe_dump_all(
            manifest.documents(work, self._spec),
            sort_keys=False,
            default_flow_style=False,
            allow_unicode=True,
            width=10**6,
        )
        return HEAD.format(**named, number=work.order.number, blocks=len(work.order.blocks)) + text

    def submit(self, work: Work) -> str:
        made = manifest.job(work, self._spec)
        try:
            self._api.create_job(made)
        except Refused as e:
            if e.status != 409 or e.reason != "AlreadyExists":
                raise fault(e, "the Job was not taken") from e
            self._check_own(work, made)
        self._open[work.name] = set(range(work.order.tasks))
        return work.name

    def find(self, name: str) -> str | None:
        try:
            found = self._api.job(name)
        except Refused as e:
            raise fault(e, f"the Job {name} cannot be read") from e
        gone = found is None or state.deleted(found) or state.over(found)
        return None if gone else name

    def alive(self, jobs: Collection[str]) -> list[Task]:
        if not jobs:
            return []
        selector = f"{manifest.ORDER} in ({','.join(sorted(jobs))})"
        try:
            # The Jobs first: a pod that ends between the two is then only told of once more.
            seen = {state.name_of(j): j for j in self._api.jobs(selector)}
            pods = self._api.pods(selector)
        except Refused as e:
            raise fault(e, "the Jobs cannot be read") from e
        now = datetime.now(UTC)
        found: list[Task] = []
        for name in sorted(jobs):
            if name in seen:
                left = state.unfinished(seen[name])
                self._open[name] = left
                found += state.tasks(seen[name], pods, now)
            else:
                # What is over is kept for a day: somebody has deleted it.
                found += [Task(name, i, "cancelled", "") for i in sorted(self._open.get(name, ()))]
        return found

    def cancel(self, jobs: Collection[str]) -> None:
        for name in sorted(jobs):
            self._open.pop(name, None)
            try:
                self._api.delete_job(name)
            except Refused as e:
                raise fault(e, f"the Job {name} was not deleted") from e

    def _check_own(self, work: Work, made: dict[str, Any]) -> None:
        """A Job of that name is there: this very one, whose answer had not come through."""
        try:
            found = self._api.job(work.name) or {}
        except Refused as e:
            raise fault(e, f"the Job {work.name} cannot be read") from e
        notes = (found.get("metadata") or {}).get("annotations") or {}
        own = made["metadata"]["annotations"]
        if any(notes.get(n) != own[n] for n in (manifest.FOLDER, manifest.DIGEST)):
            raise EnvironmentFault(
                f"there is a Job {work.name} already, which is not this campaign folder's: "
                f"it is of {notes.get(manifest.FOLDER, 'another')}",
                hint="a folder that was copied has the same name as the first: run only one of "
                f"them, or begin anew with --out; kubectl delete job {work.name} removes it",
            )


def _denies(found: object, wanted: dict[str, Any]) -> bool:
    """Whether a policy lets nothing through for the pods of measurements."""
    if not isinstance(found, dict):
        return False
    rules = found.get("ingress") or found.get("egress")
    return (
        not rules
        and found.get("podSelector") == wanted["podSelector"]
        and set(found.get("policyTypes") or ()) == set(wanted["policyTypes"])
    )


HEAD = """\
# The campaign {name}, order {number}; blocks: {blocks}, a pod for each.
# Written by lem. Applied by hand it does the same: lem campaign render … | kubectl apply -f -
---
"""

plugin = Kubernetes
