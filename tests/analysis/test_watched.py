"""What a comparison says of runs whose agents told what they do more or less often."""

from collections.abc import Sequence
from pathlib import Path

from lem.analysis.results import open_results
from lem.contract.record import Record
from tests import records


def notes(folder: Path, every_s: Sequence[float | None]) -> list[str]:
    """Of blocks that were told of so often."""
    records.campaign(folder, {1: [2.0] * len(every_s), 4: [1.0] * len(every_s)}, measured=("gpu",))
    for path in sorted(folder.glob("blocks/*/*/*/record.json")):
        record = Record.read(path)
        told = {"commentary_s": every_s[record.block]}
        environment = record.environment.model_copy(update=told)
        record.model_copy(update={"environment": environment}).write(path)
    return [n for n in open_results(folder).compare().notes if n.startswith("agents told")]


def test_runs_that_were_watched_unlike_often_are_said(tmp_path: Path) -> None:
    (note,) = notes(tmp_path, [0.1, 1.0, 1.0])
    assert note.startswith("agents told what they do every 0.1 or 1 s")


def test_nothing_is_said_where_all_were_watched_alike_or_it_is_not_known(tmp_path: Path) -> None:
    assert notes(tmp_path / "alike", [0.1, 0.1]) == []
    assert notes(tmp_path / "old", [None, 1.0]) == []
