"""lem doctor: says what is there, what is missing and how to get it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lem.cli import doctor
from lem.cli.doctor import Finding


def lem(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "lem.cli.main", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environ},
    )


def test_everything_missing_has_a_fix(tmp_path: Path) -> None:
    shown = lem("doctor", "--json", DOCKER_HOST=f"unix://{tmp_path}/absent.sock")
    findings = json.loads(shown.stdout)["findings"]
    missing = [f for f in findings if f["state"] == "missing"]
    assert "docker" in {f["subject"] for f in missing}
    assert all(f["fix"] for f in missing)
    assert {"python", "disk", "cpu", "meter/estimate", "archive/serve"} <= {
        f["subject"] for f in findings
    }


def test_json_is_alone_on_stdout(tmp_path: Path) -> None:
    shown = lem("doctor", "--json", DOCKER_HOST=f"unix://{tmp_path}/absent.sock")
    assert shown.stdout.startswith("{") and shown.stdout.rstrip().endswith("}")


def test_lines_say_the_fix(tmp_path: Path) -> None:
    shown = lem("doctor", DOCKER_HOST=f"unix://{tmp_path}/absent.sock")
    assert "no Docker engine answers" in shown.stdout
    assert "fix: sudo systemctl start docker" in shown.stdout
    assert "Traceback" not in shown.stderr


@pytest.mark.parametrize(
    ("subject", "state", "able"),
    [
        ("docker", "ok", True),
        ("docker", "missing", False),
        ("process/transformers", "ok", True),
        ("process/transformers", "missing", False),
        ("python", "ok", False),
        ("image/transformers", "ok", False),
    ],
)
def test_what_is_enough_to_run(subject: str, state: str, able: bool) -> None:
    assert doctor.can_run([Finding(subject, state, "")]) is able  # type: ignore[arg-type]


def test_nothing_can_be_run_ends_with_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "CHECKS", (doctor.python,))
    with pytest.raises(SystemExit) as caught:
        doctor.command.main(["--json"], standalone_mode=False)
    assert caught.value.code == 3
    assert json.loads(capsys.readouterr().out)["can_run"] is False


def test_governor(tmp_path: Path) -> None:
    for cpu, name in (("cpu0", "powersave"), ("cpu1", "performance")):
        (tmp_path / cpu / "cpufreq").mkdir(parents=True)
        (tmp_path / cpu / "cpufreq" / "scaling_governor").write_text(name + "\n")
    (found,) = doctor.governor(tmp_path)
    assert (found.state, "performance, powersave" in found.what) == ("note", True)
    (tmp_path / "cpu0" / "cpufreq" / "scaling_governor").write_text("performance\n")
    (found,) = doctor.governor(tmp_path)
    assert found.state == "ok"


def board(root: Path, vendor: str, kind: str) -> None:
    folder = root / "sys/bus/pci/devices/0000:01:00.0"
    folder.mkdir(parents=True)
    (folder / "vendor").write_text(vendor + "\n")
    (folder / "class").write_text(kind + "\n")


def test_hardware_that_is_not_in_the_machine_needs_no_fix(tmp_path: Path) -> None:
    absent = {name for name, told in doctor.ABSENT.items() if told(tmp_path)}
    assert absent == {"pm_counters"}  # of an empty folder nothing else is known
    board(tmp_path, "0x1002", "0x038000")
    assert doctor.ABSENT["nvml"](tmp_path) and not doctor.ABSENT["amd"](tmp_path)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text("flags\t: fpu vme hypervisor lahf_lm\n")
    assert all(doctor.ABSENT[name](tmp_path) for name in ("rapl", "hwmon", "ipmi"))
    (tmp_path / "sys/class/powercap/intel-rapl:0").mkdir(parents=True)
    assert not doctor.ABSENT["rapl"](tmp_path)  # it is there, and may not be read
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/dxg").touch()
    assert not doctor.ABSENT["nvml"](tmp_path)


@pytest.mark.parametrize(
    ("ready", "line"),
    [
        (["python"], "Nothing can be run here: neither containers nor an installed engine."),
        (
            ["docker", "process/llama_cpp", "meter/estimate"],
            "Experiments can be run here (launcher docker or process); no meter measures energy: "
            "it is estimated from CPU time.",
        ),
        (
            ["docker", "meter/rapl", "meter/nvml", "meter/nvml", "meter/estimate"],
            "Experiments can be run here (launcher docker); energy is measured (nvml, rapl).",
        ),
    ],
)
def test_the_last_line_sums_up(ready: list[str], line: str) -> None:
    assert doctor.summary([Finding(subject, "ok", "") for subject in ready]) == line


def test_cache_folder_that_is_not_there_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEM_CACHE", str(tmp_path / "not" / "yet"))
    (found,) = doctor.disk()
    assert str(tmp_path / "not" / "yet") in found.what
    assert not (tmp_path / "not").exists()
