"""What a submitter is told of a submission: that it is there, and what became of it."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lem.archive import identities
from lem.archive.reasons import refused
from lem.archive.schema import CAMPAIGN, FINDING, LOG, RUN, SUBMISSION
from lem.contract.submission import Finding, Receipt
from lem.submit import manifest as signing

MOST_FINDINGS = 200
"""In a receipt."""


def known(c: Connection, content_sha256: str, key: str) -> Receipt | None:
    """The receipt of a submission that is there. Raises ``Refused`` where it is another's."""
    found = c.scalar(
        sa.select(SUBMISSION.c.identity_id).where(SUBMISSION.c.content_sha256 == content_sha256)
    )
    if found is None:
        return None
    mine = identities.key_of(c, key)
    if mine is None or mine.identity_id != found:
        raise refused("already_submitted", "somebody else submitted the same")
    return receipt_of(c, content_sha256, again=True)


def receipt_of(c: Connection, content_sha256: str, *, again: bool) -> Receipt | None:
    row = c.execute(
        sa.select(SUBMISSION, CAMPAIGN.c.owner, CAMPAIGN.c.state, CAMPAIGN.c.missing)
        .join(CAMPAIGN, CAMPAIGN.c.id == SUBMISSION.c.campaign_id)
        .where(SUBMISSION.c.content_sha256 == content_sha256)
    ).first()
    if row is None:
        return None
    hashed = c.scalar(sa.select(LOG.c.hash).where(LOG.c.seq == row.log_seq))
    return Receipt(
        submission=content_sha256,
        campaign=row.owner,
        received_at=row.received_at,
        already_there=again,
        runs=row.runs,
        campaign_state=row.state,
        missing=row.missing,
        checks=row.checks,
        findings=_findings(c, row.id),
        log_seq=row.log_seq,
        log_hash=str(hashed),
    )


def _findings(c: Connection, submission_id: int) -> list[Finding]:
    outer = FINDING.outerjoin(RUN, RUN.c.id == FINDING.c.run_id)
    rows = c.execute(
        sa.select(FINDING, RUN.c.block, RUN.c.number)
        .select_from(outer)
        .where(FINDING.c.submission_id == submission_id)
        .order_by(FINDING.c.id)
        .limit(MOST_FINDINGS)
    ).all()
    if not rows:
        return []
    manifest = c.scalar(sa.select(SUBMISSION.c.manifest).where(SUBMISSION.c.id == submission_id))
    runs = signing.parsed(bytes(manifest)).content.runs if manifest is not None else []
    return [
        Finding(
            rule=r.rule,
            consequence=r.consequence,
            detail=r.detail,
            block=r.block,
            arm_id=None if r.number is None else runs[r.number].arm_id,
        )
        for r in rows
    ]
