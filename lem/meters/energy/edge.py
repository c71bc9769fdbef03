"""What a counter stood at, at one edge of a piece of work, from its ticks outside. Pure.

Time runs away from the edge: ``x_s`` is positive outside, where the device idles, and negative
inside. For the edge before the work the caller turns time and energy round, so one function does
both. Outside, power is a level with a small drift and perhaps a tail that fades towards the edge's
far side (:mod:`lem.meters.energy.tails`); its integral is fitted to the ticks' energies, and
the wanted figure is the fit's value at x = 0. Which of these shapes is true is not known, so all of
them are taken, each as far as the ticks (and what the work drew up to the edge) make it likely
(Bayesian model averaging: Hoeting et al., Statistical Science 14 (1999) 382, doi
10.1214/ss/1009212519). The spread between them is part of the uncertainty.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from operator import mul
from typing import NamedTuple

from lem.meters.energy import least_squares, tails


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
    idle_j: float
    """The rest of it: what the device drew between the edge and the nearest tick."""
    noises: tuple[float, ...]
    """How likely each of :data:`NOISES` is, without what was taken beforehand, up to a factor."""
    disturbed: float
    """How likely it is that the device did something else in the ticks nearest to the edge."""


MOST_TICKS = 16
UNLIKELY, HOPELESS = 16.0, 20.0
"""Explanations less likely than the best one by this many powers of e are left out, and all with
the same noise where the best shape is."""
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
FAR = 7.0
"""Bounds so many standard uncertainties away cut nothing off."""
SMOOTH = 0.008
"""Relative noise up to which ticks are called a smooth rest."""
_DISTURBED = (0.0005, 0.0003)
"""How likely it is taken to be beforehand that the device did something else in the nearest tick,
or in the nearest two: a short piece of work of its own, or a jump of the counter."""
_NO_LEVEL, _ON_TIME, _EARLY, _LATE = 0.3, 0.25, 0.3, 0.15
_EARLY_S = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.015, 0.03, 0.06, 0.1, 0.15)


def at_edge(
    ticks: Sequence[Tick],
    level: Level | None = None,
    work_w: float = 0.0,
    inside_j: float = -math.inf,
) -> Estimate:
    """The counter at the edge. ``ticks`` lie outside (at least three), nearest first; ``work_w``:
    about what the work drew on average, which bounds how high a tail begins; ``inside_j``: what
    the counter showed inside, next to the edge. What it stood at at the edge is no less than that,
    and no more than what it showed at the first tick outside."""
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
            if k and abs(_power(ticks[k - 1], t) - rest_w) < 0.25 * abs(level.power_w - rest_w):
                break
            log_weight += _log_normal(t.value_j - expected_j, u * u)
            parts += _explained(ticks[k + 1 :], k + 1, level, work_w, log_weight)
    slack_j = 2 * ticks[0].value_u_j
    bounds = (inside_j - slack_j, ticks[0].value_j + slack_j)
    if math.isfinite(inside_j) and bounds[0] < bounds[1]:
        if _doubtful(parts):
            parts += _disturbed(ticks, level, work_w, bounds)
        parts = [p for part in parts if (p := _within(part, bounds)) is not None] or [
            Part(0.0, sum(bounds) / 2, (bounds[1] - bounds[0]) ** 2 / 12, NOISES[-1][0], True)
        ]
    slope = max(_power(ticks[0], ticks[1]), work_w / 2)
    return _mixed(parts, ticks[0].value_j, math.hypot(slope * ticks[0].time_s, ticks[0].value_u_j))


class Part(NamedTuple):
    """One explanation: the logarithm of its weight, the value at the edge and its variance, the
    relative noise that goes with it, and whether it leaves out the nearest ticks."""

    log_weight: float
    value_j: float
    variance: float
    noise: float
    contradicts: bool = False
    """It takes no notice of the work's level, though that is known."""
    disturbed: bool = False


def _doubtful(parts: Sequence[Part]) -> bool:
    """Whether the ticks are a smooth rest only with much noise, or only against the work's level.
    Else what the device may have done in them beside that need not be looked at."""
    most = max(p.log_weight for p in parts)
    weights = [math.exp(p.log_weight - most) for p in parts]
    plain = sum(
        w for w, p in zip(weights, parts, strict=True) if p.noise <= SMOOTH and not p.contradicts
    )
    return plain < 0.9 * sum(weights)


def _disturbed(
    ticks: Sequence[Tick], level: Level | None, work_w: float, bounds: tuple[float, float]
) -> list[Part]:
    """That the device did something else in the nearest tick, or in the nearest two. They say
    nothing then, and the value at the edge is anything between its bounds."""
    found = []
    # What the work's level makes of the value at the edge may be any of that too.
    of_level = math.log(bounds[1] - bounds[0]) if level is not None else 0.0
    for k, odds in enumerate(_DISTURBED, 1):
        left = ticks[k:]
        if len(left) < 3:
            break
        # What each of the ticks that are left out shows may be anything up to the work's power.
        unknown_j = max(1e-3, work_w * left[0].x_s)
        log_weight = math.log(odds) - k * math.log(unknown_j) - of_level
        middle, variance = sum(bounds) / 2, (bounds[1] - bounds[0]) ** 2 / 12
        found += [
            Part(p.log_weight, middle, variance, p.noise, disturbed=True)
            for p in _explained(left, 0, None, work_w, log_weight)
        ]
    return found


def _within(part: Part, bounds: tuple[float, float]) -> Part | None:
    """The explanation, cut off at the bounds (a truncated normal distribution); None where there is
    nothing left of it."""
    if part.disturbed:
        return part
    u = math.sqrt(max(part.variance, 1e-18))
    low, high = ((b - part.value_j) / u for b in bounds)
    if low < -FAR and high > FAR:
        return part
    share = _normal_cdf(high) - _normal_cdf(low)
    if share < 1e-12:
        return None
    at_low, at_high = _density(low), _density(high)
    shift = (at_low - at_high) / share
    narrower = 1 - shift**2
    narrower += ((low * at_low if at_low else 0.0) - (high * at_high if at_high else 0.0)) / share
    return part._replace(
        log_weight=part.log_weight + math.log(share),
        value_j=part.value_j + u * shift,
        variance=max(0.0, part.variance * narrower),
    )


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
    best, best_shape = -math.inf, tails.SHAPES[0]
    for noise, noise_odds in NOISES:
        walk = (noise * rest_w) ** 2 * 0.1
        for timing, timing_odds in _TIMINGS:
            factor = least_squares.cholesky(xs, variances, walk, timing)
            white_y = least_squares.forward(factor, ys)
            log_scale = sum(math.log(factor[i][i]) for i in range(len(xs)))
            log_odds = log_weight + math.log(noise_odds * timing_odds) - log_scale
            base = [least_squares.forward(factor, [f(x) for x in xs]) for f in tails.IDLE]
            # With more noise shapes differ less: where the best one so far is far off, all are.
            first = best_shape
            for one in (first, *(s for s in tails.SHAPES if s is not first)):
                shape, shape_odds, drift = one
                fading = [least_squares.forward(factor, [f(x) for x in xs]) for f, _ in shape]
                precisions = [0.0, 0.0, (drift * rest_w) ** -2]
                precisions += [(width * tail_w) ** -2 for _, width in shape]
                fit = least_squares.fit([*base, *fading], white_y, precisions)
                if fit is None:
                    continue
                mean, covariance, log_evidence = fit
                log_fit = log_odds + math.log(shape_odds) + log_evidence
                if log_fit > best:
                    best, best_shape = log_fit, one
                if log_fit < best - UNLIKELY:
                    if one is first and log_fit < best - HOPELESS:
                        break
                    continue
                for w, value, variance, contradicts in _with_level(
                    mean, covariance, shape, level, nearest, rest_w, dropped
                ):
                    at_j = nearest.value_j + value
                    parts.append(Part(log_fit + w, at_j, variance, noise, contradicts))
    return parts


def noise(*estimates: Estimate) -> float:
    """The root mean square of the relative noise that all of them together make likely."""
    weights = [
        odds * math.prod(e.noises[i] for e in estimates) for i, (_, odds) in enumerate(NOISES)
    ]
    total = sum(weights) or 1.0
    return math.sqrt(sum(w * n**2 for w, (n, _) in zip(weights, NOISES, strict=True)) / total)


def _mixed(parts: Sequence[Part], origin: float, first_u_j: float) -> Estimate:
    most = max(p.log_weight for p in parts)
    weights = [math.exp(p.log_weight - most) for p in parts]
    total = sum(weights)
    shares = [(w / total, p) for w, p in zip(weights, parts, strict=True)]
    value = sum(w * (p.value_j - origin) for w, p in shares)
    variance = sum(w * (p.variance + (p.value_j - origin - value) ** 2) for w, p in shares)
    noises = tuple(sum(w for w, p in shares if p.noise == noise) / odds for noise, odds in NOISES)
    u = math.sqrt(max(0.0, variance))
    disturbed = sum(w for w, p in shares if p.disturbed)
    tick_j = min(u, first_u_j)
    idle_j = math.sqrt(max(0.0, u * u - tick_j**2))
    return Estimate(origin + value, u, tick_j, idle_j, noises, disturbed)


def _with_level(
    mean: Sequence[float],
    covariance: Sequence[Sequence[float]],
    shape: tails.Shape,
    level: Level | None,
    nearest: Tick,
    rest_w: float,
    dropped: int,
) -> Iterator[tuple[float, float, float, bool]]:
    """Log weight, value at the edge, its variance, and whether a level that is known was left out:
    from the ticks outside alone, and where the work's own level is known, for several moments at
    which it may have ended."""
    value, variance = mean[0], covariance[0][0]
    if level is None:
        yield 0.0, value, variance, False
        return
    reach_s = nearest.x_s
    inside_s = -level.tick.x_s
    inside_j = level.tick.value_j - nearest.value_j
    start_u_j = math.hypot(level.power_w * level.tick.time_s, level.tick.value_u_j)
    step_w = level.power_w - rest_w
    unknown_j = max(level.power_w * inside_s, abs(step_w) * reach_s, 1e-6)
    if not dropped:
        yield math.log(_NO_LEVEL / unknown_j), value, variance, True
    early = [s for s in _EARLY_S if s < inside_s]
    moments = [(0.0, _ON_TIME), *((s, _EARLY / len(early)) for s in early)] if not dropped else []
    for ended_s, odds in moments:
        row = [1.0, -ended_s, ended_s**2 / 2]
        row += [f(-ended_s) for f, _ in shape]
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
            False,
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
            yield math.log(_LATE * share / most_j), found, found_variance, False


def _thinned(ticks: Sequence[Tick]) -> list[Tick]:
    """The nearest ones, and from further away fewer and fewer: they say less and cost the same."""
    if len(ticks) <= MOST_TICKS:
        return list(ticks)
    near = MOST_TICKS // 2
    far = MOST_TICKS - near
    ratio = (len(ticks) - near) ** (1 / far)
    picked = {near - 1 + max(i + 1, round(ratio ** (i + 1))) for i in range(far)}
    return list(ticks[:near]) + [t for i, t in enumerate(ticks) if i in picked]


def _power(a: Tick, b: Tick) -> float:
    return (b.value_j - a.value_j) / max(1e-9, b.x_s - a.x_s)


def _log_normal(distance: float, variance: float) -> float:
    return -0.5 * (distance * distance / variance + math.log(2 * math.pi * variance))


def _density(z: float) -> float:
    return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def _normal_cdf(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))
