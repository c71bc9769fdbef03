"""Shares where an error is the same in every block: by hand, and in simulated campaigns whose
boards' gains differ from one to the next."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from lem.stats.attribution import shares
from lem.stats.attribution_shared import with_shared

GAIN = 0.034
LEAST = 1e-5


def errors(sizes: Sequence[int], others: int) -> list[Any]:
    """What the gains of boards do to a grid of numbers of boards and another parameter: of
    independent boards, and of one error in all."""
    apart = np.zeros((len(sizes), others, max(sizes)))
    for i, size in enumerate(sizes):
        apart[i, :, :size] = GAIN / size
    return [apart, apart.sum(axis=-1, keepdims=True)]


def test_nothing_is_added_where_all_run_on_the_same_boards() -> None:
    logs = np.log([[[1.0, 2.0], [3.0, 4.0]], [[1.1, 2.0], [3.0, 4.1]]])
    found = shares(logs)
    assert with_shared(logs, found, errors((2, 2), 2), LEAST) is None
    assert with_shared(logs, found, [], LEAST) is None


def test_one_board_beside_two_by_hand() -> None:
    """Two settings of one parameter, 0.3 apart, and another, 0.8 apart, no scatter. The first may
    be off by 1.96 · 0.034 · √½; each effect's variance is a quarter of its square."""
    cells = np.array([0.0, 0.3])[:, None] + np.array([0.0, 0.8])[None, :]
    logs = np.stack([cells, cells, cells])
    found = with_shared(logs, shares(logs), errors((1, 2), 2), LEAST)
    assert found is not None
    off = 1.959964 * GAIN * math.sqrt(0.5)
    small, large = (0.3 - off) ** 2, (0.3 + off) ** 2
    assert found.low[0] == pytest.approx(small / (small + 0.64), abs=1e-6)
    assert found.high[0] == pytest.approx(large / (large + 0.64), abs=1e-6)
    assert found.least[0] == pytest.approx(found.low[0])
    assert found.low[1] == pytest.approx(1 - found.high[0])
    assert found.total_low == pytest.approx((small + 0.64) / 4, abs=1e-6)
    # Either arm is half of the difference away from the mean of both.
    assert found.deviation == pytest.approx(GAIN * math.sqrt(0.5) / 2)


def test_what_the_gains_may_explain_alone_has_no_lower_end() -> None:
    cells = np.array([0.0, 0.03])[:, None] + np.array([0.0, 0.8])[None, :]
    logs = np.stack([cells, cells, cells])
    found = with_shared(logs, shares(logs), errors((1, 2), 2), LEAST)
    assert found is not None
    assert found.low[0] == pytest.approx(0, abs=1e-6)
    assert found.least[0] == pytest.approx(0, abs=1e-6)
    assert found.least[1] > 0.98


def test_arms_that_the_gains_alone_could_make_differ_are_not_told_apart() -> None:
    logs = np.stack([np.array([0.0, 0.03])] * 3)
    apart = [e[:, 0] for e in errors((1, 2), 1)]
    found = with_shared(logs, shares(logs), apart, LEAST)
    assert found is not None and found.total_low < LEAST**2
    clear = np.stack([np.array([0.0, 0.3])] * 3)
    found = with_shared(clear, shares(clear), apart, LEAST)
    assert found is not None and found.total_low > LEAST**2


def test_scatter_and_gains_add_in_squares_where_both_are_small() -> None:
    rng = np.random.default_rng(1)
    cells = np.array([0.0, 0.4])[:, None] + np.array([0.0, 0.8])[None, :]
    logs = cells + 0.03 * rng.normal(size=(6, 2, 2))
    plain = shares(logs)
    gains = with_shared(np.stack([logs.mean(axis=0)] * 3), plain, errors((1, 2), 2), LEAST)
    both = with_shared(logs, plain, errors((1, 2), 2), LEAST)
    assert gains is not None and both is not None
    quiet = shares(np.stack([logs.mean(axis=0)] * 3))
    alone = with_shared(np.stack([logs.mean(axis=0)] * 3), quiet, errors((1, 2), 2), LEAST)
    assert alone is not None
    wanted = math.hypot(float(plain.half_width[0]) * 2, float(alone.high[0] - alone.low[0]))
    assert float(both.high[0] - both.low[0]) == pytest.approx(wanted, rel=0.05)


def covered(
    sizes: Sequence[int],
    tp: Sequence[float],
    other: Sequence[float],
    noise: float,
    blocks: int,
    campaigns: int,
    common: float = 0.0,
) -> tuple[float, float, float]:
    """The lowest coverage of an effect's interval, without and with the boards' gains, and the
    share of campaigns whose arms are told apart. ``common``: the part of the gains' variance that
    all boards have in common."""
    rng = np.random.default_rng(11)
    cells = np.asarray(tp)[:, None] + np.asarray(other)[None, :]
    apart, together = errors(sizes, len(other))
    truth = shares(np.stack([cells, cells])).share
    plain = wide = np.zeros(len(truth))
    told = 0
    for _ in range(campaigns):
        z = math.sqrt(common) * rng.normal() + math.sqrt(1 - common) * rng.normal(size=max(sizes))
        logs = cells + apart @ z + noise * rng.normal(size=(blocks, *cells.shape))
        found = shares(logs)
        bounds = with_shared(logs, found, [apart, together], LEAST)
        assert bounds is not None
        plain = plain + (np.abs(found.share - truth) <= found.half_width)
        wide = wide + ((bounds.low <= truth) & (truth <= bounds.high))
        told += bounds.total_low > LEAST**2
    return float(plain.min()) / campaigns, float(wide.min()) / campaigns, told / campaigns


@pytest.mark.parametrize(
    ("sizes", "tp", "other", "noise", "blocks", "campaigns", "common"),
    [
        ((1, 2), (0, 0.05), (0, 0.1, 0.2), 0.01, 5, 300, 0.0),
        ((1, 2), (0, 0.3), (0, 0.8), 0.05, 3, 300, 0.0),
        ((1, 2), (0, 0), (0, 0.02), 0.002, 10, 300, 0.0),
        ((1, 2, 4), (0, -0.3, -0.5), (0, 0.8), 0.01, 5, 100, 0.0),
        ((1, 2, 4), (0, 0, 0), (0, 0.02), 0.002, 5, 100, 0.0),
        ((1, 2, 4), (0, -0.3, -0.5), (0, 0.8), 0.01, 5, 100, 0.5),
    ],
)
def test_intervals_cover_whatever_the_boards_gains(
    sizes: Sequence[int],
    tp: Sequence[float],
    other: Sequence[float],
    noise: float,
    blocks: int,
    campaigns: int,
    common: float,
) -> None:
    """At 95 %: two points less, and of 100 campaigns one standard error (2.2 %) more."""
    _, wide, told = covered(sizes, tp, other, noise, blocks, campaigns, common)
    assert wide >= (0.93 if campaigns > 100 else 0.908)
    assert told > 0.5


def test_without_them_they_would_not() -> None:
    plain, _, _ = covered((1, 2), (0, 0.05), (0, 0.1, 0.2), 0.01, 5, 300)
    assert plain < 0.5


def test_equal_arms_on_unlike_boards_are_seldom_told_apart() -> None:
    rng = np.random.default_rng(3)
    apart, together = errors((1, 2), 2)
    told = 0
    for _ in range(300):
        logs = apart @ rng.normal(size=2) + 0.002 * rng.normal(size=(5, 2, 2))
        found = with_shared(logs, shares(logs), [apart, together], LEAST)
        told += found is not None and found.total_low > LEAST**2
    assert told / 300 <= 0.07


def test_the_ends_of_shares_are_found_among_many_boards() -> None:
    """Sixteen cells, each on a board of its own: held against a search from many places by SLSQP,
    of shares that are worked out by hand."""
    from scipy.optimize import minimize
    from scipy.special import chdtri

    cells = np.random.default_rng(7).normal(size=(4, 4)) * 0.1
    logs = np.stack([cells] * 3)
    own = GAIN * np.eye(16).reshape(4, 4, 16)
    found = with_shared(logs, shares(logs), [own], LEAST)
    assert found is not None
    # The mean of all cells is no error of a share: one of the sixteen directions drops out.
    radius = math.sqrt(float(chdtri(15, 0.05)))

    def share(z: Any, which: int) -> float:
        rest = cells - GAIN * z.reshape(4, 4)
        rest = rest - rest.mean()
        rows, columns = rest.mean(axis=1), rest.mean(axis=0)
        parts = [(rows**2).mean(), (columns**2).mean()]
        whole = float((rest**2).mean())
        return float([*parts, whole - sum(parts)][which]) / whole

    inside = {"type": "ineq", "fun": lambda z: radius**2 - ((z - z.mean()) ** 2).sum()}
    draw = np.random.default_rng(1)
    for which in range(3):
        for sign, end in ((1, found.low[which]), (-1, found.high[which])):
            best = min(
                minimize(lambda z, w=which, s=sign: s * share(z, w), z, constraints=[inside]).fun
                for z in draw.normal(size=(6, 16))
            )
            assert sign * end <= best + 2e-3
