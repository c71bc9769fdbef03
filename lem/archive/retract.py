"""A submitter takes a campaign back: everything of it goes but the hashes in the public log."""

from collections.abc import Iterable, Iterator

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lem.archive import identities, log, replays, replicate, summaries
from lem.archive.database import Database, raise_data_version, setting
from lem.archive.packs import Packs
from lem.archive.reasons import refused
from lem.archive.schema import (
    BLOB,
    BOARD_SET,
    CAMPAIGN,
    CONFIG,
    FINDING,
    REPLICATION,
    RUN,
    SUBMISSION,
)
from lem.errors import BadInput
from lem.submit import manifest as signing


def retract(
    db: Database, packs: Packs, key: str, campaign: str, nonce: str, signature: bytes
) -> int:
    """Take a whole campaign back (``Content.campaign``), by a signature of ``retract_message`` by a
    key of whom it is of: of one that came from the queue, of who ran blocks of it, as long as
    nobody else has. Returns how many submissions went. Raises ``Refused``."""
    with db.writing() as c:
        signer = identities.usable_key(c, key)
        message = signing.retract_message(setting(c, "archive"), campaign, nonce)
        try:
            signing.check_signature(message, signature, signer.public_key)
        except BadInput as e:
            raise refused("bad_signature") from e
        identities.use_nonce(c, nonce, key)
        found = c.execute(
            sa.select(CAMPAIGN.c.id, CAMPAIGN.c.state, CAMPAIGN.c.queued).where(
                CAMPAIGN.c.owner == campaign,
                sa.or_(
                    CAMPAIGN.c.identity_id == signer.identity_id,
                    sa.and_(
                        CAMPAIGN.c.queued.is_not(None),
                        sa.exists().where(
                            SUBMISSION.c.campaign_id == CAMPAIGN.c.id,
                            SUBMISSION.c.identity_id == signer.identity_id,
                        ),
                    ),
                ),
            )
        ).first()
        if found is None:
            raise refused("campaign_unknown")
        if found.state == "retracted":
            return 0
        others = sa.select(SUBMISSION.c.id).where(
            SUBMISSION.c.campaign_id == found.id, SUBMISSION.c.identity_id != signer.identity_id
        )
        if found.queued is not None and c.execute(others.limit(1)).first() is not None:
            raise refused("not_yours_alone")
        gone = _take_back(c, found.id, campaign)
    # Killed before this, a sweep removes them.
    for sha256 in gone:
        packs.delete(sha256)
    return len(gone)


def retract_with_origin(db: Database, packs: Packs, archive: str, submissions: list[str]) -> int:
    """Take back what was taken back in the other ``archive`` that it came from; returns how many
    submissions went. Of what is signed for any other archive, this one included, nothing goes,
    whatever that one says."""
    gone: list[str] = []
    with db.writing() as c:
        for at in range(0, len(submissions), 500):
            rows = c.execute(
                sa.select(SUBMISSION.c.manifest, CAMPAIGN.c.id, CAMPAIGN.c.owner)
                .join(CAMPAIGN)
                .where(
                    SUBMISSION.c.content_sha256.in_(submissions[at : at + 500]),
                    SUBMISSION.c.manifest.is_not(None),
                )
            ).all()
            theirs = {r.id: r.owner for r in rows if signing.parsed(r.manifest).archive == archive}
            for campaign_id, owner in sorted(theirs.items()):
                gone += _take_back(c, campaign_id, owner)
    for sha256 in gone:
        packs.delete(sha256)
    return len(gone)


def _take_back(c: Connection, campaign_id: int, campaign: str) -> list[str]:
    of_campaign = SUBMISSION.c.campaign_id == campaign_id
    submissions = c.execute(
        sa.select(SUBMISSION.c.id, SUBMISSION.c.content_sha256)
        .where(of_campaign)
        .order_by(SUBMISSION.c.id)
    ).all()
    ids = [s.id for s in submissions]
    used = c.execute(
        sa.select(RUN.c.config_id, RUN.c.board_set_id)
        .where(RUN.c.campaign_id == campaign_id)
        .distinct()
    ).all()
    configs = {r.config_id for r in used}
    replays.keep(c, ids)
    c.execute(FINDING.delete().where(FINDING.c.submission_id.in_(ids)))
    c.execute(RUN.delete().where(RUN.c.campaign_id == campaign_id))
    c.execute(BLOB.delete().where(BLOB.c.submission_id.in_(ids)))
    c.execute(
        SUBMISSION.update()
        .where(of_campaign)
        .values(
            manifest=None,
            signature=None,
            outcomes=None,
            traits=None,
            checks="retracted",
            lease_until=0,
        )
    )
    c.execute(
        CAMPAIGN.update()
        .where(CAMPAIGN.c.id == campaign_id)
        .values(state="retracted", missing="", name="", lock=b"")
    )
    changed = replicate.refresh(c, configs)
    summaries.refresh(c, configs)
    forget_unused(c, configs, {r.board_set_id for r in used})
    hashes = [str(s.content_sha256) for s in submissions]
    log.append(c, "retracted", {"campaign": campaign, "submissions": hashes})
    replicate.log_tiers(c, changed)
    raise_data_version(c)
    return hashes


def forget_unused(c: Connection, config_ids: Iterable[int], board_ids: Iterable[int]) -> None:
    """Remove those of these configurations and board sets that no run is of. Their summaries went
    before."""
    for ids in _pieces(config_ids):
        unused = sa.select(CONFIG.c.id).where(
            CONFIG.c.id.in_(ids), ~sa.exists().where(RUN.c.config_id == CONFIG.c.id)
        )
        gone = list(c.scalars(unused))
        c.execute(REPLICATION.delete().where(REPLICATION.c.config_id.in_(gone)))
        c.execute(CONFIG.delete().where(CONFIG.c.id.in_(gone)))
    for ids in _pieces(board_ids):
        used = set(
            c.scalars(sa.select(RUN.c.board_set_id).where(RUN.c.board_set_id.in_(ids)).distinct())
        )
        c.execute(BOARD_SET.delete().where(BOARD_SET.c.id.in_(sorted(set(ids) - used))))


def _pieces(ids: Iterable[int]) -> Iterator[list[int]]:
    every = sorted(set(ids))
    for at in range(0, len(every), 500):
        yield every[at : at + 500]
