"""The outermost points of a space, and all of them."""

import itertools

from lem.sampling import Choice, Point, Space, Span, corners, ends, every_point, extremes

AXES = {
    "slots": Span(1, 64, whole=True, log=True),
    "share": Span(0.5, 0.95),
    "kind": Choice(("b", "a", "c")),
    "block": Choice((32, 8, 16)),
    "cache": Choice((False, True)),
}


def test_the_ends_of_an_axis() -> None:
    found = {name: ends(axis) for name, axis in AXES.items()}
    assert found == {
        "slots": (1, 64),
        "share": (0.5, 0.95),
        "kind": ("b", "c"),
        "block": (8, 32),
        "cache": (False, True),
    }


def test_every_listed_value_and_every_end_comes_before_the_other_corners() -> None:
    found = list(extremes(AXES))
    assert found[0] == {"slots": 1, "share": 0.5, "kind": "b", "block": 8, "cache": False}
    assert found[1] == {"slots": 64, "share": 0.95, "kind": "c", "block": 32, "cache": True}
    # slots 64, share 0.95, kinds a and c, blocks 32 and 16, cache true
    singly = found[:9]
    assert {p["kind"] for p in singly} == {"a", "b", "c"}
    assert {p["block"] for p in singly} == {8, 16, 32}
    assert all(sum(p[n] != found[0][n] for n in p) == 1 for p in singly[2:])
    assert len({repr(p) for p in found}) == len(found) == 2**5 + 2
    assert corners(AXES) == 2**5


def test_one_and_true_are_two_values() -> None:
    axes = {"x": Choice((True, 1, 1.5))}
    assert [p["x"] for p in extremes(axes)] == [True, 1.5, 1]
    assert list(extremes({})) == [{}]


def test_axes_of_one_value_have_one_corner() -> None:
    axes = {f"a{i}": Choice((i,)) for i in range(60)}
    assert len(list(extremes(axes))) == corners(axes) == 1


def test_all_points_of_a_small_space() -> None:
    space = Space(2, {"a": {"n": Span(1.0, 3.0, whole=True), "k": Choice(("x", None))}, "b": {}})
    points = every_point(space)
    assert points is not None
    wanted = [
        Point(m, "a", {"n": n, "k": k}) for m in (0, 1) for n in (1, 2, 3) for k in ("x", None)
    ]
    assert sorted(map(repr, points)) == sorted(
        map(repr, [*wanted, Point(0, "b", {}), Point(1, "b", {})])
    )


def test_fractions_and_the_very_many_are_not_gone_through() -> None:
    assert every_point(Space(1, {"a": {"x": Span(0, 1)}})) is None
    assert every_point(Space(1, {"a": {"x": Span(1, 10**9, whole=True)}})) is None
    point = every_point(Space(1, {"a": {"x": Span(0.5, 0.5)}}))
    assert point is not None
    assert list(itertools.islice(point, 5)) == [Point(0, "a", {"x": 0.5})]
