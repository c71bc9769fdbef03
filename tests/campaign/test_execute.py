"""Whole small campaigns through the command line, with the process launcher."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tick import LEM, counted_places, environment, half_written, lem, processes_of, write_campaign

from lem.contract.failure import Failure
from lem.contract.lock import Lock
from lem.contract.record import Record


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def failures(folder: Path) -> list[Failure]:
    return [Failure.read(p) for p in sorted(folder.rglob("failure.json"))]


def test_runs_every_arm_in_every_block_once_and_prints_a_table(tmp_path: Path, cache: Path) -> None:
    file, out = write_campaign(tmp_path / "c.yaml"), tmp_path / "out"
    done = lem("campaign", "run", file, "--out", out, cache=cache)
    assert done.returncode == 0, done.stderr
    lock = Lock.read(out / "campaign.lock.json")
    wanted = [(b, a.arm_id) for b in range(3) for a in lock.arms]
    assert sorted(counted_places(out)) == sorted(wanted)
    assert "CPU time per" in done.stdout
    assert str(out) in done.stdout
    assert (out / "campaign.yaml").read_text() == file.read_text()
    record = Record.read(next(out.rglob("record.json")))
    assert record.experiment.requests_sha256 in lock.requests


def test_second_run_does_nothing_and_says_so(tmp_path: Path, cache: Path) -> None:
    file, out = write_campaign(tmp_path / "c.yaml"), tmp_path / "out"
    assert lem("campaign", "run", file, "--out", out, "--blocks", 1, cache=cache).returncode == 0
    before = sorted(str(p) for p in out.rglob("*.json"))
    again = lem("campaign", "run", file, "--out", out, cache=cache)
    assert again.returncode == 0
    assert "nothing to do" in again.stderr
    assert sorted(str(p) for p in out.rglob("*.json")) == before
    as_json = lem("campaign", "run", file, "--out", out, "--json", cache=cache)
    summary = json.loads(as_json.stdout)
    assert summary["nothing_to_do"] is True
    assert summary["runs_done"] == 3


def test_an_edited_file_or_other_flags_are_refused(tmp_path: Path, cache: Path) -> None:
    file, out = write_campaign(tmp_path / "c.yaml"), tmp_path / "out"
    assert lem("campaign", "run", file, "--out", out, "--blocks", 1, cache=cache).returncode == 0
    other = lem("campaign", "run", file, "--out", out, "--blocks", 2, cache=cache)
    assert other.returncode == 2
    assert "--blocks is 2 now and was 1" in other.stderr
    write_campaign(file, sweep={"engine.max_batch_size": [1, 2]})
    edited = lem("campaign", "run", file, "--out", out, cache=cache)
    assert edited.returncode == 2
    assert "edited" in edited.stderr and "--out" in edited.stderr


@pytest.mark.parametrize(
    ("args", "kind", "word"),
    [
        ({"raise": "the engine says no"}, "engine_error", "the engine says no"),
        ({"crash_signal": 9}, "agent_lost", ""),
        ({"exit_code": 3}, "agent_lost", "exit status 3"),
    ],
)
def test_a_failing_experiment_is_typed_and_does_not_stop_the_others(
    tmp_path: Path, cache: Path, args: dict[str, object], kind: str, word: str
) -> None:
    name, value = next(iter(args.items()))
    file = write_campaign(
        tmp_path / "c.yaml",
        sweep={"args.token_ms": [1, 2]},
        experiments=[{f"args.{name}": value}],
    )
    out = tmp_path / "out"
    done = lem("campaign", "run", file, "--out", out, "--blocks", 2, cache=cache)
    assert done.returncode == 1, done.stderr
    found = failures(out)
    assert [f.kind for f in found] == [kind, kind]
    assert word in found[0].message
    assert len(counted_places(out)) == 4
    assert "--retry-failed" in done.stderr


def test_three_failures_in_a_row_stop_trying(tmp_path: Path, cache: Path) -> None:
    file = write_campaign(
        tmp_path / "c.yaml", sweep={"args.token_ms": [1]}, experiments=[{"args.raise": "no"}]
    )
    out = tmp_path / "out"
    done = lem("campaign", "run", file, "--out", out, "--blocks", 5, cache=cache)
    assert done.returncode == 1
    assert len(failures(out)) == 3
    assert len(counted_places(out)) == 5
    retried = lem("campaign", "run", file, "--out", out, "--retry-failed", cache=cache)
    assert retried.returncode == 1
    assert len(failures(out)) == 6


def test_a_hung_agent_is_timed_out(tmp_path: Path, cache: Path) -> None:
    file = write_campaign(
        tmp_path / "c.yaml",
        sweep={"args.token_ms": [1]},
        experiments=[{"args.hang": True}],
        limits={"load_s": 1, "run_s": 2},
    )
    out = tmp_path / "out"
    done = lem("campaign", "run", file, "--out", out, "--blocks", 1, cache=cache)
    assert done.returncode == 1, done.stderr
    (failure,) = failures(out)
    assert failure.kind == "timeout"
    assert len(counted_places(out)) == 1
    assert not processes_of(out)


def test_ctrl_c_keeps_the_state_and_prints_how_to_go_on(tmp_path: Path, cache: Path) -> None:
    file = write_campaign(tmp_path / "c.yaml", measure={"preset": "quick", "window_s": 5})
    out = tmp_path / "out"
    host = subprocess.Popen(
        [*LEM, "campaign", "run", str(file), "--out", str(out)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env=environment(cache),
    )
    wait_for(lambda: any(out.rglob("events.ndjson")))
    time.sleep(1.0)
    host.send_signal(signal.SIGINT)
    _, stderr = host.communicate(timeout=20)
    assert host.returncode == 130
    assert f"lem campaign run {file} --out {out}" in stderr
    (failure,) = failures(out)
    assert failure.kind == "interrupted"
    assert not processes_of(out)
    assert not half_written(out)


def test_two_hosts_cannot_run_one_folder(tmp_path: Path, cache: Path) -> None:
    file = write_campaign(tmp_path / "c.yaml", measure={"preset": "quick", "window_s": 5})
    out = tmp_path / "out"
    first = subprocess.Popen(
        [*LEM, "campaign", "run", str(file), "--out", str(out)],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=environment(cache),
    )
    try:
        wait_for(lambda: any(out.rglob("events.ndjson")))
        second = lem("campaign", "run", file, "--out", out, cache=cache)
        assert second.returncode == 3
        assert "another lem" in second.stderr
    finally:
        first.send_signal(signal.SIGINT)
        first.wait(timeout=20)


def test_a_folder_that_cannot_be_written_is_an_environment_error(
    tmp_path: Path, cache: Path
) -> None:
    file = write_campaign(tmp_path / "c.yaml")
    (tmp_path / "in-the-way").write_text("a file")
    done = lem("campaign", "run", file, "--out", tmp_path / "in-the-way" / "x", cache=cache)
    assert done.returncode in (2, 3)
    assert "Traceback" not in done.stderr
    assert "--out" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_stops_the_campaign_and_with_room_it_goes_on(
    tmp_path: Path, cache: Path
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=120m", "tmpfs", str(small)], check=True)
    try:
        file, out = write_campaign(tmp_path / "c.yaml"), small / "out"
        run = ("campaign", "run", file, "--out", out, "--blocks", 2)
        assert lem(*run[:-2], "--blocks", 2, "--dry-run", cache=cache).returncode == 0
        (small / "ballast").write_bytes(bytes(119 * 2**20))
        full = lem(*run, cache=cache)
        assert full.returncode == 3, full.stderr
        assert "fix: make room" in full.stderr
        assert "Traceback" not in full.stderr
        (small / "ballast").unlink()
        roomy = lem(*run, cache=cache)
        assert roomy.returncode == 0, roomy.stderr
        assert len(counted_places(out)) == 6
        assert not half_written(out)
    finally:
        subprocess.run(["umount", str(small)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a read-only disk needs root")
def test_a_read_only_folder_is_an_environment_error_with_its_fix(
    tmp_path: Path, cache: Path
) -> None:
    sealed = tmp_path / "sealed"
    sealed.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(sealed)], check=True)
    try:
        file = write_campaign(tmp_path / "c.yaml")
        done = lem("campaign", "run", file, "--out", sealed / "out", cache=cache)
        assert done.returncode == 3, done.stderr
        assert "fix: choose another folder with --out" in done.stderr
        assert "Traceback" not in done.stderr
    finally:
        subprocess.run(["umount", str(sealed)], check=True)


def test_an_unknown_model_is_named_before_anything_starts(tmp_path: Path, cache: Path) -> None:
    file = write_campaign(tmp_path / "c.yaml", models=[{"id": "./not-there.gguf"}])
    done = lem("campaign", "run", file, "--out", tmp_path / "out", cache=cache)
    assert done.returncode == 2, done.stderr
    assert "not-there.gguf" in done.stderr and "c.yaml:" in done.stderr


def wait_for(condition: "object", timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
