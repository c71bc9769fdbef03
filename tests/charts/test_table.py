import csv
import io
import json
from dataclasses import replace

import pytest
from chart_examples import CURVE, CUT, EVERY, FRONT, HEADLINE, RATIOS, SHARES, SLOPE, TRACES

from lem.charts.data import data
from lem.charts.model import AnyChart, Axis, Row
from lem.charts.table import table


@pytest.mark.parametrize("chart", EVERY, ids=lambda c: c.id)
def test_every_column_has_its_cells(chart: AnyChart) -> None:
    found = table(chart)
    assert found.rows and all(len(row) == len(found.columns) for row in found.rows)
    assert len({c.name for c in found.columns}) == len(found.columns)
    lines = list(csv.reader(io.StringIO(found.csv())))
    assert len(lines) == 1 + len(found.rows)


def test_rows_have_value_ends_and_unit() -> None:
    found = table(CUT)
    assert [(c.name, c.unit) for c in found.columns] == [
        ("name", ""),
        ("energy above idle", "J/token"),
        ("energy above idle, low", "J/token"),
        ("energy above idle, high", "J/token"),
        ("origin", ""),
    ]
    assert found.rows[0] == ("reaches below zero", 1.2, -0.2, 2.6, "measured")
    assert found.rows[1][-1] == "estimated"
    # What the drawing cuts off is here as it is.
    assert found.rows[3][2:4] == (1e-6, 1e7)
    assert ("failed", None, None, None) in [(row[0], *row[2:5]) for row in table(RATIOS).rows]


def test_a_scatter_has_both_figures_of_each_mark() -> None:
    found = table(FRONT)
    assert [c.unit for c in found.columns] == ["", "", "ms", "ms", "ms", *["mJ/token"] * 3]
    assert found.rows[0] == ("dominated", "float32, concurrency 1", 12, 11, 13, 900, 850, 950)
    assert table(CURVE).rows[1] == ("in total", 4, None, None, 40, 36, 44)


def test_the_other_kinds_too() -> None:
    assert table(SHARES).rows[0][:4] == ("concurrency", 0.73, 0.70, 0.76)
    assert table(SLOPE).rows[0] == ("concurrency 1", 900, 855, 945, 430, 408, 452)
    assert table(HEADLINE).rows == (
        ("transformers, its defaults", "one at a time", 203.0, 198, 208, "mJ/token"),
        ("vLLM, 16 at a time", "", 42.3, 41.2, 43.4, "mJ/token"),
        ("ratio (less energy per token)", None, 4.8, 4.63, 4.98, ""),
    )
    readings = table(TRACES).rows
    assert len(readings) == 12 and readings[2] == ("GPU 0", "gpu", 2.0, 480)
    assert readings[9] == ("CPU", "cpu", 3.0, None)


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "＝1+1", "＠SUM(A1)"])
def test_no_text_is_a_formula(name: str) -> None:
    chart = replace(CUT, rows=(Row(name, -1.0, (-2.0, 0.0)),), axis=Axis("=x", "J"))
    head, line = csv.reader(io.StringIO(table(chart).csv()))
    assert not [c for c in (*head, line[0]) if c[0] in "=+-@\t＝＋－＠"]
    assert float(line[1]) == -1.0


@pytest.mark.parametrize("chart", EVERY, ids=lambda c: c.id)
def test_scripts_get_plain_json(chart: AnyChart) -> None:
    found = data(chart, href=lambda t: f"/{t.page}/{t.params['id']}")
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["kind"] == type(chart).__name__.lower() and found["title"] == chart.title
    if chart is RATIOS:
        assert found["rows"][0]["target"] == "/configuration/7"
        assert data(chart)["rows"][0]["target"] is None
        assert found["rows"][0]["interval"] == [0.214, 0.229]
    if chart is TRACES:
        assert found["lines"][1]["values"] == [40, 41, 90, None, 40, 40]
