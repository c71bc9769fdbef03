"""Names of arms: short, readable, different for each; and how a person selects one."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lem.analysis.comparison import ArmInfo
from lem.contract.base import Scalar
from lem.contract.lock import Lock
from lem.contract.record import Record
from lem.errors import BadInput

_WORDS = {
    "engine.max_batch_size": "batch size",
    "engine.max_model_len": "context length",
    "engine.tensor_parallel_size": "tensor parallel",
    "workload.arrival.concurrency": "concurrency",
    "workload.dataset.input_tokens": "input tokens",
    "workload.dataset.output_tokens": "output tokens",
    "model.id": "model",
    "engine.dtype": "precision",
    "engine.quantization": "quantisation",
    "workload.arrival.rate": "rate (requests/s)",
    "device.power_limit_w": "power limit (W)",
    "device.sm_clock_mhz": "SM clock (MHz)",
}
OF_ENGINES = ("engine.", "args.", "generate.")
"""Settings that engines have defaults of."""
_BARE = ("model.id", "backend", "launcher", "engine.dtype", "engine.quantization")
"""Paths whose value needs no name beside it."""
_FIRST = ("model.id", "backend")
_CONSEQUENCES = ("model.content", "model.revision", "model.weights", "engine_version")
"""Follow from other settings (or from time), so they name an arm only where nothing else does."""


def arms_of_lock(lock: Lock) -> list[ArmInfo]:
    return [
        ArmInfo(
            arm_id=a.arm_id,
            experiment_id=a.experiment_id,
            label=a.label,
            settings=a.settings,
            paths={**flat(a.experiment.model_dump()), "launcher": a.launcher, **a.settings},
        )
        for a in lock.arms
    ]


def arms_of_records(records: Mapping[str, Record]) -> list[ArmInfo]:
    """Arms where there is no lock file: named by the settings in which they differ.
    ``records``: arm id → one record of it."""
    paths = {
        arm_id: {**flat(r.experiment.model_dump()), "launcher": r.environment.launcher}
        for arm_id, r in records.items()
    }
    swept = [p for p in _differing(list(paths.values())) if p not in _CONSEQUENCES]
    arms = []
    for arm_id, record in records.items():
        settings = {p: paths[arm_id][p] for p in swept if p in paths[arm_id]}
        label = ", ".join(f"{p}={v}" for p, v in settings.items()) or record.experiment.backend
        arms.append(ArmInfo(arm_id, record.experiment_id, label, settings, paths[arm_id]))
    return arms


def flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Scalar]:
    """Nested mappings as experiment path → scalar; lists as JSON text."""
    paths: dict[str, Scalar] = {}
    for key, inner in value.items():
        path = f"{prefix}{key}"
        if isinstance(inner, Mapping):
            paths.update(flat(inner, f"{path}."))
        elif isinstance(inner, list | tuple):
            paths[path] = json.dumps(inner)
        else:
            paths[path] = inner
    return paths


def readable_names(arms: Sequence[ArmInfo]) -> dict[str, str]:
    """Arm id → name, from the settings in which the arms differ. Where those do not tell all arms
    apart, the labels do, and where even they do not, a number is added."""
    swept = {p for a in arms for p in a.settings} | {*_FIRST, "launcher"}
    telling = [p for p in _differing([a.paths for a in arms]) if p in swept]
    names = {a.arm_id: _name(a, telling) for a in arms}
    if len(set(names.values())) < len(arms) or "" in names.values():
        names = {a.arm_id: a.label for a in arms}
    if len(set(names.values())) < len(arms):
        names = {a.arm_id: f"{a.label} [{n}]" for n, a in enumerate(arms, 1)}
    return names


def find_arm(arms: Sequence[ArmInfo], wanted: str) -> ArmInfo:
    """The one arm that ``wanted`` names: an id (or its beginning), a label or readable name, or
    ``path=value[,path=value…]``. Raises :class:`BadInput` where it is none or several."""
    names = readable_names(arms)
    exact = [a for a in arms if wanted in (a.arm_id, a.experiment_id, a.label, names[a.arm_id])]
    found = exact or [a for a in arms if len(wanted) >= 4 and a.arm_id.startswith(wanted)]
    if not found and "=" in wanted:
        found = [a for a in arms if matches(a, wanted)]
    if len(found) == 1:
        return found[0]
    known = "\n".join(f"    {a.arm_id[:12]}  {names[a.arm_id]}" for a in arms[:20])
    problem = "matches no arm" if not found else f"matches {len(found)} arms"
    raise BadInput(
        f"{wanted!r} {problem}; this campaign has\n{known}",
        hint="name one by its name, its id (or the beginning of it), or path=value[,path=value]",
    )


def matches(arm: ArmInfo, selector: str) -> bool:
    if selector == arm.label:
        return True
    for part in selector.split(","):
        path, _, text = part.strip().partition("=")
        if path not in arm.paths or not _same(arm.paths[path], text):
            return False
    return True


def _same(value: Scalar, text: str) -> bool:
    try:
        wanted = json.loads(text)
    except (ValueError, RecursionError):
        wanted = text
    # In Python True equals 1; in a campaign it does not.
    alike = value == wanted and isinstance(value, bool) == isinstance(wanted, bool)
    return alike or str(value) == text


def _differing(paths: Sequence[Mapping[str, Scalar]]) -> list[str]:
    """Paths that do not have the same value everywhere, the telling ones first."""
    order = dict.fromkeys([*_FIRST, *(p for one in paths for p in one)])
    # In Python True equals 1; in a campaign it does not.
    return [p for p in order if len({(type(v), v) for v in (one.get(p) for one in paths)}) > 1]


def _name(arm: ArmInfo, telling: Sequence[str]) -> str:
    first = [str(arm.paths[p]) for p in telling if p in _FIRST and p in arm.paths]
    rest = [words(p, arm.paths[p]) for p in telling if p not in _FIRST and p in arm.paths]
    return " with ".join(part for part in (" on ".join(first), ", ".join(rest)) if part)


def words(path: str, value: Scalar) -> str:
    """``batch size 4``; ``default batch size`` where it is left to the engine."""
    if value is None and path.startswith(OF_ENGINES):
        return f"default {noun(path).partition(' (')[0]}"
    if path in _BARE:
        return "none" if value is None else str(value)
    if isinstance(value, bool):
        return f"{noun(path)} {'on' if value else 'off'}"
    name, bracket, unit = noun(path).partition(" (")
    if value is None:
        return f"{name} unset"
    if isinstance(value, float) and value.is_integer():
        value = f"{value:g}"
    return f"{name} {value} {unit.removesuffix(')')}" if bracket else f"{name} {value}"


def noun(path: str) -> str:
    """What a path is called in a sentence."""
    return _WORDS.get(path, path.rpartition(".")[2].replace("_", " "))
