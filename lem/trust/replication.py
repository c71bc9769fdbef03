"""Whether submitters of one configuration agree with each other. Pure.

Two submitters agree where their figures are shown to be equivalent: two one-sided t tests
(Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987) 657) on the difference of mean logarithms, each
at 5 %, with Welch's standard error and Satterthwaite's degrees of freedom from the blocks' scatter.
That is the same as: the 90 % interval of their ratio lies within the margin. What nobody could tell
apart with so few blocks is not called the same.

A board's own gain does not scatter over its blocks, so it is no part of that error; the margin is
there to admit it.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Literal, NamedTuple

from lem.stats.quantiles import t_quantile

ABSOLUTE_MARGIN = 0.10
"""Of absolute energy: boards' gains scatter by 3.4 % RMS (arXiv 2312.02741), so two honest ones
differ by 4.8 % RMS."""
RATIO_MARGIN = 0.03
"""Of ratios to a baseline of the same campaign, in which a board's gain cancels."""
LEAST_BLOCKS = 3
LEVEL = 0.05
"""Of each of the two tests."""
COARSE = 1e-9
"""A standard error of logarithms below this is no scatter."""
WILD = 600.0
"""What is wider cannot be held by a float once it is raised to e."""
MOST_GROUPS = 16
"""Among how many submitters the largest set that agrees is searched for exactly; beyond that,
from the one that agrees with most."""

MOST_UNINVITED = 20
"""Submitters without an invitation that are compared at all. Nothing follows from it, keys cost
nothing, and the pairs of a thousand are half a million."""

Verdict = Literal[
    "agrees", "disagrees", "cannot_tell", "same_boards", "boards_unknown", "not_invited"
]


class Group(NamedTuple):
    """What one submitter has of a configuration."""

    identity: int
    boards: frozenset[str]
    """Salted hashes of the boards that it was measured on; empty where none is told."""
    salt: str
    """Boards under different salts cannot be told apart."""
    invited: bool
    """Whether somebody vouched for it. Keys are cheap: others never count."""
    values: Sequence[float]
    """One for each block: the figure itself, or its ratio to a baseline. Positive."""


class Pair(NamedTuple):
    a: int
    b: int
    ratio: float
    """a's geometric mean ÷ b's."""
    low: float | None
    high: float | None
    """The ratio's 90 % interval; null with fewer than three blocks of either."""
    verdict: Verdict


class Replications(NamedTuple):
    members: frozenset[int]
    """The submitters that replicate each other: none, or two and more."""
    pairs: list[Pair]
    """Every pair, by identity. Those that disagree are for showing, never for averaging away."""
    disputed: bool
    """Whether as many invited submitters disagree with the largest set as are in it."""


def replicated(groups: Iterable[Group], margin: float = ABSOLUTE_MARGIN) -> Replications:
    """Who of one configuration's submitters replicate each other.

    ``margin``: by how much two may differ, as a share: a ratio between 1 ÷ (1 + margin) and
    1 + margin counts as the same. Of several largest sets the one with the smallest identities is
    taken. Nothing is replicated where as many invited submitters are shown to disagree with some
    member of the set as are in it.
    """
    known = sorted(groups, key=lambda g: g.identity)
    if len({g.identity for g in known}) < len(known):
        raise ValueError("a submitter is one group")
    uninvited = [g.identity for g in known if not g.invited]
    passed_over = set(uninvited[MOST_UNINVITED:])
    known = [g for g in known if g.identity not in passed_over]
    pairs = [compare(a, b, margin) for a, b in combinations(known, 2)]
    agree = {frozenset((p.a, p.b)) for p in pairs if p.verdict == "agrees"}
    members = _largest([g.identity for g in known if g.invited], agree)
    against = {
        other
        for p in pairs
        if p.verdict == "disagrees"
        for one, other in ((p.a, p.b), (p.b, p.a))
        if one in members and other not in members
    }
    disputed = bool(members) and len(against) >= len(members)
    return Replications(frozenset() if disputed else members, pairs, disputed)


def compare(a: Group, b: Group, margin: float = ABSOLUTE_MARGIN) -> Pair:
    """Two submitters. ``disagrees``: the whole interval of their ratio lies outside the margin."""
    ratio, low, high = interval(a.values, b.values)
    return Pair(a.identity, b.identity, ratio, low, high, _verdict(a, b, low, high, margin))


def _verdict(a: Group, b: Group, low: float | None, high: float | None, margin: float) -> Verdict:
    if not (a.invited and b.invited):
        return "not_invited"
    if not a.boards or not b.boards or a.salt != b.salt:
        return "boards_unknown"
    if a.boards & b.boards:
        return "same_boards"
    if low is None or high is None:
        return "cannot_tell"
    most = 1 + margin
    if low >= 1 / most and high <= most:
        return "agrees"
    return "disagrees" if low > most or high < 1 / most else "cannot_tell"


def interval(a: Sequence[float], b: Sequence[float]) -> tuple[float, float | None, float | None]:
    """The ratio of geometric means with its 90 % interval (Welch, Satterthwaite); no interval with
    fewer than three blocks of either, or where those of one are all the same: what is measured
    scatters. Raises ValueError for what is not positive."""
    if not a or not b or min(*a, *b, math.inf) <= 0:
        raise ValueError("figures to be compared must be positive")
    logs_a, logs_b = [math.log(v) for v in a], [math.log(v) for v in b]
    mean_a, mean_b = math.fsum(logs_a) / len(a), math.fsum(logs_b) / len(b)
    difference = mean_a - mean_b
    if min(len(a), len(b)) < LEAST_BLOCKS:
        return math.exp(difference), None, None
    va, vb = _variance(logs_a, mean_a) / len(a), _variance(logs_b, mean_b) / len(b)
    if min(va, vb) < COARSE**2:
        return math.exp(difference), None, None
    df = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1))
    half = t_quantile(1 - LEVEL, df) * math.sqrt(va + vb)
    if abs(difference) + half > WILD:
        return math.exp(difference), None, None
    return math.exp(difference), math.exp(difference - half), math.exp(difference + half)


def _variance(values: Sequence[float], mean: float) -> float:
    return math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)


def _largest(identities: Sequence[int], agree: set[frozenset[int]]) -> frozenset[int]:
    """The largest set whose members all agree with each other; the one with the smallest identities
    of several."""
    partners = {i: {j for j in identities if frozenset((i, j)) in agree} for i in identities}
    able = [i for i in identities if partners[i]]
    if len(able) > MOST_GROUPS:
        able.sort(key=lambda i: (-len(partners[i]), i))
        found: set[int] = set()
        for i in able:
            if found <= partners[i]:
                found.add(i)
        return frozenset(found) if len(found) > 1 else frozenset()
    for size in range(len(able), 1, -1):
        for chosen in combinations(able, size):
            if all(frozenset(p) in agree for p in combinations(chosen, 2)):
                return frozenset(chosen)
    return frozenset()
