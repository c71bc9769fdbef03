"""One campaign's ratios from plain values: what the arrays say, gaps, dropped arms, refusals."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lem.stats import blocks_needed, carry_over, ratios, verdict
from lem.stats.intervals import blocks_needed as needed_of_arrays
from lem.stats.intervals import compare_arms

POSITIVE = st.floats(1e-6, 1e6)
Table = dict[str, dict[int, float]]


def table(seed: int, blocks: int, **truth: float) -> Table:
    rng = np.random.default_rng(seed)
    return {
        arm: {b: value * math.exp(rng.normal(0, 0.01)) for b in range(blocks)}
        for arm, value in truth.items()
    }


def logs(values: Table) -> np.ndarray:
    return np.log([[own[b] for own in values.values()] for b in sorted(values["a"])])


def test_three_blocks_by_hand() -> None:
    # ln-ratios 0.1, 0.2, 0.3: mean 0.2, s = 0.1, t(0.975, 2) = 4.303.
    found = ratios(
        {
            "b": {i: math.exp(d) for i, d in enumerate((0.1, 0.2, 0.3))},
            "a": dict.fromkeys(range(3), 1.0),
        },
        "a",
    )["b"]
    half = 4.30265 * 0.1 / math.sqrt(3)
    assert found.ratio == pytest.approx(math.exp(0.2))
    assert found.low == pytest.approx(math.exp(0.2 - half), rel=1e-5)
    assert found.high == pytest.approx(math.exp(0.2 + half), rel=1e-5)
    assert found.sd_log == pytest.approx(0.1)
    assert (found.n, found.reason, found.method, found.df) == (3, None, "t", pytest.approx(2))


def test_ratios_and_blocks_are_those_of_the_arrays() -> None:
    values = table(1, 9, a=2.0, b=1.4, c=2.1)
    found = ratios(values, "a", pilot=5, target=0.02)
    arrays = compare_arms(logs(values), pilot=5)
    for i, arm in enumerate(("b", "c")):
        assert found[arm].half_width_log == pytest.approx(float(arrays.half_width[i]))
        assert math.log(found[arm].ratio) == pytest.approx(float(arrays.log_ratio[i]))
        assert found[arm].method == "dunnett" and found[arm].comparisons == 2
    needed = blocks_needed(values, "a", 0.01, pilot=5)
    assert needed.n == int(needed_of_arrays(logs(values)[:5], 0.01))


def test_blocks_after_the_pilot_change_nothing_in_the_plan() -> None:
    values = table(2, 12, a=1.0, b=0.7, c=0.9)
    early = {arm: {b: v for b, v in own.items() if b < 5} for arm, own in values.items()}
    assert blocks_needed(values, "a", 0.01, pilot=5) == blocks_needed(early, "a", 0.01, pilot=5)


def test_a_missing_run_costs_its_own_arm_a_block_and_no_other() -> None:
    values = table(3, 8, a=1.0, b=0.7, c=0.9)
    del values["c"][4]
    found = ratios(values, "a")
    assert (found["b"].n, found["c"].n) == (8, 7)
    without = {arm: {b: v for b, v in own.items() if b != 4} for arm, own in values.items()}
    assert found["c"].ratio == pytest.approx(ratios(without, "a")["c"].ratio)
    assert found["b"].ratio == pytest.approx(ratios({k: values[k] for k in "ab"}, "a")["b"].ratio)


def test_an_arm_that_was_dropped_has_no_interval_and_takes_none_away() -> None:
    values = table(4, 8, a=1.0, b=0.7, c=0.9)
    values["c"] = {0: 0.9}
    found = ratios(values, "a")
    assert found["c"].low is None and "2 blocks" in (found["c"].reason or "")
    assert found["b"].low is not None
    values["c"] = {}
    assert ratios(values, "a").keys() == {"b"}
    needed = blocks_needed(values, "a", 0.01, pilot=5)
    assert needed.n is not None and needed.method == "t"


def test_more_arms_expected_make_intervals_wider() -> None:
    values = table(5, 6, a=1.0, b=0.7)
    alone, of_five = ratios(values, "a")["b"], ratios(values, "a", comparisons=5)["b"]
    assert of_five.half_width_log > alone.half_width_log  # type: ignore[operator]
    assert of_five.comparisons == 5


def test_a_target_is_reached_or_not() -> None:
    values = table(6, 10, a=1.0, b=0.7)
    half = ratios(values, "a")["b"].half_width_log or 0
    assert ratios(values, "a", target=half * 1.01)["b"].reached is True
    assert ratios(values, "a", target=half * 0.99)["b"].reached is False
    assert ratios(values, "a")["b"].reached is None


@given(st.lists(st.tuples(POSITIVE, POSITIVE), min_size=2, max_size=8), st.floats(0.1, 10))
def test_swapping_arm_and_baseline_inverts_the_interval(
    pairs: list[tuple[float, float]], gain: float
) -> None:
    values = {
        "a": {i: a * gain for i, (a, _) in enumerate(pairs)},
        "b": {i: b for i, (_, b) in enumerate(pairs)},
    }
    one, other = ratios(values, "a")["b"], ratios(values, "b")["a"]
    assert one.ratio == pytest.approx(1 / other.ratio, rel=1e-9)
    if one.low is not None and other.high is not None:
        assert math.log(one.low) == pytest.approx(-math.log(other.high), rel=1e-6, abs=1e-9)


def test_identical_readings_give_no_interval_of_width_nothing() -> None:
    values = {"a": dict.fromkeys(range(4), 3.0), "b": dict.fromkeys(range(4), 2.0)}
    found = ratios(values, "a")["b"]
    assert found.low is None and "coarse" in (found.reason or "")
    needed = blocks_needed(values, "a", 0.01, pilot=4)
    assert needed.n is None and "coarse" in (needed.reason or "")


def test_wild_scatter_gives_no_interval_instead_of_an_overflow() -> None:
    found = ratios({"a": {0: 1e-200, 1: 1e200}, "b": {0: 1e200, 1: 1e-200}}, "a")["b"]
    assert found.low is None and "disagree" in (found.reason or "")


def test_a_pilot_without_two_common_blocks_cannot_tell() -> None:
    needed = blocks_needed(
        {"a": {0: 1.0, 5: 1.0, 6: 1.0}, "b": {0: 2.0, 5: 2.1, 6: 2.0}}, "a", 0.01, pilot=5
    )
    assert needed.n is None and needed.reason


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_figures_without_a_logarithm_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite, positive"):
        ratios({"a": {0: 1.0, 1: 1.0}, "b": {0: 1.0, 1: bad}}, "a")
    with pytest.raises(ValueError, match="baseline"):
        ratios({"b": {0: 1.0}}, "a")


def test_carry_over_follows_the_order_of_the_runs() -> None:
    share, truth = 0.05, {"a": 1.0, "b": 0.5, "c": 2.0}
    rng = np.random.default_rng(7)
    values: Table = {arm: {} for arm in truth}
    order: dict[int, list[str]] = {}
    before = None
    for block in range(12):
        order[block] = [str(arm) for arm in rng.permutation(list(truth))]
        for arm in order[block]:
            pull = share * math.log(truth[before] / truth[arm]) if before else 0.0
            values[arm][block] = truth[arm] * math.exp(pull + rng.normal(0, 1e-4))
            before = arm
    found = carry_over(values, order, "a")
    assert found is not None and found.noticed
    assert found.share == pytest.approx(share, abs=0.001)
    assert found.bound > found.share and found.runs == 35
    # By so much the ratios are off, and the bounds say so (they are 1 % wider or more).
    for arm, estimate in ratios(values, "a").items():
        off = abs(math.log(estimate.ratio) - math.log(truth[arm]))
        assert off <= found.bias[arm] * 1.01 + 1e-4
        assert found.bias[arm] < 1.2 * off + 1e-3


def test_carry_over_is_not_made_up() -> None:
    values = table(8, 6, a=1.0, b=0.7)
    assert carry_over(values, {}, "a") is None
    assert carry_over({"a": {0: 1.0}}, {0: ["a"]}, "a") is None


def test_where_carry_over_cannot_be_told_its_bound_is_all_of_it() -> None:
    """Always the same order: what is handed on cannot be told from what the arms are."""
    values = table(8, 6, a=1.0, b=0.7)
    found = carry_over(values, {b: ["a", "b"] for b in range(0, 12, 2)}, "a")
    one = carry_over({"a": {0: 1.0}, "b": {0: 2.0}}, {0: ["a", "b"]}, "a")
    assert found is not None and (found.share, found.bound, found.noticed) == (None, 1.0, False)
    # Only b has a predecessor: all of its difference to a would be gone.
    assert one is not None and one.pull == {"b": pytest.approx(-math.log(2))}
    assert one.bias == {"b": pytest.approx(math.log(2))}


def test_unknown_carry_over_is_seldom_taken_for_sameness() -> None:
    """Two arms 2.5 % apart, of which a run hands on 30 %: within 2 % they are not the same."""
    wrong = 0
    rng = np.random.default_rng(3)
    for _ in range(200):
        values: Table = {"a": {}, "b": {}}
        order: dict[int, list[str]] = {}
        truth, before = {"a": 0.0, "b": math.log(1.025)}, None
        for block in range(5):
            order[block] = [str(arm) for arm in rng.permutation(["a", "b"])]
            for arm in order[block]:
                pull = 0.3 * (truth[before] - truth[arm]) if before else 0.0
                values[arm][block] = math.exp(truth[arm] + pull + rng.normal(0, 0.005))
                before = arm
        found = carry_over(values, order, "a")
        assert found is not None
        wrong += verdict(ratios(values, "a")["b"], 0.02, found.bias["b"]).says == "same"
    assert wrong <= 10


def test_what_ran_before_a_block_may_be_another_than_the_one_numbered_before() -> None:
    """Blocks 0 and 2 on one board, 1 and 3 on another: the first run of 2 follows the last of 0."""
    table = {a: {b: 1.0 + 0.1 * i + 0.01 * b for b in range(4)} for i, a in enumerate("xyz")}
    order = {0: "xyz", 1: "zyx", 2: "yxz", 3: "xzy"}
    alone = carry_over(table, order, "x")
    spread = carry_over(table, order, "x", previous={2: 0, 3: 1})
    none = carry_over(table, order, "x", previous={})
    assert alone is not None and spread is not None and none is not None
    assert (alone.runs, spread.runs, none.runs) == (11, 10, 8)
    assert carry_over(table, order, "x", previous={b: b - 1 for b in range(1, 4)}) == alone
