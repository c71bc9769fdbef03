"""Choosing points of a space: drawn beforehand (random, Sobol), or one after another towards the
front of several costs (Optuna). Pure: knows no campaign, and the same arguments give the same
points."""

from lem.sampling.draw import draw
from lem.sampling.extremes import corners, ends, every_point, extremes
from lem.sampling.pareto import propose
from lem.sampling.space import Choice, Dimension, Point, Space, Span

__all__ = [
    "Choice",
    "Dimension",
    "Point",
    "Space",
    "Span",
    "corners",
    "draw",
    "ends",
    "every_point",
    "extremes",
    "propose",
]
