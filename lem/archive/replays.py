"""Whether readings that somebody submits were submitted before, by anybody, in another campaign.

Files are known by their bytes where they come in; here, what was read in a run is known again
though its file was packed anew, its times moved or its device renamed. What was taken back is
still known: else a campaign could be submitted until its worst block is left out.
"""

from collections.abc import Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lem.archive.schema import BLOB, FINDING, FINGERPRINT, RUN, SUBMISSION
from lem.trust.rules import RULES

RULE = "trace_replayed"
AT_ONCE = 400


def note(c: Connection, submission: int, series: Mapping[int, Iterable[str]]) -> set[int]:
    """Remember the readings of a submission that was checked (place in the manifest → their
    hashes), and write a finding against each run that has those of one submitted before: this
    one's, or a later one's that was checked sooner. Returns the campaigns of those runs."""
    place = {bytes.fromhex(sha): number for number, those in series.items() for sha in those}
    campaigns: set[int] = set()
    mine = sa.select(SUBMISSION.c.campaign_id).where(SUBMISSION.c.id == submission)
    campaign = c.scalar(mine)
    against: set[tuple[int, int, str]] = set()
    every = sorted(place)
    for at in range(0, len(every), AT_ONCE):
        rows = c.execute(
            sa.select(FINGERPRINT, SUBMISSION.c.campaign_id, SUBMISSION.c.content_sha256)
            .join(SUBMISSION, SUBMISSION.c.id == FINGERPRINT.c.submission_id)
            .where(
                FINGERPRINT.c.sha256.in_(every[at : at + AT_ONCE]),
                SUBMISSION.c.campaign_id != campaign,
            )
        ).all()
        for row in rows:
            earlier = row.submission_id < submission
            if earlier:
                against.add((submission, place[bytes(row.sha256)], row.content_sha256))
            else:
                own = sa.select(SUBMISSION.c.content_sha256).where(SUBMISSION.c.id == submission)
                against.add((row.submission_id, row.number, str(c.scalar(own))))
            campaigns.add(int(campaign or 0) if earlier else row.campaign_id)
    if every:
        c.execute(FINGERPRINT.delete().where(FINGERPRINT.c.submission_id == submission))
        c.execute(
            FINGERPRINT.insert(),
            [{"sha256": s, "submission_id": submission, "number": place[s]} for s in every],
        )
    first: dict[tuple[int, int], str] = {}
    for later, number, sha256 in sorted(against):
        first.setdefault((later, number), sha256)
    for (later, number), sha256 in first.items():
        _object(c, later, number, sha256)
    return campaigns


def keep(c: Connection, submissions: Iterable[int]) -> None:
    """Before these are taken back: their traces stay known, by their hashes alone."""
    for submission in submissions:
        there = sa.select(FINGERPRINT.c.sha256).where(FINGERPRINT.c.submission_id == submission)
        known = {bytes(sha) for sha in c.scalars(there)}
        traces = sa.select(BLOB.c.sha256).where(
            BLOB.c.submission_id == submission, BLOB.c.kind == "trace"
        )
        new = sorted({bytes(sha) for sha in c.scalars(traces)} - known)
        if new:
            c.execute(
                FINGERPRINT.insert(),
                [{"sha256": s, "submission_id": submission, "number": 0} for s in new],
            )


def is_known(c: Connection, sha256: list[bytes]) -> bool:
    """Whether one of these files was taken back."""
    for at in range(0, len(sha256), AT_ONCE):
        there = sa.select(sa.literal(1)).where(FINGERPRINT.c.sha256.in_(sha256[at : at + AT_ONCE]))
        if c.execute(there.limit(1)).first() is not None:
            return True
    return False


def _object(c: Connection, submission: int, number: int, earlier: str) -> None:
    run = c.scalar(
        sa.select(RUN.c.id).where(RUN.c.submission_id == submission, RUN.c.number == number)
    )
    if run is None:
        return
    there = sa.select(FINDING.c.id).where(FINDING.c.run_id == run, FINDING.c.rule == RULE)
    if c.scalar(there) is None:
        c.execute(
            FINDING.insert().values(
                submission_id=submission,
                run_id=run,
                rule=RULE,
                consequence=RULES[RULE].consequence,
                detail=f"as a run of submission {earlier[:16]}",
            )
        )
