"""What became of each attempt, in words that a listing can show."""

from collections.abc import Sequence

from lem.contract.flags import FLAGS
from lem.stores.counted import counted, latest_passes, void_reason
from lem.stores.rows import Row


def standing(rows: Sequence[Row]) -> dict[str, str]:
    """Path of each attempt → ``counted``, ``failed: …``, ``excluded: …``, ``void: …``,
    ``superseded``, ``not finished`` or ``unusable: …``."""
    outcomes = [r.outcome for r in rows]
    counting = {o.path for o in counted(outcomes)}
    latest = latest_passes(outcomes)
    void = {block: void_reason(attempts) for block, attempts in latest.items()}
    return {
        r.outcome.path: "counted"
        if r.outcome.path in counting
        else _otherwise(r, latest[r.outcome.block][0].block_pass, void[r.outcome.block])
        for r in rows
    }


def _otherwise(row: Row, valid_pass: int, void: str | None) -> str:
    o = row.outcome
    if o.kind == "open":
        return f"unusable: {row.message}" if row.message else "not finished"
    if o.kind == "failure":
        return f"failed: {o.failure_kind}"
    if o.block_pass < valid_pass:
        return "void: its block was begun anew"
    if void is not None:
        return f"void: {void}"
    if o.consequence != "info":
        grave = [f for f in row.flags if f not in FLAGS or FLAGS[f].consequence != "info"]
        return f"excluded: {', '.join(grave)}"
    return "superseded"
