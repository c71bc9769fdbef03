"""The runs of one campaign that count, arm by arm and block by block: what a chart is made of."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from lem.analysis.blocks import blocks_done, decide, of_latest_generation
from lem.analysis.boards import of_blocks
from lem.analysis.comparison import ArmInfo
from lem.analysis.naming import matches, readable_names
from lem.analysis.places import Places, places_of
from lem.contract.lock import Lock
from lem.errors import BadInput
from lem.stats import Absolute
from lem.stores.counted import counted
from lem.stores.outcomes import Outcome
from lem.stores.rows import Figure, Row


@dataclass(frozen=True)
class Gathered:
    campaign: str
    arms: tuple[ArmInfo, ...]
    """In the campaign's order; those asked for."""
    names: dict[str, str]
    """Arm id → short readable name, told apart from all others of the campaign."""
    runs: dict[str, dict[int, Row]]
    """Arm id → block → its run; arms without one are left out."""
    hardware: str
    unfinished: str
    """While blocks are missing (or there is but one): how many are done of how many. Else empty."""
    places: Places = field(default_factory=Places)
    """What the blocks ran on."""

    @property
    def rows(self) -> list[Row]:
        return [r for own in self.runs.values() for r in own.values()]

    def table(self, metric: str, part: str) -> dict[str, dict[int, float]]:
        """Arm → block → value, also of 0 or less: leaving out the blocks that have no logarithm
        would leave those in which an arm did best, or worst."""
        return {
            arm: {b: f.value for b, r in own.items() if (f := _figure(r, metric, part))}
            for arm, own in self.runs.items()
        }

    def positive(self, arm: str, metric: str, part: str) -> bool:
        """Whether each of the arm's runs has the figure, and a logarithm of it."""
        figures = [_figure(r, metric, part) for r in self.runs.get(arm, {}).values()]
        return bool(figures) and all(f is not None and f.value > 0 for f in figures)

    def absolute(self, arm: str, metric: str, part: str) -> Absolute | None:
        """The arm's mean over blocks; None where a run of it has no such figure."""
        return of_blocks(self.runs.get(arm, {}), metric, part, self.places.of(metric, part))

    def on(self, metric: str, part: str) -> dict[int, str] | None:
        """Block → the board or node that makes such figures alike; None where all are of one, or
        they are not known to be apart."""
        spread = self.places.of(metric, part)
        return spread.of_block if spread is not None and spread.told else None

    def mean(self, arm: str, metric: str, part: str) -> Absolute | None:
        """:meth:`absolute` without its interval of repeatability."""
        return of_blocks(self.runs.get(arm, {}), metric, part, self.places.of(metric, part), False)


def _figure(row: Row, metric: str, part: str) -> Figure | None:
    return row.metrics.get(metric, {}).get(part)


def gather(
    campaign: str,
    arms: Sequence[ArmInfo],
    rows: Sequence[Row],
    lock: Lock | None,
    where: str | None = None,
    hardware: str | None = None,
    placed: bool = False,
) -> Gathered:
    """What counts of one campaign. ``where``: ``path=value[,path=value]``, the arms to look at.
    ``placed``: whether a scheduler chose the runs' nodes.

    Raises :class:`BadInput` where there is nothing, or runs of different machines or of different
    definitions of a metric, which are not one set of figures.
    """
    chosen = [a for a in arms if where is None or matches(a, where)]
    if not chosen:
        raise BadInput(f"no arm of {campaign} has {where}")
    counting = {o.path for o in counted(r.outcome for r in rows)}
    wanted = {a.arm_id for a in chosen}
    used = [
        r
        for r in rows
        if r.outcome.path in counting
        and r.outcome.arm_id in wanted
        and hardware in (None, r.hardware)
    ]
    if not used:
        raise BadInput(
            f"{campaign}: there is no run that counts yet",
            hint="lem results list shows what is there",
        )
    machines = sorted({r.hardware for r in used})
    if len(machines) > 1:
        raise BadInput(
            f"the runs were made on different hardware: {'; '.join(machines)}",
            hint=f"look at one at a time: --hardware {machines[0]!r}",
        )
    if len({r.semantics for r in used}) > 1:
        raise BadInput("the records define their metrics differently (metric_semantics_version)")
    runs: dict[str, dict[int, Row]] = defaultdict(dict)
    for r in used:
        runs[r.outcome.arm_id][r.outcome.block] = r
    return Gathered(
        campaign=campaign,
        arms=tuple(chosen),
        names=readable_names(arms),
        runs=dict(runs),
        hardware=machines[0],
        unfinished=_unfinished(lock, [r.outcome for r in rows], wanted, used),
        places=places_of(
            campaign,
            [r for r in rows if r.outcome.path in counting and r.hardware == machines[0]],
            placed,
        ),
    )


def _unfinished(
    lock: Lock | None, outcomes: Sequence[Outcome], arms: set[str], used: Sequence[Row]
) -> str:
    """Empty where a comparison would not be provisional: a block is done once nothing is awaited of
    any of the arms there, not once one has run."""
    decision = None if lock is None else decide(lock, outcomes)
    done = blocks_done(outcomes, arms, {r.outcome.block for r in used})
    if lock is not None and lock.adaptive is not None:
        decision, done = of_latest_generation(lock, outcomes)
    planned = 0 if decision is None else decision.n
    final = decision is None or decision.final
    if final and done >= max(2, planned):
        return ""
    noun = "blocks" if final else "pilot blocks"
    return f"{done} of {planned} {noun}" if planned > 1 else f"only {done} {noun[:-1]}"
