"""A campaign put together from its submissions: whether it is whole, and which of its runs count.

Nothing is remembered but what was submitted and what the checks found: everything here follows from
that, so it can be worked out again at any time.
"""

from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from lem.archive.kept import outcomes_of
from lem.archive.parsed import read_lock
from lem.archive.schema import CAMPAIGN, FINDING, RECOMPUTED, RUN, SELF_REPORTED, SUBMISSION
from lem.stores.counted import counted
from lem.stores.outcomes import Outcome
from lem.trust import completeness

Place = tuple[int, int, int]
"""Block, place of the arm in the lock, attempt."""


class Standing(NamedTuple):
    """What a campaign is, by what is there of it."""

    state: str
    missing: str
    counted: frozenset[Place]


class Touched(NamedTuple):
    """What a change reached."""

    configs: set[int]
    submissions: set[int]
    """Those of whose runs a tier changed."""


def standing(c: Connection, campaign_id: int) -> Standing:
    """Work out what a campaign is. A single run that was rejected rejects it whole: who makes one
    figure up makes up which."""
    campaign = c.execute(sa.select(CAMPAIGN).where(CAMPAIGN.c.id == campaign_id)).one()
    if campaign.state == "retracted":
        return Standing("retracted", "", frozenset())
    rows = c.execute(
        sa.select(SUBMISSION.c.checks, SUBMISSION.c.outcomes)
        .where(SUBMISSION.c.campaign_id == campaign_id)
        .order_by(SUBMISSION.c.id)
    ).all()
    if any(r.checks == "rejected" for r in rows):
        return Standing("rejected", "", frozenset())
    lock = read_lock(bytes(campaign.lock))
    outcomes: list[Outcome] = [o for r in rows for o in outcomes_of(r.outcomes)]
    outcomes.sort(key=lambda o: (o.block, o.arm_id, o.attempt))
    found = completeness.state(lock, outcomes)
    if not found.complete:
        return Standing("open", found.missing, frozenset())
    place = {arm.arm_id: i for i, arm in enumerate(lock.arms)}
    those = frozenset((o.block, place[o.arm_id], o.attempt) for o in counted(outcomes))
    return Standing("complete", "", those)


def evaluate(c: Connection, campaign_id: int) -> set[int]:
    """Write down what a campaign is and which of its runs count. Returns the configurations whose
    counted runs changed."""
    now = standing(c, campaign_id)
    c.execute(
        CAMPAIGN.update()
        .where(CAMPAIGN.c.id == campaign_id)
        .values(state=now.state, missing=now.missing)
    )
    wrong = [r for r in _runs(c, campaign_id) if r.counted != (_place(r) in now.counted)]
    for value in (True, False):
        _set(c, [r.id for r in wrong if r.counted != value], counted=value)
    return {r.config_id for r in wrong}


def miscounted(c: Connection, campaign_id: int) -> list[str]:
    """Runs whose ``counted`` is not what follows from what was submitted; for the check."""
    now = standing(c, campaign_id)
    return [
        f"run {r.id} of campaign {campaign_id}: counted is {r.counted}"
        for r in _runs(c, campaign_id)
        if r.counted != (_place(r) in now.counted)
    ]


def settle(c: Connection, campaign_id: int) -> Touched:
    """Write down what findings say: of each submission that was checked, how its checks ended; of
    each of its runs, the tier, short of ``replicated``. Returns what changed."""
    checked = c.execute(
        sa.select(SUBMISSION.c.id, SUBMISSION.c.checks).where(
            SUBMISSION.c.campaign_id == campaign_id,
            SUBMISSION.c.checks.in_(("passed", "held", "rejected")),
        )
    ).all()
    ids = [r.id for r in checked]
    findings = c.execute(
        sa.select(FINDING.c.submission_id, FINDING.c.run_id, FINDING.c.consequence).where(
            FINDING.c.submission_id.in_(ids), FINDING.c.consequence != "note"
        )
    ).all()
    worst = {r.submission_id: "held" for r in findings}
    worst |= {r.submission_id: "rejected" for r in findings if r.consequence == "reject"}
    for row in checked:
        ended = worst.get(row.id, "passed")
        if ended != row.checks:
            c.execute(SUBMISSION.update().where(SUBMISSION.c.id == row.id).values(checks=ended))
    against = {r.run_id for r in findings}
    runs = [r for r in _runs(c, campaign_id) if r.submission_id in set(ids)]
    down = [r for r in runs if r.id in against and r.tier != SELF_REPORTED]
    up = [r for r in runs if r.id not in against and r.tier < RECOMPUTED]
    _set(c, [r.id for r in down], tier=SELF_REPORTED)
    _set(c, [r.id for r in up], tier=RECOMPUTED)
    changed = [*down, *up]
    return Touched({r.config_id for r in changed}, {r.submission_id for r in changed})


def _runs(c: Connection, campaign_id: int) -> list[Row[tuple[int, ...]]]:
    return list(
        c.execute(
            sa.select(
                RUN.c.id,
                RUN.c.config_id,
                RUN.c.submission_id,
                RUN.c.block,
                RUN.c.arm,
                RUN.c.attempt,
                RUN.c.tier,
                RUN.c.counted,
            )
            .where(RUN.c.campaign_id == campaign_id)
            .order_by(RUN.c.id)
        )
    )


def _place(run: Row[tuple[int, ...]]) -> Place:
    return (run.block, run.arm, run.attempt)


def _set(c: Connection, ids: list[int], **values: int | bool) -> None:
    for at in range(0, len(ids), 500):
        c.execute(RUN.update().where(RUN.c.id.in_(ids[at : at + 500])).values(values))
