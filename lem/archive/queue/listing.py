"""What anybody may see of the queue: everything but secrets.

That a campaign's file is public is said where it is queued. Whose token it was queued with, and
what that token is called, is not."""

from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field

from lem.archive.queries.answer import CampaignId, Shape
from lem.archive.queries.cursor import Cursor, CursorText, question_key
from lem.archive.queries.filters import Question
from lem.archive.queue.leases import text
from lem.archive.queue.tables import CLAIM, DECLINED, QUEUED, RUNNER
from lem.archive.reasons import refused
from lem.archive.schema import CAMPAIGN, PERSON
from lem.contract.queue import Person, QueuedId, QueueState, RunnerId

MAX_SHOWN = 100
"""Claims of one campaign, and runners that declined it; the newest."""


class QueueQuestion(Question):
    state: QueueState | None = None
    person: Annotated[str, Field(pattern=r"^p[0-9a-f]{20}$")] | None = None
    """Who queued it."""
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: CursorText | None = None


class RunnerOf(Shape):
    id: RunnerId
    name: str


class QueuedRow(Shape):
    id: QueuedId
    name: str
    person: Person
    state: QueueState
    reason: str
    """Why it failed, in words."""
    position: int | None
    """Of one that waits: 1 is next, for a runner that may run it."""
    cancelling: bool
    """Whether its runner is to be told to end it."""
    experiments: int
    models: list[str]
    backends: list[str]
    trust_remote_code: bool
    runner: RunnerOf | None
    """Who runs it, or ran it last."""
    doing: str
    """What its runner says that it does."""
    created_at: str
    began_at: str | None
    ended_at: str | None
    tries: int
    """Claims since blocks of it were submitted last."""


class Queue(Shape):
    schema_version: int = 1
    rows: list[QueuedRow]
    next: str | None
    waiting: int
    running: int


class ClaimOf(Shape):
    runner: RunnerOf
    fence: int
    at: str
    ended_at: str | None
    outcome: str | None
    """``done``, ``failed``, ``cancelled``, ``declined``, ``unfit``, ``released``, ``lost``."""
    reason: str


class DeclinedBy(Shape):
    runner: RunnerOf
    outcome: str
    """``declined``, ``unfit``, ``failed``, ``later``."""
    reason: str
    at: str
    until: str | None
    """Of ``later``: it is not offered to that runner before then. Null: never again."""


class QueuedAnswer(QueuedRow):
    schema_version: int = 1
    yaml: str
    preset: str
    adaptive: bool
    device_models: str | None
    """On which it was begun, once blocks of it were submitted."""
    fence: int
    campaign: CampaignId | None
    """In the archive, once something of it was submitted."""
    campaign_state: str | None
    missing: str
    claims: list[ClaimOf]
    """The newest first."""
    declined: list[DeclinedBy]
    unfinished_before: int
    """Campaigns that said the same (comments and order aside), were queued here before this one by
    whomever, were begun, and were cancelled or failed: who queues one again until its figures
    please has some."""


class _After(Cursor):
    at: int
    seq: int


def queue(c: sa.Connection, question: QueueQuestion) -> Queue:
    """Page by page: those that wait, if asked for, in the order of their turns; else the newest
    first. Raises ``Refused`` (400) for a cursor that is none."""
    q = QUEUED.c
    in_order = question.state == "queued"
    query = _rows()
    if question.state is not None:
        query = query.where(q.state == question.state)
    if question.person is not None:
        query = query.where(PERSON.c.handle == question.person)
    if question.cursor is not None:
        after = _After.read(question.cursor, question)
        place = sa.tuple_(q.turn, q.seq) > (after.at, after.seq)
        query = query.where(place if in_order else q.seq < after.seq)
    query = query.order_by(q.turn, q.seq) if in_order else query.order_by(q.seq.desc())
    found = c.execute(query.limit(question.limit + 1)).all()
    rows, more = found[: question.limit], len(found) > question.limit
    last = rows[-1] if more else None
    places = positions(c)
    rows_by_state = c.execute(
        sa.select(q.state, sa.func.count())
        .where(q.state.in_(("queued", "running")))
        .group_by(q.state)
    )
    counts: dict[str, int] = {state: int(n) for state, n in rows_by_state}
    return Queue(
        rows=[QueuedRow(**_row(row, places)) for row in rows],
        next=None
        if last is None
        else _After(question=question_key(question), at=last.turn, seq=last.seq).text(),
        waiting=counts.get("queued", 0),
        running=counts.get("running", 0),
    )


def queued(c: sa.Connection, id: str) -> QueuedAnswer:
    """One campaign. Raises ``Refused`` (``queued_unknown``)."""
    row = c.execute(_rows().where(QUEUED.c.id == id)).first()
    if row is None:
        raise refused("queued_unknown")
    archived = c.execute(
        sa.select(CAMPAIGN).where(CAMPAIGN.c.owner == row.campaign, CAMPAIGN.c.queued == row.id)
    ).first()
    places = positions(c) if row.state == "queued" else {}
    device_models = row.device_models
    return QueuedAnswer(
        **_row(row, places),
        yaml=row.yaml,
        preset=row.wanted.get("preset", ""),
        adaptive=bool(row.wanted.get("adaptive")),
        device_models=device_models,
        fence=row.fence,
        campaign=None if archived is None else f"{archived.owner}-{archived.identity_id}",
        campaign_state=None if archived is None else archived.state,
        missing="" if archived is None else archived.missing,
        claims=_claims(c, row.seq),
        declined=_declined(c, row.seq),
        unfinished_before=_unfinished_before(c, row),
    )


def positions(c: sa.Connection) -> dict[str, int]:
    """Of all that wait (there are never many): 1 is next."""
    q = QUEUED.c
    waiting = sa.select(q.id).where(q.state == "queued").order_by(q.turn, q.seq)
    return {id: i + 1 for i, id in enumerate(c.scalars(waiting))}


def _rows() -> sa.Select[Any]:
    return (
        sa.select(
            QUEUED,
            PERSON.c.handle.label("person"),
            PERSON.c.name.label("person_name"),
            RUNNER.c.handle.label("runner"),
            RUNNER.c.name.label("runner_name"),
            RUNNER.c.doing,
        )
        .join(PERSON, PERSON.c.id == QUEUED.c.person_id)
        .outerjoin(RUNNER, RUNNER.c.id == QUEUED.c.runner_id)
    )


def _row(row: sa.Row[Any], places: dict[str, int]) -> dict[str, Any]:
    running = row.state == "running"
    return {
        "id": row.id,
        "name": row.name,
        "person": Person(id=row.person, name=row.person_name),
        "state": row.state,
        "reason": row.reason,
        "position": places.get(row.id),
        "cancelling": running and row.cancel_at is not None,
        "experiments": row.experiments,
        "models": row.wanted.get("models", []),
        "backends": row.wanted.get("backends", []),
        "trust_remote_code": bool(row.wanted.get("trust_remote_code")),
        "runner": None if row.runner is None else RunnerOf(id=row.runner, name=row.runner_name),
        "doing": row.doing if running else "",
        "created_at": row.created_at,
        "began_at": row.began_at,
        "ended_at": row.ended_at,
        "tries": row.tries,
    }


def _claims(c: sa.Connection, seq: int) -> list[ClaimOf]:
    rows = c.execute(
        sa.select(CLAIM, RUNNER.c.handle, RUNNER.c.name)
        .join(RUNNER, RUNNER.c.id == CLAIM.c.runner_id)
        .where(CLAIM.c.queued_seq == seq)
        .order_by(CLAIM.c.fence.desc())
        .limit(MAX_SHOWN)
    )
    return [
        ClaimOf(
            runner=RunnerOf(id=row.handle, name=row.name),
            fence=row.fence,
            at=row.at,
            ended_at=row.ended_at,
            outcome=row.outcome,
            reason=row.reason,
        )
        for row in rows
    ]


def _declined(c: sa.Connection, seq: int) -> list[DeclinedBy]:
    rows = c.execute(
        sa.select(DECLINED, RUNNER.c.handle, RUNNER.c.name)
        .join(RUNNER, RUNNER.c.id == DECLINED.c.runner_id)
        .where(DECLINED.c.queued_seq == seq)
        .order_by(DECLINED.c.at.desc(), RUNNER.c.id)
        .limit(MAX_SHOWN)
    )
    return [
        DeclinedBy(
            runner=RunnerOf(id=row.handle, name=row.name),
            outcome=row.outcome,
            reason=row.reason,
            at=row.at,
            until=None if row.until is None else text(row.until),
        )
        for row in rows
    ]


def _unfinished_before(c: sa.Connection, row: sa.Row[Any]) -> int:
    if row.meaning is None:
        return 0
    q = QUEUED.c
    begun = sa.exists().where(
        CLAIM.c.queued_seq == q.seq,
        sa.or_(CLAIM.c.outcome.is_(None), CLAIM.c.outcome.not_in(("declined", "unfit"))),
    )
    same = sa.and_(q.meaning == row.meaning, q.seq < row.seq)
    ended = q.state.in_(("cancelled", "failed"))
    return c.scalar(sa.select(sa.func.count()).where(same, ended, begun)) or 0
