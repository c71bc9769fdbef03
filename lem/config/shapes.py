"""Input and output lengths of random requests in one word: ``shape: 512/256``."""

import re
from typing import Any

from lem.config.yaml_source import KeyPath

_LENGTHS = ("input_tokens", "output_tokens")
_SHAPE = re.compile(r"([1-9][0-9]{0,7})/([1-9][0-9]{0,7})")


def shape_problems(workload: Any) -> list[tuple[KeyPath, str]]:
    """What is wrong with the ``shape`` of a workload's dataset, where it has one."""
    dataset = workload.get("dataset") if isinstance(workload, dict) else None
    if not isinstance(dataset, dict) or "shape" not in dataset:
        return []
    at: KeyPath = ("dataset", "shape")
    kind, shape = dataset.get("kind", "random"), dataset["shape"]
    if kind != "random":
        return [(at, f"is not a key of kind {kind}; it belongs to kind random")]
    if not isinstance(shape, str) or not _SHAPE.fullmatch(shape):
        return [(at, "must be IN/OUT in tokens, such as 128/128, 512/256, 2048/512 or 8192/1024")]
    twice = [k for k in _LENGTHS if k in dataset]
    return [(at, f"says the same as {' and '.join(twice)}; keep one of them")] if twice else []


def with_lengths(workload: Any) -> Any:
    """A workload as written, ``shape: 512/256`` spelled out as lengths. One that is wrong
    (:func:`shape_problems`) is left out."""
    dataset = workload.get("dataset") if isinstance(workload, dict) else None
    if not isinstance(dataset, dict) or "shape" not in dataset:
        return workload
    rest = {k: v for k, v in dataset.items() if k != "shape"}
    if not shape_problems(workload):
        rest |= dict(zip(_LENGTHS, map(int, str(dataset["shape"]).split("/")), strict=True))
    return {**workload, "dataset": rest}
