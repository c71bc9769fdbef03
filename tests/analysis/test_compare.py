"""Comparisons against figures worked out by hand, and what must be refused."""

import json
import math
from dataclasses import replace
from datetime import timedelta

import pytest

from lem.analysis.blocks import seconds_between
from lem.analysis.comparison import gate
from lem.analysis.quantities import not_below_zero
from lem.analysis.results import open_results
from lem.contract.record import Record
from lem.errors import BadInput
from lem.stats import Absolute, CarryOver, carry_over, ratios
from lem.stores.folder import outcomes
from tests import records

ENERGY = "energy_per_output_token_j.gpu"
CPU_TIME = "cpu_time_per_output_token_s"
T_975_2 = 4.302653  # Student's t, 97.5 %, 2 degrees of freedom


def compare(folder, **options):
    return open_results(folder).compare(**options)


def arm(comparison, batch):
    return next(a for a in comparison.arms if a.name == f"batch size {batch}")


def test_measured_energy_by_hand(tmp_path):
    records.campaign(tmp_path, {1: [2.0, 2.2, 2.1], 4: [1.0, 1.0, 1.1]}, measured=("gpu",))
    c = compare(tmp_path)
    logs = [math.log(a / b) for a, b in zip([1.0, 1.0, 1.1], [2.0, 2.2, 2.1], strict=True)]
    mean = sum(logs) / 3
    s = math.sqrt(sum((x - mean) ** 2 for x in logs) / 2)
    ratio = arm(c, 4).ratios[ENERGY]
    assert ratio.ratio == pytest.approx(math.exp(mean))
    assert ratio.low == pytest.approx(math.exp(mean - T_975_2 * s / math.sqrt(3)), rel=1e-5)
    assert ratio.high == pytest.approx(math.exp(mean + T_975_2 * s / math.sqrt(3)), rel=1e-5)
    base = arm(c, 1).figures[ENERGY]
    # U: runs state 2 % each; s of 2.0, 2.2, 2.1 is 0.1.
    assert base.mean == pytest.approx(2.1)
    assert base.expanded == pytest.approx(2 * math.hypot(0.1 / math.sqrt(3), 0.021))
    assert [q.key for q in c.quantities] == [ENERGY]
    assert arm(c, 1).baseline and arm(c, 1).ratios == {}
    assert not c.estimated and not c.provisional and c.meters == {"gpu": "nvml"}


def test_three_arms_share_the_confidence(tmp_path):
    """The intervals are those of ``lem.stats`` for these very figures, and wider than alone."""
    values = {1: [2.0, 2.2, 2.1], 4: [1.0, 1.0, 1.1], 8: [0.5, 0.6, 0.5]}
    records.campaign(tmp_path / "three", values, measured=("gpu",))
    three = compare(tmp_path / "three")
    expected = ratios({b: dict(enumerate(own)) for b, own in values.items()}, 1)
    for batch in (4, 8):
        ratio = arm(three, batch).ratios[ENERGY]
        assert (ratio.low, ratio.high) == (
            pytest.approx(expected[batch].low),
            pytest.approx(expected[batch].high),
        )
        assert ratio.comparisons == 2 and ratio.method == "dunnett"
    alone = compare_two(tmp_path, {b: values[b] for b in (1, 4)})
    assert alone.high < arm(three, 4).ratios[ENERGY].high and alone.method == "t"


def compare_two(tmp_path, values):
    records.campaign(tmp_path / "two", values, measured=("gpu",))
    return arm(compare(tmp_path / "two"), 4).ratios[ENERGY]


def test_estimated_energy_is_compared_as_cpu_time(tmp_path):
    records.campaign(tmp_path, {1: [0.02, 0.021], 4: [0.01, 0.01]})
    c = compare(tmp_path)
    assert c.estimated and [q.key for q in c.quantities] == [CPU_TIME]
    assert arm(c, 4).ratios[CPU_TIME].ratio == pytest.approx(0.01 / math.sqrt(0.02 * 0.021))
    joules = arm(c, 4).figures["energy_per_output_token_j.estimated"]
    assert joules.mean == pytest.approx(0.1)


def test_only_classes_that_every_run_has_are_compared(tmp_path):
    lock = records.campaign(tmp_path, {1: [2.0, 2.1], 4: [1.0, 1.1]}, measured=("gpu", "dram"))
    where = {"arm_id": lock.arms[1].arm_id, "block": 1}
    started = records.START.replace(minute=1, second=45)
    records.place(
        tmp_path,
        records.record(**where, energy={"gpu": 1.1}, started=started),
    )
    c = compare(tmp_path)
    assert [q.part for q in c.quantities] == ["gpu"]
    assert c.left_out == ("dram is missing in 1 of 4 runs",)


def test_measured_and_estimated_are_never_mixed(tmp_path):
    records.campaign(tmp_path, {1: [0.02, 0.02]})
    records.place(
        tmp_path, records.record(arm_id=records.arm_name(0), block=1, energy={"gpu": 2.0})
    )
    with pytest.raises(BadInput, match="gpu is missing in 1 of 2 runs; estimated is miss"):
        compare(tmp_path)
    # CPU time is in all of them, and may be asked for.
    c = compare(tmp_path, metric=CPU_TIME)
    assert [q.key for q in c.quantities] == [CPU_TIME] and not c.estimated


def test_a_measured_class_keeps_the_estimate_out(tmp_path):
    records.campaign(tmp_path, {1: [2.0, 2.1], 4: [1.0, 1.1]}, measured=("gpu", "estimated"))
    assert [q.part for q in compare(tmp_path).quantities] == ["gpu"]


def test_a_class_read_by_two_meters_is_left_out(tmp_path):
    records.campaign(tmp_path, {1: [2.0, 2.1]}, measured=("gpu", "cpu"))
    started = records.START.replace(second=35)
    records.place(
        tmp_path,
        records.record(
            block=1, energy={"gpu": 2.1, "cpu": 2.1}, meters={"cpu": "other"}, started=started
        ),
    )
    c = compare(tmp_path)
    assert [q.part for q in c.quantities] == ["gpu"]
    assert c.left_out == ("cpu was read by different meters (other, rapl)",)


def test_a_counter_and_integrated_power_are_not_compared(tmp_path):
    """The same meter, but one run found no energy counter and integrated sampled power."""
    records.campaign(tmp_path, {1: [2.0, 2.1]}, measured=("gpu", "cpu"))
    made = records.record(
        block=1, energy={"gpu": 1.5, "cpu": 2.1}, started=records.START.replace(second=35)
    )
    gpu, cpu = made.meters
    meters = [gpu.model_copy(update={"quantity": "power_mw"}), cpu]
    records.place(tmp_path, made.model_copy(update={"meters": meters}))
    c = compare(tmp_path)
    assert [q.part for q in c.quantities] == ["cpu"]
    assert c.left_out == ("gpu was read by different meters (nvml, nvml (power))",)


def test_different_hardware_is_refused_and_can_be_chosen(tmp_path):
    records.campaign(tmp_path, {1: [2.0, 2.1], 4: [1.0, 1.1]}, measured=("gpu",))
    for n, value in enumerate((9.0, 8.0)):
        records.place(
            tmp_path,
            records.record(
                arm_id=records.arm_name(n),
                block=2,
                energy={"gpu": value},
                gpus=[records.gpu(name="NVIDIA Other")],
            ),
        )
    with pytest.raises(BadInput, match="different hardware") as e:
        compare(tmp_path)
    assert "--hardware" in (e.value.hint or "")
    c = compare(tmp_path, hardware="1 × NVIDIA Other · Test CPU (2 CPUs)")
    assert c.blocks_done == 1
    assert arm(c, 4).ratios[ENERGY].ratio == pytest.approx(8 / 9)


def test_choosing_hardware_does_not_bring_a_void_block_back(tmp_path):
    """Block 2 began on one machine and went on on another, so it is void as a whole."""
    records.campaign(tmp_path, {1: [2.0, 2.1], 4: [1.0, 1.1], 8: [0.5, 0.5]}, measured=("gpu",))
    for n, value in enumerate((9.0, 1.0, 1.0)):
        elsewhere = {"gpus": [records.gpu(name="NVIDIA Other")]} if n == 2 else {}
        records.place(
            tmp_path,
            records.record(arm_id=records.arm_name(n), block=2, energy={"gpu": value}, **elsewhere),
        )
    c = compare(tmp_path, hardware="Test CPU (2 CPUs)")
    assert arm(c, 4).ratios[ENERGY].n == 2
    assert arm(c, 4).ratios[ENERGY].ratio == pytest.approx(math.sqrt(1.0 / 2.0 * 1.1 / 2.1))
    assert [s.kind for s in arm(c, 4).shortfalls] == ["void"]


def test_other_definitions_of_metrics_are_refused(tmp_path):
    records.campaign(tmp_path, {1: [0.02, 0.02]})
    records.place(
        tmp_path,
        records.record(block=1, semantics=2, started=records.START.replace(second=35)),
    )
    with pytest.raises(BadInput, match="metric_semantics_version 1; 2"):
        compare(tmp_path)


def test_failed_and_excluded_runs_are_named_and_not_counted(tmp_path):
    records.campaign(
        tmp_path, {1: [2.0, 2.1, 2.0], 4: [1.0, None, 1.1], 8: [None] * 3}, measured=("gpu",)
    )
    file = tmp_path / "blocks" / "0002" / records.arm_name(1) / "0" / "record.json"
    made = Record.read(file)
    made.model_copy(update={"flags": ["throttled"]}).write(file)
    c = compare(tmp_path)
    four = arm(c, 4)
    assert four.blocks == 1 and four.ratios[ENERGY].n == 1 and four.ratios[ENERGY].low is None
    assert {(s.kind, s.blocks, s.message) for s in four.shortfalls} == {
        ("out_of_memory", 1, "the engine ran out of memory"),
        ("excluded", 1, "throttled"),
    }
    eight = arm(c, 8)
    assert eight.blocks == 0 and eight.ratios == {} and eight.figures == {}
    assert "throttled" in c.flags


def test_a_block_that_has_only_begun_is_not_done(tmp_path):
    """The last block has one run of three: the figures are provisional, whatever that arm has."""
    records.campaign(
        tmp_path, {1: [2.0, 2.1], 4: [1.0, 1.1, 1.0], 8: [0.5, 0.5]}, blocks=3, measured=("gpu",)
    )
    c = compare(tmp_path)
    assert arm(c, 4).blocks == 3
    assert c.blocks_done == 2 and c.provisional


def test_an_arm_that_was_given_up_is_not_awaited(tmp_path):
    records.campaign(tmp_path, {1: [2.0, 2.1, 2.0], 4: [None, None]}, measured=("gpu",))
    c = compare(tmp_path)
    assert c.blocks_done == 3 and not c.provisional


def test_a_repeated_attempt_is_no_shortfall(tmp_path):
    records.campaign(tmp_path, {1: [2.0], 4: [None]}, measured=("gpu",))
    records.place(
        tmp_path,
        records.record(
            arm_id=records.arm_name(1),
            attempt=1,
            energy={"gpu": 1.0},
            started=records.START.replace(minute=2),
        ),
    )
    four = arm(compare(tmp_path), 4)
    assert four.blocks == 1 and four.shortfalls == ()


def test_without_the_baseline_there_are_figures_and_no_ratios(tmp_path):
    records.campaign(tmp_path, {1: [None, None], 4: [1.0, 1.1]}, measured=("gpu",))
    c = compare(tmp_path)
    assert arm(c, 4).ratios == {} and arm(c, 4).figures[ENERGY].n == 2
    assert any("no run that counts" in n for n in c.notes)


@pytest.mark.parametrize(
    "baseline", ["engine.max_batch_size=4", "batch size 4", records.arm_name(1), None]
)
def test_the_baseline_can_be_chosen(tmp_path, baseline):
    records.campaign(tmp_path, {1: [2.0, 2.1], 4: [1.0, 1.1]}, measured=("gpu",))
    c = compare(tmp_path, baseline=baseline)
    assert c.baseline_name == ("batch size 1" if baseline is None else "batch size 4")
    if baseline:
        assert arm(c, 1).ratios[ENERGY].ratio == pytest.approx(math.sqrt(2.0 / 1.0 * 2.1 / 1.1))


@pytest.mark.parametrize("baseline", ["nothing", "backend=transformers", "engine.max_batch_size=5"])
def test_a_baseline_that_is_none_or_several_is_refused(tmp_path, baseline):
    records.campaign(tmp_path, {1: [2.0], 4: [1.0]}, measured=("gpu",))
    with pytest.raises(BadInput, match="arm"):
        compare(tmp_path, baseline=baseline)


def test_another_metric(tmp_path):
    records.campaign(tmp_path, {1: [2.0, 2.1], 4: [1.0, 1.1]}, measured=("gpu",))
    c = compare(tmp_path, metric="ttft_s")
    assert [q.key for q in c.quantities] == ["ttft_s.p50"]
    with pytest.raises(BadInput, match="no metric named"):
        compare(tmp_path, metric="joy")


def test_without_a_lock_arms_are_named_by_what_differs(tmp_path):
    records.campaign(tmp_path, {1: [2.0, 2.1], 4: [1.0, 1.1]}, measured=("gpu",))
    (tmp_path / "campaign.lock.json").unlink()
    with pytest.raises(BadInput, match="baseline"):
        compare(tmp_path)
    c = compare(tmp_path, baseline="engine.max_batch_size=1")
    assert [a.name for a in c.arms] == ["batch size 1", "batch size 4"]
    assert c.blocks_planned is None


def test_an_empty_campaign_has_nothing_to_compare(tmp_path):
    records.campaign(tmp_path, {1: [None], 4: [None]})
    with pytest.raises(BadInput, match=r"no run to compare yet \(failures: out_of_memory\)"):
        compare(tmp_path)


def test_where_every_run_is_left_out_the_flags_say_why(tmp_path):
    records.campaign(tmp_path, {1: [2.0], 4: [1.0]}, flags=["rate_bound_hit", "short_window"])
    with pytest.raises(BadInput, match=r"\(left out because of flags: rate_bound_hit\)"):
        compare(tmp_path)


def test_figures_that_have_no_logarithm_are_left_out(tmp_path):
    records.campaign(tmp_path, {1: [2.0, 0.0], 4: [1.0, 1.1]}, measured=("gpu",))
    with pytest.raises(BadInput, match="gpu is missing in 1 of 4 runs"):
        compare(tmp_path)


@pytest.mark.parametrize(
    ("limit", "outcome"), [(0.05, "fail"), (0.6, "cannot_tell"), (4.0, "pass")]
)
def test_the_gate_fails_on_evidence_alone(tmp_path, limit, outcome):
    # Ratio about 1.6, interval within 1.3 to 2; the order is always the same, so carry-over might
    # have halved it.
    records.campaign(tmp_path, {1: [1.0, 1.02, 1.0], 4: [1.6, 1.6, 1.68]}, measured=("gpu",))
    (result,) = gate(compare(tmp_path), limit)
    assert result.outcome == outcome


def test_the_gate_passes_nothing_that_carry_over_may_have_hidden(tmp_path):
    records.campaign(tmp_path, {1: [1.0, 1.01, 1.0], 4: [1.0, 1.0, 1.01]}, measured=("gpu",))
    found = compare(tmp_path)
    assert [g.outcome for g in gate(found, 0.05)] == ["pass"]
    hidden = CarryOver(0.1, 0.3, 0.95, 5, {records.arm_name(1): 0.06}, noticed=False)
    (result,) = gate(replace(found, carry={ENERGY: hidden}), 0.05)
    assert result.outcome == "cannot_tell"
    assert result.reason.endswith("carry-over may hide 6.2% more")


def alternating(folder, ratio):
    """Six blocks of two arms in the same order, with a scatter of 0.5 %."""
    base = [1.0, 1.005, 0.995, 1.0, 1.005, 1.0]
    other = [ratio * v for v in (1.0, 1.0, 1.0, 0.995, 1.0, 1.005)]
    records.campaign(folder, {1: base, 4: other}, measured=("gpu",))
    return compare(folder)


def test_where_carry_over_is_not_known_a_difference_may_be_larger_than_it_looks(tmp_path):
    """1.5 % are seen; with all handed on 1 + 5 ÷ 6 times as much is hidden."""
    found = alternating(tmp_path, 1.015)
    carry = found.carry[ENERGY]
    seen_log = math.log(arm(found, 4).ratios[ENERGY].ratio)
    assert carry.share is None and carry.bound == 1 and not carry.noticed
    assert carry.pull[records.arm_name(1)] == pytest.approx(-(1 + 5 / 6) * seen_log)
    assert arm(found, 4).verdicts[ENERGY].says == "more"
    assert found.expanded_log(arm(found, 4), ENERGY) is None
    (result,) = gate(found, 0.04)
    assert result.outcome == "cannot_tell"
    hidden = math.exp((1 + 5 / 6) * seen_log) - 1
    assert result.reason.endswith(f"carry-over may hide {hidden:.1%} more")
    assert [g.outcome for g in gate(found, 0.06)] == ["pass"]


def test_where_carry_over_is_not_known_arms_that_hardly_differ_are_the_same(tmp_path):
    found = alternating(tmp_path, 1.0001)
    assert found.carry[ENERGY].share is None
    assert arm(found, 4).verdicts[ENERGY].says == "same"
    assert [g.outcome for g in gate(found, 0.02)] == ["pass"]


def test_carry_over_hides_no_loss_of_an_arm_that_saves(tmp_path):
    """It draws towards 1: in truth such an arm saves even more."""
    found = alternating(tmp_path, 0.5)
    pull = {records.arm_name(1): 1.2}
    unknown = CarryOver(None, 1.0, 0.95, 11, pull, noticed=False, pull=pull)
    found = replace(found, carry={ENERGY: unknown})
    assert [g.outcome for g in gate(found, 0.0)] == ["pass"]


def test_the_gate_cannot_tell_without_an_interval(tmp_path):
    records.campaign(tmp_path, {1: [1.0], 4: [9.0], 8: [None]}, measured=("gpu",))
    assert [g.outcome for g in gate(compare(tmp_path), 0.05)] == ["cannot_tell"] * 2


def test_the_gate_waits_for_the_last_block(tmp_path):
    worse = {1: [1.0, 1.02, 1.0], 4: [1.6, 1.6, 1.68]}
    records.campaign(tmp_path, worse, measured=("gpu",), blocks=5)
    (result,) = gate(compare(tmp_path), 0.05)
    assert result.outcome == "cannot_tell"
    assert "provisional: 3 of 5 blocks" in result.reason


def test_a_time_budget_that_ended_a_campaign_leaves_it_finished(tmp_path):
    both = {1: [1.0, 1.02], 4: [1.6, 1.6]}
    lock = records.campaign(tmp_path, both, measured=("gpu",), blocks=9)
    assert compare(tmp_path).provisional
    first = [o for o in outcomes(tmp_path) if o.block == 0]
    began, ended = min(o.started_at for o in first), max(o.ended_at for o in first)
    budget_s = 2.5 * seconds_between(began, ended)
    lock.model_copy(update={"time_budget_s": budget_s}).write(tmp_path / "campaign.lock.json")
    found = compare(tmp_path)
    assert (found.blocks_planned, found.provisional) == (2, False)


def test_a_gate_divides_its_confidence_among_the_device_classes(tmp_path):
    """Two classes: each has 97.5 %. With two arms and three blocks that is t(0.9875, 2) = 6.205."""
    base, other = [2.0, 2.2, 2.1], [1.0, 1.0, 1.1]
    records.campaign(tmp_path, {1: base, 4: other}, measured=("gpu", "cpu"))
    logs = [math.log(a / b) for a, b in zip(other, base, strict=True)]
    mean = sum(logs) / 3
    s = math.sqrt(sum((x - mean) ** 2 for x in logs) / 2)
    together = compare(tmp_path, across=True)
    assert together.across and not compare(tmp_path).across
    for key, ratio in arm(together, 4).ratios.items():
        assert key in (ENERGY, "energy_per_output_token_j.cpu")
        assert ratio.level == pytest.approx(0.975)
        half = 6.205347 * s / math.sqrt(3)
        assert math.log(ratio.high / ratio.ratio) == pytest.approx(half, rel=1e-5)
    alone = arm(compare(tmp_path), 4).ratios[ENERGY]
    half = T_975_2 * s / math.sqrt(3)
    assert math.log(alone.high / alone.ratio) == pytest.approx(half, rel=1e-5)


def test_the_pilots_scatter_still_holds_when_later_blocks_are_quieter(tmp_path):
    """n comes from the pilot, so the interval is never narrower than the pilot makes it."""
    noisy, quiet = [1.0, 1.1, 0.9, 1.05, 0.95], [1.0] * 10
    lock = records.campaign(
        tmp_path, {1: [1.0] * 15, 4: [*noisy, *quiet]}, measured=("gpu",), blocks=15
    )
    fixed = arm(compare(tmp_path), 4).ratios[ENERGY]
    lock = lock.model_copy(update={"blocks": 5, "precision": 0.02, "max_blocks": 15})
    lock.write(tmp_path / "campaign.lock.json")
    c = compare(tmp_path)
    assert (c.decision.n, c.decision.pilot, c.decision.capped_by) == (15, 5, "max_blocks")
    piloted = arm(c, 4).ratios[ENERGY]
    s = math.sqrt(sum((math.log(v) - sum(map(math.log, noisy)) / 5) ** 2 for v in noisy) / 4)
    # Student's t, 97.5 %, 4 degrees of freedom: 2.776445.
    assert piloted.half_width_log == pytest.approx(2.776445 * s / math.sqrt(15), rel=1e-5)
    assert piloted.half_width_log > fixed.half_width_log
    assert piloted.reached is False and c.target == 0.02
    assert c.reached(c.quantities[0]) == piloted.half_width_log


def again(folder, block, **changes):
    """Put another record in the place of the first arm's in a campaign of two arms."""
    started = records.START + timedelta(seconds=2 * block * (records.RUN_S + records.GAP_S))
    arm_id = records.arm_name(0)
    records.place(folder, records.record(arm_id=arm_id, block=block, started=started, **changes))


def test_no_interval_of_a_time_reaches_below_zero(tmp_path):
    """Three times of 0.1, 0.2 and 0.6 s: by Student's t alone −0.36 to 0.96."""
    records.campaign(tmp_path, {1: [1.0, 1.0, 1.0], 4: [1.0, 1.0, 1.0]})
    for block, seconds in enumerate([0.1, 0.2, 0.6]):
        again(tmp_path, block, ttft_s=seconds)
    found = open_results(tmp_path).compare(metric="ttft_s")
    figure = found.arms[0].figures["ttft_s.p50"]
    assert figure.low == 0 and figure.high > 0.96
    assert found.to_json()["arms"][0]["figures"]["ttft_s.p50"]["low"] == 0


def test_differences_may_reach_below_zero():
    below = Absolute(0.1, 3, 0.1, None, None, True, low=-0.2, high=0.4)
    found = not_below_zero(
        {"energy_above_idle_per_output_token_j.gpu": below, "energy_per_output_token_j.gpu": below}
    )
    assert [f.low for f in found.values()] == [-0.2, 0.0]
    assert all(f.high == 0.4 for f in found.values())


def test_energy_asked_for_by_name_is_not_replaced_by_cpu_time(tmp_path):
    records.campaign(tmp_path, {1: [0.02, 0.02], 4: [0.01, 0.01]})
    with pytest.raises(BadInput, match="only estimated here") as e:
        open_results(tmp_path).compare(metric="energy_per_output_token_j")
    assert "--metric cpu_time_per_output_token_s" in e.value.hint
    assert open_results(tmp_path).compare().estimated


def test_a_flag_says_in_how_many_runs_it_is(tmp_path):
    records.campaign(tmp_path, {1: [1.0, 1.0], 4: [1.0, 1.0]}, measured=("gpu",))
    again(tmp_path, 1, energy={"gpu": 1.0}, flags=["warm_up_capped"])
    found = open_results(tmp_path).compare().flags["warm_up_capped"]
    assert found.endswith("when the warm-up limit was reached (1 of 4 runs)")


def test_engines_that_hold_weights_differently_are_said(tmp_path):
    arms = []
    for i, (backend, dtype) in enumerate([("llama_cpp", "Q4_1"), ("transformers", "bfloat16")]):
        raw = records.experiment(backend=backend)
        arms.append(
            {"arm_id": records.arm_name(i), "label": backend, "settings": {}, "experiment": raw}
        )
        made = records.record(arm_id=records.arm_name(i), raw_experiment=raw)
        environment = made.environment.model_copy(update={"engine_resolved": {"dtype": dtype}})
        records.place(tmp_path, made.model_copy(update={"environment": environment}))
    records.lock(arms).write(tmp_path / "campaign.lock.json")
    kinds = "Q4_1 (llama_cpp), bfloat16 (transformers)"
    said = f"The arms also differ in the type of their weights: {kinds}."
    assert said in compare(tmp_path).notes
    arms[0]["settings"] = {"engine.dtype": "auto"}
    records.lock(arms).write(tmp_path / "campaign.lock.json")
    assert said not in compare(tmp_path).notes  # the arms' names say it


def test_a_pilot_is_provisional_until_its_number_is_known(tmp_path):
    values = {1: [1.0] * 4, 4: [1.0, 1.01, 1.02, 1.0]}
    lock = records.campaign(tmp_path, values, measured=("gpu",))
    update = {"blocks": 5, "precision": 0.02, "max_blocks": 15}
    lock.model_copy(update=update).write(tmp_path / "campaign.lock.json")
    c = compare(tmp_path)
    assert c.provisional and not c.decision.final and c.blocks_planned == 5


def test_carry_over_follows_the_order_in_which_runs_were_made(tmp_path):
    orders = [(0, 1, 2), (2, 0, 1), (1, 2, 0), (0, 2, 1), (2, 1, 0), (1, 0, 2)]
    level = [1.0, 0.5, 2.0]
    noise = [0.01, -0.02, 0.015, 0.0, -0.01, 0.02, 0.005, -0.015]
    values = {1: [None] * 6, 4: [None] * 6, 16: [None] * 6}
    made = records.lock(
        [
            {
                "arm_id": records.arm_name(i),
                "label": f"engine.max_batch_size={b}",
                "settings": {"engine.max_batch_size": b},
                "experiment": records.experiment(b),
            }
            for i, b in enumerate(values)
        ],
        blocks=6,
    )
    made.write(tmp_path / "campaign.lock.json")
    clock, before, k = records.START, None, 0
    table = {records.arm_name(i): {} for i in range(3)}
    for block, order in enumerate(orders):
        for i in order:
            # 10 % of the previous run's difference, in logarithms.
            log = math.log(level[i]) + noise[k % 8]
            log += 0.0 if before is None else 0.1 * math.log(level[before] / level[i])
            before, k = i, k + 1
            table[records.arm_name(i)][block] = math.exp(log)
            where = {"arm_id": records.arm_name(i), "block": block, "started": clock}
            records.place(tmp_path, records.record(**where, energy={"gpu": math.exp(log)}))
            clock += timedelta(seconds=records.RUN_S + records.GAP_S)
    found = compare(tmp_path).carry[ENERGY]
    named = {b: [records.arm_name(i) for i in order] for b, order in enumerate(orders)}
    assert found == carry_over(table, named, records.arm_name(0))
    assert found.noticed and found.share == pytest.approx(0.1, abs=0.03)


def test_blocks_of_a_ratio_are_those_that_both_have(tmp_path):
    records.campaign(tmp_path, {1: [2.0, None, 2.1], 4: [1.0, 1.1, 1.0]}, measured=("gpu",))
    four = arm(compare(tmp_path), 4)
    assert (four.blocks, four.ratios[ENERGY].n, four.figures[ENERGY].n) == (3, 2, 3)


def test_a_block_that_was_given_up_is_not_awaited(tmp_path):
    records.campaign(tmp_path, {1: [2.0, 2.1], 4: [1.0, 1.1]}, measured=("gpu",), blocks=3)
    assert compare(tmp_path).provisional
    for n in range(3):
        where = {"block": 2, "block_pass": n, "attempt": n, "flags": ["suspended"]}
        started = records.START + timedelta(hours=1 + n)
        records.place(tmp_path, records.record(**where, started=started, energy={"gpu": 2.0}))
    assert not compare(tmp_path).provisional


def test_everything_that_is_shown_is_in_the_json(tmp_path):
    records.campaign(tmp_path, {1: [2.0, 2.2, 2.1], 4: [1.0, 1.0, 1.1]}, measured=("gpu",))
    found = json.loads(json.dumps(compare(tmp_path).to_json(), allow_nan=False))
    assert found["blocks_decided"]["reason"] and found["precision"]["reached"][ENERGY] > 0
    four = found["arms"][1]
    assert four["verdicts"][ENERGY]["says"] == "less"
    assert four["ratios"][ENERGY]["method"] == "t"
    assert four["figures"][ENERGY]["low"] < 1.03 < four["figures"][ENERGY]["high"]
    ratio = four["ratios"][ENERGY]
    assert set(ratio) >= {"carry_over_bias_log", "expanded_log", "reached"}


def test_the_expanded_uncertainty_is_never_narrower_than_the_interval(tmp_path):
    values = {1: [2.0, 2.2, 2.1, 2.0, 2.1, 2.05], 4: [1.0, 1.0, 1.1, 1.05, 1.0, 1.02]}
    records.campaign(tmp_path, values, measured=("gpu",))
    found = compare(tmp_path)
    key, arm = ENERGY, found.arms[1]
    ratio, bias = arm.ratios[key], found.bias_log(arm, key)
    assert bias is not None
    assert found.expanded_log(arm, key) == pytest.approx(ratio.half_width_log + bias)
