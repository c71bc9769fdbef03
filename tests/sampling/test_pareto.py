"""The next points towards a front."""

import math
import random
from itertools import islice
from typing import Any

from optuna.distributions import CategoricalDistribution, IntDistribution

from lem.sampling import Choice, Point, Space, Span, draw, propose
from lem.sampling.pareto import _distribution, _place, _ranks

SPACE = Space(1, {"a": {"x": Span(0, 1), "kind": Choice(("good", "bad", None))}})


def costs(point: Point) -> tuple[float, float]:
    """The front is x from 0 to 1 with the good kind; the others cost twice as much."""
    x = float(point.values["x"])  # type: ignore[arg-type]
    worse = 0.0 if point.values["kind"] == "good" else math.log(2)
    return x + worse, (1 - x) + worse


def drawn(n: int) -> list[Point]:
    return list(islice(draw(SPACE, "random", 1), n))


def new() -> Any:
    seen: list[str] = []

    def is_new(point: Point) -> bool:
        if repr(point) in seen:
            return False
        seen.append(repr(point))
        return True

    return is_new


def test_it_looks_where_the_front_is() -> None:
    chosen = propose(SPACE, [(p, costs(p)) for p in drawn(24)], 2, 12, 1, new())
    assert len(chosen) == 12
    assert all(SPACE.holds(p) for p in chosen)
    assert sum(p.values["kind"] == "good" for p in chosen) >= 8


def test_the_order_in_which_points_were_measured_does_not_matter() -> None:
    told: list[tuple[Point, tuple[float, float] | None]] = [(p, costs(p)) for p in drawn(12)]
    told[3] = (told[3][0], None)  # failed
    first = propose(SPACE, told, 2, 4, 1, new())
    assert propose(SPACE, random.Random(1).sample(told, len(told)), 2, 4, 1, new()) == first
    assert propose(SPACE, told, 2, 4, 2, new()) != first


def test_a_space_is_used_up_to_its_last_point_and_no_further() -> None:
    space = Space(1, {"a": {"n": Choice((1, 2, True)), "m": Choice(("x", "y"))}})
    is_new = new()
    first = Point(0, "a", {"n": 1, "m": "x"})
    assert is_new(first)
    rest = propose(space, [(first, (0.0, 0.0))], 2, 100, 1, is_new)
    # 1 and true are two values.
    assert len({repr(p) for p in rest}) == len(rest) == 5


def test_where_everything_failed_points_are_drawn() -> None:
    assert len(propose(SPACE, [(p, None) for p in drawn(3)], 2, 4, 1, new())) == 4
    assert len(propose(SPACE, [], 2, 4, 1, new())) == 4


def test_numbers_of_a_list_are_asked_for_by_their_order() -> None:
    """What was best is likely to have good neighbours: 1 and 64 are far apart, 16 and 32 are not,
    however the list is written."""
    axis = Choice((64, 1, 16, 4, 32, 2, 8, 128))
    assert _ranks(axis) == [1, 5, 3, 6, 2, 4, 0, 7]
    assert [_place(axis, v) for v in (1, 2, 4, 8, 16, 32, 64, 128)] == list(range(8))
    assert _distribution(axis) == IntDistribution(0, 7)
    # Two values need no order; texts, true and null have none.
    for plain in (
        Choice((8, 1)),
        Choice(("a", "b", "c")),
        Choice((1, 2, True)),
        Choice((None, 1, 2)),
    ):
        assert _ranks(plain) is None
        assert _place(plain, plain.values[-1]) == len(plain.values) - 1
        assert isinstance(_distribution(plain), CategoricalDistribution)


def test_listed_numbers_come_back_as_they_are_written() -> None:
    space = Space(1, {"a": {"n": Choice((64, 1, 16.5, 4))}})
    told = [(Point(0, "a", {"n": n}), (float(n), 1.0 / n)) for n in (64, 1)]
    assert sorted(p.values["n"] for p in propose(space, told, 2, 2, 1, seen_before(told))) == [
        4,
        16.5,
    ]  # type: ignore[type-var]


def seen_before(told: Any) -> Any:
    is_new = new()
    for point, _ in told:
        is_new(point)
    return is_new
