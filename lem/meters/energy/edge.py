"""What a counter stood at, at one edge of a piece of work, from its ticks outside. Pure.

Time runs away from the edge: ``x_s`` is positive outside, where the device idles, and negative
inside. For the edge before the work the caller turns time and energy round, so one function does
both. Outside, power is a level with a small drift and perhaps a tail that fades towards the edge's
far side, exponentially or in a straight line; its integral is fitted to the ticks' energies, and
the wanted figure is the fit's value at x = 0. Which of these shapes is true is not known, so all of
them are taken, each as far as the ticks (and what the work drew up to the edge) make it likely
(Bayesian model averaging: Hoeting et al., Statistical Science 14 (1999) 382, doi
10.1214/ss/1009212519). The spread between them is part of the uncertainty.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from operator import mul
from typing import NamedTuple


class Tick(NamedTuple):
    """A tick: where, how much energy had been counted there, and both standard uncertainties."""

    x_s: float
    value_j: float
    time_s: float
    value_u_j: float = 0.0


class Level(NamedTuple):
    """Power of the work up to the edge, as far as it went on evenly, with its standard
    uncertainty, from the tick nearest to the edge inside."""

    tick: Tick
    power_w: float
    power_u_w: float


class Estimate(NamedTuple):
    value_j: float
    uncertainty_j: float
    """Standard uncertainty of all."""
    tick_j: float
    """The part of it that comes from when the ticks happened, and from rounding."""
    noises: tuple[float, ...]
    """How likely each of :data:`NOISES` is, without what was taken beforehand, up to a factor."""


Row = Sequence[float]
Shape = tuple[Callable[[float], float], ...]
"""Energy of a tail of 1 W, and its change with the logarithm of the tail's length; or no tail."""

MOST_TICKS = 16
UNLIKELY = 30.0
"""Explanations less likely than the best one by this many powers of e are left out."""
_DECAYS_S = (0.05, 0.07, 0.1, 0.135, 0.18, 0.24, 0.32, 0.43, 0.57, 0.76, 1.0, 1.4)
_RAMPS_S = (0.1, 0.14, 0.2, 0.28, 0.4, 0.55, 0.75, 1.0, 1.4, 2.0)
_BETWEEN = 0.1
"""Standard deviation, of the logarithm, of a tail's length about the nearest of these."""
_SLOWEST_UNSEEN_S = 0.1
"""Tails shorter than this were not seen on any board; they are taken to be less likely the shorter
they are."""
NOISES = (
    (0.0, 0.4),
    (0.001, 0.12),
    (0.002, 0.1),
    (0.004, 0.1),
    (0.008, 0.1),
    (0.016, 0.08),
    (0.06, 0.06),
    (0.25, 0.04),
)
"""Relative noise of the counter's increments (standard deviation over 0.1 s), and how likely it is
taken to be beforehand."""
_TIMINGS = ((1.0, 0.85), (9.0, 0.15))
"""Factor on the variance of the ticks' times, and how likely it is taken to be beforehand."""
_DRIFT = 0.02
"""Prior standard deviation of idle power's drift, relative per second."""
_NO_LEVEL, _ON_TIME, _EARLY, _LATE = 0.3, 0.25, 0.3, 0.15
_EARLY_S = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.015, 0.03, 0.06, 0.1, 0.15)


def at_edge(ticks: Sequence[Tick], level: Level | None = None, work_w: float = 0.0) -> Estimate:
    """The counter at the edge. ``ticks`` lie outside (at least three), nearest first; ``work_w``:
    about what the work drew on average, which bounds how high a tail begins."""
    ticks = _thinned(ticks)
    parts = _explained(ticks, 0, level, work_w, 0.0)
    rest_w = _power(ticks[-3], ticks[-1])
    if level is not None and abs(level.power_w - rest_w) > 0.1 * rest_w:
        # Power may have stayed at the work's level for some ticks more.
        log_weight = 0.0
        for k, t in enumerate(ticks[:-3]):
            on_time_s = t.x_s - level.tick.x_s
            expected_j = level.tick.value_j + level.power_w * on_time_s
            u = math.hypot(
                level.power_w * level.tick.time_s,
                level.power_u_w * on_time_s,
                level.power_w * t.time_s,
                t.value_u_j,
            )
            if abs(t.value_j - expected_j) > 5 * u:
                break
            log_weight += _log_normal(t.value_j - expected_j, u * u)
            parts += _explained(ticks[k + 1 :], k + 1, level, work_w, log_weight)
    origin = ticks[0].value_j
    slope = max(_power(ticks[0], ticks[1]), work_w / 2)
    return _mixed(parts, origin, math.hypot(slope * ticks[0].time_s, ticks[0].value_u_j))


Part = tuple[float, float, float, float]
"""Logarithm of the weight, value less the nearest tick's, its variance, relative noise."""


def _explained(
    ticks: Sequence[Tick], dropped: int, level: Level | None, work_w: float, log_weight: float
) -> list[Part]:
    """Every explanation of these ticks. With ``dropped`` ones nearer to the edge, which lie on the
    work's own line, only those by which the work went on beyond them."""
    rest_w = max(1e-3, _power(ticks[-3], ticks[-1]))
    nearest = ticks[0]
    xs = [t.x_s for t in ticks]
    ys = [t.value_j - nearest.value_j - rest_w * t.x_s for t in ticks]
    slopes = [_power(a, b) for a, b in pairwise(ticks)]
    slopes.append(slopes[-1])
    variances = [
        (max(slopes[max(0, i - 1)], slopes[i]) * t.time_s) ** 2 + t.value_u_j**2
        for i, t in enumerate(ticks)
    ]
    step_w = max(slopes[0], level.power_w if level else 0.0, work_w) - rest_w
    tail_w = max(0.35 * step_w, 0.3 * rest_w)
    log_weight -= len(ticks) / 2 * math.log(2 * math.pi)
    parts: list[Part] = []
    best = -math.inf
    for noise, noise_odds in NOISES:
        walk = (noise * rest_w) ** 2 * 0.1
        for timing, timing_odds in _TIMINGS:
            factor = _cholesky(xs, variances, walk, timing)
            white_y = _forward(factor, ys)
            log_scale = sum(math.log(factor[i][i]) for i in range(len(xs)))
            log_odds = log_weight + math.log(noise_odds * timing_odds) - log_scale
            base = [_forward(factor, [f(x) for x in xs]) for f in (_one, _line, _bend)]
            for shape, shape_odds, drift in _SHAPES:
                tails = [_forward(factor, [f(x) for x in xs]) for f in shape]
                precisions = [0.0, 0.0, (drift * rest_w) ** -2]
                precisions += [tail_w**-2, (_BETWEEN * tail_w) ** -2][: len(tails)]
                fit = _fit([*base, *tails], white_y, precisions)
                if fit is None:
                    continue
                mean, covariance, log_evidence = fit
                log_fit = log_odds + math.log(shape_odds) + log_evidence
                best = max(best, log_fit)
                if log_fit < best - UNLIKELY:
                    continue
                for w, value, variance in _with_level(
                    mean, covariance, shape, level, nearest, rest_w, dropped
                ):
                    parts.append((log_fit + w, nearest.value_j + value, variance, noise))
    return parts


def noise(*estimates: Estimate) -> float:
    """The root mean square of the relative noise that all of them together make likely."""
    weights = [
        odds * math.prod(e.noises[i] for e in estimates) for i, (_, odds) in enumerate(NOISES)
    ]
    total = sum(weights) or 1.0
    return math.sqrt(sum(w * n**2 for w, (n, _) in zip(weights, NOISES, strict=True)) / total)


def _mixed(parts: Sequence[Part], origin: float, first_u_j: float) -> Estimate:
    most = max(p[0] for p in parts)
    weights = [math.exp(p[0] - most) for p in parts]
    total = sum(weights)
    shares = [w / total for w in weights]
    value = sum(w * (p[1] - origin) for w, p in zip(shares, parts, strict=True))
    variance = sum(
        w * (p[2] + (p[1] - origin - value) ** 2) for w, p in zip(shares, parts, strict=True)
    )
    noises = tuple(
        sum(w for w, p in zip(shares, parts, strict=True) if p[3] == noise) / odds
        for noise, odds in NOISES
    )
    u = math.sqrt(max(0.0, variance))
    return Estimate(origin + value, u, min(u, first_u_j), noises)


def _shapes() -> Iterator[tuple[Shape, float, float]]:
    yield (), 0.5, _DRIFT / 10
    yield (), 0.15, 5 * _DRIFT
    for lengths, make, odds in ((_DECAYS_S, _decay, 0.25), (_RAMPS_S, _ramp, 0.1)):
        likely = [min(1.0, (s / _SLOWEST_UNSEEN_S) ** 3) for s in lengths]
        for length, weight in zip(lengths, likely, strict=True):
            yield make(length), odds * weight / sum(likely), _DRIFT


def _with_level(
    mean: Row,
    covariance: Sequence[Row],
    shape: Shape,
    level: Level | None,
    nearest: Tick,
    rest_w: float,
    dropped: int,
) -> Iterator[tuple[float, float, float]]:
    """Log weight, value at the edge and its variance: from the ticks outside alone, and where the
    work's own level is known, for several moments at which it may have ended."""
    value, variance = mean[0], covariance[0][0]
    if level is None:
        yield 0.0, value, variance
        return
    reach_s = nearest.x_s
    inside_s = -level.tick.x_s
    inside_j = level.tick.value_j - nearest.value_j
    start_u_j = math.hypot(level.power_w * level.tick.time_s, level.tick.value_u_j)
    step_w = level.power_w - rest_w
    unknown_j = max(level.power_w * inside_s, abs(step_w) * reach_s, 1e-6)
    if not dropped:
        yield math.log(_NO_LEVEL / unknown_j), value, variance
    early = [s for s in _EARLY_S if s < inside_s]
    moments = [(0.0, _ON_TIME), *((s, _EARLY / len(early)) for s in early)] if not dropped else []
    for ended_s, odds in moments:
        row = [1.0, -ended_s, ended_s**2 / 2]
        row += [f(-ended_s) for f in shape]
        spread = [sum(map(mul, line, row)) for line in covariance]
        expected = sum(map(mul, mean, row)) - rest_w * ended_s
        went_s = inside_s - ended_s
        found = inside_j + level.power_w * went_s
        found_u = math.hypot(start_u_j, level.power_u_w * went_s)
        total = sum(map(mul, spread, row)) + found_u**2
        gain = spread[0] / total
        yield (
            math.log(odds) + _log_normal(found - expected, total),
            value + gain * (found - expected),
            max(0.0, variance - gain * spread[0]),
        )
    if abs(step_w) > 0.1 * rest_w:
        # Work that went on beyond the edge: the level holds up to it, whatever came after.
        found = inside_j + level.power_w * inside_s
        found_variance = start_u_j**2 + (level.power_u_w * inside_s) ** 2
        spread_j = math.sqrt(variance + found_variance)
        beyond = (value - found) * math.copysign(1.0, step_w)
        most_j = abs(step_w) * reach_s
        share = _normal_cdf(beyond / spread_j) - _normal_cdf((beyond - most_j) / spread_j)
        if share > 1e-200:
            yield math.log(_LATE * share / most_j), found, found_variance


def _thinned(ticks: Sequence[Tick]) -> list[Tick]:
    """The nearest ones, and from further away fewer and fewer: they say less and cost the same."""
    if len(ticks) <= MOST_TICKS:
        return list(ticks)
    near = MOST_TICKS // 2
    far = MOST_TICKS - near
    ratio = (len(ticks) - near) ** (1 / far)
    picked = {near - 1 + max(i + 1, round(ratio ** (i + 1))) for i in range(far)}
    return list(ticks[:near]) + [t for i, t in enumerate(ticks) if i in picked]


def _one(x: float) -> float:
    return 1.0


def _line(x: float) -> float:
    return x


def _bend(x: float) -> float:
    return x * x / 2


def _decay(tau: float) -> Shape:
    return (
        lambda x: tau * -math.expm1(-x / tau),
        lambda x: tau * -math.expm1(-x / tau) - x * math.exp(-x / tau),
    )


def _ramp(length: float) -> Shape:
    return (
        lambda x: length / 2 if x >= length else x - x * x / (2 * length),
        lambda x: length / 2 if x >= length else x * x / (2 * length),
    )


def _power(a: Tick, b: Tick) -> float:
    return (b.value_j - a.value_j) / max(1e-9, b.x_s - a.x_s)


def _log_normal(distance: float, variance: float) -> float:
    return -0.5 * (distance * distance / variance + math.log(2 * math.pi * variance))


_SHAPES = tuple(_shapes())
"""Shape of the tail's energy (None: no tail), how likely it is beforehand, standard deviation of
idle power's drift (relative per second)."""


def _normal_cdf(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))


def _cholesky(
    xs: Sequence[float], variances: Sequence[float], walk: float, timing: float
) -> list[list[float]]:
    """Of the ticks' covariance: independent errors, and noise that adds up from the edge on."""
    factor: list[list[float]] = []
    for i in range(len(xs)):
        row: list[float] = []
        for j in range(i + 1):
            entry = walk * xs[j] + (timing * variances[i] if i == j else 0.0)
            entry -= sum(map(mul, row, factor[j] if j < i else row))
            row.append(math.sqrt(max(entry, 1e-18)) if i == j else entry / factor[j][j])
        factor.append(row)
    return factor


def _forward(factor: Sequence[Row], values: Sequence[float]) -> list[float]:
    """What the values are in units in which their errors are independent and 1."""
    out: list[float] = []
    for row, value in zip(factor, values, strict=True):
        out.append((value - sum(map(mul, row, out))) / row[-1])
    return out


def _fit(
    columns: Sequence[Row], ys: Row, precisions: Sequence[float]
) -> tuple[list[float], list[list[float]], float] | None:
    """Coefficients with Gaussian priors of mean 0: their mean, covariance, and the logarithm of how
    likely the values are (up to what all shapes have in common). None where they are not told
    apart at all."""
    n = len(columns)
    matrix = [[0.0] * n for _ in range(n)]
    for i in range(n):
        for j in range(i + 1):
            matrix[i][j] = matrix[j][i] = sum(map(mul, columns[i], columns[j]))
        matrix[i][i] += precisions[i]
    right = [sum(map(mul, c, ys)) for c in columns]
    inverse, log_determinant = _inverse(matrix)
    if inverse is None:
        return None
    mean = [sum(map(mul, row, right)) for row in inverse]
    misfit = sum(map(mul, ys, ys)) - sum(map(mul, mean, right))
    log_prior = sum(math.log(p) for p in precisions if p > 0)
    return mean, inverse, 0.5 * (log_prior - log_determinant - misfit)


def _inverse(matrix: list[list[float]]) -> tuple[list[list[float]] | None, float]:
    """Of a small symmetric positive matrix, with the logarithm of its determinant (Gauss-Jordan,
    scaled to a unit diagonal)."""
    n = len(matrix)
    scale = [math.sqrt(matrix[i][i]) for i in range(n)]
    if not all(s > 0 for s in scale):
        return None, 0.0
    work = [
        [matrix[i][j] / scale[i] / scale[j] for j in range(n)] + [float(i == j) for j in range(n)]
        for i in range(n)
    ]
    log_determinant = 2 * sum(math.log(s) for s in scale)
    for k in range(n):
        pivot = work[k][k]
        if pivot < 1e-13:
            return None, 0.0
        log_determinant += math.log(pivot)
        work[k] = [v / pivot for v in work[k]]
        for i in range(n):
            if i != k and work[i][k]:
                by = work[i][k]
                work[i] = [a - by * b for a, b in zip(work[i], work[k], strict=True)]
    return [
        [work[i][n + j] / scale[i] / scale[j] for j in range(n)] for i in range(n)
    ], log_determinant
