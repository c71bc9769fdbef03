"""A small version of the study of campaigns that were spread over boards."""

import re
from pathlib import Path

import numpy as np
import pytest

from coverage_study import boards, boards_report, study
from coverage_study.scenarios import NOISE, PROTOCOLS, TRUTH
from lem.stats import absolute
from lem.stats.absolute_boards import absolute_on_boards

CAMPAIGNS = 1000
SEED = 8
BOUND = study.GOAL - 4.5 * np.sqrt(study.GOAL * (1 - study.GOAL) / (0.9 * CAMPAIGNS))
CELLS = boards.scenarios()


def test_every_scenario_is_there() -> None:
    pilots = {p.pilot for p in PROTOCOLS if p.target is not None}
    assert pilots == {5, 10} and boards.GAIN == 0.034
    assert len(CELLS) == len({s.name for s in CELLS}) == 3 * 2 * 2 * 2 * 2 * len(NOISE)
    for field, found in (
        ("boards", {2, 4, 8}),
        ("arms", set(TRUTH)),
        ("noise", set(NOISE)),
        ("given", {"random", "in turn"}),
        ("interaction", {0.0, 0.005}),
    ):
        assert {getattr(s, field) for s in CELLS} == found, field


@pytest.mark.parametrize("count", boards.BOARDS)
def test_what_is_claimed_covers(count: int) -> None:
    """A third of the cells: of each kind one noise or another."""
    cells = [boards.run(s, CAMPAIGNS, SEED) for s in CELLS[::3] if s.boards == count]
    assert len(cells) >= 20
    for c in cells:
        claims = (c.these, c.like, c.absolute, c.expanded)
        assert min(claims) >= BOUND, (c.scenario.name, claims)
        assert max(c.refused, c.absolute_refused) <= study.MOST_REFUSED + 0.03, c.scenario.name


def test_the_study_sees_blocks_taken_for_independent_and_boards_that_differ() -> None:
    two = next(s for s in CELLS if s.boards == 2 and s.arms == 6 and s.interaction > 0)
    found = boards.run(two, CAMPAIGNS, SEED)
    assert found.blindly < BOUND
    assert found.stated_like < found.like and found.noticed > 0.05
    same = next(s for s in CELLS if s.boards == 2 and s.interaction == 0)
    assert boards.run(same, CAMPAIGNS, SEED).noticed < 0.08


def test_where_blocks_resemble_each_other_absolute_figures_cover() -> None:
    for found in boards.resembling(600, SEED):
        if found.gain > 0:
            assert found.covered >= study.GOAL - 4.5 * max(found.error, 0.008), found


def test_u_of_few_calibrated_boards_holds_the_mean_and_a_factor_of_two_would_not() -> None:
    found = boards.calibrated(4000, SEED)
    assert {c.boards for c in found} == {2, 3, 4, 8}
    for c in found:
        assert c.covered >= study.GOAL - 4.5 * c.error, c
        assert c.with_two < (0.8 if c.boards == 2 else 0.9 if c.boards < 8 else 0.95), c


def test_how_blocks_are_given() -> None:
    rng = np.random.default_rng(1)
    assert boards.given("in turn", rng, 2, 5, 2).tolist() == [[0, 1, 0, 1, 0]] * 2
    assert boards.given("one by one", rng, 1, 6, 3).tolist() == [[0, 0, 1, 1, 2, 2]]
    drawn = boards.given("random", rng, 4000, 10, 4)
    assert np.bincount(drawn.ravel(), minlength=4) / drawn.size == pytest.approx(0.25, abs=0.01)


def test_the_studys_figures_are_those_of_the_product() -> None:
    rng = np.random.default_rng(2)
    values = 1 + 0.03 * rng.standard_normal((5, 9))
    which = boards.given("random", rng, 5, 9, 3)
    u, found = boards.expanded(values, which), absolute_on_boards(values, which)
    for i in range(5):
        mean = values[i].mean()
        own = absolute(list(values[i]), [2 * boards.GAIN * mean] * 9, boards=list(which[i]))
        assert u[i] == pytest.approx(own.expanded)
        if own.low is not None:
            assert found.half_width[i] == pytest.approx((own.high - own.low) / 2)


def test_the_same_seed_gives_the_same_figures() -> None:
    assert boards.run(CELLS[5], 300, 1) == boards.run(CELLS[5], 300, 1)
    assert boards.run(CELLS[5], 300, 1) != boards.run(CELLS[5], 300, 2)


def test_what_falls_short_is_said() -> None:
    good = boards.run(CELLS[0], 300, 1)._replace(these=0.95, like=0.95, absolute=0.95)
    bad = good._replace(absolute=0.9, refused=0.2)
    assert boards_report.short([good], [], []) == []
    (said,) = boards_report.short([bad], [], [])
    assert "absolute figure 90.0 %" in said and "20.0 % refused" in said


def test_the_published_page_is_of_all_cells_and_none_falls_short() -> None:
    page = (Path(__file__).parents[2] / "docs/coverage.md").read_text(encoding="utf-8")
    assert re.search(rf"\*\*Result: {len(CELLS)} of {len(CELLS)} cells reach", page)
    assert "No cell of these falls short." in page
