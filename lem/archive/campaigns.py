"""A campaign put together from its submissions: whether it is whole, and which of its runs count.

Nothing is remembered but what was submitted and what the checks found: everything here follows from
that, so it can be worked out again at any time.
"""

from collections import defaultdict
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from lem.archive.kept import outcomes_of
from lem.archive.parsed import read_lock
from lem.archive.schema import CAMPAIGN, CONFIG, FINDING, RECOMPUTED, RUN, SELF_REPORTED, SUBMISSION
from lem.stores.counted import counted
from lem.stores.outcomes import Outcome
from lem.trust import completeness

ELSEWHERE = "not_attributed"
Place = tuple[int, int, int]
"""Block, place of the arm in the lock, attempt."""


class Standing(NamedTuple):
    """What a campaign is, by what is there of it."""

    state: str
    missing: str
    counted: frozenset[Place]


class Touched(NamedTuple):
    """What a change reached, and what the campaign is now."""

    state: str
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
    """Write down all that follows from findings: of each submission that was checked, how its
    checks ended; what the campaign is then, and of each of its runs, whether it counts and the
    tier, short of ``replicated``. Returns what changed."""
    objections = _objections(c, campaign_id)
    worst = {o.submission_id: "held" for o in objections}
    worst |= {o.submission_id: "rejected" for o in objections if o.consequence == "reject"}
    for row in _checked(c, campaign_id):
        ended = worst.get(row.id, "passed")
        if ended != row.checks:
            c.execute(SUBMISSION.update().where(SUBMISSION.c.id == row.id).values(checks=ended))
    return stand(c, campaign_id)


def stand(c: Connection, campaign_id: int) -> Touched:
    """Write down what a campaign is, which of its runs count, and their tiers."""
    configs = evaluate(c, campaign_id)
    state = str(c.scalar(sa.select(CAMPAIGN.c.state).where(CAMPAIGN.c.id == campaign_id)))
    should = graded(c, campaign_id)
    runs = _runs(c, campaign_id)
    down = [r for r in runs if r.tier != SELF_REPORTED and r.id not in should]
    up = [r for r in runs if r.tier < RECOMPUTED and r.id in should]
    _set(c, [r.id for r in down], tier=SELF_REPORTED)
    _set(c, [r.id for r in up], tier=RECOMPUTED)
    changed = [*down, *up]
    configs |= {r.config_id for r in changed}
    return Touched(state, configs, {r.submission_id for r in changed})


def graded(c: Connection, campaign_id: int) -> set[int]:
    """The runs that are recomputed: those of a whole campaign that no rule objects to, and of those
    that count, no other that counts of their experiment either. Else the blocks that somebody would
    rather not show could be had held (sent without their traces, say), and the figure of the better
    tier would be that of the others alone. So could those told as of another configuration."""
    state = c.scalar(sa.select(CAMPAIGN.c.state).where(CAMPAIGN.c.id == campaign_id))
    if state != "complete":
        return set()
    checked = {r.id for r in _checked(c, campaign_id)}
    against = {r.run_id for r in _objections(c, campaign_id)}
    runs = _runs(c, campaign_id)
    sound = {r.id for r in runs if r.submission_id in checked and r.id not in against}
    # Two arms may be of one experiment.
    experiments: dict[str, list[Row[tuple[int, ...]]]] = defaultdict(list)
    for r in runs:
        if r.counted:
            experiments[r.experiment_id].append(r)
    whole = {
        experiment
        for experiment, those in experiments.items()
        if all(r.id in sound for r in those)
        # What other programs' load took from a run, so that it is told by another meter, is no
        # choice of anybody's: it follows from the trace.
        and len({r.config_id for r in those if ELSEWHERE not in r.flags.split(",")}) <= 1
    }
    return {r.id for r in runs if r.id in sound and (r.experiment_id in whole or not r.counted)}


def misgraded(c: Connection, campaign_id: int) -> list[str]:
    """Runs whose tier is not what follows from findings; for the check."""
    should = graded(c, campaign_id)
    return [
        f"run {r.id} of campaign {campaign_id}: tier is {r.tier}"
        for r in _runs(c, campaign_id)
        if (r.tier >= RECOMPUTED) != (r.id in should)
    ]


def _checked(c: Connection, campaign_id: int) -> list[Row[tuple[int, str]]]:
    """The submissions whose check ended."""
    return list(
        c.execute(
            sa.select(SUBMISSION.c.id, SUBMISSION.c.checks).where(
                SUBMISSION.c.campaign_id == campaign_id,
                SUBMISSION.c.checks.in_(("passed", "held", "rejected")),
            )
        )
    )


def _objections(c: Connection, campaign_id: int) -> list[Row[tuple[int, int, str]]]:
    """Findings that are more than notes."""
    return list(
        c.execute(
            sa.select(FINDING.c.submission_id, FINDING.c.run_id, FINDING.c.consequence)
            .join(SUBMISSION, SUBMISSION.c.id == FINDING.c.submission_id)
            .where(SUBMISSION.c.campaign_id == campaign_id, FINDING.c.consequence != "note")
        )
    )


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
                RUN.c.flags,
                CONFIG.c.experiment_id,
            )
            .join(CONFIG, CONFIG.c.id == RUN.c.config_id)
            .where(RUN.c.campaign_id == campaign_id)
            .order_by(RUN.c.id)
        )
    )


def _place(run: Row[tuple[int, ...]]) -> Place:
    return (run.block, run.arm, run.attempt)


def _set(c: Connection, ids: list[int], **values: int | bool) -> None:
    for at in range(0, len(ids), 500):
        c.execute(RUN.update().where(RUN.c.id.in_(ids[at : at + 500])).values(values))
