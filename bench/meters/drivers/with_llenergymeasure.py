"""LLenergyMeasure: the sampler that it chooses, around each piece of work, as its harness does
(``llenergymeasure.energy``: start_tracking, work, stop_tracking).

``auto`` prefers Zeus where that is installed; ``nvml`` is what a plain installation has. Zeus then
wants PyTorch to wait for the GPU. Nothing runs on the played one, so a stand-in answers at once.
"""

import sys
import types
from typing import Any

import work


def measure(trial: dict[str, Any], do: work.Work) -> tuple[float | None, None, list[str]]:
    if "rapl" in trial:
        raise work.NotRead("RAPL")
    from llenergymeasure.energy import select_energy_sampler

    sampler = select_energy_sampler(which, gpu_indices=[0])
    if sampler is None:
        return None, None, ["no sampler"]
    tracker = sampler.start_tracking()
    do()
    return sampler.stop_tracking(tracker).total_j, None, [sampler.name]


if __name__ == "__main__":
    which = sys.argv[1]
    torch = types.ModuleType("torch")
    torch.cuda = types.SimpleNamespace(  # type: ignore[attr-defined]
        is_available=lambda: True, synchronize=lambda *_: None
    )
    torch.Tensor = type("Tensor", (), {})  # type: ignore[attr-defined]
    sys.modules["torch"] = torch
    work.serve(measure, name=f"LLenergyMeasure ({which})", version=work.version("llenergymeasure"))
