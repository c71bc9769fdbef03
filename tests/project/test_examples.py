"""The Python examples in README and docs run as they stand, on a campaign's folder."""

import re
from pathlib import Path

import pytest

from tests import records

PAGES = ("README.md", "docs/records.md")


@pytest.mark.parametrize("page", PAGES)
def test_python_examples_run(
    root: Path,
    tmp_path: Path,
    page: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "results/quickstart"
    records.campaign(folder, {0: [2.0, 2.1, 2.0], 1: [1.0, 1.1, 1.0]}, name="quickstart")
    monkeypatch.chdir(tmp_path)
    text = (root / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, page, "exec"), {"train": lambda: sum(range(100_000))})
        # A line for each of the campaign's runs, or the one figure of a stretch of code.
        lines = 1 if "lem.meter()" in block else 6
        assert len(capsys.readouterr().out.splitlines()) == lines
