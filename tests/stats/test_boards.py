"""Blocks spread over boards: components and intervals by hand, and what must not fool them."""

import math

import numpy as np
import pytest
from scipy import stats

from lem.stats import more_blocks, ratios, verdict
from lem.stats.absolute_boards import absolute_on_boards
from lem.stats.boards import apart, compare_on_boards, component, grouped
from lem.stats.intervals import compare_arms
from lem.stats.serial import absolute_intervals

RNG = np.random.default_rng(20261128)
IN_TURN = np.arange(12) % 4


def table(logs):
    return {a: {b: math.exp(v) for b, v in enumerate(logs[:, a])} for a in range(logs.shape[1])}


def named(which):
    return {b: f"board{k}" for b, k in enumerate(which)}


def test_the_component_of_a_balanced_layout_is_that_of_the_analysis_of_variance() -> None:
    values = np.array([5.1, 4.7, 6.2, 5.5, 5.3, 4.9, 6.0, 5.9, 5.0, 4.5, 6.4, 5.4])
    groups = [values[k == IN_TURN] for k in range(4)]
    between = 3 * np.var([g.mean() for g in groups], ddof=1)
    within = sum(((g - g.mean()) ** 2).sum() for g in groups) / 8
    found = component(grouped(values, IN_TURN))
    assert float(found.sd) == pytest.approx(math.sqrt((between - within) / 3))
    # Tukey and Williams, with quantiles of F and χ² from SciPy.
    ends = [
        3 * between * (1 - stats.f.ppf(p, 3, 8) * within / between) / (3 * stats.chi2.ppf(p, 3))
        for p in (0.975, 0.025, 0.05)
    ]
    assert np.square([found.low, found.high, found.most]) == pytest.approx(ends)


def test_boards_that_lie_too_close_together_still_have_a_bound() -> None:
    within = np.tile([-0.01, 0.0, 0.01], (4, 1)).T.reshape(-1)
    found = component(grouped(within, IN_TURN))
    assert float(found.sd) == 0 == float(found.low)
    assert float(found.most) > 0.005 and float(found.high) > float(found.most)


def test_the_components_interval_holds_the_truth() -> None:
    which = np.array([0, 0, 0, 0, 1, 1, 2, 2, 2, 3])
    values = 0.02 * RNG.standard_normal((20_000, 4))[:, which] + 0.01 * RNG.standard_normal(
        (20_000, 10)
    )
    found = component(grouped(values, which))
    # Conservative with such uneven numbers of blocks.
    assert 0.945 <= ((found.low <= 0.02) & (found.high >= 0.02)).mean() <= 0.985
    assert 0.94 <= (found.most >= 0.02).mean() <= 0.98


def test_without_two_blocks_on_a_board_nothing_is_told_of_boards() -> None:
    found = component(grouped(np.array([1.0, 2.0, 4.0]), np.arange(3)))
    assert all(math.isnan(float(v)) for v in found)


def test_a_board_is_held_against_all_others_by_the_scatter_within() -> None:
    values = np.array([0.01, 0.0, 0.05, -0.01, 0.0, 0.01, 0.06, 0.0, -0.01, 0.0, 0.055, 0.01])
    found = apart(grouped(values, IN_TURN), 0.95)
    third, rest = values[IN_TURN == 2], values[IN_TURN != 2]
    assert float(found.deviation[2]) == pytest.approx(third.mean() - rest.mean())
    # The others are held against those that agree: without the third.
    two = values[(IN_TURN == 1) | (IN_TURN == 3)]
    assert float(found.deviation[0]) == pytest.approx(values[IN_TURN == 0].mean() - two.mean())
    within = sum(((g := values[k == IN_TURN]) - g.mean()) @ (g - g.mean()) for k in range(4)) / 8
    half = stats.t.ppf(1 - 0.025 / 4, 8) * math.sqrt(within * (1 / 3 + 1 / 9))
    assert float(found.half_width[2]) == pytest.approx(half)
    assert list(found.apart) == [False, False, True, False]


def test_boards_alike_are_seldom_noticed_and_a_run_that_stands_out_is_no_board() -> None:
    values = 0.01 * RNG.standard_normal((20_000, 12))
    found = apart(grouped(values, IN_TURN), 0.95)
    assert 0.03 < found.apart.any(axis=-1).mean() <= 0.052
    two = np.array([0, 0, 0, 0, 0, 0, 0, 1])
    spike = np.array([0.0, 0.01, -0.01, 0.0, 0.01, -0.01, 0.0, 0.5])
    assert not apart(grouped(spike, two), 0.95).apart.any()


def test_of_two_boards_that_differ_both_are_apart() -> None:
    values = np.array([0.0, 0.1, 0.01, 0.11, -0.01, 0.09])
    assert apart(grouped(values, np.arange(6) % 2), 0.95).apart.all()
    third = np.concatenate([values, [0.5, 0.51, 0.49]])
    which = np.concatenate([np.arange(6) % 2, [2, 2, 2]])
    assert apart(grouped(third, which), 0.95).apart.all(), "no two of them agree"


def test_gains_cancel_in_ratios_to_the_last_digit() -> None:
    logs = 0.01 * RNG.standard_normal((12, 3))
    gains = np.array([0.05, -0.04, 0.02, -0.01])[IN_TURN]
    plain, on = ratios(table(logs), 0), named(IN_TURN)
    found = ratios(table(logs + gains[:, None]), 0, boards=on)
    for arm, estimate in found.items():
        assert estimate.method == "dunnett" and estimate.on_boards is not None
        assert estimate.low == pytest.approx(plain[arm].low, rel=1e-12)
        assert estimate.half_width_log == pytest.approx(plain[arm].half_width_log, rel=1e-9)


def test_on_one_board_nothing_changes_at_all() -> None:
    logs = 0.01 * RNG.standard_normal((6, 3))
    assert ratios(table(logs), 0, boards=named([3] * 6)) == ratios(table(logs), 0)


def test_boards_like_these_by_hand() -> None:
    """Three blocks on each of four boards, two arms: Student's t of the four means."""
    logs = 0.01 * RNG.standard_normal((12, 2))
    logs[:, 1] += np.array([0.03, -0.02, 0.01, 0.0])[IN_TURN]
    means = [(logs[:, 1] - logs[:, 0])[k == IN_TURN].mean() for k in range(4)]
    half = stats.t.ppf(0.975, 3) * np.std(means, ddof=1) / 2
    _, on = compare_on_boards(logs, IN_TURN)
    assert float(on.half_width[0]) == pytest.approx(half)


def test_uneven_numbers_of_blocks_make_it_wider() -> None:
    which = np.array([0, 0, 0, 0, 0, 0, 0, 1, 1, 2])
    logs = np.zeros((10, 2))
    logs[:, 1] = np.array([0.02, -0.02, 0.0])[which] + 1e-4 * RNG.standard_normal(10)
    d = logs[:, 1]
    means = [d[which == k].mean() for k in range(3)]
    spread = np.std(means, ddof=1) * math.sqrt(0.7**2 + 0.2**2 + 0.1**2)
    _, on = compare_on_boards(logs, which)
    assert float(on.half_width[0]) == pytest.approx(stats.t.ppf(0.975, 2) * spread)


def test_it_is_never_narrower_than_on_these_boards() -> None:
    logs = 0.01 * RNG.standard_normal((200, 12, 4))
    found, on = compare_on_boards(logs, np.tile(IN_TURN, (200, 1)))
    plain = compare_arms(logs)
    assert (on.half_width >= plain.half_width).all() and (
        found.half_width >= plain.half_width
    ).all()
    told = ~on.noticed
    assert np.array_equal(found.half_width[told], plain.half_width[told])


def test_a_board_that_disagrees_widens_its_arms_interval_and_no_other() -> None:
    logs = 0.003 * RNG.standard_normal((12, 3))
    logs[IN_TURN == 1, 2] += 0.04
    plain, found = ratios(table(logs), 0), ratios(table(logs), 0, boards=named(IN_TURN))
    quiet, moved = found[1], found[2]
    assert quiet.method == "dunnett" and quiet.low == plain[1].low
    assert moved.method == "boards" and moved.on_boards is not None
    assert [b.name for b in moved.on_boards.each if b.apart] == ["board1"]
    assert moved.on_boards.noticed and moved.on_boards.between.seen
    assert (moved.low, moved.high) == (moved.on_boards.low, moved.on_boards.high)
    assert moved.half_width_log > plain[2].half_width_log * 1.5
    assert moved.half_width_same_log >= plain[2].half_width_same_log
    # No number of blocks on the same boards is promised to decide.
    assert more_blocks(moved) is None and verdict(moved).says in ("more", "cannot_tell")


def test_two_boards_and_several_arms_take_bonferronis_t() -> None:
    logs = 0.01 * RNG.standard_normal((8, 4))
    which = np.arange(8) % 2
    _, on = compare_on_boards(logs, which)
    d = logs[:, 1:] - logs[:, :1]
    apart_by = np.abs(d[which == 0].mean(axis=0) - d[which == 1].mean(axis=0)) / math.sqrt(2)
    half = stats.t.ppf(1 - 0.025 / 3, 1) * apart_by / math.sqrt(2)
    assert on.half_width == pytest.approx(np.maximum(half, compare_arms(logs).half_width))


def test_readings_without_scatter_have_no_interval_and_no_board_apart() -> None:
    """The same ratio in every block; last digits differ by rounding."""
    figures = {0: dict(enumerate([2.0, 2.1, 1.9, 2.2])), 1: dict(enumerate([1.0, 1.05, 0.95, 1.1]))}
    found = ratios(figures, 0, boards=named([0, 1, 0, 1]))[1]
    assert found.low is None and found.on_boards is not None
    assert not found.on_boards.noticed and found.on_boards.low is None


def test_a_missing_run_costs_its_board_a_block() -> None:
    logs = 0.01 * RNG.standard_normal((8, 3))
    whole = table(logs)
    del whole[2][5]
    found = ratios(whole, 0, boards=named(np.arange(8) % 2))
    assert [b.blocks for b in found[1].on_boards.each] == [4, 4]
    assert [b.blocks for b in found[2].on_boards.each] == [4, 3]


def test_an_arm_on_one_board_alone_has_nothing_to_say_of_boards() -> None:
    logs = 0.01 * RNG.standard_normal((8, 3))
    whole = table(logs)
    whole[2] = {b: v for b, v in whole[2].items() if b % 2 == 0}
    found = ratios(whole, 0, boards=named(np.arange(8) % 2))
    assert found[2].on_boards.boards == 1 and found[2].on_boards.low is None
    assert found[2].low is not None and found[1].on_boards.low is not None


def test_an_absolute_figure_counts_boards_and_blocks() -> None:
    """Half-widths in squares: t of 3 degrees of freedom of the boards' means, and the blocks'."""
    gains = np.array([0.05, -0.04, 0.02, -0.03])[IN_TURN]
    values = 2 * (1 + gains + 0.002 * RNG.standard_normal(12))
    means = [values[k == IN_TURN].mean() for k in range(4)]
    boards = stats.t.ppf(0.975, 3) * np.std(means, ddof=1) / 2
    found = absolute_on_boards(values, IN_TURN)
    assert float(found.mean) == pytest.approx(values.mean())
    assert boards < float(found.half_width) < 1.05 * boards


def test_the_order_of_boards_is_no_drift_and_no_autocorrelation() -> None:
    one_by_one = np.repeat(np.arange(4), 5)
    values = 1 + np.array([0.0, 0.03, 0.06, 0.09])[one_by_one] + 0.005 * RNG.standard_normal(20)
    assert int(absolute_intervals(values).refused) in (3, 4)
    found = absolute_on_boards(values, one_by_one)
    assert int(found.refused) == 0 and float(found.slope_p) > 0.01 and int(found.merged) == 1


def test_a_drift_on_every_board_is_noticed() -> None:
    drift = 0.2 * np.linspace(0, 1, 20)
    gains = np.array([0.02, -0.03, 0.01, 0.04])
    which = np.arange(20) % 4
    values = 1 + drift + gains[which] + 0.003 * RNG.standard_normal(20)
    found = absolute_on_boards(values, which)
    assert int(found.refused) == 4 and math.isnan(float(found.half_width))
    assert float(found.slope) == pytest.approx(0.2, abs=0.02)


def test_on_one_board_or_on_as_many_as_blocks_it_is_the_plain_interval() -> None:
    values = 1 + 0.01 * RNG.standard_normal((5, 9))
    plain = absolute_intervals(values)
    for which in (np.zeros(9, dtype=int), np.arange(9)):
        found = absolute_on_boards(values, which)
        assert np.array_equal(found.half_width, plain.half_width, equal_nan=True)
        assert np.array_equal(found.refused, plain.refused)


@pytest.mark.parametrize("boards", [2, 4, 8])
def test_absolute_figures_cover_where_blocks_taken_for_independent_do_not(boards: int) -> None:
    which = RNG.integers(0, boards, (4000, 20))
    gains = 0.034 * RNG.standard_normal((4000, boards))
    values = 1 + 0.01 * RNG.standard_normal((4000, 20)) + np.take_along_axis(gains, which, -1)
    found = absolute_on_boards(values, which)
    good = found.refused == 0
    covered = (np.abs(found.mean - 1) <= found.half_width)[good].mean()
    blind = absolute_intervals(values)
    blindly = (np.abs(blind.mean - 1) <= blind.half_width)[blind.refused == 0].mean()
    assert covered >= 0.945 - 3 * math.sqrt(0.05 * 0.95 / 4000) and good.mean() > 0.95
    assert blindly < 0.9


def test_a_noisy_board_widens_intervals_and_none_falls_short() -> None:
    """One board scatters three times as much: it may be taken for one that disagrees."""
    which = np.arange(12) % 4
    noise = np.where(which == 0, 0.03, 0.01)[:, None]
    logs = noise * RNG.standard_normal((4000, 12, 6))
    found, on = compare_on_boards(logs, np.tile(which, (4000, 1)))
    away, least = np.abs(found.log_ratio), 0.945 - 3 * math.sqrt(0.05 * 0.95 / 4000)
    assert (away <= found.half_width).all(axis=-1).mean() >= least
    assert (away <= on.half_width).all(axis=-1).mean() >= least
    assert 0.1 < on.noticed.any(axis=-1).mean() < 0.35


def test_of_boards_like_these_in_these_nodes_absolute_figures_cover() -> None:
    """Four boards in each of two nodes, of which one draws 3 % more, in all campaigns."""
    which = np.arange(16) % 8
    values = np.where(which % 2, 1.03, 1.0) + 0.01 * RNG.standard_normal((4000, 16))
    values += 0.034 * RNG.standard_normal((4000, 8))[:, which]
    found = absolute_on_boards(values, np.tile(which, (4000, 1)))
    good = found.refused == 0
    covered = (np.abs(found.mean - 1.015) <= found.half_width)[good].mean()
    assert covered >= 0.945 and good.mean() > 0.95


def test_an_arm_on_two_of_three_boards_takes_bonferronis_t() -> None:
    logs = 0.01 * RNG.standard_normal((12, 3))
    which = np.arange(12) % 3
    logs[which == 1, 2] += 0.02
    logs[which == 2, 2] = np.nan
    _, on = compare_on_boards(logs, which)
    d = logs[:, 2] - logs[:, 0]
    means = [d[which == k].mean() for k in (0, 1)]
    half = stats.t.ppf(1 - 0.025 / 2, 1) * np.std(means, ddof=1) / math.sqrt(2)
    assert float(on.half_width[1]) == pytest.approx(half)
