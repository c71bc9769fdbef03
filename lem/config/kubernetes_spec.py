"""``launcher: {kind: kubernetes, …}``: how Kubernetes is asked to run a campaign's blocks.

What stands here goes into a Job's manifest: each value has the form that its field has there, so
that none is refused when the images are staged, and none says what lem says itself.
"""

import re
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from lem.contract.base import Part, wrong

DOMAIN = "lem-energy.github.io"
"""Prefix of lem's own labels."""
QUEUE = "kueue.x-k8s.io/queue-name"
NOBODY = 65534
_OWN = {
    QUEUE: "launcher.queue",
    "app.kubernetes.io/name": "lem",
    "app.kubernetes.io/component": "lem, by which its pods are kept off the network",
    "app.kubernetes.io/managed-by": "lem",
    "job-name": "Kubernetes itself",
    "controller-uid": "Kubernetes itself",
}
"""Labels and annotations that a campaign does not set → by what they are set."""
_OWN_PREFIXES = {DOMAIN: "lem, which finds its jobs by it", "batch.kubernetes.io": "Kubernetes"}
_NETWORKS = (
    *("cni.cncf.io", "projectcalico.org", "cilium.io", "ovn.org", "ovn.kubernetes.io", "antrea.io"),
    *("networking.gke.io", "vpc.amazonaws.com", "multus-cni.io", "danm.io"),
    *("istio.io", "linkerd.io", "openservicemesh.io", "consul.hashicorp.com", "kuma.io"),
)
"""Domains of keys by which network plugins and meshes give a pod another network, or a companion
that has one. A NetworkPolicy is about the cluster's first network alone."""
_RIGHTS = (
    *("container.apparmor.security.beta.kubernetes.io", "seccomp.security.alpha.kubernetes.io"),
    *("cdi.k8s.io", "cri-o.io"),
)
"""Domains of keys by which container runtimes give a pod devices, or shut it in less."""
_RUNTIME = "io.kubernetes.cri-o"
"""Begins names of such keys, which have no domain."""
_SYSTEM = frozenset(
    ["bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "proc", "sbin", "sys", "usr"]
)
_SYSTEM_ITSELF = frozenset(["home", "opt", "root", "run", "tmp", "var"])

_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_NAME = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_DNS_LABEL = re.compile(_LABEL)
_DNS_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_QUALIFIED = re.compile(rf"(?:(?P<prefix>{_LABEL}(?:\.{_LABEL})*)/)?{_NAME}")
_VALUE = re.compile(rf"({_NAME})?")
_QUANTITY = re.compile(r"[1-9][0-9]{0,11}(Mi|Gi|Ti)")
_UNITS = {"Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_TIME = re.compile(r"([1-9][0-9]{0,7})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MIN_TIME_S, MAX_TIME_S = 60, 31 * 86400
MIN_MEMORY_BYTES = 2**30


def _label(value: str) -> str:
    if not _DNS_LABEL.fullmatch(value):
        raise wrong("must be a name as Kubernetes has it: small letters, digits and '-', up to 63")
    return value


def _name(value: str) -> str:
    if len(value) > 253 or not _DNS_NAME.fullmatch(value):
        raise wrong("must be a name as Kubernetes has it: small letters, digits, '-' and '.'")
    return value


def _qualified(value: str) -> str:
    found = _QUALIFIED.fullmatch(value)
    if found is None or len(found["prefix"] or "") > 253:
        raise wrong(f"'{value[:80]}' is no key of a label: NAME or example.org/NAME")
    return value


def _value(value: Any) -> Any:
    if not isinstance(value, str):
        raise wrong("must be text: quote it")
    if not _VALUE.fullmatch(value):
        raise wrong("must be a label's value: letters, digits, '-', '_' and '.', up to 63")
    return value


def _note(value: Any) -> Any:
    if not isinstance(value, str):
        raise wrong("must be text: quote it")
    if len(value) > 4096 or not value.isprintable():
        raise wrong("must be one line of at most 4096 characters")
    return value


def _free(value: dict[str, str]) -> dict[str, str]:
    """Refuses keys that somebody else sets."""
    for key in value:
        by = _OWN.get(key) or _OWN_PREFIXES.get(key.rpartition("/")[0])
        if by is not None:
            raise wrong(f"{key} is set by {by}")
        if _is_of(key, _NETWORKS):
            raise wrong(f"{key} may give a measurement's pod a network beside the one it has not")
        if _is_of(key, _RIGHTS) or key.startswith(_RUNTIME):
            raise wrong(f"{key} may give a pod more than its manifest says")
    return value


def _is_of(key: str, domains: tuple[str, ...]) -> bool:
    return f".{key.rpartition('/')[0]}".endswith(tuple(f".{d}" for d in domains))


def _resource(value: str) -> str:
    _qualified(value)
    if "/" not in value:
        raise wrong("must be a device plugin's resource, such as nvidia.com/gpu")
    if "mig-" in value or value.endswith(".shared"):
        raise wrong("parts of a board have no energy of their own: ask for whole ones")
    return value


def _mount(value: str) -> str:
    path = PurePosixPath(value)
    if not value.isprintable() or ":" in value or len(value) > 1000:
        raise wrong("must be a path of plain characters, without ':'")
    if not path.is_absolute() or str(path) != value or ".." in path.parts:
        raise wrong("must be an absolute path without '..', and no '/' at its end")
    first = path.parts[1] if len(path.parts) > 1 else ""
    if not first or first in _SYSTEM or (len(path.parts) == 2 and first in _SYSTEM_ITSELF):
        raise wrong("must be a folder of its own, such as /data: what is there is hidden by it")
    return value


def _memory(value: Any) -> Any:
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        raise wrong("must be an amount as Kubernetes writes it: 64Gi, 512Mi")
    if _bytes(value) < MIN_MEMORY_BYTES:
        raise wrong("must be at least 1Gi")
    return value


def _bytes(quantity: str) -> int:
    return int(quantity[:-2]) * _UNITS[quantity[-2:]]


def _time(value: Any) -> Any:
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise wrong("must be a length of time with its unit, such as 90m or 2h")
    seconds = int(found[1]) * _SECONDS[found[2]]
    if not MIN_TIME_S <= seconds <= MAX_TIME_S:
        raise wrong("must be between a minute and 31 days")
    return seconds


def _whole(low: int, high: int) -> BeforeValidator:
    def check(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise wrong(f"must be a whole number from {low} to {high}")
        return value

    return BeforeValidator(check)


Label = Annotated[str, AfterValidator(_label)]
Name = Annotated[str, AfterValidator(_name)]
Key = Annotated[str, AfterValidator(_qualified)]
LabelValue = Annotated[str, BeforeValidator(_value)]
Labels = Annotated[dict[Key, LabelValue], Field(max_length=50)]
UserId = Annotated[int, _whole(1, 2**31 - 1)]


class Toleration(Part):
    """A taint of nodes that is no hindrance. The names are Kubernetes' own."""

    key: Key | None = None
    operator: Literal["Equal", "Exists"] = "Equal"
    value: LabelValue | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None

    @model_validator(mode="after")
    def _fits(self) -> "Toleration":
        if self.operator == "Equal" and self.key is None:
            raise wrong("needs a key, or operator: Exists")
        if self.operator == "Exists" and self.value is not None:
            raise wrong("takes no value where operator is Exists")
        return self


class KubernetesSpec(Part):
    """What a block's pod is given."""

    kind: Literal["kubernetes"]
    container: ClassVar[str] = "pod"
    """The launcher that starts the agent there."""
    blocks_per_job: ClassVar[int] = 1
    claim: Name
    """The PersistentVolumeClaim on which the campaign's folder and ``LEM_CACHE`` lie."""
    mount: Annotated[str, AfterValidator(_mount)]
    """Where the claim is mounted: in pods, and where the campaign is submitted."""
    namespace: Label | None = None
    """Not given: that of the context."""
    context: Annotated[str, Field(min_length=1, max_length=253), BeforeValidator(_note)] | None = (
        None
    )
    """Of the kubeconfig; not given: the current one, or the pod's own account in a cluster."""
    gpus: Annotated[int, _whole(0, 64)] = 0
    """How many GPUs a block is given."""
    gpu_resource: Annotated[str, AfterValidator(_resource)] = "nvidia.com/gpu"
    cpus: Annotated[int, _whole(1, 4096)] | None = None
    """Requested, and its limit."""
    memory: Annotated[str, BeforeValidator(_memory)] | None = None
    """Requested, and its limit; not given: the campaign's ``limits.memory_bytes``."""
    tolerations: Annotated[list[Toleration], Field(max_length=50)] = []
    node_selector: Labels = {}
    runtime_class: Name | None = None
    priority_class: Name | None = None
    queue: Name | None = None
    """Kueue's local queue."""
    labels: Annotated[Labels, AfterValidator(_free)] = {}
    annotations: Annotated[
        dict[Key, Annotated[str, BeforeValidator(_note)]],
        Field(max_length=50),
        AfterValidator(_free),
    ] = {}
    service_account: Name | None = None
    image_pull_secrets: Annotated[list[Name], Field(max_length=20)] = []
    user: UserId | None = None
    group: UserId | None = None
    """Whom pods run as, and whose the claim's files are to be (``fsGroup``); not given: whoever
    submits, and where that is root an unprivileged user."""
    hub_secret: Name | None = None
    """A Secret whose key ``HF_TOKEN`` is for the model hub, where models are prepared in the
    cluster."""
    time: Annotated[int, BeforeValidator(_time)] | None = None
    """Limit of one block, in seconds."""

    def for_user(self, uid: int, gid: int) -> "KubernetesSpec":
        """With what is not given taken from who submits."""
        user = self.user or uid or NOBODY
        return self.model_copy(
            update={"user": user, "group": self.group or (gid if uid else 0) or NOBODY}
        )

    @property
    def memory_bytes(self) -> int | None:
        return None if self.memory is None else _bytes(self.memory)
