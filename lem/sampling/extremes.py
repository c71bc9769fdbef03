"""The outermost points of a space: what its bounds and lists allow, without what lies between."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

from lem.contract.base import Scalar
from lem.sampling.space import Choice, Dimension, Point, Space

Values = dict[str, Scalar]
MANY = 100_000
"""Of so many points no campaign comes to the last."""


def ends(axis: Dimension) -> tuple[Scalar, Scalar]:
    """The lowest and the highest value; of values that are no numbers the first and the last."""
    if not isinstance(axis, Choice):
        return axis.nearest(axis.low), axis.nearest(axis.high)
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in axis.values):
        ordered = sorted(axis.values, key=float)  # type: ignore[arg-type]
        return ordered[0], ordered[-1]
    return axis.values[0], axis.values[-1]


def extremes(axes: Mapping[str, Dimension]) -> Iterator[Values]:
    """Points that hold, together, every value of a list and both ends of bounds, then the corners.

    First all axes at their lowest and all at their highest end, then each further value of a list
    beside the lowest ends of the others, then each end that is left, and at last all other corners.
    None twice.
    """
    seen = set()
    low = {name: ends(axis)[0] for name, axis in axes.items()}
    high = {name: ends(axis)[1] for name, axis in axes.items()}
    for values in itertools.chain((low, high), _singly(axes, low), _corners(axes)):
        key = tuple((type(v), v) for v in values.values())
        if key not in seen:
            seen.add(key)
            yield values


def corners(axes: Mapping[str, Dimension]) -> int:
    """How many combinations of lowest and highest ends there are."""
    return math.prod(len(_ends(axis)) for axis in axes.values())


def _singly(axes: Mapping[str, Dimension], low: Values) -> Iterator[Values]:
    for name, axis in axes.items():
        values: Sequence[Scalar] = axis.values if isinstance(axis, Choice) else ends(axis)
        for value in values:
            yield {**low, name: value}


def _corners(axes: Mapping[str, Dimension]) -> Iterator[Values]:
    for chosen in itertools.product(*map(_ends, axes.values())):
        yield dict(zip(axes, chosen, strict=True))


def _ends(axis: Dimension) -> list[Scalar]:
    """One where both are the same: many such axes have a single corner."""
    return list({_exactly(end): end for end in ends(axis)}.values())


def _exactly(value: Scalar) -> tuple[type, Scalar]:
    return type(value), value


def every_point(space: Space) -> Iterator[Point] | None:
    """All points of a space; None where an axis takes fractions, or where there are too many."""
    sizes = [[_size(a) for a in axes.values()] for axes in space.backends.values()]
    if space.models * sum(map(math.prod, sizes)) > MANY:
        return None
    return _every_point(space)


def _every_point(space: Space) -> Iterator[Point]:
    for model, (backend, axes) in itertools.product(range(space.models), space.backends.items()):
        for chosen in itertools.product(*(_values(a) for a in axes.values())):
            yield Point(model, backend, dict(zip(axes, chosen, strict=True)))


def _size(axis: Dimension) -> float:
    if isinstance(axis, Choice):
        return len(axis.values)
    if axis.low == axis.high:
        return 1
    return math.floor(axis.high) - math.ceil(axis.low) + 1 if axis.whole else math.inf


def _values(axis: Dimension) -> Sequence[Scalar]:
    if isinstance(axis, Choice):
        return axis.values
    if axis.whole:
        return range(math.ceil(axis.low), math.floor(axis.high) + 1)
    return [axis.nearest(axis.low)]
