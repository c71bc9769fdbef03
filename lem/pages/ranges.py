"""What was swept, with its range."""

from collections.abc import Iterable

from lem.analysis import attribute
from lem.analysis.text import plain
from lem.archive.queries.attribute import Factor


def ranges(factors: Iterable[Factor]) -> list[str]:
    """``batch size 1, 4, 16`` of each."""
    return [
        plain(attribute.Factor(f.path, f.noun, tuple(f.values)).range, limit=120) for f in factors
    ]
