"""Which choice mattered in one campaign."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import sqlalchemy as sa
from pydantic import Field

from lem.analysis.answering import check_alike
from lem.analysis.attribute import Factor as Swept
from lem.analysis.attribute import split
from lem.analysis.gains import has_gain
from lem.analysis.gathered import Gathered
from lem.analysis.naming import matches
from lem.analysis.quantities import NO_POWER_AT_REST, Quantity, can_be_known, quantity_of
from lem.archive.queries.answer import (
    Answer,
    CampaignId,
    Metric,
    Packs,
    Shape,
    head,
    source_of,
    unit_of,
)
from lem.archive.queries.blocks import OneRun, Records, as_row, counted_runs, part_of
from lem.archive.queries.campaigns import NamedArms, arms_of, campaign_of, parsed
from lem.archive.queries.filters import Question, Text
from lem.archive.refused import Refused
from lem.contract.base import Scalar
from lem.contract.lock import Lock
from lem.contract.objectives import NLL
from lem.errors import BadInput
from lem.stores.rows import Row


class AttributeQuestion(Question):
    metric: Metric = "energy_per_output_token_j"
    only: Annotated[Text, Field(min_length=1)] | None = None
    """``path=value[,path=value]``: the arms to look at, where only a part is a complete grid."""


class Factor(Shape):
    path: str
    noun: str
    values: list[Scalar]


class Share(Shape):
    paths: list[str]
    """One: a main effect; several: of these together; none: of more than two together."""
    name: str
    share: float
    low: float | None
    high: float | None
    boards_may_explain: bool


class ArmFigure(Shape):
    """One arm's mean over its blocks."""

    name: str
    values: list[Scalar]
    """Of the factors, in their order."""
    value: float
    uncertainty: float | None
    """U, expanded (k = 2): of the meter, which arms may share, and of the scatter of blocks."""
    configuration: str | None
    """None where its runs are of several."""


class Answered(Answer):
    campaign: CampaignId
    name: str
    metric: Metric
    energy_class: str
    hardware: str
    blocks: int
    left_out_blocks: int
    factors: list[Factor]
    shares: list[Share]
    """Of the variance of the logarithms in *this* grid; empty where the arms cannot be told
    apart."""
    told_apart: bool
    unit: str
    arms: list[ArmFigure]
    """In the campaign's order."""
    spread: float
    """Largest ÷ smallest geometric mean of the arms."""
    scatter: float
    least: str
    most: str
    sentences: list[str]


def attribute(
    connection: sa.Connection, packs: Packs, campaign: CampaignId, question: AttributeQuestion
) -> Answered:
    """Raises :class:`Refused`: 404 for an unknown campaign, 422 ``not_attributable`` where the arms
    are no complete grid or too little was measured."""
    row = campaign_of(connection, campaign)
    lock = parsed(bytes(row.lock)) if row.lock else None
    if lock is None:
        raise Refused("not_attributable", "this campaign was submitted without its lock")
    if lock.adaptive is not None:
        raise Refused(
            "not_attributable",
            "this campaign chose its experiments while it ran, most of them where energy is low: "
            "the shares would be an artefact of the choice",
        )
    runs = counted_runs(connection, row.id, question.metric, tier=1)
    classes = {r.row._mapping["energy_class"] for r in runs}
    if len(classes) != 1:
        why = "no run of it counts" if not classes else "its runs' energies are of several classes"
        raise Refused("not_attributable", why)
    energy_class = classes.pop()
    if not can_be_known(question.metric, energy_class):
        raise Refused("not_attributable", NO_POWER_AT_REST)
    if len({r.row._mapping["semantics_version"] for r in runs}) > 1:
        raise Refused("not_attributable", "its runs follow several definitions of the metrics")
    name, part = source_of(question.metric)
    if has_gain(name) and len({r.row._mapping["meter_class"] for r in runs}) > 1:
        raise Refused("not_attributable", "its energies were read by different kinds of meters")
    try:
        arms = arms_of(bytes(row.lock), lock)
        records = Records(connection, packs)
        gathered = _gathered(lock, arms, runs, records, question, energy_class)
        check_alike(gathered.rows, name)
        quantity = quantity_of(name, part or part_of(name, energy_class))
        found = split(gathered, [quantity], question.only)
    except BadInput as e:
        raise Refused("not_attributable", e.problems[0].message, hint=e.hint) from None
    one = found.found[0]
    return Answered(
        **head(connection, runs[0].row._mapping["semantics_version"]).fields(),
        campaign=campaign,
        name=row.name,
        metric=question.metric,
        energy_class=energy_class,
        hardware=found.hardware,
        blocks=found.blocks,
        left_out_blocks=found.left_out_blocks,
        factors=[Factor(path=f.path, noun=f.noun, values=list(f.values)) for f in found.factors],
        shares=[Share(**asdict(s) | {"paths": list(s.paths)}) for s in one.shares],
        told_apart=one.told_apart,
        unit=unit_of(question.metric),
        arms=_arms(gathered, found.factors, one.quantity, lock, runs),
        spread=one.spread,
        scatter=one.scatter,
        least=one.least,
        most=one.most,
        sentences=list(found.sentences),
    )


def _arms(
    gathered: Gathered,
    factors: Sequence[Swept],
    quantity: Quantity,
    lock: Lock,
    runs: Sequence[OneRun],
) -> list[ArmFigure]:
    configurations: dict[str, set[str]] = defaultdict(set)
    for run in runs:
        configurations[lock.arms[run.arm].arm_id].add(run.row._mapping["hash"])
    found = []
    for arm in gathered.arms:
        mean = gathered.mean(arm.arm_id, quantity.metric, quantity.part)
        if mean is None:
            continue
        own = configurations[arm.arm_id]
        found.append(
            ArmFigure(
                name=gathered.names[arm.arm_id],
                values=[arm.paths.get(f.path) for f in factors],
                value=mean.mean,
                uncertainty=mean.expanded,
                configuration=own.pop() if len(own) == 1 else None,
            )
        )
    return found


def _gathered(
    lock: Lock,
    arms: NamedArms,
    runs: Sequence[OneRun],
    records: Records,
    question: AttributeQuestion,
    energy_class: str,
) -> Gathered:
    """The campaign's runs as the analysis of a folder has them. What counts is decided already."""
    chosen = [a for a in arms.infos if question.only is None or matches(a, question.only)]
    if not chosen:
        raise BadInput(f"no arm of this campaign has {question.only}")
    wanted = {a.arm_id for a in chosen}
    by_arm: dict[str, dict[int, Row]] = defaultdict(dict)
    on = set()
    records.expect(run for run in runs if lock.arms[run.arm].arm_id in wanted)
    for run in runs:
        arm_id = lock.arms[run.arm].arm_id
        if arm_id not in wanted:
            continue
        facts = records.of(run)
        if facts is None and question.metric == NLL:
            raise BadInput("of which tokens its likelihoods are is not known")
        if (facts is None or energy_class not in facts.shares) and has_gain(
            source_of(question.metric)[0]
        ):
            raise BadInput("how its energy was spread over boards is not known")
        by_arm[arm_id][run.block] = as_row(run, question.metric, energy_class, facts)
        on.add(by_arm[arm_id][run.block].hardware)
    if len(on) > 1:
        raise BadInput("the runs were made on different hardware")
    return Gathered(
        campaign=lock.name,
        arms=tuple(chosen),
        names=dict(arms.names),
        runs=dict(by_arm),
        hardware=next(iter(on), ""),
        unfinished="",
    )
