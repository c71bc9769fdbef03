"""What a reader is shown of boards and nodes."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from lem.analysis.results import open_results
from lem.report.boards import about_spread, board_rows, change
from lem.report.html.boards import boards_table
from lem.report.html.document import document
from lem.report.html.gather import gather
from lem.report.table import render
from tests import spread_records

GAINS = (0.03, -0.04, 0.35, -0.02)


def folder(at: Path, gains=GAINS, moved: float = 0.06, nodes: int = 2) -> Path:
    """Four boards: the second disagrees about the last of three arms, the third is far off."""
    rng = np.random.default_rng(5)
    boards = len(gains)
    on = [(f"boot-{b % boards % nodes}", [f"GPU-{b % boards}"]) for b in range(12)]
    figures = {
        batch: [
            v
            * (1 + gains[b % boards])
            * (1 + (moved if b % boards == 1 and batch == 16 else 0))
            * (1 + 0.004 * rng.standard_normal())
            for b in range(12)
        ]
        for batch, v in {1: 2.0, 4: 1.2, 16: 0.6}.items()
    }
    spread_records.campaign(at, figures, on, gain=0.034)
    return at


def printed(at: Path, width: int) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, markup=False, highlight=False, soft_wrap=True)
    render(open_results(at).compare(), console, at)
    return out.getvalue()


def test_the_terminal_has_a_table_of_boards(tmp_path):
    said = printed(folder(tmp_path), 150)
    assert "Boards beside each other in GPU energy per output token" in said
    c = open_results(tmp_path).compare()
    for place in c.boards[0].places:
        assert f"board {place.name}" in said
    assert said.count("ratio disagrees") == 1 and said.count("beyond gains") == 1
    assert "boards like these" in said and "more than the gains that are stated explain" in said


@pytest.mark.parametrize("width", [60, 80, 100])
def test_it_fits_into_narrow_terminals(tmp_path, width):
    said = printed(folder(tmp_path), width)
    assert max(len(line.rstrip()) for line in said.splitlines() if "Records" not in line) <= width
    assert "disagrees" in said


def test_one_machine_shows_nothing(tmp_path):
    c = open_results(folder(tmp_path, gains=(0.0,), moved=0.0, nodes=1)).compare()
    assert not list(about_spread(c)) and not boards_table(c)
    assert "beside each other" not in printed(tmp_path, 150)


def test_rows_hold_what_the_json_says(tmp_path):
    c = open_results(folder(tmp_path)).compare()
    found = c.to_json()["boards"][0]
    rows = board_rows(c, c.boards[0])
    assert [r.blocks for r in rows] == [len(p["blocks"]) for p in found["places"]]
    for row, place in zip(rows, found["places"], strict=True):
        assert row.figure == change(place["deviation_log"], place["half_width_log"])
        assert row.deviation == pytest.approx(np.expm1(place["deviation_log"]))
    assert [r.flag for r in rows] == ["", "ratio disagrees", "beyond gains", ""]
    assert rows[1].arm == "batch size 16"


@pytest.mark.parametrize(
    ("deviation", "half", "said"),
    [
        (0.0, None, "+0.0 %"),
        (None, None, "—"),
        (0.02, 0.01, "+2.0 % (1.0 to 3.1)"),
        (-0.0201, 0.0013, "−1.99 % (−2.12 to −1.86)"),
        (1e-9, 0.01, "0.0 % (−1.0 to 1.1)"),
    ],
)
def test_changes_are_rounded_outwards(deviation, half, said):
    assert change(deviation, half) == said


def test_the_page_has_the_table_only_where_there_are_several(tmp_path):
    spread = document(gather(open_results(folder(tmp_path / "many")).one(), lambda record: []))
    one = document(
        gather(open_results(folder(tmp_path / "one", (0.0,), 0.0, 1)).one(), lambda record: [])
    )
    assert "Boards and nodes beside each other" in spread and "ratio disagrees" in spread
    assert "Boards and nodes beside each other" not in one
    assert "GPU-1" not in spread and "boot-1" not in spread


def test_a_set_of_boards_is_many(tmp_path):
    rng = np.random.default_rng(5)
    on = [("boot", [f"GPU-{2 * (b % 4)}", f"GPU-{2 * (b % 4) + 1}"]) for b in range(12)]
    figures = {
        batch: [
            v * (1 + GAINS[b % 4]) * (1.06 if b % 4 == 1 and batch == 16 else 1)
            * (1 + 0.004 * rng.standard_normal())
            for b in range(12)
        ]
        for batch, v in {1: 2.0, 4: 1.2, 16: 0.6}.items()
    }  # fmt: skip
    spread_records.campaign(tmp_path, figures, on, gain=0.034)
    said = " ".join(about_spread(open_results(tmp_path).compare()))
    names = r"2 boards [0-9a-f]{6}"
    assert re.search(names + " are off by", said)
    assert re.search(names + " disagree with the others", said)
    assert "Blocks of these boards: 1, 5, 9." in said


def test_what_is_no_energy_has_no_gains(tmp_path):
    on = [(f"boot-{b % 3}", [f"GPU-{b % 3}"]) for b in range(9)]
    figures = {n: [2 / n * (1 + 0.01 * (b * n % 5)) for b in range(9)] for n in (1, 4)}
    spread_records.campaign(tmp_path, figures, on, gain=0.034)
    metric = "cpu_time_per_output_token_s"
    energy = " ".join(about_spread(open_results(tmp_path).compare()))
    assert "gains included" in energy and "whose gains cancel" in energy
    on = [(boot, []) for boot, _ in on]
    slurm = {"scheduler": "slurm", "cpus": 2, "node_cpus": 2, "restarts": 0}
    spread_records.campaign(tmp_path / "cpu", figures, on, allocation=slurm, together=True)
    said = " ".join(about_spread(open_results(tmp_path / "cpu").compare(metric=metric)))
    assert "nodes like these" in said and "gain" not in said
