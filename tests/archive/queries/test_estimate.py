"""What a campaign would take: the time that ``lem campaign plan`` tells, energy as ranges."""

import pytest
from archive.queries.test_plan import CAMPAIGN, ask, fill, raw

from lem.campaign import Campaign
from lem.campaign.overview import estimate
from lem.config import experiment_id
from lem.config.measure import PRESETS
from lem.contract.spec import Experiment
from lem.everyday import factors
from tests import archive_queries, records

QUICK = PRESETS["quick"]
RUN_S = 20.0 + QUICK.warm_up_cap_s + 2 * (QUICK.settle_s + QUICK.idle_s) + QUICK.window_s
"""A guess of 20 s to load, then the preset's own lengths."""
POWER_W = 20.0
"""Of the fixture's records: 0.5 J per token at 40 tokens a second."""


def test_runs_and_time_are_those_of_campaign_plan(archive, tmp_path) -> None:
    found = ask(archive, CAMPAIGN).estimate
    assert (found.runs, found.blocks, found.most_blocks) == (9, 3, None)
    assert found.seconds == found.most_seconds == pytest.approx(9 * RUN_S)
    path = tmp_path / "campaign.yaml"
    path.write_text(CAMPAIGN)
    told = estimate(Campaign.load(path, tmp_path / "folder", launcher="process").plan(), {})
    assert (told.runs, told.seconds, told.basis) == (found.runs, found.seconds, found.basis)


def test_more_blocks_may_follow_a_pilot_within_the_budget(archive) -> None:
    standard = CAMPAIGN.replace("preset: quick", "preset: standard, max_blocks: 20")
    found = ask(archive, standard).estimate
    assert (found.blocks, found.most_blocks) == (5, 20)
    assert found.most_seconds == pytest.approx(4 * found.seconds)
    assert "±2 %" in found.why_blocks
    short = ask(archive, standard.replace("max_blocks: 20", "time_budget: 20m")).estimate
    assert short.time_budget_s == short.most_seconds == 1200
    assert short.seconds == 1200  # five blocks of three would take longer


def test_energy_is_the_time_at_the_power_that_others_measured(archive) -> None:
    fill(archive)
    found = ask(archive, CAMPAIGN).estimate
    (one,) = found.energy
    assert (one.basis, one.device_model, one.energy_class) == ("archive", "NVIDIA Test 80GB", "gpu")
    assert (one.same, one.same_backend, one.others, one.configurations) == (3, 0, 0, 5)
    assert one.power_w.low == one.power_w.high == POWER_W  # all alike, without an interval
    assert one.energy_j.low == one.energy_j.high == POWER_W * found.seconds
    price = factors.prices()["eu-business"]
    assert one.cost.high == pytest.approx(one.energy_j.high * price.range.high / 3.6e6, rel=0.1)
    assert (found.price.source, found.price.currency) == (price.source.name, "EUR")
    assert one.assumption is None and found.why_no_energy is None


def test_power_ranges_over_all_that_are_alike_with_their_intervals(archive) -> None:
    made = []
    for batch, joules in ((1, 0.25), (2, 0.5), (4, 0.75)):
        experiment = raw(batch)
        identity = experiment_id(Experiment.model_validate(experiment))
        made += [
            records.record(
                arm_id=identity,
                raw_experiment=experiment,
                block=block,
                energy={"gpu": joules * (1 + 0.01 * block)},
                gpus=[{**records.gpu(), "uuid": "board-" + "1" * 32}],
                semantics=4,
            )
            for block in range(3)
        ]
    archive_queries.submitted(archive, made)
    (one,) = ask(archive, CAMPAIGN).estimate.energy
    assert one.power_w.low <= 10 and 30 <= one.power_w.high < 33
    assert one.energy_j.low <= 10 * 9 * RUN_S and one.energy_j.high >= 30 * 9 * RUN_S


def test_another_model_takes_the_power_of_the_software_and_says_so(archive) -> None:
    fill(archive)
    other = CAMPAIGN.replace("org/Model-7B", "org/Another")
    (one,) = ask(archive, other).estimate.energy
    assert (one.same, one.same_backend) == (0, 3)
    both = CAMPAIGN.replace("{transformers: {}}", "{transformers: {}, llama_cpp: {}}")
    both = both.replace("engine: {dtype: float32}\n", "")
    (one,) = ask(archive, both).estimate.energy
    assert (one.same, one.same_backend, one.others) == (3, 0, 3)


def test_where_nothing_is_measured_an_assumption_is_stated(archive) -> None:
    (one,) = ask(archive, CAMPAIGN).estimate.energy
    assert (one.basis, one.device_model, one.power_w.low) == ("assumed", None, 5.0)
    assert "busy processor core" in one.assumption and "700 W" in one.assumption
    two_cores = CAMPAIGN.replace("{dtype: float32}", "{threads: 2}") + "gpus: []\n"
    (one,) = ask(archive, two_cores).estimate.energy
    assert (one.power_w.low, one.power_w.high) == (10.0, 30.0)
    assert "700" not in one.assumption


def test_unknown_is_unknown(archive) -> None:
    found = ask(archive, CAMPAIGN + "gpus: []\n").estimate
    assert found.energy == [] and "how many processor cores" in found.why_no_energy


def test_what_could_not_be_run_is_said_beside_the_plan(archive) -> None:
    served = CAMPAIGN.replace("{kind: offline}", "{kind: concurrency}")
    found = ask(archive, served)
    (doubt,) = found.doubts
    assert (doubt.where, doubt.line) == ("workload.arrival.kind", 10)
    assert "transformers cannot be driven" in doubt.message
    assert found.estimate.runs == 9


def test_experiments_to_come_are_counted_apart(archive) -> None:
    chosen = CAMPAIGN.replace("[1, 2, 16]", "{low: 1, high: 64}").replace(
        "workload:", "sampler: {kind: pareto, budget: 12}\nworkload:"
    )
    chosen = chosen.replace("measure: {preset: quick}", "measure: {preset: quick, blocks: 2}")
    found = ask(archive, chosen).estimate
    assert found.to_choose > 0 and found.runs < 2 * 12
