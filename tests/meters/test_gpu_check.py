"""``make gpu-check`` as far as it goes without a GPU: the played board, and stand-ins for lem."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpu_check import __main__ as gpu_check
from gpu_check import interpreter, models, probe
from gpu_check.parts import Report
from lem.errors import RunFailed
from tests.meters import played

Begin = Callable[[played.Play], played.Play]


def test_without_a_gpu_it_exits_3_and_says_why(
    play: Begin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    play(played.Play(options={"init_error": 9}))
    assert gpu_check.main(["--out", str(tmp_path)]) == 3
    assert "no GPU to check" in capsys.readouterr().err
    assert list(tmp_path.glob("gpu-check*")) == []


def test_parts_that_work_are_reported_and_those_that_cannot_are_typed(
    play: Begin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A board that ticks every 60 ms at 75 W, and a torch that cannot use it."""
    play(played.Play([(played.NEVER, 75.0, 75.0)], {"tick_ms": 60}))
    status = gpu_check.main(["--out", str(tmp_path), "--short", "--no-models"])
    assert status == 1
    document = json.loads((tmp_path / "gpu-check-played-gpu.json").read_text())
    parts = {p["part"]: p for p in document["parts"]}
    ticked = parts["counter_tick"]["result"]
    assert ticked["tick_ms"]["median"] == pytest.approx(60, rel=0.1)
    assert ticked["learned_ms"] == pytest.approx(60, abs=2)
    idle = parts["idle"]["result"]
    assert abs(idle["mean_power_w"] - 75) <= idle["uncertainty_w"]
    for name in ("idle_with_context", "same_twice"):
        assert parts[name]["status"] == "failed"
        assert parts[name]["failure"]["kind"] == "unsupported"
    assert parts["models"] == {
        "part": "models",
        "status": "skipped",
        "reason": "--no-models was given",
    }
    assert document["gpu"]["name"] == "Played GPU"
    assert "uuid" not in document["gpu"]
    assert "counter_tick: done" in capsys.readouterr().out


def test_lem_need_not_be_installed(play: Begin, tmp_path: Path) -> None:
    """The sampler is a process of its own, which starts from no folder."""
    play(played.Play([(played.NEVER, 75.0, 75.0)], {"tick_ms": 60}))
    venv = [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")]
    subprocess.run(venv, check=True)
    # From PYTHONPATH, libraries are found and what is installed in place is not.
    libraries = os.pathsep.join(p for p in sys.path if Path(p).name == "site-packages")
    python = str(tmp_path / "bare/bin/python")
    command = [python, "-m", "gpu_check", "--short", "--parts", "idle"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path)],
        cwd=gpu_check.CHECKOUT,
        env={**os.environ, "PYTHONPATH": libraries},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "idle: done" in done.stdout


def test_a_frozen_counter_is_a_failed_part(play: Begin) -> None:
    play(played.Play(options={"freeze_s": 0.0}))
    report = Report(60)
    assert not report.part("counter_tick", 1, lambda: probe.tick(0, 0.4))
    assert report.parts[0]["failure"]["kind"] == "meter"


def test_the_budget_is_kept_and_what_it_cuts_is_named() -> None:
    now = [0.0]
    report = Report(100, clock=lambda: now[0])

    def work() -> dict[str, Any]:
        now[0] += 70
        return {}

    assert report.part("first", 60, work)
    assert not report.part("second", 60, work)
    assert report.parts[1] == {
        "part": "second",
        "status": "skipped",
        "reason": "needs 60 s, 30 s were left",
    }


def test_an_unexpected_error_does_not_take_the_other_parts_with_it() -> None:
    def broken() -> dict[str, Any]:
        raise ZeroDivisionError("x")

    report = Report(100)
    report.part("broken", 1, broken)
    assert report.part("next", 1, dict)
    assert report.parts[0]["failure"]["kind"] == "engine_error"
    assert report.failed() == ["broken"]


def test_its_campaign_is_valid_in_the_interpreter_that_it_makes(tmp_path: Path) -> None:
    python = interpreter.make(tmp_path / "python", gpu_check.CHECKOUT)
    command = [python, "-m", "lem.cli.main", "campaign", "validate", models.CAMPAIGN]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    result = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def stand_in(folder: Path, body: str) -> Path:
    """A "Python" that does what the test says instead of running lem."""
    script = folder / "python"
    script.write_text(f"#!{sys.executable}\nimport json, signal, sys, time\n{body}")
    script.chmod(0o755)
    return script


WRITE = """
from pathlib import Path
out = Path(sys.argv[sys.argv.index("--out") + 1])
def put(name, document):
    file = out / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document))
put("campaign.lock.json", {"arms": [{"arm_id": a} for a in ("one", "two", "three")]})
put("blocks/0000/one/0/job.json", {})
put("blocks/0000/one/0/record.json", {})
put("blocks/0000/two/0/job.json", {})
put("blocks/0000/two/0/failure.json", {"kind": "out_of_memory", "phase": "load", "message": "m"})
print("the last line")
"""


def test_records_failures_and_what_is_left_of_a_campaign(tmp_path: Path) -> None:
    found = models.run(stand_in(tmp_path, WRITE + "sys.exit(1)\n"), tmp_path / "out/x", 100)
    assert found["records"] == ["blocks/0000/one/0"]
    assert [(f["kind"], f["phase"]) for f in found["failures"]] == [("out_of_memory", "load")]
    assert found["skipped_for_time"] == ["three"]
    assert (found["exit_status"], found["out_of_time"]) == (1, False)


def test_a_campaign_that_outlasts_the_budget_is_interrupted_as_by_ctrl_c(tmp_path: Path) -> None:
    python = stand_in(
        tmp_path, f"signal.signal(2, lambda *_: sys.exit(130))\n{WRITE}time.sleep(60)\n"
    )
    found = models.run(python, tmp_path / "out/x", models.GRACE_S + 2)
    assert found["out_of_time"]
    assert found["records"] == ["blocks/0000/one/0"]


def test_a_campaign_whose_runs_all_fail_is_a_failure_of_their_kind(tmp_path: Path) -> None:
    body = "\n".join(line for line in WRITE.splitlines() if "record.json" not in line)
    with pytest.raises(RunFailed, match="1 runs failed, the first: m") as caught:
        models.run(stand_in(tmp_path, body + "\nsys.exit(1)\n"), tmp_path / "out/x", 100)
    assert caught.value.kind == "out_of_memory"


def test_a_campaign_without_any_record_is_a_failure_with_its_last_words(tmp_path: Path) -> None:
    python = stand_in(tmp_path, "print('lem: no such thing'); sys.exit(3)\n")
    with pytest.raises(RunFailed, match="lem: no such thing"):
        models.run(python, tmp_path / "out/x", 100)


def test_packages_that_were_brought_along_are_seen_here_and_by_the_agents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "brought_along-1-py3-none-any.whl", "w") as archive:
        archive.writestr("brought_along.py", "answer = 42\n")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTHONPATH", "")
    interpreter.unpack(wheels, tmp_path / "brought")
    python = interpreter.make(tmp_path / "python", gpu_check.CHECKOUT)
    code = "import brought_along, lem, gpu_check; print(brought_along.answer)"
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    result = subprocess.run(
        [python, "-c", code], cwd=tmp_path, env=clean, capture_output=True, text=True, check=True
    )
    assert result.stdout == "42\n"
