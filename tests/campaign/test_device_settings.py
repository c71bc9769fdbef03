"""Power limits and clocks as axes of whole campaigns, on boards that are played."""

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from tick import counted_places, write_campaign

from lem.contract.failure import Failure
from lem.contract.lock import Lock
from lem.contract.record import Record
from tests.campaign.bench import Bench, bench
from tests.meters import played

__all__ = ["bench"]

SWEEP: dict[str, Any] = {
    "sweep": {"device.power_limit_w": [300, 500]},
    "experiments": [{"device.power_limit_w": None}],
}


def limit_of(record: Record) -> float | None:
    return record.experiment.device.power_limit_w


def test_every_run_has_the_limit_that_its_arm_asks_for(bench: Bench) -> None:
    """And the arm that asks for none has the machine's own: it is put back between runs."""
    file = write_campaign(bench.folder / "c.yaml", **SWEEP)
    done = bench.lem("campaign", "run", file, "--out", bench.out, "--blocks", 2)
    assert done.returncode == 0, done.stderr
    records = bench.records()
    in_force = {(limit_of(r), r.environment.gpus[0].power_limit_w) for r in records}
    assert in_force == {(300.0, 300.0), (500.0, 500.0), (None, 700.0)}
    assert len(counted_places(bench.out)) == 6
    assert not {f for r in records for f in r.flags} & {
        "power_limit_changed",
        "power_limit_not_as_asked",
    }
    assert played.settings(bench.config)[0] == (700_000, 0)
    assert bench.notes() == []
    assert "power limit 300 W" in done.stdout


def test_a_clock_is_locked_for_its_run_alone(bench: Bench) -> None:
    changes: dict[str, Any] = {"sweep": {"device.sm_clock_mhz": [1410, 1980]}}
    file = write_campaign(bench.folder / "c.yaml", **changes)
    done = bench.lem("campaign", "run", file, "--out", bench.out, "--blocks", 1)
    assert done.returncode == 0, done.stderr
    assert len(counted_places(bench.out)) == 2
    assert played.settings(bench.config)[0][1] == 0


def test_a_clock_that_is_not_held_takes_the_run_out(bench: Bench) -> None:
    """Power or heat keep the board at 1200 MHz, whatever was asked for."""
    bench.play(clock_held_mhz=1200)
    changes: dict[str, Any] = {
        "sweep": {"device.sm_clock_mhz": [1410]},
        "experiments": [{"device.sm_clock_mhz": None}],
    }
    file = write_campaign(bench.folder / "c.yaml", **changes)
    bench.lem("campaign", "run", file, "--out", bench.out, "--blocks", 1)
    asked = {r.experiment.device.sm_clock_mhz: r.flags for r in bench.records()}
    assert "clock_not_as_asked" in asked[1410]
    assert "clock_not_as_asked" not in asked[None]
    assert len(counted_places(bench.out)) == 1


def test_what_this_user_may_not_set_is_skipped_and_said_everywhere(bench: Bench) -> None:
    bench.play(set_error=4)
    file = write_campaign(bench.folder / "c.yaml", **SWEEP)
    done = bench.lem("campaign", "run", file, "--out", bench.out, "--blocks", 2)
    assert done.returncode == 1, done.stderr
    assert "skipped: power_limit_w 300: " in done.stderr
    assert "may not change the power limit" in done.stderr and "root" in done.stderr
    assert {limit_of(r) for r in bench.records()} == {None}
    failures = [Failure.read(p) for p in bench.out.rglob("failure.json")]
    assert [(f.kind, f.block, f.written_by) for f in failures] == [
        ("device_setting", 0, "host")
    ] * 2
    status = bench.lem("campaign", "status", bench.out)
    assert "2 experiments skipped" in status.stdout and "complete" in status.stdout
    assert "may not change the power limit" in status.stdout
    plan = bench.lem("campaign", "plan", bench.out)
    assert "skipped" in plan.stdout and "may not change the power limit" in plan.stdout
    summary = json.loads(bench.lem("campaign", "status", bench.out, "--json").stdout)
    assert len(summary["skipped"]) == 2 and summary["runs_failed"] == 2
    again = bench.lem("campaign", "run", bench.out)
    assert again.returncode == 1
    assert len(list(bench.out.rglob("failure.json"))) == 2
    arms = Lock.read(bench.out / "campaign.lock.json").arms
    baseline = next(a for a in arms if a.experiment.device.power_limit_w is None)
    compared = bench.lem("results", "compare", bench.out, "--baseline", baseline.arm_id[:12])
    assert "skipped, its setting could not be made" in compared.stdout

    bench.play()
    mended = bench.lem("campaign", "run", bench.out, "--retry-failed")
    assert mended.returncode == 0, mended.stderr
    assert {limit_of(r) for r in bench.records()} == {None, 300.0, 500.0}


def test_where_no_experiment_could_run_nothing_is_written_and_the_same_command_goes_on(
    bench: Bench,
) -> None:
    bench.play(set_error=4)
    changes: dict[str, Any] = {"sweep": {"device.power_limit_w": [300, 500]}}
    file = write_campaign(bench.folder / "c.yaml", **changes)
    command = ("campaign", "run", file, "--out", bench.out, "--blocks", 1)
    done = bench.lem(*command)
    assert done.returncode == 3
    assert "no experiment can be run here" in done.stderr and "root" in done.stderr
    assert not (bench.out / "blocks").exists()
    bench.play()
    assert bench.lem(*command).returncode == 0
    assert len(bench.records()) == 2


def test_where_another_machine_may_run_all_of_it_nothing_is_written(bench: Bench) -> None:
    """As a runner runs it."""
    bench.play(set_error=4)
    file = write_campaign(bench.folder / "c.yaml", **SWEEP)
    program = (
        "from lem.campaign import Campaign; import sys; "
        "Campaign.load(*sys.argv[1:]).run(refused_settings_end_it=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(file), str(bench.out)],
        capture_output=True,
        text=True,
        timeout=300,
        env=bench.environment(),
        check=False,
    )
    assert done.returncode == 1
    assert "EnvironmentFault" in done.stderr and "not every experiment can be run" in done.stderr
    assert not (bench.out / "blocks").exists()


def test_a_limit_out_of_range_is_skipped_before_anything_is_measured(bench: Bench) -> None:
    changes: dict[str, Any] = {"sweep": {"device.power_limit_w": [300, 5000]}}
    file = write_campaign(bench.folder / "c.yaml", **changes)
    shown = bench.lem("campaign", "plan", file)
    assert "could not be set here: power_limit_w 5000" in shown.stdout
    assert "100 W to 700 W" in " ".join(shown.stdout.split())
    done = bench.lem("campaign", "run", file, "--out", bench.out, "--blocks", 1)
    assert done.returncode == 1
    assert "100 W to 700 W" in done.stderr
    assert [limit_of(r) for r in bench.records()] == [300.0]
    assert done.stderr.index("skipped: ") < done.stderr.rindex("300")


def test_without_a_gpu_it_is_refused_plainly(bench: Bench) -> None:
    bench.play(init_error=9)
    file = write_campaign(bench.folder / "c.yaml", **SWEEP)
    done = bench.lem("campaign", "run", file, "--out", bench.out, "--blocks", 1)
    assert done.returncode == 1
    assert "uses no NVIDIA board" in done.stderr
    assert [limit_of(r) for r in bench.records()] == [None]


LONG: dict[str, Any] = {
    "sweep": {"device.power_limit_w": [300]},
    "measure": {"preset": "quick", "window_s": 30, "settle_s": 0},
}


def in_a_run(bench: Bench) -> "subprocess.Popen[str]":
    """A campaign in the middle of a run at 300 W."""
    file = write_campaign(bench.folder / "c.yaml", **LONG)
    host = bench.begin("campaign", "run", file, "--out", bench.out, "--blocks", 1)
    end = time.monotonic() + 60
    while not list(bench.out.rglob("events.ndjson")):
        assert time.monotonic() < end and host.poll() is None, "the run did not begin"
        time.sleep(0.05)
    assert played.settings(bench.config)[0] == (300_000, 0)
    return host


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_campaign_that_is_stopped_puts_back(bench: Bench, number: int) -> None:
    host = in_a_run(bench)
    host.send_signal(number)
    _, stderr = host.communicate(timeout=30)
    assert host.returncode == 130, stderr
    assert played.settings(bench.config)[0] == (700_000, 0)
    assert bench.notes() == []


def test_after_kill_9_status_and_doctor_say_so_and_the_next_run_puts_back(bench: Bench) -> None:
    host = in_a_run(bench)
    host.kill()
    host.communicate(timeout=30)
    assert played.settings(bench.config)[0] == (300_000, 0)
    status = bench.lem("campaign", "status", bench.out)
    assert "power limit of 300 W (before: 700 W)" in status.stderr
    doctor = bench.lem("doctor")
    assert "left by a run that was killed" in doctor.stdout
    assert "nvidia-smi -i GPU-00000000-0000-0000-0000-000000000000 -pl 700" in " ".join(
        doctor.stdout.split()
    )
    assert played.settings(bench.config)[0] == (300_000, 0)
    # Any campaign, not only the one that was killed.
    other = write_campaign(bench.folder / "other.yaml", name="other", sweep={})
    done = bench.lem("campaign", "run", other, "--out", bench.folder / "other", "--blocks", 1)
    assert done.returncode == 0, done.stderr
    assert "power limit is 700 W again" in done.stderr
    assert played.settings(bench.config)[0] == (700_000, 0)
    record = Record.read(next((bench.folder / "other").rglob("record.json")))
    assert record.environment.gpus[0].power_limit_w == 700.0
    assert bench.notes() == []


def test_doctor_puts_back_where_it_is_asked_to(bench: Bench) -> None:
    host = in_a_run(bench)
    working = bench.lem("doctor", "--restore")
    assert "in use" in working.stdout
    assert played.settings(bench.config)[0] == (300_000, 0)
    host.kill()
    host.communicate(timeout=30)
    done = bench.lem("doctor", "--restore")
    assert "power limit is 700 W again" in done.stderr
    assert "left by" not in done.stdout
    assert played.settings(bench.config)[0] == (700_000, 0)


def test_a_killed_campaign_goes_on_where_it_was(bench: Bench) -> None:
    file = write_campaign(bench.folder / "c.yaml", **SWEEP)
    command = ("campaign", "run", file, "--out", bench.out, "--blocks", 2)
    host = bench.begin(*command)
    end = time.monotonic() + 60
    while len(list(bench.out.rglob("record.json"))) < 2:
        assert time.monotonic() < end and host.poll() is None
        time.sleep(0.02)
    host.kill()
    host.communicate(timeout=30)
    done = bench.lem(*command)
    assert done.returncode == 0, done.stderr
    assert len(counted_places(bench.out)) == 6
    in_force = {(limit_of(r), r.environment.gpus[0].power_limit_w) for r in bench.records()}
    assert in_force == {(300.0, 300.0), (500.0, 500.0), (None, 700.0)}
    assert played.settings(bench.config)[0] == (700_000, 0)


def test_the_limit_of_a_board_that_another_lem_sets_is_not_touched(bench: Bench) -> None:
    host = in_a_run(bench)
    try:
        other = write_campaign(bench.folder / "other.yaml", **(SWEEP | {"name": "other"}))
        done = bench.lem("campaign", "run", other, "--out", bench.folder / "other", "--blocks", 1)
        assert done.returncode == 3
        assert "another lem is setting the board" in done.stderr
        assert played.settings(bench.config)[0] == (300_000, 0)
    finally:
        host.send_signal(signal.SIGINT)
        host.communicate(timeout=30)


def test_doctor_says_what_can_be_set(bench: Bench) -> None:
    done = json.loads(bench.lem("doctor", "--json").stdout)
    (found,) = [f for f in done["findings"] if f["subject"] == "gpu settings/0"]
    assert found["what"] == "Played GPU: power limit 100 to 700 W, SM clock 210 to 1980 MHz" + (
        "" if os.geteuid() == 0 else "; this user may set neither"
    )
    assert found["state"] == ("ok" if os.geteuid() == 0 else "missing")
    bench.play(init_error=9)
    done = json.loads(bench.lem("doctor", "--json").stdout)
    assert not [f for f in done["findings"] if f["subject"].startswith("gpu settings")]
