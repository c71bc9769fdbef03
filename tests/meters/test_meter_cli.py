"""``lem meter list``, as a user and a program see it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.meters import played


def lem(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lem.cli.main", "meter", *arguments],
        env=os.environ | {"COLUMNS": "160"} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_json_lists_what_is_here_and_what_is_not(
    play: Callable[[played.Play], played.Play],
) -> None:
    play(played.Play())
    result = lem("list", "--json")
    assert result.returncode == 0, result.stderr
    said = json.loads(result.stdout)
    assert set(said) == {"meters", "unavailable"}
    board = next(m for m in said["meters"] if m["meter"] == "nvml")
    assert (board["device_class"], board["device"], board["unit"]) == ("gpu", "gpu0", "mJ")
    assert (board["update_period_s"], board["uncertainty"]) == (0.1, "±6.8 %")
    assert any(m["meter"] == "estimate" for m in said["meters"])
    for missing in said["unavailable"]:
        assert set(missing) == {"meter", "reason", "fix"}
        assert missing["reason"] and missing["fix"]


def test_the_table_names_the_reason_and_the_fix(
    play: Callable[[played.Play], played.Play], nvml_library: Path
) -> None:
    play(played.Play(options={"init_error": 9}))
    result = lem("list")
    assert result.returncode == 0
    assert "nvml: not here: NVML" in result.stdout
    assert "fix: see whether `nvidia-smi` works" in result.stdout
    assert "±50 %" in result.stdout
    assert result.stderr == ""


def test_a_meter_outside_the_machine_is_listed_with_what_its_owner_states(tmp_path: Path) -> None:
    """Of two views of the node one counts."""
    file = tmp_path / "meters.toml"
    file.write_text(
        '[[external]]\nname = "wall"\ncommand = ["echo", "212.5"]\nunit = "W"\n'
        'uncertainty = 0.02\n[[external]]\nname = "rail"\ncommand = ["echo", "7"]\nunit = "W"\n'
        'class = "sensor"\n'
    )
    said = json.loads(lem("list", "--json", LEM_METERS=str(file)).stdout)
    found = {m["device"]: m for m in said["meters"] if m["meter"] == "external"}
    assert (found["wall"]["uncertainty"], found["wall"]["counted"]) == ("±2 %", True)
    assert (found["rail"]["uncertainty"], found["rail"]["counted"]) == (None, False)
    estimate = next(m for m in said["meters"] if m["meter"] == "estimate")
    assert estimate["counted"] is False
    text = lem("list", LEM_METERS=str(file)).stdout
    assert "not stated" in text and "compared, in no figure" in text


def test_mistakes_in_the_machines_file_exit_with_2(tmp_path: Path) -> None:
    file = tmp_path / "meters.toml"
    file.write_text('[[external]]\ncommand = "pdu-read 3"\nunit = "W"\n')
    result = lem("list", LEM_METERS=str(file))
    assert result.returncode == 2
    assert "command must be a list of words" in result.stderr
    assert "Traceback" not in result.stderr


def test_every_meter_is_either_here_or_named_with_its_fix() -> None:
    from lem import plugins

    said = json.loads(lem("list", "--json").stdout)
    here = {m["meter"] for m in said["meters"]}
    missing = {m["meter"] for m in said["unavailable"]}
    assert here | missing == set(plugins.names("meters"))
    assert not here & missing
    assert all(m["fix"] for m in said["unavailable"])
