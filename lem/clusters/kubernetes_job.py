"""The manifests of an order, as data: what an operator may read, change and apply by hand.

One Indexed Job, a pod for each block. Where a block's runs are of one backend, the pod has one
container, which makes them all. Of several backends each has its own image, but their runs must be
on the same GPUs, and one after another: kubelet gives the devices of a pod's init containers to the
containers that follow, and starts these in order. So the pod is a sequence of containers, one for
each turn of a backend, and each makes those runs that are next while they are of its backend.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from lem.clusters.protocol import Work
from lem.config.kubernetes_spec import DOMAIN, NOBODY, QUEUE, KubernetesSpec
from lem.contract.base import canonical_json
from lem.contract.order import Order
from lem.errors import BadInput

POLICY = "lem-measurement"
"""Name of the NetworkPolicy that keeps measurements off the network; one for a namespace."""
ORDER = f"{DOMAIN}/order"
FOLDER = f"{DOMAIN}/folder"
DIGEST = f"{DOMAIN}/digest"
"""Of what the Job is about: the order's document."""
MEASUREMENT = {"app.kubernetes.io/name": "lem", "app.kubernetes.io/component": "measurement"}
GRACE_S = 60
"""From SIGTERM on a run ends in order, within seconds."""
KEPT_S = 86400
"""How long Kubernetes keeps what is over, so that its logs can be read."""
WRITTEN = ("blocks", "cluster/claims", "cluster/logs")
"""In the campaign's folder: what a node writes. The rest is what the submitting host acts by: pods
that could write to it would be commands to that host."""
COMPILED = "compiled"
"""In the cache: what engines compile, the only part of it that runs write to."""
TMP_BYTES, SHM_BYTES = 4 * 2**30, 2**30
"""As for the docker launcher. Both are memory, and count against the pod's limit."""
MAX_BYTES = 2**20
"""etcd takes no object above 1.5 MiB."""
SHARING = "nvidia.com/gpu.sharing-strategy"
NO_GPU = {"NVIDIA_VISIBLE_DEVICES": "void", "CUDA_VISIBLE_DEVICES": ""}
"""Images may ask for all GPUs, which a node whose default runtime is NVIDIA's would grant."""
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,55}[a-z0-9])?")
"""With its index behind it a Job's name is its pod's host name."""


def documents(work: Work, spec: KubernetesSpec) -> list[dict[str, Any]]:
    """The NetworkPolicy and the Job. Pure. Raises :class:`BadInput` where they cannot be had."""
    return [policy(spec), job(work, spec)]


def policy(spec: KubernetesSpec) -> dict[str, Any]:
    """No connection in or out of a measurement's pod, where the network plugin enforces it."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {**namespaced(POLICY, spec), "labels": {"app.kubernetes.io/name": "lem"}},
        "spec": {
            "podSelector": {"matchLabels": dict(MEASUREMENT)},
            "policyTypes": ["Ingress", "Egress"],
        },
    }


def job(work: Work, spec: KubernetesSpec) -> dict[str, Any]:
    check_places(spec, work.folder, Path(work.order.cache))
    if not NAME.fullmatch(work.name):
        raise BadInput(f"{work.name!r} cannot be a Job's name")
    order = work.order
    labels = {**spec.labels, **MEASUREMENT, "app.kubernetes.io/managed-by": "lem", ORDER: work.name}
    queued = {} if spec.queue is None else {QUEUE: spec.queue}
    made = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            **namespaced(work.name, spec),
            "labels": {**labels, **queued},
            "annotations": {
                **spec.annotations,
                FOLDER: str(work.folder),
                DIGEST: digest(order),
            },
        },
        "spec": {
            "completionMode": "Indexed",
            "completions": order.tasks,
            "parallelism": min(work.at_once or order.tasks, order.tasks),
            # A block that fails is no other's concern, and lem gives it away again; one that had
            # to make room for somebody else begins anew by itself.
            "backoffLimitPerIndex": 0,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "Ignore",
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    }
                ]
            },
            "ttlSecondsAfterFinished": KEPT_S,
            **({"suspend": True} if queued else {}),
            "template": {
                "metadata": {
                    "labels": labels,
                    **({"annotations": dict(spec.annotations)} if spec.annotations else {}),
                },
                "spec": _pod(work, spec),
            },
        },
    }
    if len(json.dumps(made)) > MAX_BYTES:
        raise BadInput(
            "the Job is larger than Kubernetes takes: its blocks change too often between backends",
            hint="fewer experiments in a campaign, or one backend in each",
        )
    return made


def digest(order: Order) -> str:
    """SHA-256 of its canonical JSON."""
    return hashlib.sha256(canonical_json(order.model_dump())).hexdigest()


def check_places(spec: KubernetesSpec, folder: Path, cache: Path) -> None:
    """Raise :class:`BadInput` where pods would not find what the campaign needs."""
    _check_place(spec, folder, "the campaign's folder", f"--out {spec.mount}/NAME")
    check_cache(spec, cache)


def check_cache(spec: KubernetesSpec, cache: Path) -> None:
    """The same of the cache alone."""
    _check_place(spec, cache, "the cache", f"export LEM_CACHE={spec.mount}/cache")


def _check_place(spec: KubernetesSpec, place: Path, what: str, fix: str) -> None:
    path = PurePath(place)
    if not path.is_relative_to(spec.mount) or ".." in path.parts:
        raise BadInput(
            f"{what} is {place}, which pods do not see: they have the claim {spec.claim} "
            f"at {spec.mount}",
            hint=f"where that volume is mounted at {spec.mount}: {fix}",
        )
    if not str(place).isprintable():
        raise BadInput(f"{str(place)!r} holds characters that no manifest may have")


def turns(wanted: Sequence[Sequence[str]], backends: Sequence[str]) -> list[str]:
    """A sequence of backends in which each of ``wanted`` fits: ``backends``, over and over, as
    often as the worst block needs, each turn for as many runs as are next."""
    longest = 1
    for block in wanted:
        at = 0
        for backend in block:
            at += (backends.index(backend) - at) % len(backends)
        longest = max(longest, at + 1)
    return [backends[i % len(backends)] for i in range(longest)]


def _pod(work: Work, spec: KubernetesSpec) -> dict[str, Any]:
    placed = {p.backend: p for p in sorted(work.order.placed, key=lambda p: p.backend)}
    used = {backend for block in work.turns for backend in block} or set(placed)
    several = len(used) > 1
    sequence = turns(work.turns, [b for b in placed if b in used])
    width = len(str(len(sequence)))
    folder = literal(str(work.folder))
    memory = _memory(work, spec)
    cache = Path(work.order.cache)
    written = {work.folder / part: True for part in WRITTEN}
    seen = mounts(spec, {work.folder: False, **written, cache: False, cache / COMPILED: True})

    def made(name: str, backend: str, command: list[str], arguments: list[str]) -> dict[str, Any]:
        image, variables = str(placed[backend].image), _environment(work, spec)
        name = name.replace("_", "-")[:63]
        return container(spec, name, image, command, arguments, variables, seen, memory, spec.gpus)

    # So that every image is on the node before the first run: a pull would be a pause in the block.
    later = dict.fromkeys(b for b in sequence if b != sequence[0])
    pulls = [made(f"pull-{b}", b, ["python3", "-c", "pass"], []) for b in later]
    takes = [
        made(
            f"turn-{i + 1:0{width}}-{backend}" if several else "block",
            backend,
            ["python3", "-m", "lem.campaign.node"],
            [
                *(folder, str(work.order.number), "$(JOB_COMPLETION_INDEX)"),
                *(["--backend", backend] if several else []),
                *(["--goes-on"] if i else []),
            ],
        )
        for i, backend in enumerate(sequence)
    ]
    containers = [*pulls, *takes]
    return pod(spec, containers, memory, spec.time)


def pod(
    spec: KubernetesSpec,
    containers: Sequence[dict[str, Any]],
    memory: int | None,
    time_s: int | None,
) -> dict[str, Any]:
    """A pod of containers that follow one another, shut in as docker's are."""
    optional = {
        "activeDeadlineSeconds": time_s,
        "serviceAccountName": spec.service_account,
        "runtimeClassName": spec.runtime_class,
        "priorityClassName": spec.priority_class,
        "nodeSelector": dict(spec.node_selector) or None,
        "tolerations": [t.model_dump(exclude_none=True) for t in spec.tolerations] or None,
        "imagePullSecrets": [{"name": n} for n in spec.image_pull_secrets] or None,
        "affinity": _whole_boards(spec, containers),
        "initContainers": list(containers[:-1]) or None,
    }
    tmp = TMP_BYTES if memory is None else min(TMP_BYTES, memory // 2)
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": spec.user or NOBODY,
            "runAsGroup": spec.group or NOBODY,
            "fsGroup": spec.group or NOBODY,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **{name: value for name, value in optional.items() if value is not None},
        "containers": list(containers[-1:]),
        "volumes": [
            {"name": "campaign", "persistentVolumeClaim": {"claimName": spec.claim}},
            _in_memory("tmp", tmp),
            _in_memory("shm", min(SHM_BYTES, tmp)),
        ],
    }


def _whole_boards(
    spec: KubernetesSpec, containers: Sequence[dict[str, Any]]
) -> dict[str, Any] | None:
    """No node that gives one NVIDIA board to several pods, by the label that its feature discovery
    writes: what such a board draws is not one pod's. Where nothing writes it, it keeps none off."""
    if not spec.gpus or not spec.gpu_resource.startswith("nvidia.com/"):
        return None
    if not all(spec.gpu_resource in c.get("resources", {}).get("limits", {}) for c in containers):
        return None
    term = {"key": SHARING, "operator": "NotIn", "values": ["mps", "time-slicing"]}
    required = {"nodeSelectorTerms": [{"matchExpressions": [term]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def container(
    spec: KubernetesSpec,
    name: str,
    image: str,
    command: list[str],
    arguments: list[str],
    variables: list[dict[str, Any]],
    seen: list[dict[str, Any]],
    memory: int | None,
    gpus: int,
) -> dict[str, Any]:
    """A container, shut in as docker's are. ``seen``: what it has of the claim."""
    resources: dict[str, str] = {}
    if spec.cpus is not None:
        resources["cpu"] = str(spec.cpus)
    if memory is not None:
        resources["memory"] = str(memory)
    if gpus:
        resources[spec.gpu_resource] = str(gpus)
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "args": arguments,
        # Not the image's own: what an earlier container left there could be imported.
        "workingDir": "/",
        "env": variables,
        **({"resources": {"requests": resources, "limits": dict(resources)}} if resources else {}),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            *seen,
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "shm", "mountPath": "/dev/shm"},
        ],
    }


def mounts(spec: KubernetesSpec, folders: Mapping[Path, bool]) -> list[dict[str, Any]]:
    """Those folders of the claim, and nothing else of it, at their own paths. They have to be
    there: kubelet would make them, as root. Values: whether they may be written to."""
    return [
        {
            "name": "campaign",
            "mountPath": str(path),
            **({"subPath": str(inside)} if (inside := path.relative_to(spec.mount)).parts else {}),
            **({} if writable else {"readOnly": True}),
        }
        for path, writable in sorted(folders.items(), key=lambda f: len(f[0].parts))
    ]


def _environment(work: Work, spec: KubernetesSpec) -> list[dict[str, Any]]:
    fixed = {
        **work.settings,
        "HOME": "/tmp",
        "LEM_CONTAINER": "kubernetes",
        "LEM_POD_JOB": work.name,
        "LEM_POD_GPUS": str(spec.gpus),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
    }
    if spec.cpus is not None:
        fixed["LEM_POD_CPUS"] = str(spec.cpus)
    if (memory := _memory(work, spec)) is not None:
        fixed["LEM_POD_MEMORY_BYTES"] = str(memory)
    if not spec.gpus:
        fixed |= NO_GPU
    fields = {
        "LEM_POD_NAME": "metadata.name",
        "LEM_POD_NODE": "spec.nodeName",
        "LEM_POD_UID": "metadata.uid",
    }
    return [
        *plain(fixed),
        *(
            {"name": n, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
            for n, path in fields.items()
        ),
    ]


def plain(variables: Mapping[str, str]) -> list[dict[str, Any]]:
    """Variables as they are."""
    for name, value in variables.items():
        if not value.isprintable():
            raise BadInput(f"the variable {name} holds characters that no manifest may have")
    return [{"name": n, "value": literal(v)} for n, v in sorted(variables.items())]


def _memory(work: Work, spec: KubernetesSpec) -> int | None:
    return work.memory_bytes if spec.memory is None else spec.memory_bytes


def literal(text: str) -> str:
    """So that kubelet, which puts in what stands in ``$(…)``, reads it as it is."""
    return text.replace("$", "$$")


def _in_memory(name: str, size: int) -> dict[str, Any]:
    return {"name": name, "emptyDir": {"medium": "Memory", "sizeLimit": str(size)}}


def namespaced(name: str, spec: KubernetesSpec) -> dict[str, str]:
    return {"name": name} | ({} if spec.namespace is None else {"namespace": spec.namespace})
