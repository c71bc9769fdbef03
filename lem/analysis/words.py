"""A comparison in plain words: what the intervals say, and no more."""

import math

from lem.analysis.comparison import ArmResult, Comparison, Quantity
from lem.stats import RatioEstimate


def sentences(comparison: Comparison) -> list[str]:
    """For each quantity: the arm that saves most, the one that costs most, and those of which the
    blocks so far cannot tell."""
    return [s for q in comparison.quantities for s in _of_quantity(comparison, q)]


def _of_quantity(comparison: Comparison, quantity: Quantity) -> list[str]:
    baseline = comparison.baseline_name
    known = [(a, a.ratios[quantity.key]) for a in comparison.arms if quantity.key in a.ratios]
    if not known:
        return [f"Nothing to compare yet: no block has both {baseline} and another arm."]
    less = [(a, r) for a, r in known if r.high is not None and r.high < 1]
    more = [(a, r) for a, r in known if r.low is not None and r.low > 1]
    open_ = [
        (a, r)
        for a, r in known
        if r.low is not None and r.high is not None and r.low <= 1 <= r.high
    ]
    none = [(a, r) for a, r in known if r.low is None]
    said = []
    if less:
        said.append(_told(*min(less, key=lambda x: x[1].ratio), baseline, quantity))
    if more:
        said.append(_told(*max(more, key=lambda x: x[1].ratio), baseline, quantity))
    if quantity.better == "higher":
        said.reverse()
    said += [_cannot_tell(a, r, baseline, quantity) for a, r in open_[:2]]
    if len(open_) > 2:
        said.append(f"Nor can it be told yet of {len(open_) - 2} more.")
    if none and not said:
        said.append(_without_interval(none, baseline, quantity))
    return said


def _told(arm: ArmResult, ratio: RatioEstimate, baseline: str, quantity: Quantity) -> str:
    verb = "has" if quantity.better == "higher" else "uses"
    return (
        f"{_begin(arm.name)} {verb} {_change(ratio, quantity.noun, baseline)}"
        f" ({_span(ratio)}, {blocks(ratio.n)})."
    )


def _cannot_tell(arm: ArmResult, ratio: RatioEstimate, baseline: str, quantity: Quantity) -> str:
    return (
        f"Can't tell yet whether {arm.name} differs from {baseline} in {quantity.noun}:"
        f" {_span(ratio)} ({blocks(ratio.n)})."
    )


def _without_interval(
    arms: list[tuple[ArmResult, RatioEstimate]], baseline: str, quantity: Quantity
) -> str:
    best = min if quantity.better == "lower" else max
    arm, ratio = best(arms, key=lambda x: x[1].ratio)
    change = _change(ratio, quantity.noun, baseline)
    return f"So far {arm.name} uses {change} ({blocks(ratio.n)}); no interval: {ratio.reason}."


def _change(ratio: RatioEstimate, noun: str, baseline: str) -> str:
    """``72 % less energy than …``, ``8 % more …``, ``2.6 times as much … as …``."""
    value = ratio.ratio
    if value >= 2:
        return f"{_times(value, ratio)} times as much {noun} as {baseline}"
    direction = "less" if value < 1 else "more"
    return f"{_percent(value, ratio)} % {direction} {noun} than {baseline}"


def _span(ratio: RatioEstimate) -> str:
    low, high = ratio.low, ratio.high
    assert low is not None and high is not None
    if ratio.ratio >= 2 and low > 1:
        return f"{_times(low, ratio)} to {_times(high, ratio)} times"
    if high < 1:
        return f"{_percent(high, ratio)} to {_percent(low, ratio)} % less"
    if low > 1:
        return f"{_percent(low, ratio)} to {_percent(high, ratio)} % more"
    upper = f"{_percent(high, ratio)} % more"
    if high >= 10:
        upper = f"{high:.3g} times as much"
    return f"anything from {_percent(low, ratio)} % less to {upper}"


def _percent(value: float, ratio: RatioEstimate) -> str:
    """How far ``value`` is from 1, in percent, with the digits that the interval supports."""
    half = (ratio.high - ratio.low) / 2 if ratio.high is not None and ratio.low is not None else 0.1
    decimals = min(3, max(0, math.ceil(-math.log10(max(100 * half, 1e-6)))))
    percent = abs(value - 1) * 100
    text = f"{percent:.{decimals}f}"
    # 99.96 % must not read as 100 % less.
    while value < 1 and float(text) >= 100 and decimals < 6:
        decimals += 1
        text = f"{percent:.{decimals}f}"
    return text


def _times(value: float, ratio: RatioEstimate) -> str:
    half = (ratio.high - ratio.low) / 2 if ratio.high is not None and ratio.low is not None else 1
    decimals = min(3, max(0, 1 - math.floor(math.log10(max(half, 1e-6)))))
    return f"{value:.{min(decimals, 2)}f}"


def _begin(name: str) -> str:
    """A sentence's first word, capitalised unless it is a name of its own (``llama_cpp``)."""
    own = ("batch size", "concurrency", "input tokens", "output tokens", "context length")
    return name[0].upper() + name[1:] if name.startswith(own) else name


def blocks(n: int) -> str:
    return "1 block" if n == 1 else f"{n} blocks"
