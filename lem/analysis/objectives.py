"""What each arm costs beside the baseline, by the objectives that a choice is judged by. Pure."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from lem.analysis.answering import apart
from lem.analysis.quantities import CPU_TIME, ENERGY, ESTIMATED, common_classes
from lem.contract.objectives import NLL, Objective, objective
from lem.errors import BadInput
from lem.stores.counted import counted
from lem.stores.rows import Row

Key = tuple[str, str]
"""A metric and its part."""

GOODPUT: Key = ("goodput_per_s", "")
PER_GOOD = "energy_per_good_request_j"
"""A run that had no good request has no such figure."""


def key_of(wanted: Objective, rows: Sequence[Row]) -> Key:
    """Which figure stands for an objective in these runs.

    Of several device classes it is the first that every run has from the same meters: GPU, module,
    node, CPU, memory. Where energy is only estimated it is CPU time, which the estimate is made of.
    Raises :class:`BadInput` where no figure will do.
    """
    if wanted.part is not None:
        return wanted.metric, wanted.part
    runs = [
        {c: r.meters.get(c, "") for c in r.metrics.get(wanted.metric, {})}
        for r in rows
        if not (wanted.metric == PER_GOOD and _is_zero(r, *GOODPUT))
    ]
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
    metrics = {objective(n).metric for n in names}
    return sorted({CPU_TIME, *metrics, *([GOODPUT[0]] if PER_GOOD in metrics else [])})


def got_nothing(rows: Iterable[Row], wanted: Objective, key: Key) -> dict[str, int]:
    """Arm → in how many of its blocks there was nothing of what is to be raised, such as no
    goodput: there is no logarithm of 0, and without these blocks the arm would look better than
    it is. Of the energy of good requests: in how many there was none. ``rows``: those that count.
    """
    if wanted.metric == PER_GOOD:
        key = GOODPUT
    elif not wanted.higher_is_better:
        return {}
    return dict(Counter(r.outcome.arm_id for r in rows if _is_zero(r, *key)))


def _is_zero(row: Row, metric: str, part: str) -> bool:
    figure = row.metrics.get(metric, {}).get(part)
    return figure is not None and figure.value <= 0


def with_nothing(rows: Sequence[Row], names: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Arm → in how many blocks it had nothing of an objective, and of which; see
    :func:`got_nothing`. Raises as :func:`key_of`."""
    used = _used(rows)
    found: dict[str, tuple[int, str]] = {}
    for wanted in map(objective, names) if used else ():
        for arm, blocks in got_nothing(used, wanted, key_of(wanted, used)).items():
            found[arm] = max(found.get(arm, (0, "")), (blocks, _what(wanted)))
    return found


def _what(wanted: Objective) -> str:
    return GOODPUT[0] if wanted.metric == PER_GOOD else wanted.metric


def _used(rows: Sequence[Row]) -> list[Row]:
    counting = {o.path for o in counted(r.outcome for r in rows)}
    return [r for r in rows if r.outcome.path in counting]


def costs(
    arms: Sequence[str], baseline: str, rows: Sequence[Row], names: Sequence[str]
) -> dict[str, tuple[float, ...] | None]:
    """Arm → its costs beside the baseline, all to be lowered; None where a figure is missing or no
    logarithm can be taken of it.

    Each is the mean over blocks of the within-block logarithm of arm ÷ baseline (with the sign
    turned where more is better), so that what drifts between blocks drops out; of the NLL, which is
    a logarithm already, the difference. An arm that got nothing in some block (:func:`got_nothing`)
    costs more than any that did not, in everything, the more the more such blocks it has: what it
    saves by not doing the work is no saving. Raises :class:`BadInput` where runs count, but none
    has a figure for an objective, or it is not of the same thing in all of them
    (:func:`lem.analysis.answering.apart`).
    """
    used = _used(rows)
    if not used:
        return dict.fromkeys(arms)
    nothing = with_nothing(used, names)
    blocks = Counter(r.outcome.arm_id for r in used)
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
                hint="name other `objectives` under `sampler`, or a baseline that has some",
            )
        for arm in arms:
            if arm in one:
                found[arm].append(-one[arm] if wanted.higher_is_better else one[arm])
    paid = {a: tuple(v) if len(v) == len(names) else None for a, v in found.items()}
    known = [v for a, v in paid.items() if v is not None and a not in nothing]
    worst = [max((v[i] for v in known), default=0.0) for i in range(len(names))]
    for arm in nothing.keys() & paid.keys():
        beyond = 1 + nothing[arm][0] / blocks[arm]
        paid[arm] = tuple(w + beyond for w in worst)
    return paid


def _beside(rows: Sequence[Row], baseline: str, key: Key, is_log: bool) -> dict[str, float]:
    """Arm → mean over common blocks of its logarithm less the baseline's; without arms of which a
    run that counts has none."""
    table: Mapping[str, dict[int, float]] = defaultdict(dict)
    lacking = set()
    for r in rows:
        figure = r.metrics.get(key[0], {}).get(key[1])
        if figure is not None and (is_log or figure.value > 0):
            value = figure.value if is_log else math.log(figure.value)
            table[r.outcome.arm_id][r.outcome.block] = value
        elif r.outcome.arm_id != baseline:
            lacking.add(r.outcome.arm_id)
    base = table[baseline]
    return {
        arm: fmean(own[b] - base[b] for b in own.keys() & base.keys())
        for arm, own in table.items()
        if arm not in lacking and own.keys() & base.keys()
    }
