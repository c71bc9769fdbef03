"""What happens to a submission after its receipt: its runs are judged by their traces.

Whoever checks takes a submission by a lease, judges without holding up anybody, and writes what was
found in one transaction. Killed in between, it is taken again; nothing is written twice.
"""

import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lem.archive import campaigns, log, replays, replicate, summaries
from lem.archive.database import Database, raise_data_version
from lem.archive.kept import outcomes_of, packed_traits, traits_of
from lem.archive.packs import Packs
from lem.archive.parsed import MAX_RECORD_BYTES, read_lock
from lem.archive.schema import BLOB, CAMPAIGN, FINDING, RUN, SUBMISSION
from lem.contract.lock import Lock
from lem.contract.record import Record
from lem.contract.submission import Finding, Submitted
from lem.submit import manifest as signing
from lem.submit.pack import unpacked
from lem.trust.judge import DETAIL_CHARACTERS, judge
from lem.trust.rules import RULES
from lem.trust.traits import Traits, across, firsts_of

LEASE_S = 900.0
CHECK_S = 800.0
"""Less than the lease: nobody else begins the same, and nobody's submission holds up all others for
longer. What is not judged by then stays self-reported."""
MAX_TRIES = 3
"""A submission whose check never ends stays self-reported."""
ACROSS = (
    "trace_repeated",
    "trace_shape_repeated",
    "runs_overlap",
    "clocks_disagree",
    "arms_not_in_order",
)
"""Rules that hold the runs of a campaign against each other."""
INCOMPLETE = "not_recomputable"
"""Of a run that came without its trace or responses, or whose check did not end."""


class Claim(NamedTuple):
    """A submission that is ours to check."""

    id: int
    content_sha256: str
    campaign_id: int
    received_at: str
    runs: list[Submitted]
    lock: Lock
    tries: int


class Judged(NamedTuple):
    """What was found of one run; ``run``: place in the manifest."""

    number: int
    findings: list[Finding]
    traits: Traits | None


def check_next(db: Database, packs: Packs) -> int | None:
    """Check one submission that waits; None where none does, else its id."""
    claim = _claim(db)
    if claim is None:
        return None
    judged = _given_up(claim) if claim.tries > MAX_TRIES else list(_judge(db, packs, claim))
    with db.writing() as c:
        still = sa.select(SUBMISSION.c.id).where(
            SUBMISSION.c.id == claim.id, SUBMISSION.c.checks == "pending"
        )
        if c.scalar(still) is not None:
            _write(c, claim, judged)
    return claim.id


def waiting(db: Database) -> int:
    """How many submissions are to be checked."""
    with db.reading() as c:
        pending = sa.select(sa.func.count()).where(SUBMISSION.c.checks == "pending")
        return int(c.scalar(pending) or 0)


def _claim(db: Database) -> Claim | None:
    pending = sa.select(SUBMISSION).where(
        SUBMISSION.c.checks == "pending", SUBMISSION.c.lease_until < time.time()
    )
    with db.reading() as c:
        if c.execute(pending.limit(1)).first() is None:
            return None
    with db.writing() as c:
        row = c.execute(pending.order_by(SUBMISSION.c.id).limit(1)).first()
        if row is None:
            return None
        c.execute(
            SUBMISSION.update()
            .where(SUBMISSION.c.id == row.id)
            .values(lease_until=time.time() + LEASE_S, tries=row.tries + 1)
        )
        lock = c.scalar(sa.select(CAMPAIGN.c.lock).where(CAMPAIGN.c.id == row.campaign_id))
    return Claim(
        id=row.id,
        content_sha256=row.content_sha256,
        campaign_id=row.campaign_id,
        received_at=row.received_at,
        runs=signing.parsed(bytes(row.manifest)).content.runs,
        lock=read_lock(bytes(lock or b"")),
        tries=row.tries + 1,
    )


def _judge(db: Database, packs: Packs, claim: Claim) -> Iterable[Judged]:
    with db.reading() as c:
        rows = c.execute(sa.select(BLOB).where(BLOB.c.submission_id == claim.id)).all()
    places = {bytes(r.sha256).hex(): (r.offset, r.length) for r in rows}

    def file(sha256: str) -> bytes:
        return packs.read(claim.content_sha256, *places[sha256])

    now = datetime.fromisoformat(claim.received_at)
    until = time.monotonic() + CHECK_S
    for number, run in enumerate(claim.runs):
        if run.record is None:
            continue
        if time.monotonic() > until:
            yield Judged(number, [_incomplete("its submission took too long to check")], None)
            continue
        if run.trace is None or run.responses is None:
            yield Judged(number, [_incomplete("it came without its trace or responses")], None)
            continue
        record = Record.parse(unpacked(file(run.record), MAX_RECORD_BYTES), "record")
        found = judge(record, file(run.trace), file(run.responses), lock=claim.lock, now=now)
        yield Judged(number, found.findings, found.traits)


def _given_up(claim: Claim) -> list[Judged]:
    return [
        Judged(number, [_incomplete("its check did not end")], None)
        for number, run in enumerate(claim.runs)
        if run.record is not None
    ]


def _incomplete(detail: str) -> Finding:
    return Finding(rule=INCOMPLETE, consequence=RULES[INCOMPLETE].consequence, detail=detail)


def _write(c: Connection, claim: Claim, judged: Sequence[Judged]) -> None:
    rows = c.execute(sa.select(RUN.c.number, RUN.c.id).where(RUN.c.submission_id == claim.id))
    run_ids = {r.number: r.id for r in rows}
    _insert(c, [(claim.id, run_ids.get(one.number), f) for one in judged for f in one.findings])
    c.execute(
        SUBMISSION.update()
        .where(SUBMISSION.c.id == claim.id)
        .values(
            checks="passed",
            lease_until=0,
            traits=packed_traits(one.traits for one in judged if one.traits is not None),
        )
    )
    _hold_together(c, claim.campaign_id)
    series = {one.number: one.traits.series for one in judged if one.traits is not None}
    reached = {claim.campaign_id} | replays.note(c, claim.id, series)
    before = {s: k for campaign in reached for s, k in _checks(c, campaign).items()}
    before[claim.id] = "pending"
    configs: set[int] = set()
    changed: set[int] = set()
    for campaign in sorted(reached):
        touched = campaigns.settle(c, campaign)
        configs |= touched.configs
        changed |= touched.submissions
    changed |= replicate.refresh(c, configs)
    summaries.refresh(c, configs)
    after = {s: k for campaign in reached for s, k in _checks(c, campaign).items()}
    for submission, checks in sorted(after.items()):
        if checks == "rejected" and before.get(submission) != "rejected":
            log.append(c, "rejected", _rejection(c, submission))
    replicate.log_tiers(c, changed)
    raise_data_version(c)


def _hold_together(c: Connection, campaign_id: int) -> None:
    """Hold the campaign's runs against each other, as many as were judged so far."""
    submissions = c.execute(
        sa.select(SUBMISSION.c.id, SUBMISSION.c.traits, SUBMISSION.c.outcomes).where(
            SUBMISSION.c.campaign_id == campaign_id
        )
    ).all()
    traits = sorted(
        (t for row in submissions for t in traits_of(row.traits)),
        key=lambda t: (t.block, t.arm_id, t.attempt),
    )
    lock = read_lock(
        bytes(c.scalar(sa.select(CAMPAIGN.c.lock).where(CAMPAIGN.c.id == campaign_id)) or b"")
    )
    arms = {arm.arm_id: i for i, arm in enumerate(lock.arms)}
    runs = {
        (r.block, r.arm, r.attempt): r
        for r in c.execute(
            sa.select(RUN.c.id, RUN.c.submission_id, RUN.c.block, RUN.c.arm, RUN.c.attempt).where(
                RUN.c.campaign_id == campaign_id
            )
        )
    }
    ids = [row.id for row in submissions]
    c.execute(FINDING.delete().where(FINDING.c.submission_id.in_(ids), FINDING.c.rule.in_(ACROSS)))
    outcomes = [o for row in submissions for o in outcomes_of(row.outcomes)]
    found: list[tuple[int, int | None, Finding]] = []
    for rule, detail, t in across(traits, lock, firsts_of(outcomes)):
        row = runs.get((t.block, arms.get(t.arm_id, -1), t.attempt))
        if row is not None:
            finding = Finding(
                rule=rule, consequence=RULES[rule].consequence, detail=detail[:DETAIL_CHARACTERS]
            )
            found.append((row.submission_id, row.id, finding))
    _insert(c, found)


def _insert(c: Connection, found: Sequence[tuple[int, Any, Finding]]) -> None:
    if found:
        c.execute(
            FINDING.insert(),
            [
                {
                    "submission_id": submission,
                    "run_id": run,
                    "rule": f.rule,
                    "consequence": f.consequence,
                    "detail": f.detail,
                }
                for submission, run, f in found
            ],
        )


def _checks(c: Connection, campaign_id: int) -> dict[int, str]:
    rows = c.execute(
        sa.select(SUBMISSION.c.id, SUBMISSION.c.checks).where(
            SUBMISSION.c.campaign_id == campaign_id
        )
    )
    return {r.id: r.checks for r in rows}


def _rejection(c: Connection, submission: int) -> dict[str, log.Told]:
    sha256 = c.scalar(sa.select(SUBMISSION.c.content_sha256).where(SUBMISSION.c.id == submission))
    rules = c.scalars(
        sa.select(FINDING.c.rule)
        .where(FINDING.c.submission_id == submission, FINDING.c.consequence == "reject")
        .distinct()
        .order_by(FINDING.c.rule)
    )
    return {"submission": str(sha256), "rules": list(rules)}
