"""A lease ends, as its runner says or because it ran out: what becomes of the campaign."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lem.archive.queue.leases import (
    LOST,
    MAX_TRIES,
    Change,
    end,
    end_claim,
    held,
    is_to_end,
    moment,
    text,
)
from lem.archive.queue.runners import MAX_LISTED, models_of
from lem.archive.queue.tables import CLAIM, DECLINED, QUEUED, RUNNER
from lem.archive.refused import Refused
from lem.archive.schema import CAMPAIGN, TOKEN
from lem.contract.queue import Finish, QueueState
from lem.trust.completeness import NO_RUN_COUNTS

SHORTEST_PAUSE_S, LATELY_S = 10.0, 60.0
"""Of a campaign that a runner gave back before it had begun a run, and had given back lately."""
AROUND_S = 86400.0
"""A runner that was heard of within that time may come again."""
AT_ONCE = 100
LATER = "later"
"""Outcome in ``DECLINED`` of what was given back for a while."""
_STATE_OF: dict[str, QueueState] = {
    "done": "done",
    "failed": "failed",
    "cancelled": "cancelled",
}


def finish(
    c: Connection, told: Finish, token_hash: str, at: float | None = None
) -> tuple[QueueState, list[Change]]:
    """End a lease as its runner says. The same again (the answer was lost) gives the state and
    changes nothing. Raises as :func:`lease_of`."""
    try:
        row, now = held(c, told.queued, told.fence, token_hash, at)
    except Refused:
        if (state := _finished(c, told, token_hash)) is None:
            raise
        return state, []
    end_claim(c, row, now, told.outcome, told.reason)
    if told.outcome in ("declined", "unfit", "failed"):
        _decline(c, row, now, told.outcome, told.reason, None)
    elif told.outcome == "released" and (pause_s := _pause_s(c, row, now, told)) > 0:
        _decline(c, row, now, LATER, told.reason, now + pause_s)
    if told.outcome == "done":
        change = _done(c, row, now, told.reason)
    elif told.outcome == "failed":
        change = _failed(c, row, now, told.reason)
    elif told.outcome == "cancelled" and is_to_end(row):
        change = end(c, row, now, told.outcome, told.reason)
    elif told.outcome == "cancelled":
        # Nobody wanted that: it is its runner that stopped.
        change = put_back(c, row, now, told.reason)
    else:
        tried = told.outcome == "released" and told.tried
        change = put_back(c, row, now, told.reason or told.outcome, counts=tried)
    return _STATE_OF.get(change.state, "queued"), [change]


def expire(c: Connection, at: float | None = None) -> list[Change]:
    """Take campaigns back whose leases ran out. What somebody else is just changing is left for the
    next time."""
    now = moment(c) if at is None else at
    rows = c.execute(
        sa.select(QUEUED)
        .where(QUEUED.c.state == "running", QUEUED.c.lease_until <= now)
        .order_by(QUEUED.c.seq)
        .limit(AT_ONCE)
        .with_for_update(skip_locked=True)
    ).all()
    changes: list[Change] = []
    for row in rows:
        end_claim(c, row, now, "lost", LOST)
        changes.append(Change(row.id, "lost", row.fence, LOST))
        changes.append(put_back(c, row, now, LOST))
    return changes


def any_expired(c: Connection, at: float | None = None) -> bool:
    """Whether :func:`expire` would find anything."""
    now = moment(c) if at is None else at
    gone = sa.select(QUEUED.c.seq).where(QUEUED.c.state == "running", QUEUED.c.lease_until <= now)
    return c.execute(gone.limit(1)).first() is not None


def put_back(
    c: Connection, row: sa.Row[Any], now: float, why: str, *, counts: bool = True
) -> Change:
    """Nobody runs it now: it waits for the next runner, unless somebody wanted it to end or too
    many have tried. ``counts``: whether this claim was a try."""
    tries = row.tries if counts else max(0, row.tries - 1)
    if row.cancel_at is not None:
        return end(c, row, now, "cancelled", "")
    if tries >= MAX_TRIES:
        said = f"it was begun {tries} times, and no block of it was ever submitted in between"
        if why:
            said += f"; the last time: {why}"
        if not _is_one_runners_doing(c, row, now):
            return end(c, row, now, "failed", said)
        _decline(c, row, now, "unfit", said, None)
        tries = 0
    c.execute(
        QUEUED.update()
        .where(QUEUED.c.seq == row.seq)
        .values(state="queued", lease_until=0.0, tries=tries)
    )
    return Change(row.id, "queued", row.fence, why)


def _is_one_runners_doing(c: Connection, row: sa.Row[Any], now: float) -> bool:
    """Whether only runners of one token have tried it of late, and another one may: who claims
    campaigns and gives them back ends none of them alone."""
    tried = (
        sa.select(RUNNER.c.token_hash)
        .join(CLAIM, CLAIM.c.runner_id == RUNNER.c.id)
        .where(CLAIM.c.queued_seq == row.seq, CLAIM.c.fence > row.fence - row.tries)
        .distinct()
    )
    return len(c.execute(tried).all()) == 1 and _others(c, row, now)


def _pause_s(c: Connection, row: sa.Row[Any], now: float, told: Finish) -> float:
    """How long a campaign that was given back is not for this runner. What was no try may be given
    back without end: so not at once, but for the first time, as a runner does that starts anew."""
    asked_s = told.not_before_s or 0.0
    if told.tried or asked_s >= SHORTEST_PAUSE_S:
        return asked_s
    before = sa.select(CLAIM.c.fence).where(
        CLAIM.c.queued_seq == row.seq,
        CLAIM.c.runner_id == row.runner_id,
        CLAIM.c.fence < row.fence,
        CLAIM.c.outcome == "released",
        CLAIM.c.ended_at > text(now - LATELY_S),
    )
    return asked_s if c.execute(before.limit(1)).first() is None else SHORTEST_PAUSE_S


def _failed(c: Connection, row: sa.Row[Any], now: float, reason: str) -> Change:
    """Its runner says that nobody can run it. That ends it where a runner with another token said
    so before, or where none is left that could try; else it waits for another one."""
    said_before = (
        sa.select(DECLINED.c.runner_id)
        .join(RUNNER, RUNNER.c.id == DECLINED.c.runner_id)
        .where(
            DECLINED.c.queued_seq == row.seq,
            DECLINED.c.outcome == "failed",
            RUNNER.c.token_hash != row.token_hash,
        )
    )
    if c.execute(said_before.limit(1)).first() is not None or not _others(c, row, now):
        return end(c, row, now, "failed", reason)
    why = f"{row.runner_name} says that it cannot be run, and another runner is to try it"
    return put_back(c, row, now, f"{why}: {reason}" if reason else why, counts=False)


def _others(c: Connection, row: sa.Row[Any], now: float) -> bool:
    """Whether another runner that was heard of lately may be offered the campaign."""
    declined = sa.exists().where(
        DECLINED.c.queued_seq == row.seq,
        DECLINED.c.runner_id == RUNNER.c.id,
        DECLINED.c.until.is_(None),
    )
    others = c.execute(
        sa.select(RUNNER.c.handle, RUNNER.c.hello)
        .join(TOKEN, TOKEN.c.hash == RUNNER.c.token_hash)
        .where(
            RUNNER.c.id != row.runner_id,
            RUNNER.c.disabled_at.is_(None),
            RUNNER.c.seen_at > now - AROUND_S,
            TOKEN.c.revoked_at.is_(None),
            sa.or_(TOKEN.c.expires_at.is_(None), TOKEN.c.expires_at > text(now)),
            ~declined,
        )
        .order_by(RUNNER.c.seen_at.desc())
        .limit(MAX_LISTED)
    )
    on = row.device_models
    return any(on is None or on in (models_of(o.hello), o.handle) for o in others)


def _done(c: Connection, row: sa.Row[Any], now: float, reason: str) -> Change:
    """Its runner says that all of it is run and submitted. It is done where the archive's campaign
    is whole, by the rules that decide what counts there (one that was taken back was whole once).
    Where all was run and no run counts, it has failed. Else something is missing that its runner
    does not know of: it waits again, and that was one of its tries."""
    found = c.execute(
        sa.select(CAMPAIGN.c.state, CAMPAIGN.c.missing).where(
            CAMPAIGN.c.owner == row.campaign, CAMPAIGN.c.queued == row.id
        )
    ).first()
    if found is None:
        return put_back(c, row, now, "its runner has ended, and nothing of it was submitted")
    if found.state == "rejected":
        return end(c, row, now, "failed", "the archive has rejected what was submitted of it")
    if found.state == "open" and found.missing == NO_RUN_COUNTS:
        return end(c, row, now, "failed", "all of it was run, and no run of it counts")
    if found.state == "open":
        missing = f"its runner has ended, and the archive has not all of it: {found.missing}"
        return put_back(c, row, now, missing)
    return end(c, row, now, "done", reason)


def _finished(c: Connection, told: Finish, token_hash: str) -> QueueState | None:
    """The state of a campaign whose claim ended just so before."""
    state: QueueState | None = c.scalar(
        sa.select(QUEUED.c.state)
        .join(CLAIM, CLAIM.c.queued_seq == QUEUED.c.seq)
        .join(RUNNER, RUNNER.c.id == CLAIM.c.runner_id)
        .where(
            QUEUED.c.id == told.queued,
            CLAIM.c.fence == told.fence,
            CLAIM.c.outcome == told.outcome,
            RUNNER.c.token_hash == token_hash,
        )
    )
    return state


def _decline(
    c: Connection, row: sa.Row[Any], now: float, outcome: str, reason: str, until: float | None
) -> None:
    mine = sa.and_(DECLINED.c.queued_seq == row.seq, DECLINED.c.runner_id == row.runner_id)
    said = {"outcome": outcome, "reason": reason, "at": text(now), "until": until}
    if c.execute(DECLINED.update().where(mine).values(said)).rowcount == 0:
        said |= {"queued_seq": row.seq, "runner_id": row.runner_id}
        c.execute(DECLINED.insert().values(said))
