"""What no number of blocks lessens: an error of a ratio that all of its blocks share."""

import math
from dataclasses import replace
from statistics import NormalDist

from lem.stats.estimates import RatioEstimate


def with_shared(estimate: RatioEstimate, u_log: float) -> RatioEstimate:
    """The estimate with a normal error of its log-ratio, of standard uncertainty ``u_log``, that is
    the same in every block and so does not show in their scatter.

    Half-widths are added in squares, each at its own quantile, the shared one by Bonferroni over
    the comparisons. With a variance that is estimated from few blocks this covers more than is
    asked for: 95.0 to 97.7 % for 3 to 30 blocks and any proportion of the two (simulated;
    tests/analysis/test_gains.py has campaigns).
    """
    if u_log <= 0:
        return estimate
    alpha = (1 - estimate.level) / estimate.comparisons
    two_sided, one_sided = (NormalDist().inv_cdf(1 - a) for a in (alpha / 2, alpha))
    half, same = estimate.half_width_log, estimate.half_width_same_log
    if half is None or same is None:
        return replace(estimate, shared_log=u_log)
    centre = math.log(estimate.ratio)
    wide = math.hypot(half, two_sided * u_log)
    return replace(
        estimate,
        low=math.exp(centre - wide),
        high=math.exp(centre + wide),
        half_width_log=wide,
        half_width_same_log=math.hypot(same, one_sided * u_log),
        shared_log=u_log,
        shared_half_log=two_sided * u_log,
        shared_half_same_log=one_sided * u_log,
    )
