"""What was submitted of a campaign so far, for the runner that goes on with it.

Both go on from the same bytes: the lock is handed over as it was submitted, so that every later
submission names the same, and each record and failure as its runner sent it.
"""

import base64

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lem.archive.packs import Packs
from lem.archive.queue.leases import lease_of
from lem.archive.queue.runners import models_of
from lem.archive.queue.tables import QUEUED
from lem.archive.reasons import refused
from lem.archive.schema import BLOB, CAMPAIGN, SUBMISSION
from lem.contract.queue import HandedRun, Handover
from lem.submit import manifest as signing

MAX_BYTES = 45 * 2**20
"""Of all documents together, as they were sent: in base64, as they are handed over, a third more,
which is less than a client reads."""


def handover(
    c: Connection, packs: Packs, queued: str, fence: int, token_hash: str, at: float | None = None
) -> Handover:
    """For whoever holds the lease. Raises ``Refused``: as ``lease_of``, ``not_begun``,
    ``not_handed_over``, ``campaign_retracted``, ``too_large``."""
    lease = lease_of(c, queued, fence, token_hash, at)
    began_on = c.scalar(sa.select(QUEUED.c.device_models).where(QUEUED.c.seq == lease.seq))
    found = c.execute(
        sa.select(CAMPAIGN).where(
            CAMPAIGN.c.owner == lease.campaign, CAMPAIGN.c.queued == lease.queued
        )
    ).first()
    if found is None:
        raise refused("not_begun")
    if found.state in ("retracted", "rejected"):
        raise refused(f"campaign_{found.state}")
    if began_on not in (None, lease.runner, models_of(lease.hello)):
        raise refused("not_handed_over")
    submissions = c.execute(
        sa.select(SUBMISSION.c.id, SUBMISSION.c.content_sha256, SUBMISSION.c.manifest)
        .where(SUBMISSION.c.campaign_id == found.id, SUBMISSION.c.manifest.is_not(None))
        .order_by(SUBMISSION.c.id)
    ).all()
    _check_size(c, [s.id for s in submissions], len(found.lock))
    runs = [r for s in submissions for r in _runs(c, packs, s.id, s.content_sha256, s.manifest)]
    runs.sort(key=lambda r: (r.block, r.arm_id, r.attempt))
    return Handover(queued=queued, lock=_text(bytes(found.lock)), runs=runs)


def _check_size(c: Connection, submissions: list[int], lock: int) -> None:
    documents = sa.select(sa.func.sum(BLOB.c.length)).where(
        BLOB.c.submission_id.in_(submissions), BLOB.c.kind.in_(("record", "failure"))
    )
    if int(c.scalar(documents) or 0) + lock > MAX_BYTES:
        raise refused("too_large", f"more than {MAX_BYTES >> 20} MiB were submitted of it")


def _runs(
    c: Connection, packs: Packs, submission: int, content: str, manifest: bytes
) -> list[HandedRun]:
    places = {
        bytes(row.sha256).hex(): (row.offset, row.length)
        for row in c.execute(sa.select(BLOB).where(BLOB.c.submission_id == submission))
    }

    def file(sha256: str | None) -> str | None:
        if sha256 is None:
            return None
        return _text(packs.read(content, *places[sha256]))

    return [
        HandedRun(
            block=run.block,
            arm_id=run.arm_id,
            attempt=run.attempt,
            record=file(run.record),
            failure=file(run.failure),
        )
        for run in signing.parsed(bytes(manifest)).content.runs
    ]


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
