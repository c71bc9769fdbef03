"""Moments of a campaign as viewers are told of them: of real ones, and of agents that lie."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
import tick

from lem.analysis.results import open_results
from lem.campaign import Campaign
from lem.campaign.execute import Moment
from lem.contract import live
from lem.contract.lock import Adaptive, Lock
from lem.contract.record import Record
from lem.live.moments import LOCK, Translator

from .conftest import MEASURE, Made


@pytest.mark.slow
def test_first_what_there_is_to_run_then_run_after_run_then_how_it_came_out(made: Made) -> None:
    first = made.told[0]
    assert isinstance(first, live.Campaign)
    lock = Lock.read(made.folder / "campaign.lock.json")
    assert [a.arm_id for a in first.arms] == [a.arm_id for a in lock.arms]
    assert first.arms[first.baseline].arm_id == lock.baseline
    assert [a.settings for a in first.arms] == [
        {"engine.max_batch_size": 1},
        {"engine.max_batch_size": 4},
    ]
    assert {(a.backend, a.model) for a in first.arms} == {("tick", "nothing")}
    kinds = [e.k for e in made.told if e.k in ("begin", "end")]
    assert kinds == ["begin", "end"] * 4
    begun = [(e.arm, e.block, e.attempt) for e in made.of(live.Begin)]
    assert begun == [(e.arm, e.block, e.attempt) for e in made.of(live.End)]
    assert sorted(begun) == [(a, b, 0) for a in (0, 1) for b in (0, 1)]
    plans = made.of(live.Plan)
    assert [(p.left, p.blocks, p.block) for p in plans] == [(4, 2, 0), (2, 2, 1), (0, 2, None)]
    asked = {a.experiment.requests_sha256 for a in lock.arms}
    assert {a.requests for a in first.arms} == asked


@pytest.mark.slow
def test_times_go_forward_and_are_of_the_wall_clock(made: Made) -> None:
    # An edge of a window is known a little after its time, which is what is told.
    others = [e for e in made.told if not isinstance(e, live.Window)]
    assert all(a.at <= b.at + 1 for a, b in pairwise(others))
    assert all(a.at <= b.at + 2000 for a, b in pairwise(made.told))
    lock = Lock.read(made.folder / "campaign.lock.json")
    from datetime import datetime

    began = datetime.fromisoformat(lock.created_at).timestamp() * 1e3
    assert began <= made.told[0].at <= made.told[-1].at <= began + 600_000


@pytest.mark.slow
def test_a_run_goes_through_its_phases(made: Made) -> None:
    of_runs: list[list[str]] = []
    for e in made.told:
        if isinstance(e, live.Begin):
            of_runs.append([])
        elif isinstance(e, live.PhaseBegins):
            of_runs[-1].append(e.phase)
    assert len(of_runs) == 4
    assert all(phases == of_runs[0] for phases in of_runs)
    assert of_runs[0][0] == "load" and of_runs[0][-1] == "done" and "window" in of_runs[0]


@pytest.mark.slow
def test_power_comes_ten_times_a_second_with_its_energy(made: Made) -> None:
    powers = made.of(live.Power)
    assert {(p.device, p.device_class, p.estimated) for p in powers} == {
        ("processes", "estimated", True)
    }
    runs: list[list[live.Power]] = []
    for e in made.told:
        if isinstance(e, live.Begin):
            runs.append([])
        elif isinstance(e, live.Power):
            runs[-1].append(e)
    assert all(len(run) >= 5 for run in runs)
    gaps = sorted(b.at - a.at for run in runs for a, b in pairwise(run))
    assert 80 <= gaps[len(gaps) // 2] <= 160
    for run in runs:
        assert run[0].j == 0
        energy = 0.0
        for a, b in pairwise(run):
            energy += (a.w + b.w) / 2 * (b.at - a.at) / 1e3
            assert b.j == pytest.approx(energy, abs=0.01 + 0.01 * energy)


@pytest.mark.slow
def test_windows_are_those_of_the_record_and_their_energy_is_of_them_alone(made: Made) -> None:
    runs: list[list[live.LiveEvent]] = []
    for e in made.told:
        if isinstance(e, live.Begin):
            runs.append([])
        if runs:
            runs[-1].append(e)
    records = [m.result for m in made.moments if m.kind == "end"]
    for told, record in zip(runs, records, strict=True):
        assert isinstance(record, Record)
        edges = [e for e in told if isinstance(e, live.Window)]
        assert [(e.n, e.begins) for e in edges] == [
            (n, begins) for n in range(len(record.windows)) for begins in (True, False)
        ]
        seconds = sum((w.end_ns - w.start_ns) / 1e9 for w in record.windows)
        shown_ms = sum(b.at - a.at for a, b in zip(edges[::2], edges[1::2], strict=True))
        assert shown_ms == pytest.approx(1000 * seconds, abs=5 * len(record.windows))
        assert edges[-1].tokens == sum(w.output_tokens for w in record.windows)
        first = told.index(edges[0])
        before = [e for e in told[:first] if isinstance(e, live.Power | live.Tokens)]
        assert before and all(
            (e.window_j if isinstance(e, live.Power) else e.window_n) is None for e in before
        )
        last = [e for e in told if isinstance(e, live.Power)][-1]
        most = max(e.w for e in told if isinstance(e, live.Power))
        assert last.window_j is not None and 0 <= last.window_j <= most * seconds * 1.01
        assert last.j > last.window_j


@pytest.mark.slow
def test_the_end_of_a_run_has_the_figures_of_its_record(made: Made) -> None:
    records = [m.result for m in made.moments if m.kind == "end"]
    for told, record in zip(made.of(live.End), records, strict=True):
        assert isinstance(record, Record)
        energy = record.metrics["energy_per_output_token_j"]
        assert isinstance(energy, dict)
        (figure,) = energy.values()
        shown = told.energy_per_output_token_j["estimated"]
        assert shown.value == figure.value
        assert figure.uncertainty is not None
        assert shown.high == pytest.approx(figure.value + figure.uncertainty)
        assert shown.low == pytest.approx(max(0, figure.value - figure.uncertainty))
        assert told.output_tokens == sum(w.output_tokens for w in record.windows)
        assert (told.outcome, told.consequence) == ("record", "info")
        assert record.environment.cpu_model in told.hardware
        assert told.meters == {"estimated": "estimate"}
    flags = {f.flag: f.message for f in made.of(live.Flag)}
    assert flags["estimated"] == "energy is modelled from CPU time, not measured"


@pytest.mark.slow
def test_after_each_block_the_comparison_is_that_of_lem_itself(made: Made) -> None:
    first, last = made.of(live.Table)
    assert (first.provisional, last.provisional) == (True, False)
    assert [r.blocks for r in first.rows] == [1, 1]
    # Of one block nobody knows how others scatter.
    alone = [r.energy_per_output_token_j for r in first.rows]
    assert all(e is not None and e.low is None and e.high is None for e in alone)
    compared = open_results(made.folder).compare()
    assert [r.blocks for r in last.rows] == [a.blocks for a in compared.arms] == [2, 2]
    base, other = last.rows
    assert base.ratio is None
    ratio = compared.arms[1].ratios["cpu_time_per_output_token_s"]
    assert other.ratio == live.Interval(value=ratio.ratio, low=ratio.low, high=ratio.high)
    assert (last.device_class, last.estimated, last.level) == ("estimated", True, 0.95)
    energies = [
        m.result.metrics["energy_per_output_token_j"]["estimated"].value  # type: ignore[union-attr, index]
        for m in made.moments
        if m.kind == "end" and m.arm is not None and m.arm.arm_id == compared.arms[1].arm.arm_id
    ]
    assert other.energy_per_output_token_j is not None
    assert other.energy_per_output_token_j.value == pytest.approx(sum(energies) / 2)
    low, high = other.energy_per_output_token_j.low, other.energy_per_output_token_j.high
    assert low is not None and high is not None and low < high


@pytest.mark.slow
def test_answers_are_told_as_they_are_generated_a_few_at_a_time(made: Made) -> None:
    texts = made.of(live.Text)
    pieces: dict[tuple[int, str], list[live.Text]] = {}
    open_now: set[tuple[int, str]] = set()
    run = -1
    for e in made.told:
        if isinstance(e, live.Begin):
            run, open_now = run + 1, set()
        elif isinstance(e, live.Text):
            key = (run, e.request)
            pieces.setdefault(key, []).append(e)
            open_now.add(key)
            assert len(open_now) <= 4
            if e.end:
                open_now.discard(key)
    # 60 tokens of 4 ms: an answer takes two looks and more.
    assert any(len(p) >= 3 for p in pieces.values())
    assert all(not p.end for found in pieces.values() for p in found[:-1])
    whole = {"".join(p.text for p in found) for found in pieces.values() if found[-1].end}
    assert whole and all(set(text.split()) == {"tick"} for text in whole)
    assert sum(len(t.text) for t in texts) < 100_000


@pytest.mark.slow
def test_a_campaign_of_which_nothing_is_left_to_run_tells_how_it_stands(made: Made) -> None:
    told = Translator(made.folder).standing()
    assert [e.k for e in told] == ["campaign", "table"]
    assert isinstance(told[1], live.Table) and not told[1].provisional


@pytest.mark.slow
def test_all_of_it_can_be_sent(made: Made) -> None:
    batch = {"queued": "q" + "0" * 20, "fence": 1, "number": 0}
    for i in range(0, len(made.told), live.MAX_EVENTS):
        part = [json.loads(e.model_dump_json()) for e in made.told[i : i + live.MAX_EVENTS]]
        live.Batch.model_validate_json(json.dumps({**batch, "events": part}))


@pytest.mark.slow
def test_a_failure_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEM_CACHE", str(tmp_path / "cache"))
    file = tick.write_campaign(
        tick_file := tmp_path / "campaign.yaml",
        backends={"tick": {"args": {"raise": "no <b>more</b> of it"}}},
        sweep={},
        measure=MEASURE,
    )
    assert file == tick_file
    translator, told = Translator(tmp_path / "out"), []
    Campaign.load(file, tmp_path / "out", blocks=1).run(
        lambda m: told.extend(translator.events(m)), commentary_s=0.1
    )
    end = next(e for e in told if isinstance(e, live.End))
    assert (end.outcome, end.failure) == ("failure", "engine_error")
    assert "no <b>more</b> of it" in end.message
    assert not [e for e in told if isinstance(e, live.Table)]


@pytest.mark.slow
def test_whoever_goes_on_says_how_the_block_stands_that_is_not_whole(made: Made) -> None:
    """To those who saw another's runs of it, which may count no more."""
    begun = [m for m in made.moments if m.kind == "plan"]
    half = begun[1].plan._replace(runs=begun[1].plan.runs[1:])
    done = begun[1].plan.runs[0]
    translator = Translator(made.folder)
    told = translator.events(Moment("plan", half))
    ends = [e for e in told if isinstance(e, live.End)]
    places = {a.arm_id: n for n, a in enumerate(Lock.read(made.folder / LOCK).arms)}
    assert [(e.arm, e.block, e.attempt) for e in ends] == [(places[done.arm_id], 1, 0)]
    (before,) = (e for e in made.of(live.End) if (e.arm, e.block) == (ends[0].arm, 1))
    assert ends[0] == before.model_copy(update={"at": ends[0].at})
    assert [e.k for e in told if e.k != "table"] == ["campaign", "plan", "end"]
    # Once.
    assert not [e for e in translator.events(Moment("plan", half)) if e.k == "end"]
    whole = Translator(made.folder).events(Moment("plan", begun[0].plan))
    assert not [e for e in whole if e.k == "end"]


@pytest.mark.slow
def test_what_is_chosen_as_it_goes_is_over_only_once_nothing_is_left_to_choose(
    made: Made, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    for place in ("blocks", "requests"):
        (tmp_path / "out" / place).symlink_to(made.folder / place)
    lock = Lock.read(made.folder / LOCK)
    adaptive = Adaptive(
        kind="pareto", budget=9, generation=2, objectives=["energy", "latency"], seed=1
    )
    grows = lock.model_copy(update={"adaptive": adaptive})
    grows.write(tmp_path / "out" / LOCK)
    translator = Translator(tmp_path / "out")
    last = [m for m in made.moments if m.kind == "plan"][-1].plan
    assert last.runs == []
    told = translator.events(Moment("plan", last))
    (plan,), (table,) = ([e for e in told if e.k == kind] for kind in ("plan", "table"))
    assert isinstance(plan, live.Plan) and isinstance(table, live.Table)
    assert (plan.left, plan.pilot, table.provisional) == (0, True, True)
    plan, table = translator.events(Moment("over", last))
    assert isinstance(plan, live.Plan) and isinstance(table, live.Table)
    assert (plan.left, plan.pilot, table.provisional) == (0, False, False)


@pytest.mark.slow
def test_a_campaign_says_that_it_is_over_once(made: Made) -> None:
    assert [m.kind for m in made.moments if m.kind in ("plan", "over")] == ["plan"] * 3 + ["over"]
    # Of one whose experiments are all known the empty plan has said so.
    over = next(m for m in made.moments if m.kind == "over")
    translator = Translator(made.folder)
    translator.events(made.moments[0])
    assert translator.events(over) == []
