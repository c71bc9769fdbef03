"""A small version of ``make coverage``: every cell, fewer campaigns, another seed."""

import re
from pathlib import Path

import numpy as np
import pytest

from coverage_study import campaigns, other, report, rules, scenarios, study
from coverage_study.scenarios import PROTOCOLS, Scenario
from lem.campaign.plan import order
from lem.stats import ratios

CAMPAIGNS = 2000
SEED = 7
# Four and a half standard errors below the goal: over 108 cells chance alone fails once in a
# few thousand seeds, an interval that covers 92 % nearly always.
BOUND = study.GOAL - 4.5 * np.sqrt(study.GOAL * (1 - study.GOAL) / CAMPAIGNS)
CELLS = [*scenarios.alike(), *scenarios.unlike()]
PROTOCOL = {p.name: p for p in PROTOCOLS}


def test_every_scenario_of_the_method_is_there() -> None:
    alike = scenarios.alike()
    assert len(alike) == 16 * 2 * 3 == len({s.name for s in alike})
    assert {(p.name, p.pilot, p.target) for p in PROTOCOLS} == {
        ("quick", 3, None),
        ("standard", 5, 0.02),
        ("publication", 10, 0.01),
    }
    assert {"baseline3", "arm3", "graded"} <= {s.unlike for s in scenarios.unlike()}


@pytest.mark.parametrize("protocol", PROTOCOL)
def test_intervals_cover_in_every_scenario(protocol: str) -> None:
    cells = [study.run(s, CAMPAIGNS, SEED) for s in CELLS if s.protocol.name == protocol]
    short = {c.scenario.name: c.covered for c in cells if c.covered < BOUND}
    assert short == {}
    assert max(c.refused for c in cells) <= study.MOST_REFUSED


def test_the_study_finds_a_rule_that_does_not_cover() -> None:
    pooled = next(r for r in rules.RULES if r.name.startswith("pooled"))
    cell = study.run(
        Scenario("gauss1", "none", 6, PROTOCOL["quick"], "baseline3"), 2000, SEED, pooled
    )
    assert cell.covered < BOUND and not cell.good
    textbook = rules.RULES[0]
    spikes = Scenario("spikes", "none", 6, PROTOCOL["publication"])
    assert study.run(spikes, 2000, SEED, textbook).covered < BOUND
    assert rules.one_after_the_other(2000, SEED) < 0.3
    assert rules.stop_when_narrow(2000, SEED, 0.6)[0] < 0.75


def test_campaigns_need_no_more_blocks_than_was_set_as_a_goal() -> None:
    for arms, most in ((2, 12), (6, 15)):
        scenario = Scenario("gauss1", "none", arms, PROTOCOL["publication"])
        assert study.run(scenario, 4000, SEED).blocks <= most


def test_the_same_seed_gives_the_same_figures_and_another_does_not() -> None:
    scenario = Scenario("t3", "ar1", 6, PROTOCOL["standard"])
    assert study.run(scenario, 500, 1) == study.run(scenario, 500, 1)
    assert study.run(scenario, 500, 1) != study.run(scenario, 500, 2)


def test_simulated_runs_are_what_the_scenario_says() -> None:
    rng = np.random.default_rng(1)
    truth = np.log(scenarios.TRUTH[6])

    def of(noise: str, trend: str, unlike: str = "like") -> campaigns.Campaigns:
        scenario = Scenario(noise, trend, 6, PROTOCOL["publication"], unlike)  # type: ignore[arg-type]
        return campaigns.Campaigns(scenario, 4000, 10, rng)

    for noise, sd in (("gauss1", 0.01), ("gauss2", 0.02), ("t3", 0.01)):
        spread = (of(noise, "none").logs(10) - truth).std()
        assert spread == pytest.approx(sd, rel=0.05), noise
    spiky = of("spikes", "none").logs(10) - truth
    assert (spiky > 0.05).mean() == pytest.approx(0.02, abs=0.001)
    drift = of("gauss1", "linear").logs(10, drift_over=np.full(4000, 10.0)) - truth
    assert drift[:, -1].mean() - drift[:, 0].mean() == pytest.approx(0.03 * 0.9, rel=0.03)
    graded = (of("gauss1", "none", "graded").logs(10) - truth).std(axis=(0, 1)) / 0.01
    assert graded == pytest.approx(scenarios.UNLIKE["graded"][1], rel=0.03)
    slow = of("gauss1", "ar1")
    runs = (slow.logs(10) - truth).var()
    assert runs == pytest.approx(2e-4, rel=0.05)
    # The dearest arm (1.3) is pulled down by whatever ran before it, the cheapest (0.5) up.
    pulled = (of("gauss1", "carry").logs(10) - truth).mean(axis=(0, 1))
    mean_of_others = [(sum(scenarios.TRUTH[6]) - v) / 5 for v in scenarios.TRUTH[6]]
    for arm in (3, 4):
        own = scenarios.TRUTH[6][arm]
        # A block's first run may follow any arm, itself too.
        expected = 0.001 * (5.5 / 6) * (mean_of_others[arm] - own) / own
        assert pulled[arm] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("arms", "blocks", "margin"), [(2, 5, 0.02), (2, 20, 0.01), (6, 10, 0.02)])
def test_the_same_is_said_wrongly_no_oftener_than_stated(
    arms: int, blocks: int, margin: float
) -> None:
    found = other.same(arms, blocks, margin, 4000, SEED)
    assert found.wrongly <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 4000)
    assert found.rightly > found.wrongly


@pytest.mark.parametrize("arms", [3, 12])
def test_other_numbers_of_arms_and_blocks_are_covered_too(arms: int) -> None:
    for blocks in (3, 7):
        found = other.hardest(arms, blocks, 1, SEED)
        # Of one batch, and the lowest of ten: five standard errors.
        assert found.covered >= 0.945 - 5 * found.error, found


def test_the_planners_own_orders_give_the_same_coverage() -> None:
    """Orders by the planner's hash instead of the generator's, under carry-over and drift."""
    arms, blocks, hits, count = ["a", "b", "c"], 3, 0, 600
    truth = dict(zip(arms, (1.0, 0.5, 2.0), strict=True))
    rng = np.random.default_rng(2)
    for seed in range(count):
        table: dict[str, dict[int, float]] = {a: {} for a in arms}
        place, before = 0, "a"
        for block in range(blocks):
            for arm in order(seed, block, 0, arms):
                pull = 0.001 * (truth[before] / truth[arm] - 1)
                drift = 0.03 * place / (blocks * len(arms))
                table[arm][block] = truth[arm] * (1 + pull) * (1 + drift + rng.normal(0, 0.01))
                place, before = place + 1, arm
        found = ratios(table, "a")
        hits += all(
            e.low is not None and e.high is not None and e.low <= truth[a] <= e.high
            for a, e in found.items()
        )
    assert hits / count >= 0.945 - 4 * np.sqrt(0.945 * 0.055 / count)


def test_the_published_page_is_of_all_cells_and_none_falls_short() -> None:
    page = (Path(__file__).parents[2] / "docs/coverage.md").read_text(encoding="utf-8")
    assert f"**Result: {len(CELLS)} of {len(CELLS)} cells reach it.**" in page
    assert "**short**" not in page and "No cell of the goal falls short." in page
    simulated = re.search(r"whole campaigns \(([\d,]+) for", page)
    assert simulated and int(simulated[1].replace(",", "")) >= 20_000
    template = Path(report.__file__).with_name("page.md.in").read_text(encoding="utf-8")
    said = {line for line in template.splitlines() if line and "{" not in line}
    assert said <= set(page.splitlines()), "run make coverage and commit what it writes"
