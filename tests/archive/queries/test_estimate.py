"""What a campaign would take: time, energy and cost as ranges."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from archive.queries.test_plan import CAMPAIGN, ask, fill, raw

from lem.campaign import Campaign
from lem.campaign.overview import estimate
from lem.config import experiment_id
from lem.config.measure import PRESETS
from lem.contract.record import Record
from lem.contract.spec import Experiment, Limits
from lem.everyday import factors
from tests import archive_queries, records

QUICK = PRESETS["quick"]
RUN_S = 20.0 + QUICK.warm_up_cap_s + 2 * (QUICK.settle_s + QUICK.idle_s) + QUICK.window_s
"""A guess of 20 s to load, then the preset's own lengths."""
SET_S = RUN_S - 20.0 - QUICK.warm_up_cap_s
POWER_W = 20.0
"""Of the fixture's records: 0.5 J per token at 40 tokens a second."""


def certain(**changes) -> Record:
    """A record whose power has an interval of its own, ±2 %."""
    made = records.record(**changes)
    power = {
        device_class: value.model_copy(update={"uncertainty": 0.02 * value.value})
        for device_class, value in made.metrics["mean_power_w"].items()
    }
    return made.model_copy(update={"metrics": {**made.metrics, "mean_power_w": power}})


def measured(
    archive,
    starts: Sequence[float],
    *,
    submitter: int = 0,
    scatter: float = 0.01,
    batches: Sequence[int] = (2,),
    gpus: int = 1,
    **changes,
) -> None:
    """A campaign of the quick preset whose runs of each batch size begin at these seconds."""
    energy_class = "gpu" if gpus else "cpu"
    arms, made = [], []
    for batch in batches:
        experiment = raw(batch, **changes)
        identity = experiment_id(Experiment.model_validate(experiment))
        arms.append({"arm_id": identity, "label": "", "settings": {}, "experiment": experiment})
        made += [
            certain(
                arm_id=identity,
                raw_experiment=experiment,
                block=block,
                started=records.START + timedelta(seconds=start + batch / 1000),
                energy={energy_class: 0.5 * (1 + scatter * (block % 3 - 1))},
                gpus=[{**records.gpu(i), "uuid": "board-" + str(i + 1) * 32} for i in range(gpus)],
                semantics=4,
            )
            for block, start in enumerate(starts)
        ]
    lock = records.lock(arms)
    set_here = {"settle_s": QUICK.settle_s}
    lock = lock.model_copy(update={"measure": lock.measure.model_copy(update=set_here)})
    archive_queries.submitted(archive, made, submitter=submitter, lock=lock)


def test_time_is_a_rough_guess_where_nothing_like_it_was_run(archive, tmp_path) -> None:
    found = ask(archive, CAMPAIGN).estimate
    assert (found.runs, found.blocks, found.most_blocks) == (9, 3, None)
    assert found.seconds == found.most_seconds
    assert found.seconds.low == pytest.approx(9 * RUN_S)
    assert found.seconds.high == pytest.approx(3 * 9 * RUN_S)
    assert "rough guess" in found.basis and "up to 3 times" in found.basis
    path = tmp_path / "campaign.yaml"
    path.write_text(CAMPAIGN)
    told = estimate(Campaign.load(path, tmp_path / "folder", launcher="process").plan(), {})
    assert (told.runs, told.seconds) == (found.runs, pytest.approx(found.seconds.low))
    assert "rough guess" in told.basis


def test_more_blocks_may_follow_a_pilot_within_the_budget(archive) -> None:
    standard = CAMPAIGN.replace("preset: quick", "preset: standard, max_blocks: 20")
    found = ask(archive, standard).estimate
    assert (found.blocks, found.most_blocks) == (5, 20)
    assert found.most_seconds.low == pytest.approx(4 * found.seconds.low)
    assert found.most_seconds.high == pytest.approx(4 * found.seconds.high)
    assert "±2 %" in found.why_blocks
    short = ask(archive, standard.replace("max_blocks: 20", "time_budget: 20m")).estimate
    # five blocks of three would take longer; what is left of it may be too short for one more
    block_s = (found.seconds.low / 5, found.seconds.high / 5)
    assert short.time_budget_s == short.seconds.high == short.most_seconds.high == 1200
    assert short.seconds.low == pytest.approx(max(block_s[0], 1200 - block_s[1]))
    ample = ask(archive, standard.replace("max_blocks: 20", "time_budget: 100h")).estimate
    assert ample.seconds == found.seconds
    tight = ask(archive, standard.replace("max_blocks: 20", "time_budget: 1m")).estimate
    assert tight.seconds.low == pytest.approx(found.seconds.low / 5)  # one block in any case
    assert tight.seconds.high == pytest.approx(found.seconds.high / 5)


def test_time_is_what_runs_of_the_same_model_and_software_took(archive) -> None:
    measured(archive, [0, 200, 400, 600])
    found = ask(archive, CAMPAIGN).estimate
    assert "same model, software and work" in found.basis and "guess" not in found.basis
    assert "on any machine and with any settings" in found.basis
    # one duration stands for other machines and batch sizes: ±30 % at least
    assert found.seconds.low == pytest.approx(9 * 0.7 * 200)
    assert found.seconds.high == pytest.approx(9 * 1.3 * 200)


def test_what_their_campaign_set_is_replaced_by_what_this_one_sets(archive) -> None:
    measured(archive, [0, 200, 400, 600])
    longer = CAMPAIGN.replace("preset: quick", "preset: quick, window_s: 1002, warm_up_cap_s: 504")
    found = ask(archive, longer).estimate
    # a thousand seconds more of windows; of warm-up up to five hundred more
    low, high = 1200, 1700
    middle = (low + high) / 2
    assert found.seconds.low == pytest.approx(9 * min(low, 0.7 * middle))
    assert found.seconds.high == pytest.approx(9 * max(high, 1.3 * middle))


def test_a_pause_is_no_run(archive) -> None:
    measured(archive, [0, 200, 400, 90_000, 90_200])
    found = ask(archive, CAMPAIGN).estimate
    assert found.seconds.high == pytest.approx(9 * 1.3 * 200)


@pytest.mark.parametrize(("each_s", "low_s", "high_s"), [(900, RUN_S, 900), (12, 12, 3 * RUN_S)])
def test_other_models_of_the_software_widen_the_guess(
    archive, each_s: float, low_s: float, high_s: float
) -> None:
    measured(archive, [each_s * i for i in range(4)])
    found = ask(archive, CAMPAIGN.replace("org/Model-7B", "org/Another")).estimate
    assert "rough guess" in found.basis and "other models or other work" in found.basis
    assert found.seconds.low == pytest.approx(9 * low_s)
    assert found.seconds.high == pytest.approx(9 * high_s)


def test_what_is_known_of_some_experiments_is_said_of_some(archive) -> None:
    measured(archive, [0, 200, 400, 600])
    both = CAMPAIGN.replace("{id: org/Model-7B}", "{id: org/Model-7B}, {id: org/Another}")
    found = ask(archive, both).estimate
    assert found.basis.startswith("for 3 of 6 experiments from how long")
    assert "for the others a rough guess" in found.basis
    # within a budget, too, the most energy is that of all of it at the most power
    short = ask(archive, both.replace("preset: quick", "preset: quick, time_budget: 20m")).estimate
    # three at 200 s ± 30 % and three at no more than that: one block in any case
    assert short.seconds.low < short.time_budget_s == 1200
    assert short.seconds.low == pytest.approx(3 * 0.7 * 200 + 3 * RUN_S)
    assert short.seconds.high == pytest.approx(3 * 1.3 * 200 + 3 * 200)
    (one,) = short.energy
    # two of three batch sizes were not measured: ±50 %
    assert one.energy_j.high == pytest.approx(1.5 * POWER_W * short.seconds.high, rel=0.1)


def test_energy_is_the_time_at_the_power_that_others_measured(archive) -> None:
    fill(archive)
    found = ask(archive, CAMPAIGN).estimate
    (one,) = found.energy
    assert (one.basis, one.device_model, one.energy_class) == ("archive", "NVIDIA Test 80GB", "gpu")
    assert (one.same, one.same_backend, one.others, one.configurations) == (3, 0, 0, 4)
    # all alike, without an interval: ±30 %
    assert (one.power_w.low, one.power_w.high) == (0.7 * POWER_W, 1.3 * POWER_W)
    assert one.energy_j.high == pytest.approx(1.3 * POWER_W * found.seconds.high, rel=0.1)
    # only the windows are sure to be at work, the rest draws a fifth at least
    at_work = 0.2 * found.seconds.low + 0.8 * 9 * QUICK.window_s
    assert one.energy_j.low == pytest.approx(0.7 * POWER_W * at_work, rel=0.1)
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
    (one,) = ask(archive, CAMPAIGN.replace("[1, 2, 16]", "[8, 16]")).estimate.energy
    assert one.power_w.low <= 10 and 30 <= one.power_w.high < 33
    assert one.energy_j.low <= 10 * 6 * RUN_S and one.energy_j.high >= 30 * 6 * RUN_S
    # what has the same batch size is nearer than all that there is
    (one,) = ask(archive, CAMPAIGN.replace("[1, 2, 16]", "[4]")).estimate.energy
    assert (one.configurations, one.same) == (1, 1)
    assert 20 < one.power_w.low < 30 < one.power_w.high <= 40


@pytest.mark.parametrize(
    ("model", "backend", "off_by"),
    [
        ("org/Model-7B", "transformers", 0.1),
        ("org/Another", "transformers", 0.5),
        ("org/Another", "llama_cpp", 0.5),
    ],
)
def test_one_configuration_stands_for_others_with_less_certainty(
    archive, model: str, backend: str, off_by: float
) -> None:
    measured(archive, [40 * i for i in range(6)], scatter=0.001)
    other = CAMPAIGN.replace("org/Model-7B", model).replace("[1, 2, 16]", "[2]")
    of_both = backend != "transformers"
    if of_both:
        # Nothing of the second is there; without the first, nobody would look at the device.
        other = other.replace("{transformers: {}}", "{transformers: {}, llama_cpp: {}}")
        other = other.replace("engine: {dtype: float32}\n", "")
    (one,) = ask(archive, other).estimate.energy
    assert one.power_w.low == pytest.approx(POWER_W * (1 - off_by), abs=0.6)
    assert one.power_w.high == pytest.approx(POWER_W * (1 + off_by), abs=0.6)


LONG = ("output_tokens: 32", "output_tokens: 2048")


def test_the_time_of_other_work_is_no_more_than_a_guess_s_neighbour(archive) -> None:
    measured(archive, [0, 40, 80, 120])
    found = ask(archive, CAMPAIGN.replace(*LONG)).estimate
    assert "rough guess" in found.basis and "other work" in found.basis
    # as little as what there is; two whole answers at reading speed may be waited for
    assert found.seconds.low == pytest.approx(9 * min(RUN_S, 40))
    assert found.seconds.high == pytest.approx(9 * (RUN_S + 2 * 2048 / 5))


@pytest.mark.parametrize(("old", "new", "low", "high"), [
    ("kind: offline", "kind: offline", 0.9 * POWER_W, 1.1 * POWER_W),
    ("dtype: float32", "dtype: bfloat16", 0.5 * POWER_W, 1.5 * POWER_W),
    ("dtype: float32", "dtype: float32, threads: 64", 0.5 * POWER_W, 1.5 * POWER_W),
    (*LONG, 0.5 * POWER_W, 1.5 * POWER_W),
    ("kind: offline", "kind: concurrency, concurrency: 1", 0.2 * 0.5 * POWER_W, 700),
    ("kind: offline", "kind: poisson, rate: 0.1", 0.2 * 0.5 * POWER_W, 700),
])  # fmt: skip
def test_power_of_other_settings_or_work_is_less_certain(
    archive, old: str, new: str, low: float, high: float
) -> None:
    measured(archive, [40 * i for i in range(6)], scatter=0.001)
    asked = CAMPAIGN.replace("[1, 2, 16]", "[2]").replace(old, new)
    (one,) = ask(archive, asked).estimate.energy
    assert one.same == 1
    assert one.power_w.low == pytest.approx(low, rel=0.06)
    assert one.power_w.high == pytest.approx(high, rel=0.06)


@pytest.mark.parametrize(("threads", "low", "high"), [
    (2, 0.9 * POWER_W, 1.1 * POWER_W), (64, 0.1 * POWER_W, 64 * 15), (None, 0.1 * POWER_W, 2 * 15),
])  # fmt: skip
def test_power_of_a_processor_is_that_of_as_many_threads(
    archive, threads: int | None, low: float, high: float
) -> None:
    engine = {"dtype": "float32", "max_batch_size": 2, "threads": 2}
    measured(archive, [40 * i for i in range(6)], scatter=0.001, gpus=0, engine=engine)
    own = "dtype: float32" if threads is None else f"dtype: float32, threads: {threads}"
    asked = CAMPAIGN.replace("[1, 2, 16]", "[2]").replace("dtype: float32", own) + "gpus: []\n"
    (one,) = ask(archive, asked).estimate.energy
    assert (one.basis, one.same) == ("archive", 1)
    assert one.power_w.low == pytest.approx(low, rel=0.06)
    # a processor with two cores is not taken to draw more than two do
    assert one.power_w.high == pytest.approx(
        max(high, 1.5 * POWER_W if threads != 2 else 0), rel=0.06
    )


@pytest.mark.parametrize(("args", "engine", "gpus"), [
    ("{}", "{}", 1),
    ("{}", "{tensor_parallel_size: 2}", 2),
    ("{pipeline_parallel_size: 8}", "{}", 8),
    ("{data_parallel_size: 4}", "{tensor_parallel_size: 2}", 8),
])  # fmt: skip
def test_an_assumption_counts_all_gpus(archive, args: str, engine: str, gpus: int) -> None:
    text = CAMPAIGN.replace("transformers: {}", f"vllm: {{args: {args}}}")
    text = text.replace("engine: {dtype: float32}", f"engine: {engine}")
    (one,) = ask(archive, text).estimate.energy
    assert one.power_w.high == 700 * gpus
    assert (f"each of {gpus} GPUs" in one.assumption) == (gpus > 1)


def test_of_however_many_gpus_nothing_is_assumed(archive) -> None:
    text = CAMPAIGN.replace("transformers: {}", "transformers: {args: {device_map: auto}}")
    found = ask(archive, text).estimate
    assert found.energy == [] and "all the GPUs" in found.why_no_energy


@pytest.mark.parametrize(("measured_w", "asked_w", "off_by"), [
    (None, None, 0.1), (300, 300, 0.1), (300, None, 0.5), (None, 300, 0.5), (300, 250, 0.5),
])  # fmt: skip
def test_power_under_another_limit_is_not_the_same(
    archive, measured_w: int | None, asked_w: int | None, off_by: float
) -> None:
    device = {} if measured_w is None else {"device": {"power_limit_w": measured_w}}
    measured(archive, [40 * i for i in range(6)], scatter=0.001, **device)
    asked = CAMPAIGN.replace("[1, 2, 16]", "[2]")
    if asked_w is not None:
        asked += f"device: {{power_limit_w: {asked_w}}}\n"
    (one,) = ask(archive, asked).estimate.energy
    assert one.same == 1
    assert one.power_w.low == pytest.approx(POWER_W * (1 - off_by), abs=0.6)
    assert one.power_w.high == pytest.approx(POWER_W * (1 + off_by), abs=0.6)


def test_power_of_another_number_of_gpus_is_not_taken(archive) -> None:
    measured(archive, [40 * i for i in range(6)], gpus=2)
    (one,) = ask(archive, CAMPAIGN).estimate.energy
    assert (one.basis, one.configurations) == ("assumed", 0)
    two = CAMPAIGN.replace("{dtype: float32}", "{dtype: float32, tensor_parallel_size: 2}")
    (one,) = ask(archive, two).estimate.energy
    assert (one.basis, one.device_count, one.same) == ("archive", 2, 3)
    # over however many there are
    split = CAMPAIGN.replace("transformers: {}", "transformers: {args: {device_map: auto}}")
    (one,) = ask(archive, split).estimate.energy
    assert (one.basis, one.device_count) == ("archive", 2)


def test_power_of_gpus_is_not_that_of_a_campaign_without(archive) -> None:
    measured(archive, [40 * i for i in range(6)])
    measured(archive, [40 * i for i in range(6)], submitter=1, gpus=0)
    alone = CAMPAIGN + "gpus: []\n"
    (one,) = ask(archive, alone).estimate.energy
    assert (one.device_model, one.energy_class) == ("Test CPU (2 CPUs)", "cpu")
    devices = {e.device_model for e in ask(archive, CAMPAIGN).estimate.energy}
    assert devices == {"Test CPU (2 CPUs)", "NVIDIA Test 80GB"}


def test_where_only_gpus_were_measured_a_campaign_without_is_assumed(archive) -> None:
    measured(archive, [40 * i for i in range(6)])
    alone = CAMPAIGN.replace("{dtype: float32}", "{threads: 2}") + "gpus: []\n"
    (one,) = ask(archive, alone).estimate.energy
    assert one.basis == "assumed"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("quality: [nll]", "the quality of answers"),
        ("cool_down: {below_c: 45}", "cooling down"),
        ("accuracy: {task: gsm8k, limit: 10}", "questions with known answers"),
    ],
)
def test_time_that_nobody_can_foretell_is_said_and_left_room_for(
    archive, tmp_path, asked: str, words: str
) -> None:
    measured(archive, [0, 200, 400, 600])
    plain = ask(archive, CAMPAIGN).estimate
    assert "nobody knows" not in plain.basis
    text = CAMPAIGN.replace("preset: quick", f"preset: quick, {asked}")
    text = text.replace(", ignore_eos: true", "") if "accuracy" in asked else text
    found = ask(archive, text).estimate
    assert f"without the time for {words}" in found.basis
    limits = Limits()
    assert found.seconds.low == plain.seconds.low
    assert found.seconds.high == pytest.approx(9 * (limits.load_s + limits.run_s))
    path = tmp_path / "campaign.yaml"
    path.write_text(text)
    told = estimate(Campaign.load(path, tmp_path / "folder", launcher="process").plan(), {})
    assert told.basis == f"a rough guess before the first run, without the time for {words}"


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
