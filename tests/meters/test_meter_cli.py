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
