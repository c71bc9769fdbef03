"""Single runs: a list of them, and all that the archive has of one."""

from typing import Annotated, Any, Literal

import sqlalchemy as sa
from pydantic import Field

from lem.archive.queries.answer import (
    TIER_NUMBERS,
    Answer,
    CampaignId,
    Configuration,
    ConfigurationId,
    Packs,
    RunId,
    Shape,
    Tier,
    head,
    tier_name,
)
from lem.archive.queries.cursor import Cursor, CursorText, question_key
from lem.archive.queries.figures import configurations_of
from lem.archive.queries.filters import Filtered
from lem.archive.queries.members import (
    Members,
    evenly,
    run_row,
    series_of,
)
from lem.archive.queries.runs import (
    OF_CONFIG,
    boards_of,
    figures_of_run,
    run_conditions,
    runs_query,
    time_of,
)
from lem.archive.refused import Refused
from lem.archive.schema import BOARD_SET, FINDING, IDENTITY, RUN, SUBMISSION
from lem.contract.submission import Finding
from lem.submit.pack import inflated
from lem.trust.tiers import TIERS

MOST_POINTS = 200_000
"""Of all series of a trace together."""


class ResultsQuestion(Filtered):
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    cursor: CursorText | None = None
    configuration: ConfigurationId | None = None
    campaign: CampaignId | None = None
    counted: bool | None = None
    """Only runs that enter figures, or only those that don't."""


class RunFigure(Shape):
    """Of one run."""

    metric: str
    value: float
    uncertainty: float | None
    """U, expanded (k = 2), of this run's measurement alone; None where none is stated."""
    unit: str


class Run(Shape):
    id: RunId
    configuration: ConfigurationId
    campaign: CampaignId
    submitter: str
    block: int
    attempt: int
    started_at: str
    tier: Tier
    counted: bool
    flags: list[str]
    energy_class: str
    model: str
    backend: str
    engine_version: str
    device_model: str
    device_count: int
    meter_class: str
    figures: dict[str, RunFigure]


class Runs(Answer):
    energy_class: str | None
    """That the runs are of, where the question left it open."""
    rows: list[Run]
    next: str | None


class Provenance(Shape):
    submission: str
    received_at: str
    key: str
    submitter: str
    enrolled_by: str
    checks: str
    log_seq: int
    tier: Tier
    does_not_prove: str
    findings: list[Finding]
    boards: list[str]
    """Salted hashes that tell boards apart and nothing else."""


class Files(Shape):
    """SHA-256 of each file as it was sent (gzip); None where there is none."""

    record: str | None
    trace: str | None
    responses: str | None


class Result(Answer):
    run: Run
    configuration: Configuration
    record: dict[str, Any]
    """The whole public record, as docs/schema/record.json says."""
    provenance: Provenance
    files: Files
    trace_url: str | None
    """Relative to the API's root."""


class Series(Shape):
    meter: str
    device: str
    quantity: str
    readings: int
    """As many as there are in the trace."""
    t_s: list[float]
    """Seconds after the trace's first reading."""
    value: list[float]


class Trace(Answer):
    run: RunId
    zero_ns: int
    """When the trace's first reading was, on the clock of the record's windows."""
    sampled: bool
    """Whether readings were left out: each one that is here is a reading as it was, none a mean."""
    series: list[Series]


Kind = Literal["trace", "responses"]


class Place(Cursor):
    last: RunId
    """The last one that was shown. Rows have other numbers once an archive was rebuilt."""


def results(connection: sa.Connection, question: ResultsQuestion) -> Runs:
    """Newest arrival first. A cursor stays good while the archive grows: no run comes twice; those
    that arrive meanwhile are not in later pages. Raises :class:`Refused` for a cursor that is none
    (400), or of a submission that is not here any more (410)."""
    where, semantics = run_conditions(
        connection, question, question.configuration, question.campaign, question.counted
    )
    if question.cursor is not None:
        last = Place.read(question.cursor, question).last
        where.append(RUN.c.id < _number_now(connection, last))
    query = runs_query().where(*where).order_by(RUN.c.id.desc()).limit(question.limit + 1)
    rows = connection.execute(query).all()
    shown_rows = rows[: question.limit]
    following = None
    if len(rows) > question.limit:
        key = question_key(question)
        following = Place(question=key, last=_id_of(shown_rows[-1])).text()
    return Runs(
        **head(connection, semantics).fields(),
        energy_class=question.energy_class,
        rows=[run_of(row) for row in shown_rows],
        next=following,
    )


def _number_now(connection: sa.Connection, run: str) -> int:
    """Of its row; where it was taken back, of the one that came next. Rows are in the order of
    their submissions, also once they were made anew."""
    content, _, number = run.partition("-")
    submission = connection.scalar(
        sa.select(SUBMISSION.c.id).where(SUBMISSION.c.content_sha256 == content)
    )
    if submission is None:
        raise Refused(
            "cursor_expired",
            "the submission that this cursor goes on from is not here",
            410,
            hint="begin again without a cursor",
        )
    mine = sa.and_(RUN.c.submission_id == submission, RUN.c.number == int(number))
    found = connection.scalar(sa.select(RUN.c.id).where(mine))
    if found is None:
        earlier = sa.select(sa.func.max(RUN.c.id)).where(RUN.c.submission_id < submission)
        found = 1 + (connection.scalar(earlier) or 0)
    return int(found)


def _id_of(row: sa.Row[Any]) -> str:
    return f"{row._mapping['content_sha256']}-{row._mapping['number']}"


def run_of(row: sa.Row[Any]) -> Run:
    r = row._mapping
    tier = tier_name(r["tier"])
    assert tier is not None
    return Run(
        id=_id_of(row),
        configuration=r["hash"],
        campaign=f"{r['owner']}-{r['identity_id']}",
        submitter=r["submitter"],
        block=r["block"],
        attempt=r["attempt"],
        started_at=time_of(r["started_at"]),
        tier=tier,
        counted=r["counted"],
        flags=[f for f in r["flags"].split(",") if f],
        **{name: r[name] for name in OF_CONFIG},
        figures={
            name: RunFigure(metric=name, value=value, uncertainty=u, unit=unit)
            for name, value, u, unit in figures_of_run(row)
        },
    )


def result(connection: sa.Connection, packs: Packs, run: str) -> Result:
    """Raises :class:`Refused` (404)."""
    row = run_row(connection, run)
    r = row._mapping
    files = Members(connection, packs, row)
    record = files.record()
    configuration = configurations_of(connection, [r["config_id"]])[r["config_id"]]
    return Result(
        **head(connection, configuration.semantics_version).fields(),
        run=run_of(row),
        configuration=configuration,
        record=record.model_dump(mode="json"),
        provenance=_provenance(connection, row),
        files=Files(**files.hashes()),
        trace_url=f"results/{run}/trace" if files.hashes()["trace"] else None,
    )


def _provenance(connection: sa.Connection, row: sa.Row[Any]) -> Provenance:
    r = row._mapping
    query = (
        sa.select(
            SUBMISSION.c.received_at,
            SUBMISSION.c.key_id,
            SUBMISSION.c.checks,
            SUBMISSION.c.log_seq,
            IDENTITY.c.enrolled_by,
            BOARD_SET.c.boards,
        )
        .select_from(
            RUN.join(SUBMISSION, SUBMISSION.c.id == RUN.c.submission_id)
            .join(IDENTITY, IDENTITY.c.id == RUN.c.identity_id)
            .join(BOARD_SET, BOARD_SET.c.id == RUN.c.board_set_id)
        )
        .where(RUN.c.id == r["id"])
    )
    about = connection.execute(query).one()
    f = FINDING.c
    findings = connection.execute(
        sa.select(f.rule, f.consequence, f.detail).where(f.run_id == r["id"]).order_by(f.id)
    )
    tier = tier_name(r["tier"])
    assert tier is not None
    return Provenance(
        submission=r["content_sha256"],
        received_at=about.received_at,
        key=about.key_id,
        submitter=r["submitter"],
        enrolled_by=about.enrolled_by,
        checks=about.checks,
        log_seq=about.log_seq,
        tier=tier,
        does_not_prove=TIERS[TIER_NUMBERS[tier]].does_not_prove,
        findings=[
            Finding(rule=x.rule, consequence=x.consequence, detail=x.detail, block=r["block"])
            for x in findings
        ],
        boards=boards_of(about.boards),
    )


def trace(connection: sa.Connection, packs: Packs, run: str, points: int = 2000) -> Trace:
    """At most ``points`` (10 to 20,000) readings of each series, the first and the last among them.
    Raises :class:`Refused` (404)."""
    points = min(max(points, 10), 20_000)
    found = series_of(inflated(file_of(connection, packs, run, "trace")))
    points = min(points, max(10, MOST_POINTS // max(1, len(found))))
    first = min((t[0] for t, _ in found.values() if t), default=0)
    shown_series = []
    for (meter, device, quantity), (times, values) in found.items():
        kept = evenly(len(times), points)
        shown_series.append(
            Series(
                meter=meter,
                device=device,
                quantity=quantity,
                readings=len(times),
                t_s=[(times[i] - first) / 1e9 for i in kept],
                value=[values[i] for i in kept],
            )
        )
    return Trace(
        **head(connection).fields(),
        run=run,
        zero_ns=first,
        sampled=any(len(s.t_s) < s.readings for s in shown_series),
        series=shown_series,
    )


def file_of(connection: sa.Connection, packs: Packs, run: str, kind: Kind) -> bytes:
    """The file as it was sent: CSV, gzip. Raises :class:`Refused` (404)."""
    return Members(connection, packs, run_row(connection, run)).read(kind)
