"""Facets, scatter and front."""

import math
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lem.archive import bulk
from lem.archive.queries.answer import better_of
from lem.archive.queries.facets import FacetsQuestion, facets
from lem.archive.queries.leaderboard import LeaderboardQuestion, leaderboard
from lem.archive.queries.pareto import MARGIN, ParetoQuestion, pareto
from lem.archive.queries.scatter import ScatterQuestion, rounded, scatter
from lem.archive.refused import Refused
from lem.archive.schema import DIMENSIONS, HEADLINE
from tests import archive_queries, archive_rows


def ask(archive, function, model, *items):
    with archive.database.reading() as c:
        return function(c, model.from_query(items))


def counts_of(known, test, name, tier=1):
    return Counter(
        getattr(c, name)
        for h, c in known.configurations().items()
        if known.best_tier(h) >= tier and test(c)
    )


def shown(answer, name):
    return {c.value: c.configurations for c in answer.dimensions[name]}


def test_facets_without_filters(archive) -> None:
    known = archive_queries.filled(archive)
    for items, tier in ([], 1), ([("tier", "replicated")], 3):
        answer = ask(archive, facets, FacetsQuestion, *items)
        for name in DIMENSIONS:
            wanted = counts_of(known, lambda c: c.energy_class == "gpu", name, tier)
            assert shown(answer, name) == wanted, name
        assert answer.configurations == sum(wanted.values())
        classes = counts_of(known, lambda c: True, "energy_class", tier)
        assert answer.classes == classes


def test_facets_with_filters_do_not_narrow_their_own_counts(archive) -> None:
    known = archive_queries.filled(archive)
    answer = ask(archive, facets, FacetsQuestion, ("backend", "vllm"), ("model", "org/Model-7B"))

    def gpu(c):
        return c.energy_class == "gpu"

    assert shown(answer, "backend") == counts_of(
        known, lambda c: gpu(c) and c.model == "org/Model-7B", "backend"
    )
    assert shown(answer, "model") == counts_of(
        known, lambda c: gpu(c) and c.backend == "vllm", "model"
    )
    both = counts_of(
        known,
        lambda c: gpu(c) and c.backend == "vllm" and c.model == "org/Model-7B",
        "max_batch_size",
    )
    assert shown(answer, "max_batch_size") == both
    assert answer.configurations == sum(both.values())


def test_kept_and_counted_facets_agree(archive) -> None:
    archive_queries.filled(archive)
    kept = ask(archive, facets, FacetsQuestion)
    counted = ask(archive, facets, FacetsQuestion, ("since", "1990-01-01"))
    assert kept.model_dump_json(include={"dimensions"}) == counted.model_dump_json(
        include={"dimensions"}
    )
    assert not re.search(r'"value":\d+\.0,', kept.model_dump_json(include={"dimensions"}))
    assert kept.configurations == counted.configurations


@pytest.mark.parametrize("items", [[], [("tier", "recomputed")]])
def test_scatter_has_every_configuration_with_both_figures(archive, items) -> None:
    known = archive_queries.filled(archive)
    answer = ask(archive, scatter, ScatterQuestion, ("x", "ttft_p50_s"), *items)
    least = 2 if items else 1
    wanted = {}
    for h, c in known.configurations().items():
        tier = 2 if items else known.best_tier(h)
        x = known.mean(h, "ttft_p50_s", tier) if tier else None
        if c.energy_class == "gpu" and known.best_tier(h) >= least and x is not None:
            y = known.mean(h, "energy_per_output_token_j", tier)
            wanted[h[:16]] = (x, y, tier, c.model, c.backend, c.device_model)
    found = {
        i: (x, y, tier, answer.models[m], answer.backends[b], answer.device_models[d])
        for i, x, y, tier, m, b, d in zip(
            answer.id,
            answer.x,
            answer.y,
            answer.tier,
            answer.model,
            answer.backend,
            answer.device_model,
            strict=True,
        )
    }
    assert found.keys() == wanted.keys()
    for key, (x, y, *rest) in wanted.items():
        assert found[key][:2] == (pytest.approx(x), pytest.approx(y))
        assert list(found[key][2:]) == rest
    assert answer.complete and answer.configurations == len(wanted)
    assert type(answer).model_validate(answer.model_dump()) == answer
    few = ask(archive, scatter, ScatterQuestion, ("x", "ttft_p50_s"), ("limit", "3"), *items)
    assert len(few.id) == 3 and not few.complete and few.configurations == len(wanted)


@given(st.floats(1e-13, 1e21), st.integers(1, 9))
def test_rounding_gives_the_double_nearest_to_the_decimal(value: float, digits: int) -> None:
    (found,) = rounded(np.array([value]), digits).tolist()
    assert found == float(f"{found:.{digits - 1}e}")
    assert abs(found - value) <= 0.5000001 * 10.0 ** (math.floor(math.log10(value)) + 1 - digits)


def test_what_cannot_be_rounded_stays() -> None:
    values = np.array([0.0, np.nan, 1e-300, 1e300, 5e-324])
    assert rounded(values, 8).tolist() == pytest.approx(values.tolist(), rel=0, abs=0, nan_ok=True)
    assert rounded(np.array([0.4499999993, 123456789.0]), 8).tolist() == [0.45, 123456790.0]


def test_the_front_is_what_comparing_every_pair_says(archive) -> None:
    archive_queries.filled(archive)
    x, y = "output_throughput_tokens_per_s", "energy_per_request_j"
    front = ask(archive, pareto, ParetoQuestion, ("x", x), ("y", y))
    columns = ask(archive, scatter, ScatterQuestion, ("x", x), ("y", y))
    sign = -1 if better_of(x) == "higher" else 1
    points = list(
        zip(
            columns.id,
            columns.x,
            columns.x_uncertainty,
            columns.y,
            columns.y_uncertainty,
            strict=True,
        )
    )
    states = {}
    for i, a, ua, b, ub in points:
        dominated = ahead = False
        for j, c, uc, d, ud in points:
            if i == j:
                continue
            one, other = sign * (c - a), d - b
            half = [np.hypot(u or np.nan, v or np.nan) for u, v in ((ua, uc), (ub, ud))]
            sure = one + half[0] < 0 or other + half[1] < 0
            fine = one + half[0] <= MARGIN * a and other + half[1] <= MARGIN * b
            dominated |= bool(sure and fine)
            ahead |= one <= 0 and other <= 0 and (one < 0 or other < 0)
        states[i] = "dominated" if dominated else "cannot_tell" if ahead else "front"
    assert {p.configuration.id[:16]: p.state for p in front.points} == {
        i: s for i, s in states.items() if s != "dominated"
    }
    assert front.dominated == sum(s == "dominated" for s in states.values()) > 0
    values = [p.x.value for p in front.points]
    assert values == sorted(values, reverse=True)
    for p in front.points:
        assert (p.by is None) == (p.state == "front")


def test_a_front_of_one_metric_is_none(archive) -> None:
    with pytest.raises(Refused, match="same metric"):
        ask(archive, pareto, ParetoQuestion, ("x", "mean_power_w"), ("y", "mean_power_w"))


def scored(archive, nlls, tier: int = 1) -> None:
    """Configurations as (model, energy, its likelihood in three runs)."""
    rows = []
    with archive.database.writing() as c:
        o = archive_rows.origin(c, 0)
    for n, (model, energy, nll) in enumerate(nlls):
        what = archive_rows.config(n, model_content=model)
        for block, x in enumerate(nll):
            value = energy * (1 + 0.002 * (block % 2))
            run = archive_rows.run(
                o, what, block, value, 0.01 * energy, arm=n, number=9 * n + block
            )
            figures = list(run.figures)
            figures[HEADLINE.index("nll_per_token")] = x
            rows.append(run._replace(figures=tuple(figures), tier=tier))
    bulk.merge(archive.database, rows)


def test_a_likelihood_is_of_no_higher_tier_than_self_reported(archive) -> None:
    """No file shows it, whatever its runs' tier."""
    scored(archive, [("a", 1.0, [2.5] * 3), ("a", 0.5, [2.6] * 3)], tier=2)
    for asked in ([], [("tier", "recomputed")]):
        energy = [("x", "mean_power_w"), *asked]
        assert ask(archive, scatter, ScatterQuestion, *energy).tier == [2, 2]
        likelihood = [("x", "nll_per_token"), *asked]
        assert ask(archive, scatter, ScatterQuestion, *likelihood).tier == [1, 1]
        board = ask(archive, leaderboard, LeaderboardQuestion, *asked)
        assert board.chosen.best_tier == "recomputed"
        board = ask(archive, leaderboard, LeaderboardQuestion, ("metric", "nll_per_token"), *asked)
        assert board.chosen.best_tier == "self-reported"
        assert {r.figure.tier for r in board.rows} == {"self-reported"}


def test_a_likelihood_that_is_the_same_in_every_run_is_exact(archive) -> None:
    """So one that is as good and saves energy dominates; of other weights it says nothing."""
    scored(archive, [("a", 1.0, [2.5] * 3), ("a", 0.5, [2.5] * 3), ("b", 2.0, [2.6] * 3)])
    front = ask(archive, pareto, ParetoQuestion, ("x", "nll_per_token"))
    assert front.dominated == 1
    assert {(p.y.value > 1, p.state) for p in front.points} == {(False, "front"), (True, "front")}
    assert "other tokens" in front.sentence


def test_a_likelihood_of_one_run_is_not_called_exact(archive) -> None:
    scored(archive, [("a", 1.0, [2.5]), ("a", 0.5, [2.5])])
    front = ask(archive, pareto, ParetoQuestion, ("x", "nll_per_token"))
    assert front.dominated == 0 and {p.state for p in front.points} == {"front", "cannot_tell"}


def test_likelihoods_of_several_models_have_no_order(archive) -> None:
    scored(archive, [("a", 1.0, [2.5] * 3), ("a", 0.5, [2.6] * 3), ("b", 2.0, [2.6] * 3)])
    items = [("metric", "nll_per_token")]
    with pytest.raises(Refused, match="other tokens") as refused:
        ask(archive, leaderboard, LeaderboardQuestion, *items)
    assert refused.value.status == 422
    one = [*items, ("max_batch_size", "1"), ("max_batch_size", "2")]
    rows = ask(archive, leaderboard, LeaderboardQuestion, *one).rows
    assert [r.figure.value for r in rows] == [2.5, pytest.approx(2.6)]
