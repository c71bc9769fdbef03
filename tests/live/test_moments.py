"""Moments of a campaign as viewers are told of them: of real ones, and of agents that lie."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import tick
from hypothesis import given
from hypothesis import strategies as st

from lem.analysis.results import open_results
from lem.campaign import Campaign
from lem.campaign.execute import Moment
from lem.campaign.plan import Plan, Run
from lem.contract import live
from lem.contract.event import Event
from lem.contract.lock import Lock
from lem.contract.record import Record
from lem.live import moments
from lem.live.allowance import Allowance
from lem.live.moments import MAX_ARMS_BYTES, Translator, shown

MEASURE = {
    "preset": "quick",
    "window_s": 0.5,
    "idle_s": 0.05,
    "settle_s": 0,
    "warm_up_cap_s": 0.2,
}


@dataclass
class Made:
    """A campaign that was run, with what its viewers were told."""

    folder: Path
    told: list[live.LiveEvent] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)

    def of(self, kind: type[Any]) -> list[Any]:
        return [e for e in self.told if isinstance(e, kind)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp("made")
    file = tick.write_campaign(
        folder / "campaign.yaml",
        backends={"tick": {"args": {"token_ms": 4, "spoken": True}}},
        sweep={"engine.max_batch_size": [1, 4]},
        workload={
            "requests": 40,
            "dataset": {"kind": "random", "input_tokens": 8, "output_tokens": 60},
        },
        measure=MEASURE,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEM_CACHE", str(folder / "cache"))
        found = Made(folder / "out")
        translator = Translator(found.folder)

        def take(moment: Moment) -> None:
            found.moments.append(moment)
            found.told.extend(translator.events(moment))

        Campaign.load(file, found.folder, blocks=2).run(take, commentary_s=0.1)
        yield found


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
    assert [(p.left, p.blocks) for p in made.of(live.Plan)] == [(4, 2), (2, 2), (0, 2)]


@pytest.mark.slow
def test_times_go_forward_and_are_of_the_wall_clock(made: Made) -> None:
    assert all(a.at <= b.at + 1 for a, b in pairwise(made.told))
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
    flags = {f.flag: f.message for f in made.of(live.Flag)}
    assert flags["estimated"] == "energy is modelled from CPU time, not measured"


@pytest.mark.slow
def test_after_each_block_the_comparison_is_that_of_lem_itself(made: Made) -> None:
    first, last = made.of(live.Table)
    assert (first.provisional, last.provisional) == (True, False)
    assert [r.blocks for r in first.rows] == [1, 1]
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


# What an agent says.


class Told:
    """A translator amid a run, with clocks of its own."""

    def __init__(self, made: Made) -> None:
        self.ns = 10**15
        self.translator = Translator(
            made.folder, wall_ns=lambda: 1_700_000_000 * 10**9 + self.ns, monotonic_ns=self.now
        )
        self.begin = next(m for m in made.moments if m.kind == "begin")
        self.translator.events(self.begin)
        self.began = self.at

    def now(self) -> int:
        return self.ns

    @property
    def at(self) -> int:
        return (1_700_000_000 * 10**9 + self.ns) // 10**6

    def events(self, kind: str, t_ns: int | None = None, **data: Any) -> list[live.LiveEvent]:
        event = Event.model_construct(
            schema_version=1, t_ns=self.ns if t_ns is None else t_ns, kind=kind, data=data
        )
        moment = Moment("event", self.begin.plan, self.begin.run, self.begin.arm, event)
        return self.translator.events(moment)


@pytest.mark.slow
@pytest.mark.parametrize(
    "data",
    [
        {},
        {"device": "gpu0"},
        {"device": "gpu0", "power_w": None},
        {"device": "gpu0", "power_w": "12"},
        {"device": "gpu0", "power_w": True},
        {"device": "gpu0", "power_w": -1},
        {"device": "gpu0", "power_w": float("nan")},
        {"device": "gpu0", "power_w": float("inf")},
        {"device": "gpu0", "power_w": 10**400},
        {"device": "gpu0", "power_w": [1]},
        {"device": "", "power_w": 1.0},
    ],
)
def test_power_that_cannot_be_is_not_shown(made: Made, data: dict[str, Any]) -> None:
    assert Told(made).events("sample", **data) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("device", "said", "shown_class"),
    [
        ("gpu0", "gpu", "gpu"),
        ("gpu0", None, "gpu"),
        ("cpu_1", None, "cpu"),
        ("processes", "estimated", "estimated"),
        ("gpu0", "<script>", "gpu"),
        ("gpu0", "x" * 21, "gpu"),
        ("gpu0", 7, "gpu"),
        ("ΩΩ", None, "unknown"),
        ("0", None, "unknown"),
    ],
)
def test_whose_class_a_device_is(made: Made, device: str, said: Any, shown_class: str) -> None:
    (power,) = Told(made).events("sample", device=device, power_w=3, **{"class": said})
    assert isinstance(power, live.Power)
    assert power.device_class == shown_class
    assert power.estimated == (shown_class == "estimated")


@pytest.mark.slow
def test_times_are_not_believed_further_than_the_run(made: Made) -> None:
    told = Told(made)
    told.ns += 5 * 10**9
    for t_ns, at in [
        (told.ns, told.at),
        (told.ns - 2 * 10**9, told.at - 2000),
        (told.ns + 10**12, told.at),
        (0, told.began),
        (-(10**30), told.began),
        (10**30, told.at),
    ]:
        (phase,) = told.events("phase", t_ns, phase="idle")
        assert phase.at == at


@pytest.mark.slow
def test_a_flood_is_cut_to_what_a_person_can_see(made: Made) -> None:
    told = Told(made)
    seen = sum(len(told.events("sample", device="gpu0", power_w=1.0)) for _ in range(5000))
    assert seen == moments.EVENTS_AT_ONCE
    told.ns += 10**9
    seen = sum(len(told.events("progress", output_tokens=1, tokens_per_s=1)) for _ in range(5000))
    assert seen == moments.EVENTS_PER_S
    # What matters is shown all the same, but not for ever.
    assert told.events("phase", phase="window")
    assert sum(len(told.events("phase", phase="window")) for _ in range(5000)) < 200
    assert told.events("log", message="x") == []


@pytest.mark.slow
def test_so_much_text_and_no_more(made: Made) -> None:
    told = Told(made)
    found = [e for _ in range(500) for e in told.events("text", request="r" * 500, text="é" * 9000)]
    assert {len(e.text) for e in found if isinstance(e, live.Text)} == {live.MAX_TEXT}
    assert sum(len(e.text) for e in found if isinstance(e, live.Text)) == moments.TEXT_AT_ONCE
    assert {e.request for e in found if isinstance(e, live.Text)} == {"r" * 80}


@pytest.mark.slow
def test_a_text_without_an_end_is_whole_as_agents_told_it_before(made: Made) -> None:
    (old,) = Told(made).events("text", request="r", text="all of it")
    (piece,) = Told(made).events("text", request="r", text="some", end=False)
    assert isinstance(old, live.Text) and isinstance(piece, live.Text)
    assert (old.end, piece.end) == (True, False)


@pytest.mark.slow
def test_only_so_many_devices(made: Made) -> None:
    told = Told(made)
    seen = [e for n in range(100) for e in told.events("sample", device=f"gpu{n}", power_w=1.0)]
    assert len(seen) == moments.MAX_DEVICES


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
NAMES = ["device", "power_w", "class", "request", "text", "end", "flag", "message", "phase"]
KINDS = ["phase", "progress", "sample", "text", "flag", "log", "song"]


@pytest.mark.slow
@given(
    kind=st.sampled_from(KINDS),
    t_ns=st.integers(),
    data=st.dictionaries(
        st.sampled_from([*NAMES, "output_tokens", "tokens_per_s"]) | st.text(max_size=8), ANY_JSON
    ),
)
def test_whatever_an_agent_says_what_is_told_of_it_can_be_sent(
    made: Made, kind: str, t_ns: int, data: dict[str, Any]
) -> None:
    told = Told(made)
    for e in told.events(kind, t_ns, **data):
        assert live.EVENT.validate_json(e.model_dump_json()) == e
        assert len(e.model_dump_json()) < 20_000


@pytest.mark.slow
def test_a_campaign_of_a_thousand_arms_fits_into_a_batch(made: Made, tmp_path: Path) -> None:
    lock = Lock.read(made.folder / "campaign.lock.json")
    arm = lock.arms[0]
    settings = {f"args.setting_{n}": "x" * 500 for n in range(60)}
    arms = [
        arm.model_copy(update={"arm_id": f"a{n}", "label": "y" * 300, "settings": settings})
        for n in range(1100)
    ]
    (tmp_path / "out").mkdir()
    lock.model_copy(update={"arms": arms}).write(tmp_path / "out" / "campaign.lock.json")
    run = Run("a5", 0, 0, 0)
    begin = Moment("begin", Plan([run], made.moments[0].plan.decision, {}, {}, {}), run, arms[5])
    campaign, begun = Translator(tmp_path / "out").events(begin)
    assert isinstance(campaign, live.Campaign) and isinstance(begun, live.Begin)
    assert len(campaign.arms) == 1000 and begun.arm == 5
    assert len(campaign.model_dump_json()) < live.MAX_BATCH_BYTES
    assert all(a.settings == {} for a in campaign.arms)
    assert len(shown(arms[0]).settings) == 50
    assert MAX_ARMS_BYTES < live.MAX_BATCH_BYTES
    beyond = Moment("begin", begin.plan, Run("a1050", 0, 0, 0), arms[1050])
    assert Translator(tmp_path / "out").events(beyond)[1:] == []


def test_an_allowance_fills_up_with_time_and_no_further() -> None:
    allowance = Allowance(rate=10, most=20)
    assert allowance.take(20, 100.0)
    assert not allowance.take(1, 100.0)
    assert allowance.wait_s(5) == pytest.approx(0.5)
    assert not allowance.take(6, 100.5)
    assert allowance.take(5, 100.5)
    assert allowance.take(20, 10_000.0)
    assert not allowance.take(1, 10_000.0)
    # A clock that goes back gives nothing.
    assert not allowance.take(1, 0.0)
