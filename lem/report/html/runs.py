"""The runs of a campaign: which of them stands for an arm, which did not count and why."""

from collections.abc import Sequence, Set
from dataclasses import dataclass

from lem.analysis.comparison import Comparison
from lem.analysis.results import Campaign
from lem.analysis.standing import standing
from lem.analysis.text import plain
from lem.contract.record import Record
from lem.stores.counted import counted
from lem.stores.folder import Entry, attempts, read
from lem.stores.rows import Row

MOST_LEFT_OUT = 60
"""Runs that are listed; of more, the number."""
MOST_LINES = 40
"""Of an engine's last words."""
MOST_ARMS = 100
"""Arms of which a run is read."""


@dataclass(frozen=True)
class LeftOut:
    """An attempt that enters no estimate."""

    block: int
    arm: str
    stands: str
    message: str
    hint: str
    last_lines: tuple[str, ...]


@dataclass(frozen=True)
class Runs:
    counted: int
    left_out: tuple[LeftOut, ...]
    more: int
    """Left out, and not listed."""
    first: str
    """When the first run began; ISO 8601, empty where none did."""
    last: str


def runs_of(campaign: Campaign, names: dict[str, str]) -> Runs:
    """``names``: arm id → how it is called."""
    rows = campaign.rows([])
    stands = standing(rows)
    apart = [r for r in rows if stands[r.outcome.path] != "counted"]
    moments = sorted(r.outcome.started_at for r in rows if r.outcome.started_at)
    ends = sorted(r.outcome.ended_at for r in rows if r.outcome.ended_at)
    listed = apart[:MOST_LEFT_OUT]
    read_ = _entries(campaign, {r.outcome.path for r in listed if r.outcome.kind == "failure"})
    return Runs(
        counted=len(rows) - len(apart),
        left_out=tuple(
            _left_out(r, read_.get(r.outcome.path), names, stands[r.outcome.path]) for r in listed
        ),
        more=max(0, len(apart) - MOST_LEFT_OUT),
        first=moments[0] if moments else "",
        last=ends[-1] if ends else "",
    )


def _entries(campaign: Campaign, paths: Set[str]) -> dict[str, Entry]:
    """These attempts, read, in one walk through the folder."""
    return {a.path: read(campaign.folder, a) for a in attempts(campaign.folder) if a.path in paths}


def _left_out(row: Row, entry: Entry | None, names: dict[str, str], stands: str) -> LeftOut:
    failure = None if entry is None else entry.failure
    lines = failure.last_lines[-MOST_LINES:] if failure is not None else []
    arm_id = row.outcome.arm_id
    return LeftOut(
        block=row.outcome.block,
        arm=plain(names.get(arm_id, arm_id[:12])),
        stands=plain(stands),
        message=plain(" ".join((failure.message if failure else row.message).split()), 1000),
        hint=plain(failure.hint or "", 1000) if failure is not None else "",
        last_lines=tuple(plain(line, 1000) for line in lines),
    )


def representatives(
    campaign: Campaign, comparison: Comparison | None
) -> dict[str, tuple[str, Record]]:
    """Arm id → one run that counts, its path in the folder and its record: the one in the middle of
    its arm's, by the first quantity that is compared (of two in the middle the lesser); without a
    comparison the first."""
    quantity = comparison.quantities[0] if comparison is not None else None
    rows = campaign.rows([quantity.metric] if quantity is not None else [])
    counting = {o.path for o in counted(r.outcome for r in rows)}
    own: dict[str, list[Row]] = {a.arm_id: [] for a in campaign.arms()}
    for row in rows:
        here = comparison is None or row.hardware == comparison.hardware
        if here and row.outcome.path in counting and row.outcome.arm_id in own:
            own[row.outcome.arm_id].append(row)
    key = (quantity.metric, quantity.part) if quantity is not None else None
    chosen = {arm_id: _middle(of_arm, key).outcome.path for arm_id, of_arm in own.items() if of_arm}
    chosen = dict(list(chosen.items())[:MOST_ARMS])
    found = _entries(campaign, set(chosen.values()))
    return {
        arm_id: (path, record)
        for arm_id, path in chosen.items()
        if path in found and (record := found[path].record) is not None
    }


def _middle(rows: Sequence[Row], key: tuple[str, str] | None) -> Row:
    def value(row: Row) -> float | None:
        figure = None if key is None else row.metrics.get(key[0], {}).get(key[1])
        return None if figure is None else figure.value

    known = sorted(((v, r.outcome.block, r) for r in rows if (v := value(r)) is not None),
                   key=lambda found: found[:2])  # fmt: skip
    return known[(len(known) - 1) // 2][2] if known else rows[0]
