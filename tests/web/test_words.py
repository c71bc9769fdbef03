"""Figures as a reader sees them."""

from lem.charts.model import Axis, Intervals, Row
from lem.charts.table import table
from lem.web.words import cells, setting


def shown(value: float, low: float, high: float, axis: Axis) -> tuple[str, ...]:
    chart = Intervals(
        id="a", title="", subtitle="", axis=axis, rows=(Row("x", value, (low, high)),)
    )
    (row,) = cells(table(chart))
    return tuple(text for text, is_number in row if is_number)


def test_a_narrow_interval_keeps_its_width() -> None:
    assert shown(20.0, 19.98, 20.02, Axis("Energy", "J")) == ("20.000", "19.980", "20.020")


def test_an_end_does_not_move_across_one() -> None:
    """Of a ratio that is told to be less: to three digits its upper end would be 1.00."""
    assert shown(0.998, 0.9962, 0.9998, Axis("ratio", "")) == ("0.9980", "0.9962", "0.9998")


def test_ends_are_rounded_outwards() -> None:
    assert shown(4.8, 4.512, 5.088, Axis("ratio", "")) == ("4.80", "4.51", "5.09")


def test_large_numbers_and_numbers_without_ends() -> None:
    assert shown(12345.6, 12300.2, 12391.0, Axis("speed", "1/s")) == (
        "12\u202f346",
        "12\u202f300",
        "12\u202f391",
    )
    chart = Intervals(
        id="a", title="", subtitle="", axis=Axis("Energy", "J"), rows=(Row("x", 0.01234),)
    )
    assert cells(table(chart)) == [[("x", False), ("0.0123", True), ("", False), ("", False)]]


def test_what_is_not_set_of_an_engine_is_its_default() -> None:
    assert setting(None, "engine.max_batch_size") == setting(None, "args.x") == "engine's default"
    assert setting(None, "generate.top_p") == "engine's default"
    assert setting(None, "workload.slo.ttft_ms") == setting(None) == "not set"
    assert setting(4, "engine.max_batch_size") == "4" and setting(False) == "no"
