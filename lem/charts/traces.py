"""Draws quantities over time."""

from lem.charts.model import Traces
from lem.charts.sheet import Sheet


def draw(sheet: Sheet, chart: Traces, top: float) -> float:
    raise NotImplementedError
