"""Make rows, summaries and facets anew from what was signed; and say where they differ from that.

What people decided (identities, keys, retractions), the log, and what the checks found stays.
"""

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from lem.archive import campaigns, replicate, summaries
from lem.archive.bulk import insert_runs
from lem.archive.database import Database, raise_data_version
from lem.archive.ingest import insert_blobs, run_rows
from lem.archive.kept import packed_outcomes
from lem.archive.packs import Packs
from lem.archive.parsed import parse
from lem.archive.retract import forget_unused
from lem.archive.schema import BLOB, BOARD_SET, CAMPAIGN, CONFIG, FINDING, KEY, RUN, SUBMISSION
from lem.errors import BadInput
from lem.submit import manifest as signing
from lem.submit import pack as packing


def rebuild(db: Database, packs: Packs) -> int:
    """Make everything that can be made anew from the packs, in one transaction. Returns how many
    submissions were read. Raises ``Refused`` (``pack_missing``) or :class:`BadInput` for a pack
    that is not what was signed; then nothing is changed."""
    with db.writing() as c:
        rows = c.execute(
            sa.select(SUBMISSION)
            .where(SUBMISSION.c.manifest.is_not(None))
            .order_by(SUBMISSION.c.id)
        ).all()
        for row in rows:
            _again(c, packs, row)
        for campaign in _campaigns(c):
            campaigns.settle(c, campaign)
        every = list(c.scalars(sa.select(CONFIG.c.id)))
        changed = replicate.refresh(c, every)
        summaries.refresh(c, None)
        forget_unused(c, every, c.scalars(sa.select(BOARD_SET.c.id)))
        replicate.log_tiers(c, changed - {r.id for r in rows})
        raise_data_version(c)
    return len(rows)


def differences(db: Database) -> list[str]:
    """Where counted runs, tiers, summaries or facets are not what follows from what was submitted;
    empty where all is right."""
    with db.reading() as c:
        found = [
            text
            for campaign in _campaigns(c)
            for wrong in (campaigns.miscounted, campaigns.misgraded)
            for text in wrong(c, campaign)
        ]
        return found + summaries.differences(c)


def _again(c: Connection, packs: Packs, row: Row[tuple[object, ...]]) -> None:
    pack = packing.read(packs.whole(row.content_sha256))
    key = c.scalar(sa.select(KEY.c.public_key).where(KEY.c.id == row.key_id))
    manifest = signing.verify(bytes(row.manifest), bytes(row.signature), bytes(key or b""))
    if pack.manifest != bytes(row.manifest) or pack.signature != bytes(row.signature):
        raise BadInput(f"the pack {row.content_sha256} is not what was signed")
    parsed = parse(pack, manifest.content)
    found = c.execute(
        sa.select(FINDING.c.id, RUN.c.number, RUN.c.tier)
        .join(RUN, RUN.c.id == FINDING.c.run_id)
        .where(FINDING.c.submission_id == row.id)
    ).all()
    c.execute(BLOB.delete().where(BLOB.c.submission_id == row.id))
    c.execute(RUN.delete().where(RUN.c.submission_id == row.id))
    insert_blobs(c, row.id, pack, manifest.content)
    insert_runs(c, run_rows(parsed, row.identity_id, row.campaign_id, row.id))
    c.execute(
        SUBMISSION.update()
        .where(SUBMISSION.c.id == row.id)
        .values(outcomes=packed_outcomes(a.outcome for a in parsed.attempts))
    )
    if found:
        rows = c.execute(sa.select(RUN.c.number, RUN.c.id).where(RUN.c.submission_id == row.id))
        now = {r.number: r.id for r in rows}
        c.execute(
            FINDING.update()
            .where(FINDING.c.id == sa.bindparam("finding"))
            .values(run_id=sa.bindparam("run")),
            [{"finding": f.id, "run": now[f.number]} for f in found],
        )


def _campaigns(c: Connection) -> list[int]:
    """Those that are made of packs, and not taken back."""
    signed = sa.select(SUBMISSION.c.campaign_id).where(SUBMISSION.c.manifest.is_not(None))
    return list(
        c.scalars(sa.select(CAMPAIGN.c.id).where(CAMPAIGN.c.id.in_(signed)).order_by(CAMPAIGN.c.id))
    )
