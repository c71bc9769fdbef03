"""Everything that the report of a campaign folder says, from the code that the commands of ``lem
results`` are made of: no figure is computed here."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from lem.analysis.comparison import Comparison
from lem.analysis.naming import readable_names
from lem.analysis.results import Campaign
from lem.analysis.text import plain
from lem.errors import BadInput
from lem.report.footnotes import footnotes
from lem.report.html.arms import arms_table, others_table
from lem.report.html.boards import boards_table
from lem.report.html.budgets import BudgetsOf, between_runs, within_a_run
from lem.report.html.cells import Grid
from lem.report.html.environment import Surroundings, surroundings
from lem.report.html.finding import Finding, finding
from lem.report.html.origin import Origin, origin
from lem.report.html.parts import (
    Part,
    fronts_part,
    load_part,
    ratios_part,
    shares_part,
    shown,
    traces_part,
)
from lem.report.html.quality import quality_table
from lem.report.html.runs import Runs, representatives, runs_of
from lem.report.quality_notes import about_quality
from lem.web.strings import text


@dataclass(frozen=True)
class Report:
    name: str
    finding: Finding
    comparison: Comparison | None
    estimated: bool
    """Whether energy here is modelled, not measured."""
    provisional: str
    """How many blocks of how many are there, in words; empty where all are."""
    models: tuple[str, ...]
    hardware: str
    ratios: Part
    """One chart for each quantity; ``sentences``: what is known of each arm."""
    arms: Grid
    """Of the first quantity, with speed."""
    others: Grid
    """Of the other quantities."""
    boards: Grid
    """Empty where all blocks ran on the same."""
    arms_notes: tuple[str, ...]
    fronts: Part
    shares: Part
    load: Part
    quality: Grid
    quality_notes: tuple[str, ...]
    traces: Part
    budget: Grid
    budget_parts: Grid
    runs: Runs
    surroundings: Surroundings
    origin: Origin


def gather(
    campaign: Campaign,
    budgets_of: BudgetsOf,
    baseline: str | None = None,
    hardware: str | None = None,
    progress: Callable[[str], None] = lambda what: None,
) -> Report:
    """``baseline``, ``hardware``: as :meth:`Campaign.compare` has them; ``progress``: told what is
    being done. Raises :class:`BadInput` where the folder has no arm, or the baseline is none; where
    nothing can be compared, the report says why."""
    names = readable_names(campaign.arms())
    progress("comparing the arms")
    comparison, problem = _compared(campaign, baseline, hardware)
    found = representatives(campaign, comparison)
    records = {arm_id: record for arm_id, (_, record) in found.items()}
    c = comparison
    said = Finding(problem) if c is None else _harmless(finding(c))
    progress("drawing")
    return Report(
        name=plain(campaign.name),
        finding=said,
        comparison=c,
        estimated=c is not None and c.estimated,
        provisional="" if c is None else _provisional(c),
        models=tuple(dict.fromkeys(plain(r.experiment.model.id) for r in records.values())),
        hardware=plain(c.hardware) if c is not None else "",
        ratios=Part() if c is None else ratios_part(c),
        arms=Grid((), ()) if c is None else arms_table(c),
        others=Grid((), ()) if c is None else others_table(c),
        boards=Grid((), ()) if c is None else boards_table(c),
        arms_notes=() if c is None else shown(footnotes(c)),
        fronts=fronts_part(campaign, hardware),
        shares=shares_part(campaign, hardware),
        load=load_part(campaign, hardware),
        quality=Grid((), ()) if c is None else quality_table(c),
        quality_notes=() if c is None else shown(about_quality(c)),
        traces=traces_part(campaign, found, names, _telling(c, said), progress),
        budget=Grid((), ()) if c is None else between_runs(c),
        budget_parts=within_a_run(records, names, budgets_of),
        runs=runs_of(campaign, names),
        surroundings=surroundings(list(records.values())),
        origin=origin(campaign.folder, campaign.lock),
    )


def _compared(
    campaign: Campaign, baseline: str | None, hardware: str | None
) -> tuple[Comparison | None, str]:
    """The comparison, or why there is none. A baseline that is asked for has to be one."""
    try:
        return campaign.compare(baseline, hardware=hardware), ""
    except BadInput as e:
        if baseline is not None or hardware is not None or not campaign.rows([]):
            raise
        hint = f" ({e.hint})" if e.hint else ""
        return None, text("report.finding.not_compared", reason=plain(f"{e.message}{hint}", 1000))


def _telling(c: Comparison | None, said: Finding) -> list[str]:
    """The ids of the baseline and of the arm that the finding is about."""
    return [] if c is None else [c.baseline, *([said.arm_id] if said.arm_id else [])]


def _harmless(found: Finding) -> Finding:
    return replace(found, sentence=plain(found.sentence, 1000))


def _provisional(c: Comparison) -> str:
    if not c.provisional:
        return ""
    planned = c.blocks_planned
    if planned and planned > 1:
        return text("report.provisional.of", done=c.blocks_done, planned=planned)
    return text("report.provisional.only", done=c.blocks_done)
