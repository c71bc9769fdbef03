"""What no number of blocks lessens: an error of a ratio that all of its blocks share."""

import math
from dataclasses import replace
from statistics import NormalDist

from lem.stats.estimates import OnBoards, RatioEstimate


def with_shared(estimate: RatioEstimate, u_log: float) -> RatioEstimate:
    """The estimate with a normal error of its log-ratio, of standard uncertainty ``u_log``, that is
    the same in every block and so does not show in their scatter.

    Half-widths are added in squares, each at its own quantile, the shared one by Bonferroni over
    the comparisons. With a variance that is estimated from few blocks this covers more than is
    asked for: 95.0 to 97.7 % for 3 to 30 blocks and any proportion of the two (simulated;
    tests/analysis/test_gains.py has campaigns).

    Where boards are the unit (``method`` is ``boards``), what their gains do is in the scatter of
    their means: the interval is then no narrower than the shared error alone, and nothing is added.
    The interval on boards like these is never narrower than the stated one.
    """
    if u_log <= 0:
        return estimate
    alpha = (1 - estimate.level) / estimate.comparisons
    two_sided, one_sided = (NormalDist().inv_cdf(1 - a) for a in (alpha / 2, alpha))
    half, same = estimate.half_width_log, estimate.half_width_same_log
    if half is None or same is None:
        return replace(estimate, shared_log=u_log)
    shared, shared_same = two_sided * u_log, one_sided * u_log
    add = max if estimate.method == "boards" else math.hypot
    wide = add(half, shared)
    low, high = _ends(estimate.ratio, wide)
    return replace(
        estimate,
        low=low,
        high=high,
        half_width_log=wide,
        half_width_same_log=add(same, shared_same),
        shared_log=u_log,
        shared_half_log=shared,
        shared_half_same_log=shared_same,
        on_boards=_no_narrower(estimate, wide),
    )


def _no_narrower(estimate: RatioEstimate, half: float) -> OnBoards | None:
    on = estimate.on_boards
    if on is None or on.high is None or math.log(on.high / estimate.ratio) >= half:
        return on
    low, high = _ends(estimate.ratio, half)
    return replace(on, low=low, high=high)


def _ends(ratio: float, half: float) -> tuple[float, float]:
    centre = math.log(ratio)
    return math.exp(centre - half), math.exp(centre + half)
