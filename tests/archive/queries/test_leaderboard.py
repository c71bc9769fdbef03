import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lem.archive import bulk
from lem.archive.database import raise_data_version
from lem.archive.queries.answer import TIER_NUMBERS
from lem.archive.queries.leaderboard import LeaderboardQuestion, Walk, leaderboard
from lem.archive.refused import Refused
from lem.archive.schema import CONFIG
from tests import archive_queries, archive_rows


def ask(archive, *items, **fields):
    question = LeaderboardQuestion.from_query(items).model_copy(update=fields)
    with archive.database.reading() as c:
        return leaderboard(c, question)


def test_each_configuration_by_its_best_tier_from_the_best(archive) -> None:
    known = archive_queries.filled(archive)
    board = ask(archive, ("limit", "500"))
    expected = {
        h: known.mean(h, "energy_per_output_token_j", known.best_tier(h))
        for h, c in known.configurations().items()
        if c.energy_class == "gpu" and known.best_tier(h)
    }
    assert board.chosen.energy_class == "gpu" and board.chosen.tier == "best"
    assert board.chosen.best_tier == "replicated"
    assert {r.configuration.id: pytest.approx(r.figure.value) for r in board.rows} == expected
    assert board.configurations == len(expected)
    for row in board.rows:
        best = known.best_tier(row.configuration.id)
        assert TIER_NUMBERS[row.figure.tier] == best
        runs = [r for r in known.of(row.configuration.id) if r.counted and r.tier >= best]
        assert row.figure.runs == len(runs)
        assert row.figure.submitters == len({r.identity_id for r in runs})
        assert (row.figure.uncertainty is None) == (row.figure.why_no_uncertainty is not None)
    without = [r.figure.uncertainty is None for r in board.rows]
    assert without == sorted(without) and any(without) and not all(without)
    for half in (False, True):
        values = [r.figure.value for r in board.rows if (r.figure.uncertainty is None) == half]
        assert values == sorted(values)


@pytest.mark.parametrize("metric", ["energy_per_output_token_j", "output_throughput_tokens_per_s"])
def test_a_rank_counts_those_that_are_better_by_more_than_both_uncertainties(
    archive, metric
) -> None:
    archive_queries.filled(archive)
    board = ask(archive, ("metric", metric))
    sign = -1 if board.chosen.better == "higher" else 1
    ranked = [r.figure for r in board.rows if r.figure.uncertainty is not None]
    costs = [sign * f.value for f in ranked]
    assert costs == sorted(costs)
    better = [
        sum(sign * (f.value - other.value) > f.uncertainty + other.uncertainty for other in ranked)
        for f in ranked
    ]
    ranks = [r.rank for r in board.rows if r.figure.uncertainty is not None]
    assert ranks == [1 + n for n in better]
    assert ranks[0] == 1 < max(ranks) and len(set(ranks)) < len(ranks)
    # A wide interval keeps a good rank far down.
    assert ranks != sorted(ranks)
    assert all(r.rank is None for r in board.rows if r.figure.uncertainty is None)


def test_a_tier_asked_for_takes_runs_of_at_least_that(archive) -> None:
    known = archive_queries.filled(archive)
    board = ask(archive, ("tier", "recomputed"), ("limit", "500"))
    expected = {
        h: known.mean(h, "energy_per_output_token_j", 2)
        for h, c in known.configurations().items()
        if c.energy_class == "gpu" and known.best_tier(h) >= 2
    }
    assert {r.configuration.id: pytest.approx(r.figure.value) for r in board.rows} == expected
    assert {r.figure.tier for r in board.rows} == {"recomputed"}


def test_pages_have_every_row_once_with_the_ranks_of_the_whole(archive) -> None:
    archive_queries.filled(archive)
    for items in ([], [("tier", "recomputed")], [("metric", "output_throughput_tokens_per_s")]):
        whole = ask(archive, *items, ("limit", "500"))

        for limit in (1, 2, 7):
            pages, cursor = [], None
            while True:
                page = ask(archive, *items, limit=limit, cursor=cursor)
                pages += page.rows
                assert len(page.rows) <= limit
                if (cursor := page.next) is None:
                    break
            assert pages == whole.rows


def test_ties_are_all_there(archive) -> None:
    with archive.database.writing() as c:
        o = archive_rows.origin(c, 1)
    rows = [
        archive_rows.run(o, archive_rows.config(n), b, 1.0, number=10 * n + b, arm=n)
        for n in range(5)
        for b in range(2)
    ]
    bulk.merge(archive.database, rows)
    seen, cursor = [], None
    while True:
        page = ask(archive, limit=2, cursor=cursor)
        seen += [r.configuration.id for r in page.rows]
        if (cursor := page.next) is None:
            break
    assert sorted(seen) == sorted({r.config.hash for r in rows})


def test_a_cursor_of_before_a_change_is_refused(archive) -> None:
    archive_queries.filled(archive)
    cursor = ask(archive, limit=3).next
    with archive.database.writing() as c:
        raise_data_version(c)
    with pytest.raises(Refused) as refused:
        ask(archive, limit=3, cursor=cursor)
    assert (refused.value.status, refused.value.reason) == (410, "cursor_expired")


@settings(max_examples=100, suppress_health_check=list(HealthCheck), deadline=None)
@given(st.text("abcdefghijklmnopqrstuvwxyzABC0123456789_-", min_size=1, max_size=200))
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(Refused) as refused:
        Walk.read(text, LeaderboardQuestion())
    assert refused.value.status == 400


def test_a_cursor_of_another_question_is_refused(archive) -> None:
    archive_queries.filled(archive)
    cursor = ask(archive, limit=3).next
    with pytest.raises(Refused, match="another question"):
        ask(archive, ("backend", "vllm"), limit=3, cursor=cursor)


def test_estimated_energy_is_the_default_only_where_nothing_was_measured(archive) -> None:
    known = archive_queries.filled(archive)
    board = ask(archive, ("class", "estimated"))
    assert {r.configuration.energy_class for r in board.rows} == {"estimated"}
    names = {c.hash for c in known.configurations().values() if c.energy_class == "estimated"}
    assert {r.configuration.id for r in board.rows} <= names
    assert ask(archive, ("meter_class", "estimate")).chosen.energy_class == "estimated"


def test_an_empty_archive_has_an_empty_board(archive) -> None:
    board = ask(archive)
    assert board.rows == [] and board.configurations == 0 and board.chosen.best_tier is None


def test_disagreement_is_shown(archive) -> None:
    archive_queries.filled(archive)
    top = ask(archive, limit=1).rows[0].configuration.id
    with archive.database.writing() as c:
        c.execute(CONFIG.update().where(CONFIG.c.hash == top).values(disagrees=True))
    assert ask(archive, limit=1).rows[0].configuration.disagrees


def test_an_estimate_has_no_energy_above_idle(archive) -> None:
    archive_queries.filled(archive)
    above = ("metric", "energy_above_idle_per_output_token_j")
    assert ask(archive, ("class", "estimated")).rows
    assert ask(archive, above, ("class", "estimated")).rows == []
    assert {r.figure.energy_class for r in ask(archive, above).rows} == {"gpu"}
