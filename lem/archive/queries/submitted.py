"""Campaigns as they were sent: who, when, whether all of it is there, and what the checks said."""

from typing import Annotated, Any, Literal

import sqlalchemy as sa
from pydantic import Field

from lem.archive.queries.answer import Answer, CampaignId, Shape, head
from lem.archive.queries.campaigns import campaign_of, runs_in_short, submitters_of
from lem.archive.queries.cursor import Cursor, CursorText, question_key
from lem.archive.queries.filters import Question
from lem.archive.schema import CAMPAIGN, FINDING, IDENTITY, RUN, SUBMISSION
from lem.contract.base import Sha256
from lem.contract.submission import CheckState, Finding

State = Literal["open", "complete", "rejected", "retracted"]
MAX_SUBMISSIONS = 1000
MAX_FINDINGS = 500


class CampaignsQuestion(Question):
    state: State | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: CursorText | None = None


class Campaign(Shape):
    id: CampaignId
    name: str
    """Empty once it was taken back."""
    submitter: str
    """Several, joined by commas, where it came from the queue and several runners ran it."""
    enrolled_by: str
    """Of the first."""
    state: State
    missing: str
    """Of an open one, in words."""
    created_at: str
    queued: str | None
    """Its id in the queue, where it came from there."""


class Campaigns(Answer):
    rows: list[Campaign]
    next: str | None


class SubmissionOf(Shape):
    submission: Sha256
    submitter: str
    received_at: str
    checks: CheckState
    runs: int
    log_seq: int


class CampaignAnswer(Answer):
    campaign: Campaign
    submissions: list[SubmissionOf]
    runs: int
    counted: int
    """Runs that enter figures."""
    configurations: list[Sha256]
    """Of its runs, by id."""
    findings: list[Finding]
    """The worst first."""


class _After(Cursor):
    id: int


_COLUMNS = (
    CAMPAIGN.c.id.label("row"),
    CAMPAIGN.c.owner,
    CAMPAIGN.c.identity_id,
    CAMPAIGN.c.name,
    CAMPAIGN.c.state,
    CAMPAIGN.c.missing,
    CAMPAIGN.c.created_at,
    CAMPAIGN.c.queued,
    IDENTITY.c.name.label("submitter"),
    IDENTITY.c.enrolled_by,
)


def campaigns(connection: sa.Connection, question: CampaignsQuestion) -> Campaigns:
    """The newest first. Raises :class:`Refused` (400) for a cursor that is none."""
    wanted = _joined().order_by(CAMPAIGN.c.id.desc()).limit(question.limit + 1)
    if question.state is not None:
        wanted = wanted.where(CAMPAIGN.c.state == question.state)
    if question.cursor is not None:
        wanted = wanted.where(CAMPAIGN.c.id < _After.read(question.cursor, question).id)
    found = connection.execute(wanted).all()
    rows = found[: question.limit]
    more = len(found) > question.limit
    senders = submitters_of(connection, [row.row for row in rows if row.queued is not None])
    return Campaigns(
        **head(connection).model_dump(),
        rows=[_campaign(row, senders.get(row.row)) for row in rows],
        next=_After(question=question_key(question), id=rows[-1].row).text() if more else None,
    )


def campaign(connection: sa.Connection, campaign: str) -> CampaignAnswer:
    """Raises :class:`Refused` (404)."""
    row = campaign_of(connection, campaign)
    runs = runs_in_short(connection, row.id)
    return CampaignAnswer(
        **head(connection).model_dump(),
        campaign=_campaign(row, submitters_of(connection, [row.id]).get(row.id)),
        submissions=_submissions(connection, row.id),
        runs=sum(alike.runs for alike in runs),
        counted=sum(alike.runs for alike in runs if alike.counted),
        configurations=sorted({alike.configuration for alike in runs}),
        findings=_findings(connection, row.id),
    )


def _joined() -> sa.Select[Any]:
    return sa.select(*_COLUMNS).join(IDENTITY, IDENTITY.c.id == CAMPAIGN.c.identity_id)


def _campaign(row: sa.Row[Any], submitters: list[str] | None) -> Campaign:
    return Campaign(
        id=f"{row.owner}-{row.identity_id}",
        name=row.name,
        submitter=", ".join(submitters or [row.submitter]),
        enrolled_by=row.enrolled_by,
        state=row.state,
        missing=row.missing,
        created_at=row.created_at,
        queued=row.queued,
    )


def _submissions(connection: sa.Connection, campaign_id: int) -> list[SubmissionOf]:
    rows = connection.execute(
        sa.select(
            SUBMISSION.c.content_sha256.label("submission"),
            IDENTITY.c.name.label("submitter"),
            SUBMISSION.c.received_at,
            SUBMISSION.c.checks,
            SUBMISSION.c.runs,
            SUBMISSION.c.log_seq,
        )
        .join(IDENTITY, IDENTITY.c.id == SUBMISSION.c.identity_id)
        .where(SUBMISSION.c.campaign_id == campaign_id)
        .order_by(SUBMISSION.c.id)
        .limit(MAX_SUBMISSIONS)
    )
    return [SubmissionOf(**row) for row in rows.mappings()]


def _findings(connection: sa.Connection, campaign_id: int) -> list[Finding]:
    worst = sa.case({"reject": 0, "hold": 1}, value=FINDING.c.consequence, else_=2)
    rows = connection.execute(
        sa.select(FINDING.c.rule, FINDING.c.consequence, FINDING.c.detail, RUN.c.block)
        .join(SUBMISSION, SUBMISSION.c.id == FINDING.c.submission_id)
        .outerjoin(RUN, RUN.c.id == FINDING.c.run_id)
        .where(SUBMISSION.c.campaign_id == campaign_id)
        .order_by(worst, FINDING.c.id)
        .limit(MAX_FINDINGS)
    )
    return [Finding(**row) for row in rows.mappings()]
