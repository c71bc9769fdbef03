"""What an interval says: less, more, the same within a margin, or nothing yet."""

import math

from lem.stats.estimates import RatioEstimate, Verdict


def equivalent(estimate: RatioEstimate, margin: float, bias_log: float = 0.0) -> bool | None:
    """Whether the arm is the same as the baseline within ``margin`` (0.02 is −2 % to +2 %).

    Two one-sided tests (Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987) 657), each at 1 − level,
    jointly over all comparisons: both reject where the narrower interval lies within the margin.
    None without an interval. A test that merely fails to find a difference never says "same".
    ``bias_log``: by how much carry-over may have drawn the ratio towards 1.
    """
    if estimate.half_width_same_log is None:
        return None
    half = estimate.half_width_same_log + bias_log
    centre = math.log(estimate.ratio)
    return math.log1p(-margin) < centre - half and centre + half < math.log1p(margin)


def verdict(estimate: RatioEstimate, margin: float | None = None, bias_log: float = 0.0) -> Verdict:
    """``same`` where equivalent within ``margin`` (if one is given), else ``less`` or ``more``
    where the simultaneous interval leaves 1 out, else ``cannot_tell``, with about how many more
    blocks would decide. ``bias_log``: bound on the bias by carry-over, which is towards 1: it
    matters to "same" alone."""
    hidden = margin is not None and bool(equivalent(estimate, margin))
    if margin is not None and equivalent(estimate, margin, bias_log):
        return Verdict("same", None, margin)
    if estimate.high is not None and estimate.high < 1:
        return Verdict("less", None, margin)
    if estimate.low is not None and estimate.low > 1:
        return Verdict("more", None, margin)
    return Verdict("cannot_tell", more_blocks(estimate, margin, bias_log), margin, hidden)


def more_blocks(
    estimate: RatioEstimate, margin: float | None = None, bias_log: float = 0.0
) -> int | None:
    """About how many more blocks would give a verdict if ratio and scatter stayed what they are
    (widths, and how well carry-over is known, fall as 1 ÷ √n, but for what all blocks share); None
    without an interval, where it would take over 10,000, or where boards disagree: more boards
    would."""
    half, same = estimate.half_width_log, estimate.half_width_same_log
    if half is None or same is None or estimate.method == "boards":
        return None
    centre = math.log(estimate.ratio)
    wanted = []
    shared, shared_same = estimate.shared_half_log, estimate.shared_half_same_log
    if abs(centre) > shared:
        wanted.append(_times_blocks(half, shared, 0.0, abs(centre)))
    if margin is not None:
        room = min(centre - math.log1p(-margin), math.log1p(margin) - centre)
        if room > shared_same:
            wanted.append(_times_blocks(same, shared_same, bias_log, room))
    # One block more than the bare ratio: at equality an interval still touches the bound.
    needed = [math.floor(estimate.n * w) + 1 - estimate.n for w in wanted if w < 10_000]
    best = max(1, min(needed, default=0))
    return best if needed and best <= 10_000 else None


def _times_blocks(half: float, shared: float, bias: float, room: float) -> float:
    """How many times as many blocks make hypot(scatter·x, shared) + bias·x = room, with x = 1 ÷ √of
    that, where ``half`` is the hypot now (x = 1). ``room`` is above ``shared``."""
    scatter2 = max(0.0, half**2 - shared**2)
    free2 = room**2 - shared**2
    root = math.sqrt(scatter2 * free2 + (bias * shared) ** 2)
    return ((room * bias + root) / free2) ** 2
