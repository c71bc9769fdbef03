"""An order as Kubernetes is given it."""

from pathlib import Path
from typing import Any

from lem.clusters.protocol import Work
from lem.config.kubernetes_spec import KubernetesSpec, Toleration
from lem.contract.order import Order, Placed
from lem.contract.stage import Described

DIGEST = "sha256:" + "0123456789abcdef" * 4


def spec(**changes: Any) -> KubernetesSpec:
    return KubernetesSpec.model_validate(
        {"kind": "kubernetes", "claim": "campaigns", "mount": "/data"} | changes
    )


def full() -> KubernetesSpec:
    return spec(
        namespace="energy",
        context="production",
        gpus=2,
        cpus=16,
        memory="128Gi",
        tolerations=[Toleration(key="nvidia.com/gpu", operator="Exists", effect="NoSchedule")],
        node_selector={"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"},
        runtime_class="nvidia",
        priority_class="batch-low",
        queue="research",
        labels={"kueue.x-k8s.io/priority-class": "low", "team": "energy"},
        annotations={"example.org/contact": "ada@example.org"},
        service_account="measurement",
        image_pull_secrets=["registry"],
        user=1000,
        group=1000,
        time="2h",
    )


def placed(backend: str) -> Placed:
    return Placed(
        launcher="pod",
        backend=backend,
        image=f"registry.example.org/lem/{backend}@{DIGEST}",
        digest=DIGEST,
        described=Described(
            contract_version=1,
            lem_version="0.1.0",
            backend=backend,
            engine_version="1.0",
            libraries={},
        ),
    )


def work(
    folder: str = "/data/results/precision",
    turns: tuple[tuple[str, ...], ...] = (("vllm", "vllm"),) * 12,
    cache: str = "/data/cache",
    at_once: int | None = 4,
) -> Work:
    order = Order(
        contract_version=1,
        number=1,
        campaign_digest="0" * 64,
        blocks=list(range(12)),
        blocks_per_job=1,
        gpus=2,
        placed=[placed(b) for b in sorted({b for block in turns for b in block})],
        cache=cache,
    )
    return Work(
        folder=Path(folder),
        name="lem-0123456789abcdef-1",
        order=order,
        at_once=at_once,
        memory_bytes=None,
        variables={"PATH": "/usr/bin", "HOME": "/home/ada", "PYTHONPATH": "/home/ada/lem"},
        settings={"OMP_NUM_THREADS": "8"},
        turns=turns,
    )
