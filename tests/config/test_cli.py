"""The command line over the loader, once through: it exits 2 and shows no traceback."""

import json
from pathlib import Path

import pytest

from lem.cli.main import main


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main([*arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_a_written_campaign_is_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(tmp_path / "campaign.yaml")
    sweep = "engine.max_batch_size=1,8,64"
    arguments = ("--model", "Qwen/Qwen3-0.6B", "--backend", "transformers", "--sweep", sweep)
    assert run("campaign", "init", *arguments, file) == 0
    assert run("campaign", "validate", file) == 0
    assert "3 experiments" in capsys.readouterr().out


def test_a_broken_campaign_exits_2_with_every_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "campaign.yaml"
    file.write_text("version: 1\nname: x y\nmodels: []\nbackends:\n  transformers: {agrs: {}}\n")
    assert run("campaign", "validate", str(file)) == 2
    shown = capsys.readouterr().err
    assert "Traceback" not in shown
    for line in (2, 3, 5):
        assert f"{file}:{line}:" in shown
    assert "did you mean 'args'?" in shown
    assert run("campaign", "validate", "--json", str(file)) == 2
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert [p["line"] for p in problems] == [2, 3, 5]
