"""What of a campaign has been measured already, before anybody runs it."""

import json
import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from pydantic import ValidationError

from lem.archive.queries.answer import (
    TIER_NUMBERS,
    Answer,
    Configuration,
    ConfigurationId,
    Figure,
    Metric,
    Shape,
    Tier,
    head,
)
from lem.archive.queries.estimate import Estimate, estimate, locked
from lem.archive.queries.figures import configurations_of, experiments_of, figures_of
from lem.archive.schema import CONFIG
from lem.config import (
    PROVISIONAL,
    CampaignFile,
    check_available,
    experiment_id,
    experiment_of,
    model_name,
    parse,
)
from lem.config.drawn import check_budget
from lem.config.identity import meaning
from lem.contract.base import Scalar, canonical_json
from lem.contract.lock import Lock
from lem.contract.metrics import METRIC_SEMANTICS_VERSION
from lem.contract.spec import Experiment, ExperimentModel
from lem.contract.workload import FromFile
from lem.errors import BadInput

MAX_CAMPAIGN_BYTES = 256 * 1024
MAX_EXPERIMENTS = 1000


class Measured(Shape):
    """A configuration that an experiment may be."""

    match: Literal["exact", "alike"]
    """``exact``: the same experiment id. ``alike``: the same in all that a campaign file says; what
    staging would resolve (the model's commit, the engine's version, the requests' hash) may
    differ."""
    may_differ: list[str]
    configuration: ConfigurationId
    experiment_id: str
    model_content: str
    engine_version: str
    device_model: str
    device_count: int
    meter_class: str
    energy_class: str
    tier: Tier
    figure: Figure | None
    """Energy per output token."""


class PlannedExperiment(Shape):
    experiment_id: str
    """Of what is known before staging."""
    provisional: bool
    """Whether staging will change the id."""
    label: str
    settings: dict[str, Scalar]
    backend: str
    model: str
    baseline: bool
    measured: list[Measured]
    """The best tier first, at most 20."""


class Doubt(Shape):
    """Something in the file that keeps it from being run, though it says what it means."""

    where: str
    """A key's path, such as ``workload.arrival.kind``; empty where it is of no single key."""
    message: str
    line: int | None
    column: int | None


class Plan(Answer):
    name: str
    experiments: list[PlannedExperiment]
    measured: int
    """Experiments of which something is there."""
    missing: int
    notes: list[str]
    doubts: list[Doubt]
    estimate: Estimate | None
    """What it would take; None where doubts leave that open."""


def plan(connection: sa.Connection, asked: "Asked") -> Plan:
    """Nothing that the campaign names is opened, fetched or looked up."""
    known, more = _known(connection, asked.wanted)
    ids = {key for keys in known.values() for key in keys}
    there = {
        key: Experiment.model_validate_json(json.dumps(found))
        for key, found in experiments_of(connection, sorted(ids)).items()
    }
    configurations = configurations_of(connection, sorted(ids))
    figures = figures_of(connection, sorted(ids), [ENERGY], tier=0)
    experiments = []
    for wanted in asked.wanted:
        found = [
            m
            for key in known[wanted.key]
            if (m := _measured(wanted, there[key], configurations[key], figures.get((key, ENERGY))))
        ]
        found.sort(key=lambda m: (m.match != "exact", -TIER_NUMBERS[m.tier], m.configuration))
        experiments.append(
            PlannedExperiment(
                experiment_id=wanted.experiment_id,
                provisional=asked.provisional,
                label=wanted.label,
                settings=wanted.settings,
                backend=wanted.experiment.backend,
                model=wanted.experiment.model.id,
                baseline=wanted.baseline,
                measured=found[:MOST_MEASURED],
            )
        )
    done = sum(bool(e.measured) for e in experiments)
    return Plan(
        **head(connection).fields(),
        name=asked.name,
        experiments=experiments,
        measured=done,
        missing=len(experiments) - done,
        notes=[*asked.notes, *more],
        doubts=asked.doubts,
        estimate=None if asked.lock is None else estimate(connection, asked.lock, asked.cpu_only),
    )


ENERGY: Metric = "energy_per_output_token_j"
MOST_MEASURED = 20
MOST_CANDIDATES = 5000
_COMMIT = re.compile(r"^[0-9a-f]{40}$")


class Wanted(NamedTuple):
    experiment: Experiment
    experiment_id: str
    label: str
    settings: dict[str, Scalar]
    baseline: bool
    key: bytes
    """What has to be the same, in canonical form."""


class Asked(NamedTuple):
    name: str
    wanted: list[Wanted]
    provisional: bool
    notes: list[str]
    doubts: list[Doubt]
    lock: Lock | None
    cpu_only: bool
    """Whether the campaign says that it uses no GPU."""


def read_asked(text: str) -> Asked:
    """``text``: a campaign, YAML or JSON, or a ``campaign.lock.json``, whose experiments have their
    final ids. Raises :class:`BadInput` with every problem of the campaign and its line."""
    if len(text.encode("utf-8", "replace")) > MAX_CAMPAIGN_BYTES:
        raise BadInput(f"the campaign is larger than {MAX_CAMPAIGN_BYTES // 1024} KiB")
    return _of_lock(text) if _is_lock(text) else _of_campaign(text)


def _is_lock(text: str) -> bool:
    if not text.lstrip().startswith("{"):
        return False
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(data, dict) and "arms" in data and "campaign_digest" in data


def _of_lock(text: str) -> Asked:
    lock = Lock.parse(text.encode(), "campaign.lock.json")
    _check_number(len(lock.arms))
    wanted = [
        Wanted(
            experiment=a.experiment,
            experiment_id=experiment_id(a.experiment),
            label=a.label,
            settings=a.settings,
            baseline=a.arm_id == lock.baseline,
            key=canonical_json(meaning_of(a.experiment)),
        )
        for a in lock.arms
    ]
    return Asked(lock.name, wanted, False, [], [], lock, False)


def _of_campaign(text: str) -> Asked:
    check_budget(text, "campaign", MAX_EXPERIMENTS)
    campaign = parse(text, "campaign")
    _check_number(len(campaign.drafts))
    wanted = []
    for i, draft in enumerate(campaign.drafts):
        model = ExperimentModel(
            id=model_name(draft.model),
            revision=draft.model.revision,
            content=PROVISIONAL,
            weights="random" if draft.model.synthetic is not None else "trained",
        )
        experiment = experiment_of(draft, model, PROVISIONAL, PROVISIONAL)
        wanted.append(
            Wanted(
                experiment=experiment,
                experiment_id=experiment_id(experiment),
                label=draft.label,
                settings=draft.settings,
                baseline=i == campaign.baseline,
                key=canonical_json(meaning_of(experiment)),
            )
        )
    notes = ["the ids are provisional: staging resolves commits, versions and request lists"]
    if campaign.candidates is not None:
        notes.append("more experiments will be chosen while the campaign runs")
    doubts = _doubts(campaign)
    lock = None
    try:
        lock = locked(campaign)
    except BadInput as e:
        doubts += _said(e)
    return Asked(campaign.spec.name, wanted, True, notes, doubts, lock, campaign.spec.gpus == [])


def _doubts(campaign: CampaignFile) -> list[Doubt]:
    try:
        check_available(campaign)
    except BadInput as e:
        return _said(e)
    return []


def _said(error: BadInput) -> list[Doubt]:
    return [
        Doubt(where=p.path or "", message=p.message, line=p.line, column=p.column)
        for p in error.problems
    ]


def _check_number(experiments: int) -> None:
    if experiments > MAX_EXPERIMENTS:
        raise BadInput(f"it has {experiments} experiments; {MAX_EXPERIMENTS} are looked up at most")


def meaning_of(experiment: Experiment) -> dict[str, Any]:
    """What a campaign file says of an experiment: all but what staging resolves. A file is left
    out: a plan knows no more than its name."""
    what = meaning(experiment)
    del what["engine_version"], what["requests_sha256"]
    what["model"] = {"id": experiment.model.id, "weights": experiment.model.weights}
    for part in ("dataset", "arrival"):
        for field in ("path", "sha256"):
            what["workload"].get(part, {}).pop(field, None)
    return what


def _known(
    connection: sa.Connection, wanted: Sequence[Wanted]
) -> tuple[dict[bytes, list[int]], list[str]]:
    """Meaning → configurations that may be it."""
    pairs = sorted({(w.experiment.model.id, w.experiment.backend) for w in wanted})
    c = CONFIG.c
    query = (
        sa.select(c.id, c.experiment)
        .where(
            c.best_tier > 0,
            c.semantics_version == METRIC_SEMANTICS_VERSION,
            sa.or_(*(sa.and_(c.model == m, c.backend == b) for m, b in pairs)),
        )
        .order_by(c.best_tier.desc(), c.last_at.desc(), c.id)
        .limit(MOST_CANDIDATES + 1)
    )
    found: dict[bytes, list[int]] = {w.key: [] for w in wanted}
    rows = connection.execute(query).all()
    for row in rows[:MOST_CANDIDATES]:
        try:
            experiment = Experiment.model_validate_json(json.dumps(row.experiment))
        except ValidationError:
            continue
        key = canonical_json(meaning_of(experiment))
        if key in found:
            found[key].append(row.id)
    more = [f"only the newest {MOST_CANDIDATES} configurations of these models were looked at"]
    return found, more if len(rows) > MOST_CANDIDATES else []


def _measured(
    wanted: Wanted, there: Experiment, configuration: Configuration, figure: Figure | None
) -> Measured | None:
    """None where something that the plan does say is not the same."""
    exact = wanted.experiment_id == configuration.experiment_id
    differ = [] if exact else _may_differ(wanted.experiment, there)
    if differ is None or configuration.best_tier is None:
        return None
    return Measured(
        match="exact" if exact else "alike",
        may_differ=differ,
        configuration=configuration.id,
        experiment_id=configuration.experiment_id,
        model_content=configuration.model_content,
        engine_version=configuration.engine_version,
        device_model=configuration.device_model,
        device_count=configuration.device_count,
        meter_class=configuration.meter_class,
        energy_class=configuration.energy_class,
        tier=configuration.best_tier,
        figure=figure,
    )


def _may_differ(asked: Experiment, there: Experiment) -> list[str] | None:
    """In words, what is not known to be the same; None where something is known to differ."""
    found = []
    content, revision = asked.model.content, asked.model.revision
    if content != PROVISIONAL:
        if content != there.model.content:
            return None
    elif revision is not None and _COMMIT.match(revision):
        if there.model.revision != revision:
            return None
    else:
        found.append("the model's content")
    for name, what in (("engine_version", "the engine's version"),
                       ("requests_sha256", "the request list")):  # fmt: skip
        said = getattr(asked, name)
        if said == PROVISIONAL:
            found.append(what)
        elif said != getattr(there, name):
            return None
    for part in ("dataset", "arrival"):
        one, other = (getattr(e.workload, part) for e in (asked, there))
        if isinstance(one, FromFile) and isinstance(other, FromFile):
            if one.sha256 is None:
                found.append(f"the file of workload.{part}")
            elif one.sha256 != other.sha256:
                return None
    return found
