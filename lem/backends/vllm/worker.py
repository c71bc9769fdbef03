"""What only vLLM's workers know: mixed into their class by ``worker_extension_cls``.

Runs in the worker's process, wherever that is, and is asked by name through vLLM's own
``collective_rpc``.
"""

import os
import resource
from typing import Any


class WorkerFacts:
    """Adds one method to vLLM's worker class."""

    def lem_facts(self) -> dict[str, Any]:
        """Attention backends by name, threads, and this process's peak memory. ``pid``: so that
        a process is not counted twice."""
        import torch

        from lem.backends.vllm.arguments import preloaded
        from lem.backends.vllm.facts import resolved

        runner: Any = getattr(self, "model_runner", None)
        groups = getattr(runner, "attn_groups", None) or []
        names = sorted({g.backend.get_name() for group in groups for g in group})
        facts: dict[str, Any] = {
            "pid": os.getpid(),
            "cpu_peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "attention": "+".join(names) or None,
            "torch_threads": torch.get_num_threads(),
            "model_runner": type(runner).__name__,
            "preloaded": preloaded(),
            "kernels": torch.backends.cpu.get_cpu_capability(),
            "gpu_peak_bytes": None,
            "resolved": resolved(getattr(self, "vllm_config", None), os.environ),
        }
        if torch.cuda.is_available():
            facts["gpu_peak_bytes"] = int(torch.cuda.max_memory_allocated())
            facts["cuda"] = torch.version.cuda
        return facts
