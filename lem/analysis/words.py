"""A comparison in plain words: what the intervals say, and no more."""

import math
from collections.abc import Callable

from lem.analysis.comparison import ArmResult, Comparison
from lem.analysis.quality_words import about_answers
from lem.analysis.quantities import Quantity
from lem.stats import RatioEstimate, Verdict

MOST = 6
"""Up to so many arms beside the baseline have a sentence each; of more, those that say most."""


def sentences(comparison: Comparison) -> list[str]:
    """For each quantity what is known of every arm; of many arms the one that saves most, the one
    that costs most, and those of which the blocks so far cannot tell."""
    return [s for q in comparison.quantities for s in _of_quantity(comparison, q)]


def _of_quantity(comparison: Comparison, quantity: Quantity) -> list[str]:
    arms = [a for a in comparison.arms if quantity.key in a.ratios]
    if not arms:
        return [
            f"Nothing to compare yet: no block has both {comparison.baseline_name} and another arm."
        ]
    if len(arms) <= MOST:
        return [sentence(comparison, a, quantity) for a in arms]
    chosen = _telling(arms, quantity)
    rest = len(arms) - len(chosen)
    said = [sentence(comparison, a, quantity) for a in chosen]
    return [
        *said,
        f"The table has the other {rest} arms." if rest > 1 else "The table has one more.",
    ]


def _telling(arms: list[ArmResult], quantity: Quantity) -> list[ArmResult]:
    key = quantity.key
    by = {
        says: [a for a in arms if a.verdicts[key].says == says and a.ratios[key].low is not None]
        for says in ("less", "more", "same", "cannot_tell")
    }
    ends = [
        *(min(by["less"], key=lambda a: a.ratios[key].ratio, default=None),),
        *(max(by["more"], key=lambda a: a.ratios[key].ratio, default=None),),
    ]
    found = [a for a in ends if a is not None]
    if quantity.better == "higher":
        found.reverse()
    return [*found, *by["same"][:1], *by["cannot_tell"][:2]] or arms[:1]


def sentence(comparison: Comparison, arm: ArmResult, quantity: Quantity) -> str:
    """What is known of one arm in one quantity, and of its answers where they are worse."""
    said = _sentence(comparison, arm, quantity)
    answers = "" if comparison.quality_ignored else about_answers(comparison, arm)
    if not answers:
        return said
    ratio, says = arm.ratios[quantity.key], arm.verdicts[quantity.key].says
    if says == "cannot_tell" or ratio.low is None:
        return f"{said} {answers[0].upper()}{answers[1:]}."
    costs = (ratio.ratio > 1) == (quantity.better == "lower") and says != "same"
    return f"{said.removesuffix('.')}, {'and' if costs else 'but'} {answers}."


def _sentence(comparison: Comparison, arm: ArmResult, quantity: Quantity) -> str:
    ratio, verdict = arm.ratios[quantity.key], arm.verdicts[quantity.key]
    baseline = comparison.baseline_name
    if ratio.low is None:
        change = _change(ratio, quantity.noun, baseline)
        verb = _verb(quantity)
        return (
            f"So far {arm.name} {verb} {change} ({blocks(ratio.n)}); no interval: {ratio.reason}."
        )
    if verdict.says == "cannot_tell":
        return _cannot_tell(arm, ratio, verdict, baseline, quantity)
    so_far = "So far " if comparison.provisional else ""
    name = arm.name if so_far else _begin(arm.name)
    if verdict.says == "same":
        return f"{so_far}{name} {_same(ratio, verdict, baseline, quantity)}"
    change = _change(ratio, quantity.noun, baseline)
    return f"{so_far}{name} {_verb(quantity)} {change} ({_range(ratio)}, {blocks(ratio.n)})."


def _same(ratio: RatioEstimate, verdict: Verdict, baseline: str, quantity: Quantity) -> str:
    """What the two one-sided tests rest on is their own, narrower interval."""
    half = ratio.half_width_same_log
    assert half is not None and verdict.margin is not None
    low, high = (100 * math.expm1(math.log(ratio.ratio) + sign * half) for sign in (-1, 1))
    decimals = _decimals((high - low) / 2)
    while True:
        ends = (rounded(low, decimals, math.floor), rounded(high, decimals, math.ceil))
        # What is rounded outwards must not seem to lie beyond the margin.
        if decimals >= 6 or max(abs(float(v)) for v in ends) <= 100 * verdict.margin:
            break
        decimals += 1
    shown = " to ".join(f"{float(v):+.{decimals}f}".replace("-", "−") for v in ends)
    verb = "has" if quantity.better == "higher" else "uses"
    return (
        f"{verb} the same {quantity.noun} as {baseline} within {100 * verdict.margin:g} %"
        f" ({shown} %, {blocks(ratio.n)})."
    )


def _cannot_tell(
    arm: ArmResult, ratio: RatioEstimate, verdict: Verdict, baseline: str, quantity: Quantity
) -> str:
    more = verdict.more_blocks
    would = "" if more is None else f": about {blocks(_two_digits(more), 'more ')} would"
    hidden = " Carry-over from run to run may hide a difference." if verdict.hidden else ""
    return (
        f"Can't tell yet whether {arm.name} differs from {baseline} in {quantity.noun}{would}"
        f" ({_span(ratio)}, {blocks(ratio.n)}).{hidden}"
    )


def _two_digits(n: int) -> int:
    """Rounded up to two digits: a guess from the present scatter is worth no more."""
    step: int = 10 ** max(0, len(str(n)) - 2)
    return -(-n // step) * step


def _verb(quantity: Quantity) -> str:
    return "has" if quantity.better == "higher" else "uses"


def _change(ratio: RatioEstimate, noun: str, baseline: str) -> str:
    """``72 % less energy than …``, ``8 % more …``, ``2.6 times as much … as …``."""
    return f"{_amount(ratio, noun)} {'as' if ratio.ratio >= 2 else 'than'} {baseline}"


def _amount(ratio: RatioEstimate, noun: str) -> str:
    value = ratio.ratio
    if value >= 2:
        return f"{_times(value, ratio)} times as much {noun}"
    return f"{_percent(value, ratio)} % {'less' if value < 1 else 'more'} {noun}"


def changed(ratio: RatioEstimate, noun: str) -> str:
    """``31 % less energy (29–33 %)``, ``3.00 times as much energy (2.91–3.09 times)``: of a change
    that is told already."""
    return f"{_amount(ratio, noun)} ({_range(ratio)})"


def _range(ratio: RatioEstimate) -> str:
    """Of a change that is told already: ``29–33 %``; ``2.91–3.09 times``."""
    low, high = ratio.low, ratio.high
    assert low is not None and high is not None
    if ratio.ratio >= 2:
        first, last = _times(low, ratio, math.floor), _times(high, ratio, math.ceil)
        return f"{first}–{last} times"
    ends = (high, low) if high < 1 else (low, high)
    first = _percent(ends[0], ratio, math.floor)
    return f"{first}–{_percent(ends[1], ratio, math.ceil)} %"


def _span(ratio: RatioEstimate) -> str:
    """Of an interval that includes 1."""
    low, high = ratio.low, ratio.high
    assert low is not None and high is not None
    upper = f"{_percent(high, ratio, math.ceil)} % more"
    if high >= 10:
        upper = f"{high:.3g} times as much"
    return f"anything from {_percent(low, ratio, math.ceil)} % less to {upper}"


def rounded(value: float, decimals: int, to: Callable[[float], int]) -> str:
    """Ends of intervals are rounded outwards (``to`` is floor or ceil): with so few digits,
    rounding to the nearest would take up to 3 of 100 intervals off the truth. A last digit that is
    but floating point's is none."""
    return f"{to(round(value * 10**decimals, 6)) / 10**decimals:.{decimals}f}"


def with_ends(ratio: float, low: float, high: float) -> tuple[str, str, str]:
    """A ratio and its interval: to two significant digits of half the interval's width, and where
    that is very wide each to its own."""
    if high > 100 * low:
        ends = (
            rounded(low, max(0, places(low) - 1), math.floor),
            rounded(high, max(0, places(high) - 1), math.ceil),
        )
        return two_digits(ratio), *ends
    decimals = min(places((high - low) / 2), 5)
    ends = rounded(low, decimals, math.floor), rounded(high, decimals, math.ceil)
    return f"{ratio:.{decimals}f}", *ends


def places(uncertainty: float) -> int:
    """Decimals that show two significant digits of an uncertainty (GUM 7.2.6)."""
    if uncertainty <= 0 or not math.isfinite(uncertainty):
        return 2
    # 0.0996 rounds to 0.10: look at the rounded figure.
    exponent = math.floor(math.log10(float(f"{uncertainty:.1e}")))
    return min(12, max(0, 1 - exponent))


def two_digits(value: float) -> str:
    """At least two significant digits, without an exponent: of an uncertainty, or a share in %."""
    return f"{value:.{places(value)}f}"


def _percent(value: float, ratio: RatioEstimate, to: Callable[[float], int] = round) -> str:
    """How far ``value`` is from 1, in percent, with the digits that the interval supports."""
    half = (ratio.high - ratio.low) / 2 if ratio.high is not None and ratio.low is not None else 0.1
    decimals = _decimals(100 * half)
    percent = abs(value - 1) * 100
    text = rounded(percent, decimals, to)
    # 99.96 % must not read as 100 % less.
    while value < 1 and float(text) >= 100 and decimals < 6:
        decimals += 1
        text = rounded(percent, decimals, to)
    return text


def _decimals(half_percent: float) -> int:
    return min(3, max(0, math.ceil(-math.log10(max(half_percent, 1e-6)))))


def _times(value: float, ratio: RatioEstimate, to: Callable[[float], int] = round) -> str:
    half = (ratio.high - ratio.low) / 2 if ratio.high is not None and ratio.low is not None else 1
    decimals = min(3, max(0, 1 - math.floor(math.log10(max(half, 1e-6)))))
    return rounded(value, min(decimals, 2), to)


def _begin(name: str) -> str:
    """A sentence's first word, capitalised unless it is a name of its own (``llama_cpp``)."""
    own = ("batch size", "concurrency", "input tokens", "output tokens", "context length")
    return name[0].upper() + name[1:] if name.startswith(own) else name


def blocks(n: int, more: str = "") -> str:
    return f"1 {more}block" if n == 1 else f"{n} {more}blocks"
