"""Single runs and single configurations."""

import gzip
import itertools
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lem.archive import bulk
from lem.archive.queries import configurations
from lem.archive.queries.configurations import configuration
from lem.archive.queries.members import evenly, series_of
from lem.archive.queries.results import (
    ResultsQuestion,
    file_of,
    result,
    results,
    trace,
)
from lem.archive.refused import Refused
from lem.archive.schema import FINDING, HEADLINE, IDENTITY, REPLICATION, RUN
from lem.stats import absolute
from tests import archive_queries, archive_rows, records

BOARD = "board-" + "1" * 32


def ask(archive, *items, **fields):
    question = ResultsQuestion.from_query(items).model_copy(update=fields)
    with archive.database.reading() as c:
        return results(c, question)


def key(run) -> tuple[int, int]:
    return run.campaign_id, run.number


def test_rows_are_the_runs_that_match(archive) -> None:
    known = archive_queries.filled(archive)
    for items, test in (
        ([], lambda r: True),
        (
            [("counted", "true"), ("backend", "vllm")],
            lambda r: r.counted and r.config.backend == "vllm",
        ),
        (
            [("tier", "replicated"), ("class", "gpu")],
            lambda r: r.tier == 3 and r.config.energy_class == "gpu",
        ),
        ([("since", "2026-05-30")], lambda r: r.started_at >= 1780099200),
        (
            [("args.name", "x1"), ("counted", "false")],
            lambda r: not r.counted and r.config.experiment["args"]["name"] == "x1",
        ),
    ):
        page = ask(archive, *items, ("limit", "500"))
        assert page.next is None
        wanted = sorted(
            (known.names[r.identity_id], r.config.hash, r.block, r.counted)
            for r in known.rows
            if test(r)
        )
        assert (
            sorted((r.submitter, r.configuration, r.block, r.counted) for r in page.rows) == wanted
        )
        assert wanted
    row = page.rows[0]
    source = next(
        r
        for r in known.rows
        if (known.names[r.identity_id], r.config.hash, r.block)
        == (row.submitter, row.configuration, row.block)
    )
    figure = row.figures["energy_per_output_token_j"]
    assert (figure.value, figure.uncertainty, figure.unit) == (
        source.figures[0],
        source.figures[len(HEADLINE)],
        "J/token",
    )


def test_pages_have_every_run_once_also_while_others_arrive(archive) -> None:
    known = archive_queries.filled(archive, 10)
    everything = [r.id for r in ask(archive, ("limit", "500")).rows]
    assert len(everything) == len(known.rows)
    seen, cursor, late = [], None, False
    while True:
        page = ask(archive, limit=7, cursor=cursor)
        seen += [r.id for r in page.rows]
        if not late:
            late = True
            with archive.database.writing() as c:
                o = archive_rows.origin(c, 9)
            bulk.merge(archive.database, [archive_rows.run(o, archive_rows.config(), 0, 1.0)])
        if (cursor := page.next) is None:
            break
    assert seen == everything


def made(archive, **changes):
    gpus = [{**records.gpu(), "uuid": BOARD}]
    return archive_queries.submitted(
        archive,
        [
            records.record(energy={"gpu": 0.5}, gpus=gpus, semantics=4, block=b, **changes)
            for b in (0, 1)
        ],
    )


def test_a_result_has_its_whole_record_and_where_it_is_from(archive) -> None:
    made(archive)
    rows = ask(archive).rows
    first = min(rows, key=lambda r: r.block)
    with archive.database.writing() as c:
        number = c.execute(RUN.select().where(RUN.c.block == 0)).one().id
        submission = c.execute(RUN.select()).first().submission_id
        c.execute(
            FINDING.insert().values(
                submission_id=submission,
                run_id=number,
                rule="some_rule",
                consequence="note",
                detail="said",
            )
        )
    with archive.database.reading() as c:
        found = result(c, archive.packs, first.id)
        assert found.record["metrics"]["energy_per_output_token_j"]["gpu"]["value"] == 0.5
        assert found.record["block"] == 0
        assert found.run == first
        assert found.provenance.submitter == "lab 0"
        assert found.provenance.boards == [BOARD]
        assert [f.rule for f in found.provenance.findings] == ["some_rule"]
        assert "genuine" in found.provenance.does_not_prove
        assert first.id.startswith(found.provenance.submission)
        assert found.trace_url == f"results/{first.id}/trace"
        packed = file_of(c, archive.packs, first.id, "trace")
        assert gzip.decompress(packed).startswith(b"t_ns,meter")
        whole = trace(c, archive.packs, first.id)
        assert not whole.sampled
        (series,) = whole.series
        assert series.readings == 100 and series.t_s == [float(i) for i in range(100)]
        assert series.value == [float(100 + i) for i in range(100)]
        few = trace(c, archive.packs, first.id, 10)
        assert few.sampled and len(few.series[0].t_s) == 10
        assert (few.series[0].value[0], few.series[0].value[-1]) == (100.0, 199.0)
        with pytest.raises(Refused, match="no responses"):
            file_of(c, archive.packs, first.id, "responses")


@pytest.mark.parametrize("run", ["0" * 64 + "-0", "f" * 64 + "-99999"])
def test_an_unknown_run_is_404(archive, run: str) -> None:
    made(archive)
    with archive.database.reading() as c, pytest.raises(Refused) as refused:
        result(c, archive.packs, run)
    assert refused.value.status == 404


@given(st.integers(0, 1000), st.integers(2, 100))
def test_evenly(n: int, most: int) -> None:
    kept = evenly(n, most)
    assert kept == sorted(set(kept)) and len(kept) == min(n, most)
    assert not n or (kept[0], kept[-1]) == (0, n - 1)


@settings(suppress_health_check=list(HealthCheck))
@given(st.lists(st.binary(max_size=300), max_size=4))
def test_a_trace_may_be_anything(data: list[bytes]) -> None:
    for times, values in series_of(data).values():
        assert len(times) == len(values) and all(map(math.isfinite, values))


def test_a_trace_that_unpacks_to_gigabytes_is_not_held(monkeypatch) -> None:
    head = b"t_ns,meter,device,quantity,value\n"
    line = b"5,nvml,gpu0,power_mw,1.0\n"
    pieces = (line * 10_000 for _ in itertools.count())
    with pytest.raises(Refused) as refused:
        series_of(itertools.chain([head], pieces))
    assert (refused.value.reason, refused.value.status) == ("too_large", 413)
    endless = (b"x" * 2**20 for _ in itertools.count())
    with pytest.raises(Refused) as refused:
        series_of(itertools.chain([head], endless))
    assert refused.value.status == 413
    # Pieces end anywhere, and a time that no clock has is left out.
    text = head + line * 3 + b"9" * 30 + b",a,b,c,1.0\n" + b"6,nvml,gpu0,power_mw,2.0"
    parts = [text[i : i + 7] for i in range(0, len(text), 7)]
    (found,) = series_of(parts).values()
    assert [list(f) for f in found] == [[5, 5, 5, 6], [1.0, 1.0, 1.0, 2.0]]


def test_a_configuration_shows_submitters_beside_each_other(archive) -> None:
    known = archive_queries.filled(archive)
    chosen = next(
        h
        for h in known.configurations()
        if len({r.identity_id for r in known.of(h) if r.counted}) == 3
    )
    with archive.database.writing() as c:
        ids = [r.id for r in c.execute(IDENTITY.select().order_by(IDENTITY.c.id))]
        config_id = c.execute(RUN.select().where(RUN.c.number == 0)).first().config_id
        from lem.archive.schema import CONFIG

        config_id = c.execute(CONFIG.select().where(CONFIG.c.hash == chosen)).one().id
        c.execute(
            REPLICATION.insert().values(
                config_id=config_id,
                identity_a=ids[0],
                identity_b=ids[1],
                ratio=1.2,
                low=1.15,
                high=1.25,
                verdict="disagrees",
            )
        )
    with archive.database.reading() as c:
        found = configuration(c, chosen[:20])
    assert found.configuration.id == chosen
    assert found.experiment == known.configurations()[chosen].experiment
    best = known.best_tier(chosen)
    assert (
        {f.tier for f in found.figures} == {"self-reported", "recomputed", "replicated"}
        if best == 3
        else True
    )
    energy = [f for f in found.figures if f.metric == "energy_per_output_token_j"]
    for f, tier in zip(energy, range(best, 0, -1), strict=True):
        assert f.value == pytest.approx(known.mean(chosen, f.metric, tier))
    for s in found.submitters:
        own = [
            r for r in known.of(chosen) if known.names[r.identity_id] == s.submitter and r.counted
        ]
        assert s.runs == len(own)
        figure = next(f for f in s.figures if f.metric == "energy_per_output_token_j")
        own.sort(key=lambda r: (r.campaign_id, r.block))
        values = [r.figures[0] for r in own]
        assert figure.value == pytest.approx(math.fsum(values) / len(values))
        reference = absolute(values, [r.figures[len(HEADLINE)] for r in own])
        if reference.high is None:
            assert figure.uncertainty is None and figure.why_no_uncertainty == reference.reason
        else:
            mean_u = math.fsum(r.figures[len(HEADLINE)] for r in own) / len(own)
            assert figure.uncertainty == pytest.approx(
                math.hypot(reference.high - reference.mean, mean_u)
            )
    assert [s.submitter for s in found.submitters]
    (pair,) = found.replications
    assert (pair.submitter_a, pair.submitter_b, pair.verdict) == (
        "someone 0",
        "someone 1",
        "disagrees",
    )
    counted = [r for r in known.of(chosen) if r.counted]
    assert sum(d.runs for d in found.history) == len(counted)


def test_a_submitter_who_is_alone_has_the_figures_of_all_runs(archive) -> None:
    """Which are not computed again, but are what computing them gives."""
    known = archive_queries.filled(archive)
    alone = [h for h in known.configurations() if len({r.identity_id for r in known.of(h)}) == 1]
    assert alone
    for chosen in alone:
        with archive.database.reading() as c:
            (own,) = configuration(c, chosen).submitters
            runs = configurations._runs(c, configurations.id_of(c, chosen))
            (again,) = configurations._figures(runs, "gpu", HEADLINE).values()
        assert own.runs == len(runs) and len(own.figures) == len(again) > 0
        for figure, other in zip(own.figures, again, strict=True):
            same = {"value": pytest.approx(other.value), "energy_class": figure.energy_class}
            if other.uncertainty is not None:
                same["uncertainty"] = pytest.approx(other.uncertainty)
            assert figure.model_dump() == other.model_dump() | same


def test_submitters_figures_of_one_metric_are_those_among_all(archive) -> None:
    known = archive_queries.filled(archive)
    metric = "output_throughput_tokens_per_s"
    several = 0
    for chosen in known.configurations():
        with archive.database.reading() as c:
            every = configuration(c, chosen)
            one = configuration(c, chosen, (metric,))
        several += len(every.submitters) > 1
        for whole, part in zip(every.submitters, one.submitters, strict=True):
            assert part.figures == [f for f in whole.figures if f.metric == metric] != []
        assert one.model_copy(update={"submitters": every.submitters}) == every
    assert several


@pytest.mark.parametrize("wanted", ["0" * 64, "a" * 16])
def test_an_unknown_configuration_is_404(archive, wanted: str) -> None:
    with archive.database.reading() as c, pytest.raises(Refused) as refused:
        configuration(c, wanted)
    assert refused.value.status == 404
