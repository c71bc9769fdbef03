"""What is drawn of all configurations, and the exact figures of single ones."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lem.archive import bulk
from lem.archive.database import raise_data_version
from lem.archive.queries import digits
from lem.archive.queries.pareto import FRONT, Pairs, ParetoQuestion, front_of, pareto, states_of
from lem.archive.queries.points import PointRowsQuestion, PointsQuestion, point_rows, points
from lem.archive.queries.scatter import ScatterQuestion, scatter
from lem.archive.refused import Refused
from lem.errors import BadInput
from tests import archive_queries, archive_rows

XY = [("x", "output_throughput_tokens_per_s"), ("y", "energy_per_request_j")]


def ask(archive, function, model, *items):
    with archive.database.reading() as c:
        return function(c, model.from_query(items))


def codes_of(text: str, several: int) -> list[int]:
    """Read by what the description says, digit by digit."""
    alphabet = [chr(c) for c in range(32, 127) if chr(c) not in '"\\']
    assert len(alphabet) == 93
    found = [alphabet.index(c) for c in text]
    n = len(found) // 2
    if several <= 93:
        return found
    return [93 * high + low for high, low in zip(found[:n], found[n:], strict=True)]


def read(column, by_steps=False):
    codes = codes_of(column.digits, 8649)
    if by_steps:
        codes = [int(c) for c in np.cumsum(codes) % 8649]
    low, high = column.low, column.high
    values = []
    for c in codes:
        if c > 8646:
            values.append(0.0 if c == 8647 else None)
        elif column.scale == "log":
            values.append(low * (high / low) ** (c / 8646))
        else:
            values.append(low + (high - low) * c / 8646)
    return values


@pytest.mark.parametrize("items", [[], [("tier", "recomputed")], [("backend", "vllm")]])
def test_points_are_those_of_scatter(archive, items) -> None:
    archive_queries.filled(archive)
    columns = [
        ("column", c) for c in ("x_uncertainty", "y_uncertainty", "certain", "tier", "model")
    ]
    answer = ask(archive, points, PointsQuestion, *XY, *items, *columns)
    exact = ask(archive, scatter, ScatterQuestion, *XY, *items)
    order = np.argsort(exact.x, kind="stable").tolist()
    assert answer.points == answer.configurations == len(exact.id) > 5
    assert answer.complete and (answer.energy_class, answer.x_better) == ("gpu", "higher")

    def close(found, wanted, column, rounded_to):
        half_a_step = (column.high / column.low) ** (0.5 / 8646) * (1 + rounded_to)
        assert [v is None for v in found] == [v is None for v in wanted]
        for a, b in zip(found, wanted, strict=True):
            assert a is None or 1 / half_a_step <= a / b <= half_a_step

    close(read(answer.x, by_steps=True), [exact.x[i] for i in order], answer.x, 1e-8)
    close(read(answer.y), [exact.y[i] for i in order], answer.y, 1e-8)
    close(
        read(answer.x_uncertainty),
        [exact.x_uncertainty[i] for i in order],
        answer.x_uncertainty,
        5.1e-4,
    )
    close(
        read(answer.y_uncertainty),
        [exact.y_uncertainty[i] for i in order],
        answer.y_uncertainty,
        5.1e-4,
    )
    tiers = codes_of(answer.coded["tier"].digits, 3)
    assert [t + 1 for t in tiers] == [exact.tier[i] for i in order]
    certain = [None not in (exact.x_uncertainty[i], exact.y_uncertainty[i]) for i in order]
    assert [c == 1 for c in codes_of(answer.coded["certain"].digits, 2)] == certain
    assert 0 < sum(certain) < len(certain)
    models = answer.coded["model"]
    assert [models.values[c] for c in codes_of(models.digits, 3)] == [
        exact.models[exact.model[i]] for i in order
    ]
    assert type(answer).model_validate(answer.model_dump()) == answer
    none = ask(archive, points, PointsQuestion, *XY, *items)
    assert none.coded == {} and none.x_uncertainty is None and none.y == answer.y


def test_frequent_values_come_first_and_whole_numbers_stay_whole(archive) -> None:
    archive_queries.filled(archive)
    load = ask(archive, points, PointsQuestion, ("column", "load")).coded["load"]
    codes = codes_of(load.digits, 9)
    counts = [codes.count(i) for i in range(len(load.values))]
    assert counts == sorted(counts, reverse=True) and min(counts) > 0
    assert set(load.values) == {None, 1, 2, 4}
    assert all(v is None or isinstance(v, int) for v in load.values)


@pytest.mark.parametrize("items", [[], [("tier", "recomputed")], [("x", "nll_per_token")]])
def test_the_front_is_that_of_pareto(archive, items) -> None:
    archive_queries.filled(archive)
    items = [*XY[0 if not items or items[0][0] != "x" else 1 :], *items]
    answer = ask(archive, points, PointsQuestion, *items)
    front = ask(archive, pareto, ParetoQuestion, *items)
    wanted = {
        (p.x.value, p.x.uncertainty, p.y.value, p.y.uncertainty)
        for p in front.points
        if p.state == "front"
    }
    found = [(m.x, m.x_uncertainty, m.y, m.y_uncertainty) for m in answer.front]
    assert set(found) == wanted and len(found) == len(wanted) > 0
    assert [m.row for m in answer.front] == sorted(m.row for m in answer.front)
    few = ask(archive, points, PointsQuestion, *items, ("limit", "1"))
    assert few.points == max(1, len(answer.front)) and not few.complete
    assert [m.x for m in few.front] == [m.x for m in answer.front]


FIGURES = st.integers(1, 6).map(float)


@given(
    st.lists(
        st.tuples(FIGURES, st.sampled_from([0.01, 0.5, math.nan]), FIGURES, st.just(0.2)),
        max_size=30,
    ),
    st.booleans(),
)
def test_a_front_without_comparing_every_pair(rows, grouped) -> None:
    x, x_u, y, y_u = np.array(rows, dtype=float).reshape(-1, 4).T
    groups = np.arange(len(x)) % 3 if grouped else None
    pairs = Pairs(x, x_u, -y, y_u, groups)
    assert front_of(pairs).tolist() == np.flatnonzero(states_of(pairs)[0] == FRONT).tolist()


def test_exact_figures_of_points_by_place_and_by_id(archive) -> None:
    known = archive_queries.filled(archive)
    items = [("x", "ttft_p50_s"), ("y", "energy_per_output_token_j")]
    answer = ask(archive, points, PointsQuestion, *items)
    state = ("state", answer.state)
    rows = [("row", str(i)) for i in range(answer.points)]
    found = ask(archive, point_rows, PointRowsQuestion, *items, state, *rows).rows
    assert [r.row for r in found] == list(range(answer.points))
    for row, x, y in zip(found, read(answer.x, True), read(answer.y), strict=True):
        h = row.configuration.id
        best = known.best_tier(h)
        assert row.x.value == pytest.approx(known.mean(h, "ttft_p50_s", best))
        assert row.x.value == pytest.approx(x, rel=1e-3)
        assert row.y.value == pytest.approx(known.mean(h, "energy_per_output_token_j", best))
        assert row.y.value == pytest.approx(y, rel=1e-3)
    ids = [("id", r.configuration.id[:16]) for r in found]
    named = ask(archive, point_rows, PointRowsQuestion, *items, state, *ids).rows
    assert named == [r.model_copy(update={"configuration": None}) for r in found]
    assert [r.id for r in found] == [r.configuration.id for r in found]
    lacking = next(
        h
        for h, c in known.configurations().items()
        if known.best_tier(h) and known.mean(h, "ttft_p50_s", 1) is None
    )
    (one,) = ask(archive, point_rows, PointRowsQuestion, *items, state, ("id", lacking)).rows
    assert one.row is None and one.x is None and one.id == lacking


def test_places_of_another_state_are_refused(archive) -> None:
    archive_queries.filled(archive)
    answer = ask(archive, points, PointsQuestion)
    state = ("state", answer.state)
    for items, reason in (
        ([("row", str(answer.points))], "no_such_point"),
        ([("id", "0" * 16)], "no_such_configuration"),
        ([("id", "f" * 16)], "no_such_configuration"),
    ):
        with pytest.raises(Refused) as refused:
            ask(archive, point_rows, PointRowsQuestion, state, *items)
        assert (refused.value.status, refused.value.reason) == (404, reason)
    with archive.database.writing() as c:
        raise_data_version(c)
    with pytest.raises(Refused) as refused:
        ask(archive, point_rows, PointRowsQuestion, state, ("row", "0"))
    assert (refused.value.status, refused.value.reason) == (410, "points_expired")


def test_one_metric_twice_is_refused(archive) -> None:
    with pytest.raises(BadInput, match="same metric"):
        ask(archive, points, PointsQuestion, ("x", "mean_power_w"), ("y", "mean_power_w"))


def test_an_empty_archive_has_no_points(archive) -> None:
    answer = ask(archive, points, PointsQuestion, ("column", "tier"), ("column", "x_uncertainty"))
    assert answer.points == 0 and answer.x.digits == "" and answer.front == []


def test_what_is_below_zero_is_drawn_on_a_linear_scale(archive) -> None:
    """Energy above idle can be, where the idle power was measured while more was going on."""
    with archive.database.writing() as c:
        o = archive_rows.origin(c, 0)
    values = (-0.5, 0.0, 1.5, 3.0)
    rows = []
    for n, value in enumerate(values):
        run = archive_rows.run(o, archive_rows.config(n), 0, 1.0 + n, arm=n, number=n)
        figures = list(run.figures)
        figures[3] = value
        rows.append(run._replace(figures=tuple(figures)))
    bulk.merge(archive.database, rows)
    y = ("y", "energy_above_idle_per_output_token_j")
    answer = ask(archive, points, PointsQuestion, y, ("x", "energy_per_output_token_j"))
    assert (answer.y.scale, answer.y.low, answer.y.high) == ("linear", -0.5, 3.0)
    assert read(answer.y) == pytest.approx(values, abs=3.5 / 8646)


SIZES = st.one_of(st.just(math.nan), st.just(0.0), st.floats(1e-9, 1e9))


@given(arrays.arrays(np.float64, st.integers(0, 50), elements=SIZES))
def test_quantising_is_off_by_half_a_step_at_most(values) -> None:
    low, high, codes = digits.quantised(values, log=True)
    text = digits.planes(codes, 8649)
    assert not re.search(r'["\\]|[^ -~]', text) and len(text) == 2 * len(values)
    for code, value in zip(codes_of(text, 8649), values.tolist(), strict=True):
        if math.isnan(value):
            assert code == 8648
        elif value == 0:
            assert code == 8647
        else:
            found = low * (high / low) ** (code / 8646)
            assert abs(math.log(found / value)) <= math.log(high / low) / 8646 * 0.501 + 1e-12
