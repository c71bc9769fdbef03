"""Points drawn beforehand."""

import hashlib
import math
from itertools import islice

import pytest

from lem.sampling import Choice, Point, Space, Span, draw

SPACE = Space(
    2,
    {
        "a": {"batch": Span(1, 64, whole=True, log=True), "dtype": Choice(("x", "y", None))},
        "b": {"batch": Span(1, 64, whole=True, log=True), "share": Span(0.5, 2.0)},
    },
)


GOLDEN = [
    Point(model=0, backend="a", values={"batch": 9, "dtype": None}),
    Point(model=1, backend="b", values={"batch": 1, "share": 1.77517}),
    Point(model=1, backend="a", values={"batch": 31, "dtype": "y"}),
]


def test_random_points_are_a_hash() -> None:
    """By its definition: the first 53 bits of SHA-256 of seed, number and axis."""

    def u(name: str) -> float:
        digest = hashlib.sha256(f"random/7/0/{name}".encode()).digest()
        return (int.from_bytes(digest, "big") >> (256 - 53)) / 2**53

    point = next(draw(SPACE, "random", 7))
    assert (point.model, point.backend) == (int(2 * u("model")), "ab"[int(2 * u("backend"))])
    assert point.values["batch"] == round(0.5 * (64.5 / 0.5) ** u("batch"))
    assert point.values["share"] == float(f"{0.5 + 1.5 * u('share'):.6g}")


def test_a_seed_gives_the_same_points_for_ever() -> None:
    """Written down: a campaign's experiments must not change with a library's version."""
    points = list(islice(draw(SPACE, "sobol", 7), 3))
    assert points == GOLDEN
    assert points != list(islice(draw(SPACE, "sobol", 8), 3))


@pytest.mark.parametrize("kind", ["random", "sobol"])
def test_every_point_is_in_the_space_and_every_value_comes(kind: str) -> None:
    points = list(islice(draw(SPACE, kind, 1), 2000))  # type: ignore[arg-type]
    assert all(SPACE.holds(p) for p in points)
    assert {(p.model, p.backend) for p in points} == {(m, b) for m in (0, 1) for b in "ab"}
    assert {p.values["dtype"] for p in points if p.backend == "a"} == {"x", "y", None}
    batches = [p.values["batch"] for p in points]
    assert {1, 64} < set(batches)
    # On a log scale half of the draws lie below the geometric mean of the (widened) bounds.
    assert sum(b <= 5 for b in batches) / 2000 == pytest.approx(0.5, abs=0.04)  # type: ignore[operator]


def test_a_sobol_sequence_fills_halves_evenly() -> None:
    """Of 2^k points every half of every axis has exactly half, whatever the shift."""
    space = Space(1, {"a": {"u": Span(0, 1), "v": Span(0, 1), "w": Span(0, 1)}})
    points = list(islice(draw(space, "sobol", 3), 256))
    for axis in "uvw":
        assert sum(float(p.values[axis]) < 0.5 for p in points) == 128  # type: ignore[arg-type]
    # And every pair of axes has a quarter in every quarter.
    both = sum(float(p.values["u"]) < 0.5 and float(p.values["v"]) < 0.5 for p in points)  # type: ignore[arg-type]
    assert both == 64


def test_random_points_are_uniform_and_independent_of_other_axes() -> None:
    one = Space(1, {"a": {"u": Span(0, 1)}})
    two = Space(1, {"a": {"t": Span(0, 1), "u": Span(0, 1)}})
    us = [float(p.values["u"]) for p in islice(draw(one, "random", 1), 4000)]  # type: ignore[arg-type]
    assert us[:9] == [p.values["u"] for p in islice(draw(two, "random", 1), 9)]
    assert math.fsum(us) / 4000 == pytest.approx(0.5, abs=0.02)
    squares = math.fsum((u - 0.5) ** 2 for u in us) / 4000
    assert squares == pytest.approx(1 / 12, abs=0.005)


def test_spans_round_and_keep_their_bounds() -> None:
    assert [Span(1, 3, whole=True).at(u) for u in (0.0, 0.33, 0.34, 0.67, 0.999)] == [1, 1, 2, 3, 3]
    assert Span(0.1, 0.3).at(1 / 3) == 0.166667
    assert Span(1, 100, log=True).at(0.5) == 10.0
    assert not Span(1, 3, whole=True).holds(1.5)
    assert not Span(0, 1).holds(True)
    assert not Choice((1, 2)).holds(True)
