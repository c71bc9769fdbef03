"""An example campaign made small enough for a test: what it asks stays."""

from typing import Any

from lem.config import PRESETS

FASTER = 20
"""Windows and rests are so many times shorter, and requests come so many times faster."""
LEAST_S = 0.3
OUTPUT_TOKENS = 8
QUESTIONS = 6


def shrunk(
    spec: dict[str, Any], model: dict[str, Any], launcher: str, blocks: int
) -> dict[str, Any]:
    """The campaign with ``model`` in place of its own (unless that is made from nothing), the ends
    of each swept axis, ``blocks`` short blocks, and few, short requests.

    Sampler, arrivals, data sets, objectives, quality, accuracy and what is compared with what are
    the file's own. ``launcher`` holds where the file does not compare launchers.
    """
    workload = spec["workload"]
    small = {
        **spec,
        "models": [m if "synthetic" in m else model for m in spec["models"]],
        "sweep": {path: _ends(path, values) for path, values in spec.get("sweep", {}).items()},
        "workload": {**workload, "requests": 32, **_shortened(workload)},
        "measure": _measure(spec["measure"], blocks),
    }
    if "llama_cpp" in spec["backends"]:
        # Several wait for each other by spinning, which takes long where others work, too.
        small["engine"] = {"threads": 1, **(spec.get("engine") or {})}
    if "baseline" in spec:
        small["baseline"] = {path: _faster(path, v) for path, v in spec["baseline"].items()}
    if "launcher" not in small["sweep"]:
        small["launcher"] = launcher
    if "vllm" in spec["backends"]:
        # Compiling takes minutes, and is the engine's to test.
        small["backends"] = {**spec["backends"], "vllm": {"args": {"enforce_eager": True}}}
    return small


def _ends(path: str, values: list[Any]) -> list[Any]:
    kept = values if len(values) < 2 else [values[0], values[-1]]
    return [_faster(path, v) for v in kept]


def _faster(path: str, value: Any) -> Any:
    return value * FASTER if path == "workload.arrival.rate" else value


def _shortened(workload: dict[str, Any]) -> dict[str, Any]:
    dataset, arrival = workload["dataset"], workload.get("arrival", {})
    found: dict[str, Any] = {}
    if isinstance(dataset.get("output_tokens"), int):
        found["dataset"] = {**dataset, "output_tokens": OUTPUT_TOKENS}
    if isinstance(arrival.get("rate"), int | float):
        found["arrival"] = {**arrival, "rate": arrival["rate"] * FASTER}
    return found


def _measure(measure: dict[str, Any], blocks: int) -> dict[str, Any]:
    """A fixed number of blocks takes the place of what the file has the pilot aim for."""
    kept = {k: v for k, v in measure.items() if k not in ("precision", "max_blocks", "time_budget")}
    preset = PRESETS[measure["preset"]]
    lengths = {
        name: max(measure.get(name, getattr(preset, name)) / FASTER, LEAST_S)
        for name in ("window_s", "idle_s", "warm_up_cap_s")
    }
    if "accuracy" in kept:
        kept["accuracy"] = {**kept["accuracy"], "limit": QUESTIONS}
    return {**kept, **lengths, "settle_s": 0, "windows": 1, "blocks": blocks}
