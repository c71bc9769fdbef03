"""Each rule: an honest run passes (``test_recompute.py``), a forged one is caught by its name.

Where a forger can make the rest agree with the lie, the test does: figures are recomputed from the
forged files (``consistent``), so that only the rule that is meant can object.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from lem.config.identity import experiment_id
from lem.contract.lock import Lock
from lem.contract.spec import Experiment
from lem.meters.protocol import Sample
from lem.trust.files import samples_of
from lem.trust.of_meters import off_grid
from lem.trust.rules import RULES

from .runs import Run, later, scaled

Runs = Callable[[str], Run]
POWER = ("power_mw", "power_average_mw", "power_instant_mw")


def on(run: Run, name: str, gib: int, architecture: int) -> Run:
    """The same run, said to be on another board in every place that names it."""
    (gpu,) = run.record.environment.gpus
    told = run.told(
        environment__gpus=[gpu.model_dump() | {"name": name, "memory_bytes": gib * 2**30}],
        environment__device_set=[gpu.uuid],
        meters__0__description=f"{name}: total energy counter of the board",
    )
    return told.traced(
        lambda s: s._replace(value=float(architecture)) if s.quantity == "architecture" else s
    )


@pytest.fixture(scope="module")
def gpu(runs: Runs) -> Run:
    """A run as it would be on an H200: nothing objects."""
    run = on(runs("gpu"), "NVIDIA H200", 140, 9).consistent()
    assert run.found() == {}
    return run


# Forged energy.


def test_the_counter_scaled_in_the_trace_alone(gpu: Run) -> None:
    found = gpu.traced(scaled(0.8, "energy_mj")).found()
    assert found["figures_differ"] == "reject"
    assert found["counter_differs_from_power"] == "hold"


def test_the_counter_scaled_in_trace_and_record(gpu: Run) -> None:
    forged = gpu.traced(scaled(0.8, "energy_mj")).consistent()
    assert forged.found() == {"counter_differs_from_power": "hold"}


def test_the_counter_in_another_unit(gpu: Run) -> None:
    forged = gpu.traced(scaled(0.4, "energy_mj")).consistent()
    assert forged.found() == {"counter_contradicts_power": "reject"}


def test_counter_and_power_scaled_alike_below_what_a_board_needs(gpu: Run) -> None:
    forged = gpu.traced(scaled(0.1, "energy_mj", *POWER)).consistent()
    assert forged.found() == {"power_below_floor": "hold"}


def test_counter_and_power_scaled_alike_beyond_the_limit(gpu: Run) -> None:
    forged = gpu.traced(scaled(2.5, "energy_mj", *POWER)).consistent()
    assert forged.found() == {"power_above_limit": "reject"}
    forged = gpu.traced(scaled(4.0, "energy_mj", *POWER, "power_limit_mw"))
    forged = forged.told(environment__gpus__0__power_limit_w=2000.0).consistent()
    assert forged.found() == {"power_above_board": "reject", "limit_impossible": "hold"}


def test_a_limit_that_is_not_the_traces(gpu: Run) -> None:
    assert gpu.told(environment__gpus__0__power_limit_w=100.0).found() == {
        "limit_impossible": "hold"
    }
    # As of a board under its usual limit, which needs more.
    assert gpu.told(environment__gpus__0__power_limit_w=700.0).found() == {
        "limit_impossible": "hold"
    }
    silent = gpu.traced(lambda s: None if s.quantity == "power_limit_mw" else s)
    assert silent.consistent().found() == {"limit_impossible": "hold"}


def test_an_owners_meter_that_tells_less_than_the_boards_need(gpu: Run) -> None:
    """A name of its own does not spare it what is known of the boards."""
    forged = gpu.traced(scaled(0.1, "energy_mj", *POWER)).traced(
        lambda s: (
            s._replace(meter="external", device="wall", value=s.value / 1e3, quantity="energy_j")
            if s.quantity == "energy_mj"
            else s._replace(device="board")
            if s.meter == "nvml"
            else s
        )
    )
    meter = gpu.record.meters[0].model_dump() | {
        "meter": "external",
        "device": "wall",
        "quantity": "energy_j",
        "unit": "J",
        "relative_uncertainty": 0.01,
    }
    raw = forged.told(meters=[meter]).consistent()
    assert raw.found()["power_below_floor"] == "hold"


def test_a_consistent_forgery_within_what_a_board_does_passes(gpu: Run) -> None:
    """What is left, and what replication is for (docs/trust.md)."""
    assert gpu.traced(scaled(0.8, "energy_mj", *POWER)).consistent().found() == {}


def test_the_counter_scaled_without_rounding(gpu: Run) -> None:
    def change(s: Sample) -> Sample:
        alone = s.quantity == "energy_mj"
        return s._replace(value=s.value * 0.97 + 0.25) if alone else s

    assert gpu.traced(change).consistent().found() == {"values_not_whole": "reject"}


def test_windows_with_less_power_than_idle(gpu: Run) -> None:
    first = gpu.record.windows[0].start_ns
    rest = gpu.record.idle[1].start_ns - 300_000_000
    samples = samples_of(gpu.trace)
    at: dict[str, float] = {}

    def change(s: Sample) -> Sample:
        if s.meter != "nvml" or s.quantity not in ("energy_mj", *POWER):
            return s
        inside = first <= s.t_ns <= rest
        if s.quantity != "energy_mj":
            return s._replace(value=float(round(s.value * 0.5))) if inside else s
        raw, told = at.get("raw", s.value), at.get("told", s.value)
        step = (s.value - raw) * (0.5 if inside else 1.0)
        at["raw"], at["told"] = s.value, told + step
        return s._replace(value=float(round(told + step)))

    forged = gpu.of_samples([change(s) for s in samples]).consistent()
    assert forged.found()["work_below_idle"] == "hold"


def test_a_gain_that_no_board_has(gpu: Run) -> None:
    gain = {
        "gain": 1.4,
        "uncertainty": 0.01,
        "date": "2026-01-01",
        "against": "a wattmeter",
        "sha256": "0" * 64,
    }
    (board,) = gpu.record.environment.gpus
    uuid = f"GPU-{'a' * 32}"
    named = gpu.told(environment__gpus=[board.model_dump() | {"uuid": uuid}])
    named = named.told(environment__device_set=[uuid])

    def calibrated(factor: float) -> Run:
        own = {**gain, "gain": factor}
        asked = {k: v for k, v in own.items() if k != "sha256"}
        told = named.told(measurement__calibration={"sha256": "0" * 64, "boards": {uuid: asked}})
        return told.told(meters__0__calibration=own).consistent()

    assert calibrated(1.4).found() == {"calibration_far": "hold"}
    honest = calibrated(1.02)
    assert honest.found() == {}
    # Another one than was asked for, which may be another in each block.
    alone = gpu.told(meters__0__calibration=gain | {"gain": 1.02}).consistent()
    assert alone.found() == {"meter_inconsistent": "reject"}
    other = honest.told(meters__0__calibration=gain | {"gain": 1.1}).consistent()
    assert other.found() == {"meter_inconsistent": "reject"}
    assert "calibrated" in {f.rule for f in honest.judged().findings}


# A trace that no sampler wrote.


def test_readings_at_even_times(gpu: Run) -> None:
    start = samples_of(gpu.trace)[0].t_ns
    grid = 50_000_000

    def change(s: Sample) -> Sample:
        if s.meter == "nvml" and s.quantity in ("energy_mj", *POWER):
            return s._replace(t_ns=start + (s.t_ns - start) // grid * grid)
        return s

    # Several readings of one moment: the last one is the moment's.
    kept = {(change(s).t_ns, *s[1:4]): change(s) for s in samples_of(gpu.trace)}
    forged = gpu.of_samples(sorted(kept.values(), key=lambda s: s.t_ns)).consistent()
    assert forged.found() == {"samples_even": "hold"}


def test_a_hole_in_the_trace(gpu: Run) -> None:
    window = gpu.record.windows[0]
    a, b = window.start_ns + 300_000_000, window.end_ns - 300_000_000
    forged = gpu.traced(lambda s: None if s.meter == "nvml" and a < s.t_ns < b else s).consistent()
    assert forged.found()["trace_gap"] == "hold"


def test_a_trace_that_ends_early(gpu: Run) -> None:
    end = gpu.record.idle[1].end_ns - 200_000_000
    forged = gpu.traced(lambda s: None if s.t_ns > end else s)
    assert forged.found()["trace_short"] == "hold"


def test_ticks_that_come_too_often(runs: Runs, gpu: Run) -> None:
    samples = []
    counted = 0.0
    for s in samples_of(gpu.trace):
        if s.quantity == "energy_mj":
            # The counter moves at every reading, and between them too.
            for i in range(6):
                counted += 1.0
                t_ns = s.t_ns + i * 137_001
                samples.append(s._replace(t_ns=t_ns, value=s.value + counted))
        else:
            samples.append(s)
    samples.sort(key=lambda s: s.t_ns)
    assert gpu.of_samples(samples).consistent().found()["tick_impossible"] == "hold"


def test_meters_that_were_never_read(gpu: Run) -> None:
    renamed = gpu.traced(lambda s: s._replace(device="gpu1") if s.device == "gpu0" else s)
    assert renamed.found()["meter_inconsistent"] == "reject"
    assert gpu.told(meters__0__device_class="cpu").found()["meter_inconsistent"] == "reject"


def test_watts_that_were_not_assumed(runs: Runs) -> None:
    def change(s: Sample) -> Sample:
        return s._replace(value=2.0) if s.quantity == "watts_per_core" else s

    forged = runs("closed").traced(change).consistent()
    assert forged.found() == {"meter_inconsistent": "reject"}


def test_readings_that_no_board_gives(gpu: Run) -> None:
    def change(s: Sample) -> Sample:
        return s._replace(value=9000.0) if s.quantity == "sm_clock_mhz" else s

    assert gpu.traced(change).consistent().found() == {"reading_impossible": "hold"}


def test_phases_in_another_order(gpu: Run) -> None:
    def change(s: Sample) -> Sample | None:
        return None if s.quantity == "phase" and s.value == 2 else s

    assert gpu.traced(change).found() == {"phases_disordered": "reject"}


def test_an_accumulator_that_shows_what_lies_between_its_counts() -> None:
    counts = [1000, 1500, 2750, 2751, 9000, 9002, 12000]
    assert not off_grid([15.259 * c for c in counts])
    assert off_grid([15.259 * c * 0.9 if c > 2000 else 15.259 * c for c in counts])
    assert not off_grid([])
    assert RULES["values_off_grid"].consequence == "reject"


# Windows chosen afterwards.


def test_a_slow_window_left_out(gpu: Run) -> None:
    windows = [gpu.record.windows[1].model_dump()]
    assert gpu.told(windows=windows).consistent().found() == {"windows_not_as_asked": "reject"}


def test_a_shorter_window(gpu: Run) -> None:
    first = gpu.record.windows[0]
    forged = gpu.told(windows__0__start_ns=first.start_ns + 1_000_000_000).consistent()
    found = forged.found()
    assert found.pop("windows_not_as_asked") == "reject"
    assert found.keys() <= {"edge_unmarked"}


def test_a_window_that_begins_before_its_phase(gpu: Run) -> None:
    first = gpu.record.windows[0]
    forged = gpu.told(windows__0__start_ns=first.start_ns - 1_500_000_000).consistent()
    assert forged.found()["windows_misplaced"] == "reject"


def test_an_edge_at_which_nothing_was_read(gpu: Run) -> None:
    first, second = gpu.record.windows
    edge = first.end_ns + 5_000_000
    reads = [s.t_ns for s in samples_of(gpu.trace) if s.meter == "estimate"]
    while any(edge <= t <= edge + 500_000_000 for t in reads):
        edge += 5_000_000
    assert edge < second.end_ns - 100_000_000
    length = {"windows__0__end_ns": edge, "windows__1__start_ns": edge}
    found = gpu.told(**length).consistent().found()
    assert found["edge_unmarked"] == "hold"


def test_a_window_that_begins_and_ends_late(runs: Runs, gpu: Run) -> None:
    """Half a minute passes between a phase's beginning and what is to happen in it at once."""
    by = 30_000_000_000
    notes = [s.t_ns for s in samples_of(gpu.trace) if (s.quantity, s.value) == ("phase", 5)]
    assert moved(gpu, notes[0] + 1, by).found()["window_late"] == "hold"
    middle = (gpu.record.idle[0].start_ns + gpu.record.idle[0].end_ns) // 2
    assert moved(gpu, middle, by).found()["window_too_long"] == "hold"


def moved(run: Run, after_ns: int, by_ns: int) -> Run:
    """Everything after a moment comes so much later, in all files, and figures are recomputed."""

    def at(t: int) -> int:
        return t + by_ns if t >= after_ns else t

    trace = run.traced(lambda s: s._replace(t_ns=at(s.t_ns)))
    rows = []
    for row in run.rows:
        sent = at(int(row["sent_ns"]))
        gaps = [int(g) for g in row["itl_ns"].split()]
        times = [int(row["first_ns"])]
        for g in gaps:
            times.append(times[-1] + g)
        times = [at(t) for t in times]
        rows.append(
            row
            | {
                "sent_ns": str(sent),
                "first_ns": str(times[0]),
                "last_ns": str(times[-1]),
                "itl_ns": " ".join(str(b - a) for a, b in pairwise(times)),
                "end_ns": str(at(int(row["end_ns"]))),
            }
        )
    raw = run.record.model_dump()
    for stretch in (*raw["windows"], *raw["idle"], *([raw["prefill"]] if raw["prefill"] else [])):
        stretch["start_ns"], stretch["end_ns"] = at(stretch["start_ns"]), at(stretch["end_ns"])
    raw["ended_at"] = later(raw["ended_at"], by_ns / 1e9)
    record = type(run.record).model_validate(raw)
    return replace(trace.answered(rows), record=record).consistent()


def test_static_batches_left_out(runs: Runs) -> None:
    run = runs("static_gpu")
    assert run.found() == {}
    start = run.record.windows[0].start_ns
    inside = [r for r in run.rows if int(r["first_ns"]) >= start]
    # The window is said to begin after its first batch.
    first_end = min(int(r["end_ns"]) for r in inside)
    forged = run.told(windows__0__start_ns=first_end + 1).consistent()
    assert "work_outside_windows" in forged.found()


# Requests.


def test_fewer_input_tokens_than_the_data_set_has(gpu: Run) -> None:
    rows = [r | {"input_tokens": "4"} for r in gpu.rows]
    assert gpu.answered(rows).consistent().found() == {"input_tokens_not_as_asked": "reject"}


def test_more_tokens_than_were_asked_for(gpu: Run) -> None:
    rows = [padded(r) if i == 0 else r for i, r in enumerate(gpu.rows)]
    assert gpu.answered(rows).consistent().found() == {"output_tokens_not_as_asked": "reject"}


def padded(row: dict[str, str]) -> dict[str, str]:
    """With one token more, at the time of its last one."""
    n = int(row["output_tokens"]) + 1
    return row | {"output_tokens": str(n), "itl_ns": f"{row['itl_ns']} 0".strip()}


def test_an_answer_that_ended_early_and_says_nothing(gpu: Run) -> None:
    row = gpu.rows[0]
    gaps = row["itl_ns"].split()
    short = row | {
        "output_tokens": str(int(row["output_tokens"]) - 1),
        "itl_ns": " ".join(gaps[:-1]),
        "last_ns": str(int(row["last_ns"]) - int(gaps[-1])),
    }
    forged = gpu.answered([short, *gpu.rows[1:]]).consistent()
    assert forged.found() == {"output_tokens_not_as_asked": "reject"}


def test_a_slow_request_left_out(gpu: Run, lock_of: Callable[[Run], Lock]) -> None:
    assert gpu.found(lock_of(gpu)) == {}
    rows = gpu.rows
    forged = gpu.answered([*rows[:20], *rows[21:]]).consistent()
    assert forged.found(lock_of(gpu)) == {"requests_not_in_order": "hold"}


def test_a_block_under_another_number(gpu: Run, lock_of: Callable[[Run], Lock]) -> None:
    """So of ten blocks the three best cannot be numbered anew."""
    forged = gpu.told(block=0)
    assert forged.found(lock_of(gpu)) == {"requests_not_in_order": "hold"}
    # Nor by a lock that does not tell of the list, or of one that is too long to look at.
    listed = gpu.record.experiment.requests_sha256
    for requests in ({}, {listed: 10**6}):
        silent = lock_of(gpu).model_copy(update={"requests": requests})
        assert forged.found(silent) == {"requests_not_in_order": "hold"}


def test_more_clients_than_there_are(gpu: Run) -> None:
    workload = gpu.record.experiment.workload.model_dump()
    workload["arrival"]["concurrency"] = 2
    forged = swapped(gpu, workload=workload).consistent()
    assert forged.found() == {"load_not_as_asked": "reject"}


def test_more_tokens_than_memory_can_be_read_for(gpu: Run) -> None:
    model = gpu.record.experiment.model.model_dump() | {
        "id": "acme/Large-405B",
        "weights": "trained",
    }
    engine = gpu.record.experiment.engine | {"dtype": "bfloat16"}
    forged = swapped(gpu, model=model, engine=engine)
    forged = forged.told(flags=[f for f in forged.record.flags if f != "weights_random"])
    assert forged.found() == {"tokens_beyond_bandwidth": "hold"}


def swapped(run: Run, **changes: object) -> Run:
    """With another experiment, and that one's id."""
    experiment = Experiment.model_validate(run.record.experiment.model_dump() | changes)
    return run.told(experiment=experiment.model_dump(), experiment_id=experiment_id(experiment))


# Provenance.


def test_another_experiment_under_the_same_id(gpu: Run) -> None:
    forged = gpu.told(experiment__generate={"temperature": 1, "ignore_eos": True})
    assert forged.found() == {"experiment_id_differs": "reject"}


def test_a_model_that_was_not_resolved(gpu: Run) -> None:
    model = gpu.record.experiment.model.model_dump() | {"content": "provisional"}
    assert swapped(gpu, model=model).found() == {"model_unresolved": "hold"}


def test_a_models_name_is_what_its_sender_calls_it(gpu: Run) -> None:
    """What is compared are the weights' hashes (docs/trust.md)."""
    assert gpu.told(experiment__model__id="meta/Other").found() == {}


def test_an_experiment_that_the_campaign_has_not(gpu: Run, lock_of: Callable[[Run], Lock]) -> None:
    model = gpu.record.experiment.model.model_dump() | {"id": "other"}
    forged = swapped(gpu, model=model)
    assert forged.found(lock_of(gpu)) == {"not_of_its_lock": "reject"}
    shorter = lock_of(gpu).model_copy(
        update={"measure": gpu.record.measurement.model_copy(update={"window_s": 10.0})}
    )
    assert gpu.found(shorter) == {"not_of_its_lock": "reject"}


def test_another_engine(gpu: Run) -> None:
    assert gpu.told(environment__engine_version="9").found() == {"engine_version_differs": "hold"}
    assert gpu.told(environment__engine="vllm").found() == {"engine_version_differs": "hold"}


def test_boards_that_do_not_go_together(gpu: Run) -> None:
    assert gpu.told(environment__device_set=["GPU-other"]).found() == {"devices_differ": "hold"}
    two = [gpu.record.environment.gpus[0].model_dump()] * 2
    assert gpu.told(environment__gpus=two).found() == {"devices_differ": "hold"}


def test_a_board_that_is_not_named(gpu: Run) -> None:
    """Half of the energy of a model that was spread over two."""
    for settings in (
        {"engine": {"tensor_parallel_size": 2}},
        {"args": {"tp_size": "2"}},
        {"args": {"pipeline_parallel_size": 2}},
    ):
        assert swapped(gpu, **settings).found()["devices_differ"] == "hold"
    assert swapped(gpu, args={"tensor_parallel_size": 1}).found() == {}


def test_another_boards_name(runs: Runs, gpu: Run) -> None:
    # Another spelling is no board of which nothing is known.
    forged = on(runs("gpu"), "nvidia  h200", 80, 9)
    assert forged.consistent().found() == {"board_differs": "hold"}
    assert gpu.told(environment__gpus__0__name="NVIDIA L4").found()["board_differs"] == "hold"
    for forged in (
        on(runs("gpu"), "NVIDIA H200", 80, 9),
        on(runs("gpu"), "NVIDIA H200", 140, 8),
    ):
        assert forged.consistent().found() == {"board_differs": "hold"}


def test_a_divided_board_that_does_not_say_so(gpu: Run) -> None:
    assert any(s.quantity == "mig" for s in samples_of(gpu.trace))
    divided = gpu.traced(lambda s: s._replace(value=1.0) if s.quantity == "mig" else s)
    assert divided.consistent().found() == {"board_differs": "hold"}
    told = divided.told(environment__gpus__0__mig=True).consistent()
    assert told.found() == {"board_differs": "hold"}
    parts = told.told(environment__gpus__0__partitions=["3g.71gb"])
    assert parts.found() == {}


def test_notes(runs: Runs) -> None:
    def notes(run: Run) -> set[str]:
        return {f.rule for f in run.judged().findings if f.consequence == "note"}

    assert notes(runs("gpu")) == {"board_unknown"}
    assert notes(runs("closed")) == {"estimated"}


def test_a_container_without_its_images_digest(runs: Runs) -> None:
    """``lem`` writes it down for every container: who leaves it out hides what ran."""
    docker = runs("closed").told(environment__launcher="docker")
    assert docker.found() == {"image_unknown": "hold"}
    assert docker.judged().tier == 1
    named = docker.told(environment__image_digest="sha256:" + "1" * 64)
    assert named.found() == {} and named.judged().tier == 2


def test_times_that_cannot_be(gpu: Run) -> None:
    started = gpu.record.started_at
    assert gpu.told(ended_at=later(started, 1)).found() == {"times_contradict": "reject"}
    early = datetime(2020, 1, 1, tzinfo=UTC)
    judged = gpu.judged(now=early)
    assert [f.rule for f in judged.findings if f.consequence != "note"] == ["in_the_future"]


def test_every_rule_has_a_test() -> None:
    """Those that compare submissions have theirs beside the archive."""
    here = Path(__file__).parent
    places = [*here.glob("test_*.py"), here.parent / "archive" / "test_replays.py"]
    text = "".join(p.read_text() for p in places)
    assert [name for name in RULES if f'"{name}"' not in text] == []
