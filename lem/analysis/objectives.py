"""What each arm costs beside the baseline, by the objectives that a choice is judged by. Pure."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean

from lem.analysis.answering import apart
from lem.analysis.quantities import CPU_TIME, ENERGY, ESTIMATED, common_classes
from lem.contract.objectives import NLL, Objective, objective
from lem.errors import BadInput
from lem.stores.counted import counted
from lem.stores.index import Row

Key = tuple[str, str]
"""A metric and its part."""


def key_of(wanted: Objective, rows: Sequence[Row]) -> Key:
    """Which figure stands for an objective in these runs.

    Of several device classes it is the first that every run has from the same meters: GPU, module,
    node, CPU, memory. Where energy is only estimated it is CPU time, which the estimate is made of.
    Raises :class:`BadInput` where no figure will do.
    """
    if wanted.part is not None:
        return wanted.metric, wanted.part
    runs = [{c: r.meters.get(c, "") for c in r.metrics.get(wanted.metric, {})} for r in rows]
    common, left_out = common_classes(runs)
    measured = [c for c in common if c != ESTIMATED]
    if measured:
        return wanted.metric, measured[0]
    if wanted.metric == ENERGY and common:
        return CPU_TIME, ""
    why = "; ".join(left_out) or "no run has it"
    raise BadInput(f"{wanted.metric} cannot be compared over all runs: {why}")


def needed_for(names: Sequence[str]) -> list[str]:
    """The metrics to read for these objectives."""
    return sorted({CPU_TIME, *(objective(n).metric for n in names)})


def costs(
    arms: Sequence[str], baseline: str, rows: Sequence[Row], names: Sequence[str]
) -> dict[str, tuple[float, ...] | None]:
    """Arm → its costs beside the baseline, all to be lowered; None where a figure is missing.

    Each is the mean over blocks of the within-block logarithm of arm ÷ baseline (with the sign
    turned where more is better), so that what drifts between blocks drops out; of the NLL, which is
    a logarithm already, the difference. Raises :class:`BadInput` where runs count, but none has a
    figure for an objective, or it is not of the same thing in all of them
    (:func:`lem.analysis.answering.apart`).
    """
    counting = {o.path for o in counted(r.outcome for r in rows)}
    used = [r for r in rows if r.outcome.path in counting]
    if not used:
        return dict.fromkeys(arms)
    found: dict[str, list[float]] = {a: [] for a in arms}
    for wanted in map(objective, names):
        if why := apart(used, wanted.metric):
            kept = (
                "models of one tokenizer" if wanted.metric == NLL else "backends that answer alike"
            )
            raise BadInput(
                f"experiments can't be chosen by {wanted.name}: {why}",
                hint=f"name other `objectives` under `sampler`, or sweep only {kept}",
            )
        one = _beside(used, baseline, key_of(wanted, used), wanted.metric == NLL)
        if not one:
            raise BadInput(
                f"no run has {wanted.metric} beside the baseline's, so nothing can be chosen by it",
                hint="name other `objectives` under `sampler`",
            )
        for arm in arms:
            if arm in one:
                found[arm].append(-one[arm] if wanted.higher_is_better else one[arm])
    return {a: tuple(v) if len(v) == len(names) else None for a, v in found.items()}


def _beside(rows: Sequence[Row], baseline: str, key: Key, is_log: bool) -> dict[str, float]:
    """Arm → mean over common blocks of its logarithm less the baseline's."""
    table: Mapping[str, dict[int, float]] = defaultdict(dict)
    for r in rows:
        figure = r.metrics.get(key[0], {}).get(key[1])
        if figure is not None and (is_log or figure.value > 0):
            value = figure.value if is_log else math.log(figure.value)
            table[r.outcome.arm_id][r.outcome.block] = value
    base = table[baseline]
    return {
        arm: fmean(own[b] - base[b] for b in own.keys() & base.keys())
        for arm, own in table.items()
        if own.keys() & base.keys()
    }
