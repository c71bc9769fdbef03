"""Shares of variance: known effects come back, noise gets nothing, intervals cover."""

import itertools

import numpy as np
import pytest

from lem.stats.attribution import POOLED, of_many, shares


def test_without_noise_it_is_the_two_way_analysis_of_variance() -> None:
    """By hand: y = a + b with a ∈ {0, 1}, b ∈ {0, 0, 3}: variances ¼ and 2, no interaction."""
    cells = np.array([[0, 0, 3], [1, 1, 4]], dtype=float)
    found = shares(np.stack([cells, cells + 5, cells - 2]))
    assert found.effects == ((0,), (1,), (0, 1))
    assert found.share == pytest.approx([0.25 / 2.25, 2 / 2.25, 0])
    assert float(found.total) == pytest.approx(2.25)
    assert found.half_width == pytest.approx([0, 0, 0], abs=1e-12)
    assert float(found.noise) == pytest.approx(0, abs=1e-12)


def test_an_interaction_is_told_from_main_effects() -> None:
    """y = ±1 as the product of two signs: all of it is both together."""
    cells = np.array([[1.0, -1.0], [-1.0, 1.0]])
    assert shares(np.stack([cells, cells])).share == pytest.approx([0, 0, 1])


def test_effects_of_three_parameters_together_are_pooled() -> None:
    signs = np.array([1.0, -1.0])
    cells = signs[:, None, None] * signs[None, :, None] * signs[None, None, :]
    found = shares(np.stack([cells, cells]))
    assert found.effects[-1] == POOLED
    assert found.share[-1] == pytest.approx(1)


def test_as_type_one_sums_of_squares_of_a_reference() -> None:
    """Against the classical sums of squares of a balanced layout, computed cell by cell."""
    draw = np.random.default_rng(1)
    logs = draw.normal(size=(4, 3, 2)) + draw.normal(size=(3, 2)) * 5
    means = logs.mean(axis=0)
    grand = means.mean()
    rows, columns = means.mean(axis=1) - grand, means.mean(axis=0) - grand
    both = means - grand - rows[:, None] - columns[None, :]
    squares = [np.mean(rows**2), np.mean(columns**2), np.mean(both**2)]
    # What scatter adds to each: the effect's own variance between blocks, divided by blocks.
    each = logs - logs.mean(axis=(1, 2), keepdims=True)
    r, c = each.mean(axis=2), each.mean(axis=1)
    b = each - r[:, :, None] - c[:, None, :]
    extra = [
        np.mean(r.var(axis=0, ddof=1)) / 4,
        np.mean(c.var(axis=0, ddof=1)) / 4,
        np.mean(b.var(axis=0, ddof=1)) / 4,
    ]
    wanted = np.array(squares) - np.array(extra)
    found = shares(logs)
    assert found.share * float(found.total) == pytest.approx(wanted)


MAIN = np.log([1, 0.5, 0.28, 0.16])[:, None] + np.array([0, -0.5])[None, :]
TOGETHER = MAIN + 0.1 * np.outer([0, 1, 1.5, 2], [0, 1])
WITH_NULL = np.repeat(TOGETHER[:, :, None], 3, axis=2)
"""Effects of two parameters and of both together; the third does nothing."""


@pytest.mark.parametrize("blocks", [3, 5, 10])
@pytest.mark.parametrize("noise", ["gaussian", "heavy tails", "unlike arms", "shared in a block"])
def test_intervals_cover_the_truth(blocks: int, noise: str) -> None:
    """At 95 % in 2,000 simulated campaigns; 93.5 % is two and a half standard errors below."""
    draw = np.random.default_rng(blocks)
    shape = (2000, blocks, *WITH_NULL.shape)
    scatter = 0.02 * draw.normal(size=shape)
    if noise == "heavy tails":
        scatter = 0.02 * draw.standard_t(3, size=shape) / np.sqrt(3)
    if noise == "unlike arms":
        scatter[:, :, 0] *= 3
    if noise == "shared in a block":
        scatter += 0.02 * draw.normal(size=(2000, blocks, 4, 1, 1))
    drift = 0.05 * draw.normal(size=(2000, blocks, 1, 1, 1))
    found = of_many(WITH_NULL + drift + scatter, 3)
    truth = shares(np.stack([WITH_NULL, WITH_NULL])).share
    covered = (np.abs(found.share - truth) <= found.half_width).mean(axis=0)
    assert covered.min() >= 0.935, dict(zip(found.effects, covered, strict=True))
    # And nothing is left of what scatter alone would explain.
    error = found.share.std(axis=0) / np.sqrt(2000)
    assert np.all(np.abs(found.share.mean(axis=0) - truth) <= 4 * error + 1e-4)


def test_what_scatter_would_add_is_taken_off() -> None:
    """Eight settings that do nothing, of which plain sums of squares would make a third of the
    variance: on average nothing is left."""
    draw = np.random.default_rng(2)
    effect = np.array([-0.01, 0.01])[:, None] * np.ones((2, 8))
    logs = effect + 0.02 * draw.normal(size=(4000, 3, 2, 8))
    found = of_many(logs, 2)
    plain = logs.mean(axis=1)
    naive = plain.mean(axis=1).var(axis=-1).mean() / plain.var(axis=(1, 2)).mean()
    assert naive > 0.2
    kept = found.share * found.total[:, None]
    means = dict(zip(found.effects, kept.mean(axis=0), strict=True))
    assert means[(0,)] == pytest.approx(0.01**2, rel=0.04)
    assert abs(means[(1,)]) < 0.04 * 0.01**2


def test_two_blocks_have_no_interval_and_one_no_share() -> None:
    cells = np.array([[0.0, 1.0], [2.0, 3.0]])
    assert np.isnan(shares(np.stack([cells, cells])).half_width).all()
    with pytest.raises(ValueError, match="two blocks"):
        shares(cells[None])


@pytest.mark.parametrize(("blocks", "shape"), [(2, (2,)), (2, (3, 3)), (4, (2, 2))])
def test_chance_is_as_often_small_as_it_says(blocks: int, shape: tuple[int, ...]) -> None:
    draw = np.random.default_rng(4)
    drift = draw.normal(size=(4000, blocks, *(1 for _ in shape)))
    chance = of_many(draw.normal(0, 0.01, (4000, blocks, *shape)) + drift, len(shape)).chance
    assert (chance < 0.05).mean() == pytest.approx(0.05, abs=0.012)
    assert (chance < 0.5).mean() == pytest.approx(0.5, abs=0.03)


def test_cells_that_differ_without_noise_are_no_chance() -> None:
    cells = np.array([[0.0, 1.0], [2.0, 3.0]])
    assert float(shares(np.stack([cells, cells + 1])).chance) < 1e-9
    assert float(shares(np.zeros((2, 2, 2))).chance) == 1


def test_many_at_once_are_each_alone() -> None:
    draw = np.random.default_rng(3)
    logs = draw.normal(size=(5, 4, 3, 2))
    many = of_many(logs, 2)
    for i, j in itertools.product(range(5), range(3)):
        assert shares(logs[i]).share[j] == pytest.approx(many.share[i, j])
        assert shares(logs[i]).half_width[j] == pytest.approx(many.half_width[i, j])
