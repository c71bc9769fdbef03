"""What a sweep is made of: its points, its axes, and how settings are put together."""

from typing import Any, NamedTuple

from lem.config.bounds import MAX_EXPERIMENTS
from lem.config.paths import Draft, ExperimentPath
from lem.config.problems import said
from lem.config.yaml_source import KeyPath
from lem.contract.base import Scalar
from lem.sampling import Span

Found = tuple[KeyPath, str]
"""Where in the file, and what is wrong there."""


class Point(NamedTuple):
    draft: Draft
    key: tuple[bytes, ...]
    """Equal for what is the same experiment (and launcher)."""


class Axis(NamedTuple):
    path: ExperimentPath
    values: list[Scalar]
    at: KeyPath
    span: Span | None = None
    """Where any value between two bounds will do; ``values`` are then the bounds."""


class Option(NamedTuple):
    """One choice of all settings of a section."""

    value: Any
    settings: dict[str, Scalar]
    key: bytes


def put(mapping: dict[str, Any], keys: tuple[str, ...], value: Scalar) -> dict[str, Any]:
    """A copy of ``mapping`` with the value at ``keys``."""
    head, *rest = keys
    if rest:
        inner = mapping.get(head)
        if inner is not None and not isinstance(inner, dict):
            raise ValueError(f"'{head}' has the value {said(inner)} in the file, not keys")
        value = put(inner or {}, tuple(rest), value)  # type: ignore[assignment]
    return {**mapping, head: value}


def too_many(total: int) -> str:
    return f"{total:,} experiments, more than the {MAX_EXPERIMENTS:,} a campaign may have"
