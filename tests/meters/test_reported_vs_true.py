"""docs/reported-vs-true.md says what its figures say."""

from pathlib import Path

import pytest

from bench.meters import publish
from bench.meters.publish import Row


def row(true_j: float | None, reported_j: float | None, uncertainty_j: float | None = None) -> Row:
    return Row("work", "tool", "1", true_j, reported_j, uncertainty_j, None, "")


def test_the_tables_are_those_of_the_figures() -> None:
    """Otherwise: python -m bench.meters.publish."""
    page = publish.PAGE.read_text(encoding="utf-8")
    assert publish.filled(page) == page


def test_lem_told_no_wrong_figure() -> None:
    own = [r for r in publish.rows() if r.tool == "lem"]
    assert len(own) >= 100
    assert [r for r in own if r.wrong] == []


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        (row(100, 89.9), True),
        (row(100, 90.1), False),
        (row(100, 98, 1.0), True),
        (row(100, 80, 25.0), False),
        (row(100, None), False),
    ],
)
def test_what_is_wrong(found: Row, wrong: bool) -> None:
    """Without an uncertainty 10 % are allowed, with one what it says; no figure is never wrong."""
    assert found.wrong == wrong


def test_every_tool_got_the_same_work() -> None:
    """True energies of the same trial differ by no more than the idle milliseconds around it."""
    trials: dict[tuple[str, int], list[float]] = {}
    counts: dict[tuple[str, str], int] = {}
    for r in publish.rows():
        key = (r.scenario, r.tool)
        counts[key] = counts.get(key, -1) + 1
        if r.true_j is not None and "RAPL" not in r.scenario:
            trials.setdefault((r.scenario, counts[key]), []).append(r.true_j)
    assert len(trials) > 100
    for trial, found in trials.items():
        assert max(found) - min(found) < 0.1 * max(found), trial


def test_the_plot_is_there() -> None:
    text = (publish.DOCS / "reported-vs-true.svg").read_text(encoding="utf-8")
    assert text.startswith("<?xml") and "LLenergyMeasure" in text
    assert Path(publish.DATA / "reported-vs-true.csv").stat().st_size < 200_000
