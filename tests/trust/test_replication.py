"""Who replicates whom: the intervals against SciPy's Welch test, and the sets by small cases."""

import math

import numpy as np
import pytest
from scipy import stats

from lem.trust.replication import (
    ABSOLUTE_MARGIN,
    RATIO_MARGIN,
    Group,
    compare,
    interval,
    replicated,
)

BLOCKS = 5


def group(identity: int, mean: float = 1.0, scatter: float = 0.01, **changes: object) -> Group:
    """Five blocks whose scatter is known: ±, 0."""
    steps = [-1.0, 1.0, 0.0, -0.5, 0.5]
    fields: dict[str, object] = {
        "boards": frozenset({f"board-{identity}"}),
        "salt": "s",
        "invited": True,
        "values": [mean * (1 + scatter * s) for s in steps],
    }
    return Group(identity, **(fields | changes))  # type: ignore[arg-type]


def test_a_thousand_keys_without_invitation_make_no_half_million_pairs() -> None:
    sybils = [Group(i, frozenset({str(i)}), "s", False, [1.0, 1.01, 0.99]) for i in range(2, 1002)]
    invited = [Group(i, frozenset({str(i)}), "s", True, [1.0, 1.01, 0.99]) for i in (1, 2000, 2001)]
    found = replicated([*sybils, *invited])
    assert found.members == {1, 2000, 2001} and not found.disputed
    assert len(found.pairs) == 23 * 22 // 2


def test_the_interval_is_welchs() -> None:
    a, b = [1.0, 1.02, 0.97, 1.01], [1.1, 1.18, 1.12]
    ratio, low, high = interval(a, b)
    welch = stats.ttest_ind(np.log(a), np.log(b), equal_var=False)
    expected = welch.confidence_interval(0.90)
    assert low is not None and high is not None
    assert math.log(low) == pytest.approx(expected.low)
    assert math.log(high) == pytest.approx(expected.high)
    assert ratio == pytest.approx(stats.gmean(a) / stats.gmean(b))


def test_two_one_sided_tests_at_five_per_cent() -> None:
    """``agrees`` where both of SciPy's one-sided Welch tests reject."""
    rng = np.random.default_rng(1)
    verdicts = set()
    for _ in range(200):
        a = np.exp(rng.normal(0, 0.03, 4))
        b = np.exp(rng.normal(0.06, 0.04, 6))
        most = math.log1p(ABSOLUTE_MARGIN)
        lower = stats.ttest_ind(np.log(a) + most, np.log(b), equal_var=False, alternative="greater")
        upper = stats.ttest_ind(np.log(a) - most, np.log(b), equal_var=False, alternative="less")
        same = bool(max(lower.pvalue, upper.pvalue) <= 0.05)
        pair = compare(group(1, values=list(a)), group(2, values=list(b)))
        assert (pair.verdict == "agrees") is same
        verdicts.add(pair.verdict)
    assert {"agrees", "cannot_tell"} <= verdicts


def test_verdicts() -> None:
    assert compare(group(1), group(2, 1.03)).verdict == "agrees"
    assert compare(group(1), group(2, 1.2)).verdict == "disagrees"
    assert compare(group(1, 1.2), group(2)).verdict == "disagrees"
    assert compare(group(1), group(2, 1.10)).verdict == "cannot_tell"
    assert compare(group(1, scatter=0.2), group(2)).verdict == "cannot_tell"
    assert compare(group(1), group(2, 1.02), RATIO_MARGIN).verdict != "disagrees"
    assert compare(group(1), group(2, 1.06), RATIO_MARGIN).verdict == "disagrees"


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"boards": frozenset({"board-1", "x"})}, "same_boards"),
        ({"boards": frozenset()}, "boards_unknown"),
        ({"salt": "other"}, "boards_unknown"),
        ({"invited": False}, "not_invited"),
        ({"values": [1.0, 1.01]}, "cannot_tell"),
        ({"values": [1.0, 1.0, 1.0]}, "cannot_tell"),
    ],
)
def test_what_does_not_count(changes: dict[str, object], verdict: str) -> None:
    other = group(2, **changes)
    assert compare(group(1), other).verdict == verdict
    assert replicated([group(1), other]).members == frozenset()


def test_two_that_agree_and_one_that_does_not() -> None:
    found = replicated([group(3, 1.2), group(1), group(2, 1.02)])
    assert found.members == {1, 2}
    assert not found.disputed
    verdicts = {(p.a, p.b): p.verdict for p in found.pairs}
    assert verdicts == {(1, 2): "agrees", (1, 3): "disagrees", (2, 3): "disagrees"}
    shown = {(p.a, p.b): p for p in found.pairs}[1, 3]
    assert shown.ratio == pytest.approx(1 / 1.2)
    assert shown.low is not None and shown.high is not None
    assert shown.low < shown.ratio < shown.high


def test_as_many_against_as_in_it() -> None:
    two = [group(1), group(2), group(3, 1.3), group(4, 1.3)]
    found = replicated(two)
    assert found.members == frozenset() and found.disputed
    three = replicated([*two, group(5, 1.01)])
    assert three.members == {1, 2, 5} and not three.disputed
    # Whoever is not invited cannot dispute either.
    sybils = [group(i, 1.3, invited=False) for i in range(10, 20)]
    assert replicated([group(1), group(2), *sybils]).members == {1, 2}


def test_the_set_agrees_pairwise_and_ties_are_broken_alike() -> None:
    """A chain: neighbours agree, its ends do not. Of two largest sets the first."""
    chain = [group(1), group(2, 1.06), group(3, 1.12)]
    pairs = {(p.a, p.b): p.verdict for p in replicated(chain).pairs}
    assert pairs[1, 2] == pairs[2, 3] == "agrees" and pairs[1, 3] == "disagrees"
    for order in (chain, chain[::-1]):
        assert replicated(order).members == {1, 2}


def test_many_submitters_are_no_trouble() -> None:
    found = replicated([group(i, 1 + 0.001 * i) for i in range(40)])
    assert found.members == set(range(40))


def test_a_submitter_is_one_group_and_figures_are_positive() -> None:
    with pytest.raises(ValueError, match="one group"):
        replicated([group(1), group(1)])
    with pytest.raises(ValueError, match="positive"):
        interval([1.0, -1.0], [1.0, 1.0])
    assert replicated([]).members == frozenset()


def test_honest_boards_are_replicated_and_those_far_apart_are_not() -> None:
    """Gains of 3.4 % RMS, blocks that scatter by 1 %, five blocks: two honest submitters agree in
    nine of ten cases; 20 % apart in one of fifty. docs/trust.md has the table."""
    rng = np.random.default_rng(2026)

    def pair(apart: float) -> frozenset[int]:
        gains = np.exp(rng.normal(0, 0.034, 2)) * np.array([1.0, 1 + apart])
        values = [list(g * np.exp(rng.normal(0, 0.01, BLOCKS))) for g in gains]
        return replicated([group(i, values=v) for i, v in enumerate(values)]).members

    n = 1000
    honest = sum(len(pair(0.0)) == 2 for _ in range(n))
    forged = sum(len(pair(0.2)) == 2 for _ in range(n))
    # (ln 1.1 − t₈·σ) ÷ √(2·0.034² + σ²) with σ² = 2·0.01² ÷ 5 is 1.72: 91 %.
    assert 0.88 * n <= honest <= 0.94 * n
    # Where the gains make up for most of it: (ln 1.2 − 0.084) ÷ 0.048 is 2.06, 2 %.
    assert forged <= 0.04 * n
