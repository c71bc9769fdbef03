"""Draws what changes between two levels of a choice."""

from lem.charts.model import Slope
from lem.charts.sheet import Sheet


def draw(sheet: Sheet, chart: Slope, top: float) -> float:
    raise NotImplementedError
