"""Axes of a sweep along which a sampler chooses: what it may be given, and what it may not."""

from lem.config.bounds import Range
from lem.config.paths import ExperimentPath, fixed_paths
from lem.sampling import Span

LISTS = (("workload", "requests"), ("workload", "dataset"))
"""What a request list depends on."""


def refuse_span(path: ExperimentPath, given: Range, kind: str) -> str | None:
    """Why a sweep cannot have these open bounds, or None."""
    if kind == "grid":
        return given.needs()
    if path.name not in fixed_paths():
        return "lem does not know whether this takes whole numbers only: give step or num"
    if kind == "pareto" and path.keys[:2] in LISTS:
        return "request lists are made before the first run: give step or num, or a list"
    return None


def refuse_axis(path: ExperimentPath, kind: str) -> str | None:
    """Why this sampler cannot choose along an axis, or None."""
    if kind == "pareto" and path.section == "launcher":
        return "a launcher costs no energy that could be traded: compare launchers on a grid"
    if kind == "pareto" and path.keys[-1] in ("path", "sha256"):
        return "files are no quantity to trade: sweep them on a grid"
    return None


def span(path: ExperimentPath, given: Range) -> Span:
    whole = fixed_paths()[path.name]
    return Span(given.low, given.high, whole=whole, log=given.scale == "log")
