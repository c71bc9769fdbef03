"""The pair that an archive leads with."""

import hashlib
import json
import math
import random

import pytest

from lem.archive import board
from lem.archive.database import raise_data_version
from lem.archive.queries.compare import CompareQuestion, compare
from lem.archive.queries.headline import headline
from lem.archive.schema import BLOB, CONFIG
from lem.stats import ratios
from tests import archive_queries, records

DEFAULT = {"engine": {"dtype": "float32"}}
BATCH_8 = {"engine": {"dtype": "float32", "max_batch_size": 8}}
BATCH_16 = {"engine": {"dtype": "float32", "max_batch_size": 16}}
EAGER = {"engine": {"dtype": "float32"}, "args": {"enforce_eager": True}}


def experiment(changes):
    return {**records.experiment(backend="vllm"), **changes}


def key(raw) -> str:
    return hashlib.sha256(json.dumps(raw, sort_keys=True).encode()).hexdigest()


def submit(
    archive,
    arms,
    *,
    submitter=0,
    blocks=6,
    nll=2.0,
    tier=2,
    measured=True,
    baseline=None,
    with_lock=True,
    shares=None,
    day=4,
):
    """``arms``: raw experiment, joules per token, NLL, tokens it is of. Returns experiment → block
    → joules."""
    chance = random.Random(submitter)
    made, table = [], {}
    for block in range(blocks):
        shared = math.exp(chance.gauss(0, 0.05))
        for place, arm in enumerate(arms):
            raw, mean, *own = arm
            value = mean * shared * math.exp(chance.gauss(0, 0.003))
            table.setdefault(key(raw), {})[block] = value
            how = {"energy": {"gpu": value}, "gpus": [{**records.gpu(), "uuid": BOARD}]}
            likelihood = own[0] if own else nll
            made.append(
                records.record(
                    arm_id=key(raw),
                    raw_experiment=raw,
                    block=block,
                    **(how if measured else {"cpu_time_s": value}),
                    semantics=4,
                    nll=likelihood,
                    nll_tokens=None if likelihood is None else own[1] if own[1:] else 100,
                    goodput=None if shares is None else (1.0, shares[place]),
                    started=records.START.replace(day=day, hour=12 + block, minute=place),
                )
            )
    lock = None
    if with_lock:
        named = [
            {"arm_id": key(raw), "label": f"arm {n}", "settings": {}, "experiment": raw}
            for n, (raw, *_) in enumerate(arms)
        ]
        name = f"campaign {submitter}"
        lock = records.lock(named, name=name, blocks=blocks, baseline=baseline and key(baseline))
    archive_queries.submitted(archive, made, submitter=submitter, lock=lock, tier=tier)
    changed(archive)
    return table


BOARD = "board-" + "1" * 32


def changed(archive) -> None:
    """What is kept of the board is of an earlier state now."""
    with archive.database.writing() as c:
        board.refresh(c)
        raise_data_version(c)


def ask(archive):
    with archive.database.reading() as c:
        return headline(c, archive.packs)


def slo(raw, **changes):
    workload = {**raw["workload"], "slo": {"ttft_ms": 200.0}, **changes}
    return {**raw, "workload": workload}


def test_the_engines_defaults_beside_the_largest_saving(archive) -> None:
    base, eight, sixteen = map(experiment, (DEFAULT, BATCH_8, BATCH_16))
    table = submit(archive, [(eight, 0.5), (base, 1.0), (sixteen, 0.4)], baseline=eight)
    found = ask(archive)
    pair = found.pair
    assert found.why_none == [] and found.campaigns == 1
    assert (pair.base.role, pair.other.role) == ("defaults", "other")
    assert pair.base.configuration.experiment_id == key(base)
    assert pair.other.configuration.experiment_id == key(sixteen)
    assert pair.differing == ["engine.max_batch_size"]
    assert pair.base.settings["engine.dtype"] == "float32"
    assert "engine.max_batch_size" not in pair.base.settings
    assert pair.other.settings["engine.max_batch_size"] == 16
    # Joint over both that stood beside the base, not over the one that is shown.
    reference = ratios(table, key(base), comparisons=2)[key(sixteen)]
    assert (pair.ratio.ratio, pair.ratio.low, pair.ratio.high) == pytest.approx(
        (reference.ratio, reference.low, reference.high)
    )
    assert (pair.ratio.verdict, pair.ratio.blocks, pair.compared) == ("less", 6, 2)
    assert pair.ratio.basis == "within campaign"
    assert (pair.quality.measured, pair.quality.change, pair.quality.tokens) == (True, 0.0, 100)
    assert pair.slo is None
    assert (pair.campaign.name, pair.campaign.submitter) == ("lab 0", "lab 0")
    assert (pair.energy_class, pair.tier, pair.campaign.blocks) == ("gpu", "recomputed", 6)
    assert pair.workload.natural_stops is False and pair.workload.real_prompts is True


def test_a_shortest_answer_is_no_natural_stop(archive) -> None:
    forced = {"generate": {"temperature": 0, "ignore_eos": False, "min_tokens": 32}}
    base, eight = (experiment({**one, **forced}) for one in (DEFAULT, BATCH_8))
    submit(archive, [(base, 1.0), (eight, 0.5)])
    assert ask(archive).pair.workload.natural_stops is False


def test_figures_and_ratio_are_of_the_one_campaign(archive) -> None:
    """Another submitter's figures of the same configurations are in the archive's, not in these."""
    base, other = experiment(DEFAULT), experiment(BATCH_8)
    table = submit(archive, [(base, 1.0), (other, 0.5)], blocks=8)
    submit(archive, [(base, 3.0), (other, 2.9)], submitter=1, blocks=3)
    found = ask(archive).pair
    for side, raw in ((found.base, base), (found.other, other)):
        figure = side.figures[0]
        values = list(table[key(raw)].values())
        assert figure.metric == "energy_per_output_token_j" and figure.submitters == 1
        assert figure.value == pytest.approx(math.fsum(values) / len(values))
        assert figure.uncertainty is not None and figure.runs == 8
    assert found.ratio.ratio == pytest.approx(0.5, rel=0.01) and found.ratio.elsewhere == []
    ids = [found.base.configuration.id, found.other.configuration.id]
    with archive.database.reading() as c:
        beside = compare(c, archive.packs, CompareQuestion(id=ids)).rows[1].ratio
    assert (found.ratio.ratio, found.ratio.low, found.ratio.high) == (
        beside.ratio,
        beside.low,
        beside.high,
    )


def test_without_defaults_the_declared_baseline_stands_and_says_so(archive) -> None:
    eight, sixteen, eager = map(experiment, (BATCH_8, BATCH_16, EAGER))
    submit(archive, [(sixteen, 0.4), (eight, 0.5), (eager, 1.0)], baseline=eight)
    pair = ask(archive).pair
    assert pair.base.role == "baseline"
    assert pair.base.configuration.experiment_id == key(eight)
    assert pair.other.configuration.experiment_id == key(sixteen)


def test_no_defaults_and_no_lock_is_no_pair(archive) -> None:
    submit(archive, [(experiment(BATCH_8), 1.0), (experiment(BATCH_16), 0.5)], with_lock=False)
    assert ask(archive).pair is None


def test_a_base_that_computes_with_other_numbers_is_not_at_the_defaults(archive) -> None:
    """What a base sets has to be what the other one has, too: else part of the saving is its."""
    half = {"engine": {"dtype": "float16", "max_batch_size": 8}}
    arms = [(experiment(DEFAULT), 1.0), (experiment(half), 0.2), (experiment(BATCH_8), 0.5)]
    submit(archive, arms)
    pair = ask(archive).pair
    assert pair.other.configuration.experiment_id == key(experiment(BATCH_8))


@pytest.mark.parametrize(
    "changes",
    [
        {"requests_sha256": "c" * 64},
        {"generate": {"temperature": 0, "ignore_eos": False}},
        {"model": {**records.experiment()["model"], "content": "sha256:" + "f" * 64}},
        {"workload": {**records.experiment()["workload"], "requests": 31}},
    ],
)
def test_other_work_is_no_pair(archive, changes) -> None:
    submit(archive, [(experiment(DEFAULT), 1.0), (experiment({**BATCH_8, **changes}), 0.5)])
    found = ask(archive)
    assert found.pair is None
    assert found.why_none == [
        "lab 0: no two of its configurations do the same work for the same model"
    ]


def test_worse_answers_are_no_saving(archive) -> None:
    arms = [
        (experiment(DEFAULT), 1.0, 2.0),
        (experiment(BATCH_16), 0.2, 2.05),
        (experiment(BATCH_8), 0.5, 2.03),
    ]
    submit(archive, arms)
    pair = ask(archive).pair
    assert pair.other.configuration.experiment_id == key(experiment(BATCH_8))
    assert pair.quality.change == pytest.approx(0.015)
    assert pair.quality.margin == 0.02 and pair.quality.blocks == 6


def test_better_answers_are_not_the_same_answers(archive) -> None:
    submit(archive, [(experiment(DEFAULT), 1.0, 2.0), (experiment(BATCH_8), 0.5, 1.9)])
    found = ask(archive)
    assert found.pair is None and "NLL per token differs by -5 %" in found.why_none[0]


def test_likelihoods_of_unknown_tokens_tell_nothing(archive) -> None:
    submit(archive, [(experiment(DEFAULT), 1.0), (experiment(BATCH_8), 0.5)], blocks=8)
    assert ask(archive).pair.quality.measured is True
    with archive.database.writing() as c:
        c.execute(BLOB.delete())
    assert ask(archive).pair.quality.measured is False
    submit(archive, [(experiment(DEFAULT), 1.0), (experiment(BATCH_8), 0.5)], submitter=1)
    pair = ask(archive).pair
    assert pair.quality.measured is True and pair.campaign.name == "lab 1"


def test_likelihoods_of_other_tokens_are_not_the_same(archive) -> None:
    """Of records that name the text's tokens; those of before that field tell nothing."""
    arms = [(experiment(DEFAULT), 1.0, 2.0, 100), (experiment(BATCH_8), 0.5, 2.0, 101)]
    submit(archive, arms, blocks=8)
    found = ask(archive)
    assert found.pair is None and "of other tokens" in found.why_none[0]
    unnamed = [(experiment(DEFAULT), 1.0, 2.0, None), (experiment(BATCH_8), 0.5, 2.0, None)]
    submit(archive, unnamed, submitter=1)
    pair = ask(archive).pair
    assert pair.campaign.name == "lab 1" and pair.quality.measured is False


def test_other_numbers_need_a_likelihood(archive) -> None:
    fp8 = {"engine": {**BATCH_16["engine"], "quantization": "fp8"}}
    cache = {**BATCH_16, "args": {"kv_cache_dtype": "fp8"}}
    arms = [
        (experiment(DEFAULT), 1.0, None),
        (experiment(BATCH_8), 0.5, None),
        (experiment(fp8), 0.2, None),
        (experiment(cache), 0.3, None),
    ]
    submit(archive, arms)
    pair = ask(archive).pair
    assert pair.other.configuration.experiment_id == key(experiment(BATCH_8))
    assert pair.compared == 1
    submit(archive, [(raw, mean, 2.0) for raw, mean, _ in arms], submitter=1)
    pair = ask(archive).pair
    assert pair.other.configuration.experiment_id == key(experiment(fp8)) and pair.compared == 3


def test_a_campaign_whose_answers_were_compared_goes_first(archive) -> None:
    arms = [(experiment(DEFAULT), 1.0), (experiment(BATCH_8), 0.5)]
    submit(archive, arms, submitter=0, blocks=9, nll=None, day=9)
    assert ask(archive).pair.quality.measured is False
    submit(archive, arms, submitter=1, blocks=5)
    pair = ask(archive).pair
    assert pair.campaign.name == "lab 1" and pair.quality.measured is True


def test_measured_goes_before_estimated_and_the_higher_tier_before_blocks(archive) -> None:
    arms = [(experiment(DEFAULT), 1.0), (experiment(BATCH_8), 0.5)]
    submit(archive, arms, submitter=0, blocks=9, measured=False, day=9)
    pair = ask(archive).pair
    assert (pair.campaign.name, pair.energy_class) == ("lab 0", "estimated")
    submit(archive, arms, submitter=1, blocks=4, tier=1, nll=None)
    pair = ask(archive).pair
    assert (pair.campaign.name, pair.tier) == ("lab 1", "self-reported")
    submit(archive, arms, submitter=2, blocks=8, tier=1)
    assert ask(archive).pair.campaign.name == "lab 2"
    submit(archive, arms, submitter=3, blocks=5, tier=2)
    pair = ask(archive).pair
    assert (pair.campaign.name, pair.tier) == ("lab 3", "recomputed")
    submit(archive, arms, submitter=4, blocks=7, tier=2)
    assert ask(archive).pair.campaign.name == "lab 4"
    submit(archive, arms, submitter=5, blocks=7, tier=2, day=9)
    assert ask(archive).pair.campaign.name == "lab 5"


def test_objectives_have_to_be_met_by_both(archive) -> None:
    base, eight, sixteen = (slo(experiment(x)) for x in (DEFAULT, BATCH_8, BATCH_16))
    arms = [(base, 1.0), (eight, 0.5), (sixteen, 0.2)]
    submit(archive, arms, shares=[0.97, 0.95, 0.89])
    pair = ask(archive).pair
    assert pair.other.configuration.experiment_id == key(eight)
    assert (pair.slo.needed, pair.slo.runs) == (0.9, 6)
    assert (pair.slo.base, pair.slo.other) == pytest.approx((0.97, 0.95))
    assert pair.slo.limits == {"ttft_ms": 200.0}


def test_the_share_needed_is_what_the_search_had(archive) -> None:
    search = {"search": "goodput", "attainment": 0.96}
    arrival = {"arrival": {"kind": "poisson", "rate": search}}
    base, eight = (slo(experiment(x), **arrival) for x in (DEFAULT, BATCH_8))
    submit(archive, [(base, 1.0), (eight, 0.5)], shares=[0.97, 0.95])
    found = ask(archive)
    assert found.pair is None and "only 95 % of requests met" in found.why_none[0]


def test_objectives_that_nobody_counted_are_not_met(archive) -> None:
    submit(archive, [(slo(experiment(DEFAULT)), 1.0), (slo(experiment(BATCH_8)), 0.5)])
    found = ask(archive)
    assert found.pair is None and "is not known" in found.why_none[0]


def test_where_nothing_saves_the_largest_cost_is_told(archive) -> None:
    arms = [(experiment(DEFAULT), 1.0), (experiment(BATCH_8), 2.0), (experiment(BATCH_16), 1.5)]
    submit(archive, arms)
    pair = ask(archive).pair
    assert pair.ratio.verdict == "more"
    assert pair.other.configuration.experiment_id == key(experiment(BATCH_8))


def test_what_is_not_told_apart_is_no_headline(archive) -> None:
    submit(archive, [(experiment(DEFAULT), 1.0), (experiment(BATCH_8), 1.001)])
    found = ask(archive)
    assert found.pair is None and "told apart" in found.why_none[0]
    submit(archive, [(experiment(DEFAULT), 1.0), (experiment(BATCH_8), 0.5)], submitter=1, blocks=1)
    assert ask(archive).pair is None


def test_random_weights_and_contradicted_figures_lead_nothing(archive) -> None:
    model = {"model": {**records.experiment()["model"], "weights": "random"}}
    arms = [(experiment({**DEFAULT, **model}), 1.0), (experiment({**BATCH_8, **model}), 0.5)]
    submit(archive, arms)
    assert ask(archive).pair is None
    submit(archive, [(experiment(DEFAULT), 1.0), (experiment(BATCH_8), 0.5)], submitter=1)
    assert ask(archive).pair is not None
    with archive.database.writing() as c:
        c.execute(CONFIG.update().values(disagrees=True))
    changed(archive)
    assert ask(archive).pair is None


def test_an_empty_archive_says_why(archive) -> None:
    found = ask(archive)
    assert found.pair is None and found.campaigns == 0
    assert found.why_none == [
        "no campaign here has two configurations of one model with figures of energy"
    ]
