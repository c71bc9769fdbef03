"""The Job by which a backend's image is looked into, and models are prepared, in the cluster."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lem.clusters.kubernetes_job import (
    MEASUREMENT,
    NO_GPU,
    container,
    literal,
    mounts,
    namespaced,
    plain,
    pod,
)
from lem.config.kubernetes_spec import KubernetesSpec

TASK = "lem-energy.github.io/task"
KEPT_S = 3600
WITH_NETWORK = {"app.kubernetes.io/name": "lem", "app.kubernetes.io/component": "staging"}
"""Labels of pods that the policy against the network is not about."""


def staging_job(
    name: str,
    spec: KubernetesSpec,
    image: str,
    arguments: list[str],
    variables: Mapping[str, str],
    folders: Mapping[Path, bool],
    network: bool,
    memory: int | None,
    gpus: int,
    limit_s: float,
) -> dict[str, Any]:
    """One pod that runs ``lem.agent`` with these arguments. ``folders``: as for :func:`mounts`.
    Pure."""
    labels = {**spec.labels, **(WITH_NETWORK if network else MEASUREMENT), TASK: name}
    given = plain({**variables, **({} if gpus else NO_GPU)})
    if network and spec.hub_secret is not None:
        token = {"name": spec.hub_secret, "key": "HF_TOKEN"}
        given.append({"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": token}})
    made = container(
        spec,
        "agent",
        image,
        ["python3", "-m", "lem.agent"],
        [literal(a) for a in arguments],
        given,
        mounts(spec, folders),
        memory,
        gpus,
    )
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {**namespaced(name, spec), "labels": labels},
        "spec": {
            "completions": 1,
            "parallelism": 1,
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": KEPT_S,
            "template": {
                "metadata": {"labels": labels},
                "spec": pod(spec, [made], memory, int(limit_s)),
            },
        },
    }
