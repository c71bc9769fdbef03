"""What both ways of batching in transformers say of the model."""

import os
import resource
from typing import Any

from lem.contract.base import Scalar


def facts_of(model: Any, device: str) -> dict[str, Scalar]:
    """Device, dtype, attention kernel, threads, peak memory."""
    import torch

    quantization = getattr(model.config, "quantization_config", None)
    method = getattr(quantization, "quant_method", None)
    facts: dict[str, Scalar] = {
        "device": device,
        "dtype": str(model.dtype).removeprefix("torch."),
        "attention": str(getattr(model.config, "_attn_implementation", "unknown")),
        "quantization": None if method is None else str(getattr(method, "value", method)),
        "torch_threads": torch.get_num_threads(),
        "torch_interop_threads": torch.get_num_interop_threads(),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "parameters": int(sum(p.numel() for p in model.parameters())),
        "peak_memory_bytes.cpu": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    if device == "cuda":
        facts["cuda"] = torch.version.cuda
        facts["matmul_tf32"] = torch.backends.cuda.matmul.allow_tf32
        facts["peak_memory_bytes.gpu"] = sum(
            torch.cuda.max_memory_allocated(i) for i in range(torch.cuda.device_count())
        )
    return facts
