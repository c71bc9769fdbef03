"""Summaries against the standard library's statistics, and against themselves in other company."""

import math
import statistics
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lem.archive.figures import (
    HIGHER_IS_BETTER,
    OVERLAPPING,
    SHARED,
    UNEXPLAINED,
    UNEXPLAINED_ALONE,
    UNSTATED,
    WHY_NONE,
    Runs,
    on_boards,
    summarise,
)
from lem.archive.schema import HEADLINE, WITH_UNCERTAINTY
from lem.stats.absolute import absolute

ONE = HEADLINE.index("energy_per_output_token_j")
SPEED = HEADLINE.index("output_throughput_tokens_per_s")


ARMS = 2
"""In a block, where a test has several."""


def runs(rows, arms: int = 1, boards=None) -> Runs:
    """Of (config, identity, campaign, place, started, tier, value or None, U or None); the same
    value in every metric. ``place``: block × ``arms`` + arm. ``boards``: of each row a number."""
    nan = math.nan
    table = [[nan if x is None else x for x in row] for row in rows]
    t = np.array(table, dtype=float).reshape(-1, 8)
    whole = t[:, :4].astype(np.int64)
    n = len(t)
    return Runs(
        whole[:, 0],
        whole[:, 1],
        np.column_stack([whole[:, 2], whole[:, 3] // arms, whole[:, 3] % arms, np.zeros(n, int)]),
        t[:, 4],
        t[:, 5].astype(np.int64),
        np.zeros(n, int) if boards is None else np.array(boards, dtype=np.int64),
        np.repeat(t[:, 6:7], len(HEADLINE), axis=1),
        np.repeat(t[:, 7:8], len(WITH_UNCERTAINTY), axis=1),
    )


def summary(rows, metric: int = ONE, tier: int = 1, config: int = 1) -> dict[str, float]:
    found = summarise(runs(rows))
    (i,) = np.flatnonzero(
        (found.metric == metric) & (found.tier == tier) & (found.config == config)
    )
    return {name: column[i].item() for name, column in found._asdict().items()}


values = st.floats(min_value=1e-3, max_value=1e3) | st.floats(min_value=0.9, max_value=1.1)
rows_of = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.integers(1, 3),
        st.integers(1, 2),
        st.integers(0, 16),
        st.floats(min_value=0, max_value=1e9),
        st.integers(1, 3),
        st.none() | values,
        st.none() | st.floats(min_value=0, max_value=10),
    ),
    max_size=60,
    unique_by=lambda r: r[:4],
)


@given(rows_of)
@settings(max_examples=150)
def test_equals_a_straightforward_reference(rows) -> None:
    found = summarise(runs(rows, ARMS))
    keys = list(zip(found.config, found.tier, found.metric, strict=True))
    assert keys == sorted(set(keys))
    expected = 0
    for tier in (1, 2, 3):
        for config in (1, 2, 3):
            mine = sorted(r for r in rows if r[0] == config and r[5] >= tier and r[6] is not None)
            if not mine:
                continue
            expected += len(HEADLINE)
            for metric in (ONE, SPEED):
                check(mine, found, keys.index((config, tier, metric)), metric)
    assert len(keys) == expected


def check(mine, found, i: int, metric: int) -> None:
    series = {k: list(blocks_of(g)) for k, g in groupby(mine, key=lambda r: r[1])}
    means = {k: statistics.fmean(value for value, _ in g) for k, g in series.items()}
    mean = statistics.fmean(means.values())
    assert found.n[i] == len(mine) and found.submitters[i] == len(series)
    assert math.isclose(found.mean[i], mean, rel_tol=1e-12)
    scale = 1e-12 * max(r[6] for r in mine) ** 2
    within = sum((r[6] - means[r[1]]) ** 2 for r in mine)
    between = sum((m - mean) ** 2 for m in means.values())
    assert math.isclose(found.m2_within[i], within, rel_tol=1e-9, abs_tol=scale)
    assert math.isclose(found.m2_between[i], between, rel_tol=1e-9, abs_tol=scale)
    best = max if metric == SPEED else min
    assert found.best[i] == best(r[6] for r in mine)
    newest = max(r[4] for r in mine)
    assert found.last[i] in {r[6] for r in mine if r[4] == newest}
    each, why = [], 0
    for g in series.values():
        one = absolute([value for value, _ in g], [u for _, u in g])
        half = None if one.low is None else one.mean - one.low
        if half is None:
            why = max(why, next(k for k, text in WHY_NONE.items() if text == one.reason))
        elif metric == SPEED:
            each.append(half)
        elif any(u is None for _, u in g):
            why = max(why, UNSTATED)
        else:
            each.append(math.hypot(half, statistics.fmean(u for _, u in g)))
    assert found.why_none[i] == why
    if why:
        assert math.isnan(found.expanded[i])
        return
    u = statistics.fmean(each)
    if len(each) > 1:
        away = sum(((m - mean) / (e / 2)) ** 2 for m, e in zip(means.values(), each, strict=True))
        k = len(each)
        birge = math.sqrt(away / (k - 1))
        student = max(1, stats.t.ppf(0.975, k - 1) / (2 * math.sqrt(k)))
        most = UNEXPLAINED_ALONE if metric == SPEED else UNEXPLAINED
        u *= max(1, birge if birge <= most else birge * student)
    assert math.isclose(found.expanded[i], u, rel_tol=1e-6)


def blocks_of(rows):
    """Mean and mean U of each block."""
    for _, those in groupby(rows, key=lambda r: (r[2], r[3] // ARMS)):
        block = list(those)
        us = [r[7] for r in block]
        yield (
            statistics.fmean(r[6] for r in block),
            None if None in us else statistics.fmean(us),
        )


@given(rows_of, st.randoms())
@settings(max_examples=60)
def test_the_same_bits_alone_and_in_company_and_in_any_order(rows, random) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    together = summarise(runs(shuffled, ARMS))
    for config in (1, 2, 3):
        alone = summarise(runs([r for r in rows if r[0] == config], ARMS))
        mine = together.config == config
        for name, column in alone._asdict().items():
            np.testing.assert_array_equal(getattr(together, name)[mine], column, err_msg=name)


def test_one_submitters_u_is_its_repeatability_and_its_meters_together() -> None:
    x = [1.00, 1.02, 0.99, 1.01]
    rows = [(1, 1, 1, b, b, 1, v, 0.03) for b, v in enumerate(x)]
    one = absolute(x, [0.03] * 4)
    half = one.high - one.mean
    assert math.isclose(summary(rows, SPEED)["expanded"], half, rel_tol=1e-9)
    assert math.isclose(summary(rows)["expanded"], math.hypot(half, 0.03), rel_tol=1e-9)


def test_arms_of_one_experiment_in_a_block_are_no_more_blocks() -> None:
    x = [1.00, 1.02, 0.99, 1.01]
    once = [(1, 1, 1, b, b, 1, v, 0.03) for b, v in enumerate(x)]
    twice = [(1, 1, 1, 2 * b + arm, b, 1, v, 0.03) for b, v in enumerate(x) for arm in (0, 1)]
    found = summarise(runs(twice, 2))
    assert found.n[ONE] == 8
    assert found.mean[ONE] == summary(once)["mean"]
    assert math.isclose(found.expanded[ONE], summary(once)["expanded"], rel_tol=1e-12)


def test_one_with_many_runs_does_not_outweigh_the_others() -> None:
    rows = [(1, 1, 1, b, b, 1, 1.0, None) for b in range(98)]
    rows += [(1, 2, 2, b, b, 1, 3.0, None) for b in range(2)]
    assert summary(rows)["mean"] == 2.0
    assert summary(rows)["m2_between"] == 2.0
    assert summary(rows)["m2_within"] == 0.0


def test_submitters_that_disagree_widen_the_interval() -> None:
    x = [1.00, 1.02, 0.99, 1.01]
    alone = [(1, 1, 1, b, b, 1, v, 0.03) for b, v in enumerate(x)]
    same = alone + [(1, 2, 2, b, b, 1, v, 0.03) for b, v in enumerate(x)]
    apart = alone + [(1, 2, 2, b, b, 1, 2 * v, 0.06) for b, v in enumerate(x)]
    u = summary(alone)["expanded"]
    assert math.isclose(summary(same)["expanded"], u, rel_tol=1e-12)
    each = (u + 2 * u) / 2
    centre = statistics.fmean(x)
    birge = math.hypot(centre / 2 / (u / 2), centre / 2 / u)
    student = 12.706204736174707 / math.sqrt(8)
    assert birge > UNEXPLAINED
    assert math.isclose(summary(apart)["expanded"], each * birge * student, rel_tol=1e-12)


@pytest.mark.parametrize("submitters", [2, 3, 4])
def test_u_covers_though_machines_differ_by_more_than_it_explains(submitters: int) -> None:
    """Throughput: U knows of the scatter on one machine, and machines differ by ten times that."""
    chance = np.random.default_rng(submitters)
    rows, n = [], 400
    for config in range(n):
        for who in range(submitters):
            level = 1 + chance.normal(0, 0.05)
            rows += [
                (config, who, who, b, b, 1, level + x, None)
                for b, x in enumerate(chance.normal(0, 0.005, 5))
            ]
    found = summarise(runs(rows))
    of = (found.metric == SPEED) & (found.tier == 1) & np.isfinite(found.expanded)
    covered = (np.abs(found.mean - 1) <= found.expanded)[of]
    assert of.sum() > 0.8 * n and covered.mean() > 0.92


@pytest.mark.parametrize("submitters", [1, 2, 3])
def test_u_of_energy_covers_with_boards_gains(submitters: int) -> None:
    """3.4 % RMS, which every run states as 6.8 %."""
    chance = np.random.default_rng(10 + submitters)
    rows = []
    for config in range(400):
        for who in range(submitters):
            gain = 1 + chance.normal(0, 0.034)
            rows += [
                (config, who, who, b, b, 1, gain + x, 0.068)
                for b, x in enumerate(chance.normal(0, 0.01, 5))
            ]
    found = summarise(runs(rows))
    of = (found.metric == ONE) & (found.tier == 1) & np.isfinite(found.expanded)
    assert (np.abs(found.mean - 1) <= found.expanded)[of].mean() > 0.945


def test_without_an_interval_it_says_why() -> None:
    assert summary([(1, 1, 1, b, b, 1, 1.0 + b, 0.1) for b in range(2)])["why_none"] == 1
    assert summary([(1, 1, 1, b, b, 1, 1.0, 0.1) for b in range(5)])["why_none"] == 2
    some = [(1, 1, 1, b, b, 1, v, None) for b, v in enumerate([1.0, 1.2, 0.9])]
    assert summary(some)["why_none"] == UNSTATED and summary(some, SPEED)["why_none"] == 0
    one_more = [*some, (1, 2, 2, 0, 9, 1, 1.1, 0.1)]
    assert summary(one_more, SPEED)["why_none"] == 1


def test_tiers_hold_what_is_of_them_or_better() -> None:
    rows = [(1, 1, 1, b, b, tier, float(tier), 0.1) for b, tier in enumerate([1, 2, 2, 3])]
    assert [summary(rows, tier=t)["n"] for t in (1, 2, 3)] == [4, 3, 1]
    assert summary(rows, tier=3)["mean"] == 3.0


def test_throughput_alone_is_better_when_higher() -> None:
    assert {HEADLINE[i] for i in HIGHER_IS_BETTER} == {"output_throughput_tokens_per_s"}


def test_blocks_on_several_boards_are_boards_repeated() -> None:
    """In the order in which they began, as the analysis of a campaign has it."""
    rng = np.random.default_rng(1)
    board = [0, 1, 2, 3] * 3
    began = list(rng.permutation(12).astype(float))
    x = [1 + 0.02 * b + 0.001 * v for b, v in zip(board, rng.standard_normal(12), strict=True)]
    rows = [(1, 1, 1, b, began[b], 1, x[b], 0.03) for b in range(12)]
    order = sorted(range(12), key=lambda b: began[b])
    one = absolute([x[b] for b in order], [0.03] * 12, boards=[board[b] for b in order])
    found = summarise(runs(rows, boards=board))
    assert math.isclose(found.expanded[SPEED], one.high - one.mean, rel_tol=1e-9)
    assert math.isclose(found.expanded[ONE], math.hypot(one.high - one.mean, 0.03), rel_tol=1e-9)


def test_the_order_of_boards_is_no_drift() -> None:
    rng = np.random.default_rng(2)
    board = [b // 8 for b in range(24)]
    x = [1 + 0.02 * b + 0.002 * v for b, v in zip(board, rng.standard_normal(24), strict=True)]
    rows = [(1, 1, 1, b, b, 1, x[b], 0.03) for b in range(24)]
    assert summarise(runs(rows)).why_none[SPEED] > 0
    found = summarise(runs(rows, boards=board))
    assert found.why_none[SPEED] == 0 and found.expanded[SPEED] > 0.02


def test_u_of_figures_on_several_boards_holds_the_mean_of_boards_like_these() -> None:
    """Boards that differ by 2 %, blocks by 1 %: as if boards were blocks it is half of the time."""
    rng = np.random.default_rng(3)
    for boards in (2, 4):
        board = np.repeat(np.arange(boards), 10)
        rows, of_row = [], []
        for config in range(400):
            x = 1 + 0.02 * rng.standard_normal(boards)[board]
            x = x + 0.01 * rng.standard_normal(len(board))
            rows += [(config, 1, 1, b, b, 1, v, None) for b, v in enumerate(x)]
            of_row += board.tolist()
        found = summarise(runs(rows, boards=of_row))
        speed = found.metric == SPEED
        speed &= found.tier == 1
        held = np.abs(found.mean[speed] - 1) < found.expanded[speed]
        given = found.why_none[speed] == 0
        assert given.mean() > 0.9 and held[given].mean() > 0.93, boards


@given(rows_of, st.randoms(), st.lists(st.integers(-1, 3), min_size=60, max_size=60))
@settings(max_examples=60)
def test_the_same_bits_whatever_others_ran_on(rows, random, boards) -> None:
    # One submitter's sets hang together in all of its runs of a configuration, or in none.
    on = [-1 if sum(r[:2]) == 5 else max(b, 0) for r, b in zip(rows, boards, strict=False)]
    paired = list(zip(rows, on, strict=True))
    random.shuffle(paired)
    together = summarise(runs([r for r, _ in paired], ARMS, [b for _, b in paired]))
    for config in (1, 2, 3):
        mine = [(r, b) for r, b in zip(rows, on, strict=True) if r[0] == config]
        alone = summarise(runs([r for r, _ in mine], ARMS, [b for _, b in mine]))
        of = together.config == config
        for name, column in alone._asdict().items():
            np.testing.assert_array_equal(getattr(together, name)[of], column, err_msg=name)


def test_sets_that_share_a_board_are_one_and_where_all_do_there_is_no_interval() -> None:
    names = {5: "salt:a,b", 6: "salt:b,c", 7: "salt:d", 8: "salt:e"}
    config, identity = np.array([1, 1, 1, 1, 2, 2, 3, 3]), np.ones(8, dtype=np.int64)
    sets = np.array([5, 6, 7, 8, 5, 6, 7, 7])
    found = on_boards(config, identity, sets, lambda asked: {n: names[n] for n in asked})
    assert found.tolist() == [5, 5, 7, 8, SHARED, SHARED, 7, 7]
    one = on_boards(config[6:], identity[6:], sets[6:], lambda asked: pytest.fail("not needed"))
    assert one.tolist() == [7, 7]
    rows = [(1, 1, 1, b, b, 1, v, 0.03) for b, v in enumerate([1.0, 1.02, 0.99, 1.01])]
    told = summarise(runs(rows, boards=[SHARED] * 4))
    assert told.why_none[ONE] == OVERLAPPING and math.isnan(told.expanded[ONE])
