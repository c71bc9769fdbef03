"""The sampler's process: edges, its end, and what it leaves."""

import math
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lem.contract.flags import FLAGS
from lem.errors import BadInput, MeterUnavailable
from lem.meters import readings
from lem.meters import sampler as sampler_module
from lem.meters.energy import series
from lem.meters.protocol import MeterSettings
from lem.meters.sampler import Sampler
from lem.meters.sampling import ticks, trace
from lem.meters.sampling.ticks import TickWatch
from tests.meters import played, rigs

Begin = Callable[[played.Play], played.Play]
LOAD = [(played.NEVER, 250.0, 250.0)]


def test_an_edge_is_a_tick_found_by_polling(play: Begin, tmp_path: Path) -> None:
    """The played counter ticks at 13 ms after each tenth of a second, and the marks say so."""
    what = play(played.Play(LOAD, {"phase_ms": 13}))
    path = tmp_path / "trace.csv.gz"
    with Sampler(["nvml"], MeterSettings(), path) as sampler:
        edges = [sampler.mark() for _ in range(4)]
    for edge_ns in edges:
        late_ns = (edge_ns - what.t0_ns - 13_000_000) % 100_000_000
        near = [
            p
            for p in series.tick_points(
                [s for s in trace.read(path) if s.device == "gpu0"], "energy_mj", 1e-3
            )
            if p.t_ns == edge_ns
        ]
        assert len(near) == 1, "the edge is the very point that readings compute from the trace"
        half_ns = near[0].half_ns
        assert min(late_ns, 100_000_000 - late_ns) <= half_ns
    assert edges == sorted(edges)


def test_a_tick_between_a_round_and_the_mark_is_no_edge(play: Begin, tmp_path: Path) -> None:
    """With rounds a second apart the counter has always ticked since the last one: somewhere in
    that second. The edge is the tick after it, found by polling."""
    play(played.Play(LOAD, {"phase_ms": 13}))
    path = tmp_path / "trace.csv.gz"
    with Sampler(["nvml"], MeterSettings(), path, interval_s=1.0) as sampler:
        edges = []
        for _ in range(4):
            time.sleep(0.35)
            edges.append(sampler.mark())
    own = [s for s in trace.read(path) if s.device == "gpu0"]
    found = {p.t_ns: p.half_ns for p in series.tick_points(own, "energy_mj", 1e-3)}
    assert sorted(found[t] for t in edges)[1] < 5_000_000


def test_between_ticks_the_reading_is_exact(play: Begin, tmp_path: Path) -> None:
    """Power that differs from tick to tick costs nothing when the window is [tick, tick]."""
    what = play(played.Play(played.bursts(80, 600, 0.31, 0.4, 60), {"phase_ms": 41}))
    path = tmp_path / "trace.csv.gz"
    with Sampler(["nvml"], MeterSettings(), path) as sampler:
        start_ns = sampler.mark()
        time.sleep(1.2)
        end_ns = sampler.mark()
    r = readings.readings(sampler.infos, trace.read(path), start_ns, end_ns)[0]
    assert r.energy_j is not None
    error_j = abs(r.energy_j - what.energy_j(start_ns, end_ns))
    assert error_j <= math.sqrt(6) * r.budget_j["tick"]
    assert r.budget_j["sampling"] < 0.01 * r.energy_j


def test_all_meters_that_work_and_cpu_time_always(play: Begin, tmp_path: Path) -> None:
    play(played.Play(LOAD))
    settings = MeterSettings(powercap_root=rigs.powercap(tmp_path / "powercap"))
    with Sampler(None, settings, tmp_path / "a.csv.gz") as everything:
        assert {i.meter for i in everything.infos} >= {"nvml", "rapl", "estimate"}
        assert not {"nvml", "rapl", "estimate"} & set(everything.unavailable)
    path = tmp_path / "b.csv.gz"
    with Sampler(["nvml"], settings, path) as one:
        assert {i.meter for i in one.infos} == {"nvml"}
        start_ns = one.mark()
        until_s = time.process_time() + 0.3
        while time.process_time() < until_s:
            pass
        end_ns = one.mark()
    used_s = readings.cpu_time_s(trace.read(path), start_ns, end_ns)
    assert used_s is not None
    assert 0.29 <= used_s <= 0.45


def test_the_estimate_stands_in_only_where_nothing_measures(play: Begin, tmp_path: Path) -> None:
    play(played.Play(LOAD))
    for settings, expected in (
        (MeterSettings(powercap_root=tmp_path / "none"), {"gpu"}),
        (MeterSettings(powercap_root=tmp_path / "none", gpus=()), {"estimated"}),
    ):
        path = tmp_path / "trace.csv.gz"
        with Sampler(None, settings, path) as sampler:
            start_ns, _, end_ns = sampler.mark(), time.sleep(0.3), sampler.mark()
        samples = trace.read(path)
        found = readings.readings(sampler.infos, samples, start_ns, end_ns)
        assert {r.device_class for r in found} == expected
        assert set(readings.peak_power_w(sampler.infos, samples, start_ns, end_ns)) <= expected
    assert set(sampler.unavailable) >= {"nvml", "rapl"}
    assert "fix:" in sampler.unavailable["rapl"]


def test_a_killed_sampler_loses_at_most_a_second(play: Begin, tmp_path: Path) -> None:
    play(played.Play(LOAD))
    path = tmp_path / "trace.csv.gz"
    with Sampler(["nvml"], MeterSettings(), path) as sampler:
        start_ns = sampler.mark()
        time.sleep(1.5)
        assert sampler.alive()
        assert sampler.power_now()
        assert sampler._process is not None
        os.kill(sampler._process.pid, signal.SIGKILL)
        killed_ns = time.monotonic_ns()
        sampler._process.wait()
        assert not sampler.alive()
        end_ns = sampler.mark() + 10**9
        assert sampler.power_now() == {}, "not shown after its end"
    samples = trace.read(path)
    assert start_ns + 500_000_000 < samples[-1].t_ns < killed_ns, "written out on the way"
    r = readings.readings(sampler.infos, samples, start_ns, end_ns)[0]
    assert r.energy_j is None
    assert "no_coverage" in r.flags


def test_a_sampler_that_is_stopped_for_a_while_says_so(play: Begin, tmp_path: Path) -> None:
    what = play(played.Play(LOAD))
    path = tmp_path / "trace.csv.gz"
    with Sampler(["nvml"], MeterSettings(), path) as sampler:
        assert sampler._process is not None
        time.sleep(0.5)
        start_ns = sampler.mark()
        os.kill(sampler._process.pid, signal.SIGSTOP)
        time.sleep(0.6)
        os.kill(sampler._process.pid, signal.SIGCONT)
        time.sleep(0.3)
        end_ns = sampler.mark()
    r = readings.readings(sampler.infos, trace.read(path), start_ns, end_ns)[0]
    assert "sampler_gap" in r.flags
    assert r.energy_j == pytest.approx(what.energy_j(start_ns, end_ns), rel=0.05)


def test_it_ends_when_nobody_gives_orders_any_more(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv.gz"
    sampler = Sampler(None, MeterSettings(), path).__enter__()
    assert sampler._process is not None and sampler._process.stdin is not None
    sampler._process.stdin.close()
    assert sampler._process.wait(10) == 0
    sampler.stop()
    sampler.stop()
    assert len(trace.read(path)) > 0


def test_ctrl_c_at_the_terminal_does_not_end_it(tmp_path: Path) -> None:
    with Sampler(None, MeterSettings(), tmp_path / "trace.csv.gz") as sampler:
        assert sampler._process is not None
        os.kill(sampler._process.pid, signal.SIGINT)
        sampler.mark()
        assert sampler.alive()


def test_unknown_meters_and_places_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no meter named 'nvmll'"):
        Sampler(["nvmll"], MeterSettings(), tmp_path / "trace.csv.gz")
    nowhere = Sampler(None, MeterSettings(), tmp_path / "no/such/folder/trace.csv.gz")
    with pytest.raises(MeterUnavailable, match="did not start"):
        nowhere.__enter__()
    assert not nowhere.alive()


def test_live_power_is_there_without_waiting(play: Begin, tmp_path: Path) -> None:
    play(played.Play(LOAD))
    with Sampler(["nvml"], MeterSettings(), tmp_path / "trace.csv.gz") as sampler:
        time.sleep(0.8)
        assert sampler.power_now()["nvml", "gpu0"].watts == pytest.approx(250, abs=0.01)


def test_a_sampler_that_stands_still_shows_nothing_old(
    play: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampler_module, "STALE_S", 0.5)
    play(played.Play(LOAD))
    path = tmp_path / "trace.csv.gz"
    with Sampler(["nvml"], MeterSettings(), path, tell_s=0.05) as sampler:
        assert sampler._process is not None
        time.sleep(0.8)
        assert sampler.power_now()
        os.kill(sampler._process.pid, signal.SIGSTOP)
        time.sleep(0.8)
        assert sampler.power_now() == {}
        os.kill(sampler._process.pid, signal.SIGCONT)


def test_a_machine_that_slept_is_flagged(play: Begin, tmp_path: Path) -> None:
    play(played.Play(LOAD))
    path = tmp_path / "trace.csv.gz"
    with Sampler(["nvml"], MeterSettings(), path) as sampler:
        start_ns, _, end_ns = sampler.mark(), time.sleep(0.7), sampler.mark()
    samples = trace.read(path)
    slept = [
        s._replace(value=s.value + 5e9)
        if s.quantity == "suspended_ns" and s.t_ns > start_ns + 1
        else s
        for s in samples
    ]
    for these, flags in ((samples, []), (slept, ["suspended"])):
        found = readings.readings(sampler.infos, these, start_ns, end_ns)[0].flags
        assert [f for f in found if f != "sampler_gap"] == flags
    assert FLAGS["suspended"].consequence == "void"


def test_a_tick_watch_learns_the_period() -> None:
    """A counter that moves every 160 ms, seen every 20 ms."""
    from lem.meters.protocol import Sample

    watch = TickWatch()
    assert watch.period_s() == pytest.approx(0.1)
    for i in range(100):
        watch.see(Sample(i * 20_000_000, "m", "d", "energy_mj", i // 8))
    assert watch.period_s() == pytest.approx(0.16)


def test_its_own_cost_is_in_the_trace(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv.gz"
    with Sampler(None, MeterSettings(), path) as sampler:
        time.sleep(1.2)
        sampler.mark()
    own = [s for s in trace.read(path) if s[1:4] == ("sampler", "self", "cpu_time_ns")]
    assert len(own) >= 2
    assert 0 < own[-1].value - own[0].value < 1e9
    assert sampler.power_now() == {}


def test_at_rest_it_sees_as_many_ticks_as_it_is_asked_for(play: Begin, tmp_path: Path) -> None:
    """Polled for: each is known to a few milliseconds. The period is learned on the way."""
    play(played.Play(LOAD, {"tick_ms": 63}))
    path = tmp_path / "trace.csv.gz"
    with Sampler(["nvml"], MeterSettings(), path) as sampler:
        start_ns = time.monotonic_ns()
        sampler.rest(6)
        end_ns = time.monotonic_ns()
        assert sampler.periods()["nvml", "gpu0"] == pytest.approx(0.063, abs=0.002)
    points = series.tick_points(trace.read(path), "energy_mj", 1e-3)
    polled = [p for p in points if start_ns <= p.t_ns <= end_ns]
    assert len(polled) >= 6
    assert series.median([p.half_ns for p in polled]) < series.DENSE_NS


def test_at_rest_no_power_is_told_rather_than_that_of_the_work(play: Begin, tmp_path: Path) -> None:
    work = [(1.0, 400.0, 400.0), (played.NEVER, 90.0, 90.0)]
    what = play(played.Play(work, {"tick_ms": 250}))
    with Sampler(["nvml"], MeterSettings(), tmp_path / "trace.csv.gz", tell_s=0.05) as sampler:
        while (time.monotonic_ns() - what.t0_ns) / 1e9 < 0.9:
            time.sleep(0.02)
            sampler.power_now()
        assert sampler.power_now()["nvml", "gpu0"].watts == pytest.approx(400, rel=0.05)
        resting = threading.Thread(target=sampler.rest, args=(4,))
        resting.start()
        time.sleep(0.2)
        seen = []
        while resting.is_alive():
            seen.append(sampler.power_now())
            time.sleep(0.02)
        # What was told before is never shown again.
        assert len(seen) > 3 and not any(seen)
        now = sampler.power_now().get(("nvml", "gpu0"))
        assert now is None or now.watts == pytest.approx(90, rel=0.05)
        time.sleep(0.3)
        assert sampler.power_now()["nvml", "gpu0"].watts == pytest.approx(90, rel=0.05)


@pytest.mark.parametrize("tick_ms", [20, 117, 200])
def test_the_period_is_learned_without_being_asked(
    play: Begin, tmp_path: Path, tick_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the counter, within 2 ms, and kept for the next sampler since this boot. Three seconds
    are enough where the sampler gets to run; on a busy machine it is given more."""
    play(played.Play(LOAD, {"tick_ms": tick_ms}))
    monkeypatch.setenv("LEM_CACHE", str(tmp_path / "cache"))
    with Sampler(["nvml"], MeterSettings(), tmp_path / "trace.csv.gz") as sampler:
        for _ in range(10):
            time.sleep(2.9)
            sampler.mark()
            if sampler.periods():
                break
        assert sampler.periods()["nvml", "gpu0"] == pytest.approx(tick_ms / 1e3, abs=0.002)
    kept = ticks.remembered(tmp_path / "cache/ticks.json", ticks.boot_id())
    assert list(kept.values()) == [pytest.approx(tick_ms / 1e3, abs=0.002)]


def test_power_that_fades_is_waited_for(play: Begin, tmp_path: Path) -> None:
    """It falls in a straight line for 1.2 s: rest ends after that, and long before the limit."""
    what = play(played.Play([(1.0, 400.0, 400.0), (2.2, 300.0, 90.0), (played.NEVER, 90.0, 90.0)]))
    with Sampler(["nvml"], MeterSettings(), tmp_path / "trace.csv.gz") as sampler:
        time.sleep(max(0.0, 1.0 - (time.monotonic_ns() - what.t0_ns) / 1e9))
        sampler.rest(3, settle_s=20.0)
        took_s = (time.monotonic_ns() - what.t0_ns) / 1e9
    assert 2.2 < took_s < 12.0


def test_a_reading_of_isolated_work_uses_the_ticks_outside(play: Begin, tmp_path: Path) -> None:
    """Edges anywhere between ticks of 150 ms, power that fades afterwards."""
    work = [(1.9, 95.0, 95.0), (2.5, 430.0, 430.0), (2.9, 180.0, 95.0), (played.NEVER, 95.0, 95.0)]
    what = play(played.Play(work, {"tick_ms": 150, "phase_ms": 77}))
    path = tmp_path / "trace.csv.gz"
    with Sampler(["nvml"], MeterSettings(), path) as sampler:
        while time.monotonic_ns() < what.t0_ns + 1_400_000_000:
            sampler.rest(1)
        start_ns = time.monotonic_ns()
        time.sleep(max(0.0, 2.5 - (start_ns - what.t0_ns) / 1e9))
        end_ns = time.monotonic_ns()
        sampler.rest(4, settle_s=2.0)
    r = readings.readings(sampler.infos, trace.read(path), start_ns, end_ns)[0]
    truth_j = what.energy_j(start_ns, end_ns)
    assert r.energy_j is not None and "idle" in r.budget_j
    free_j = 2 * math.hypot(*(r.budget_j[p] for p in ("tick", "idle", "sampling")))
    assert abs(r.energy_j - truth_j) <= 1.5 * free_j
    # Without the model a third of a tick's work would be in doubt at both edges.
    assert free_j < 0.03 * truth_j


def test_nothing_is_imported_from_the_folder_it_is_called_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`lem meter run` is called anywhere, such as in a checkout of somebody else's."""
    (tmp_path / "select.py").write_text("open('imported', 'w')\nraise SystemExit(9)\n")
    monkeypatch.chdir(tmp_path)
    with Sampler(["estimate"], MeterSettings(), tmp_path / "trace.csv.gz") as sampler:
        assert [i.meter for i in sampler.infos] == ["estimate"]
    assert not (tmp_path / "imported").exists()
