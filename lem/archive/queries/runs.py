"""Rows of ``run`` with all that belongs to them, and the filters that lead to them."""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from lem.archive.queries.answer import (
    TIER_NUMBERS,
    CampaignId,
    ConfigurationId,
    tier_name,
    unit_of,
)
from lem.archive.queries.campaigns import campaign_of
from lem.archive.queries.figures import configurations_of, id_of
from lem.archive.queries.filters import Filtered
from lem.archive.queries.selection import Condition, filters, seconds
from lem.archive.schema import (
    CAMPAIGN,
    CONFIG,
    HEADLINE,
    IDENTITY,
    RUN,
    SUBMISSION,
    WITH_UNCERTAINTY,
)
from lem.contract.metrics import METRIC_SEMANTICS_VERSION

OF_CONFIG = (
    "energy_class",
    "model",
    "backend",
    "engine_version",
    "device_model",
    "device_count",
    "meter_class",
)
"""Columns of a configuration that stand in a run's row, too."""
FIGURES = (*HEADLINE, *(f"{name}_u" for name in WITH_UNCERTAINTY))

_COLUMNS = (
    RUN.c.id,
    RUN.c.config_id,
    RUN.c.number,
    RUN.c.block,
    RUN.c.attempt,
    RUN.c.started_at,
    RUN.c.tier,
    RUN.c.counted,
    RUN.c.flags,
    *(RUN.c[name] for name in FIGURES),
    SUBMISSION.c.content_sha256,
    CONFIG.c.hash,
    CONFIG.c.experiment_id,
    CONFIG.c.semantics_version,
    *(CONFIG.c[name] for name in OF_CONFIG),
)
_MEASURED = RUN.join(CONFIG, CONFIG.c.id == RUN.c.config_id).join(
    SUBMISSION, SUBMISSION.c.id == RUN.c.submission_id
)


def runs_query() -> sa.Select[Any]:
    """Runs with all figures, their configuration, campaign (``owner``, ``identity_id``), submission
    and submitter."""
    of_campaign = (CAMPAIGN.c.owner, CAMPAIGN.c.identity_id)
    submitter = IDENTITY.c.name.label("submitter")
    return sa.select(*_COLUMNS, *of_campaign, submitter).select_from(
        _MEASURED.join(CAMPAIGN, CAMPAIGN.c.id == RUN.c.campaign_id).join(
            IDENTITY, IDENTITY.c.id == RUN.c.identity_id
        )
    )


def measured_query(figures: Collection[str] = ()) -> sa.Select[Any]:
    """Runs with their configuration, what leads to their records, and these of their figures. To
    plan a statement takes a database longer with each table, and to read it with each column."""
    columns = [c for c in _COLUMNS if c.name not in FIGURES or c.name in figures]
    return sa.select(*columns).select_from(_MEASURED)


def run_conditions(
    connection: sa.Connection,
    question: Filtered,
    configuration: ConfigurationId | None,
    campaign: CampaignId | None,
    counted: bool | None,
) -> tuple[list[Condition], int]:
    """Which runs a question is about, and the version of the metrics' definitions that they follow.
    Raises :class:`Refused` (404) for a configuration or a campaign that is not here."""
    found = filters(connection, question)
    own = None if configuration is None else id_of(connection, configuration)
    sent = None if campaign is None else int(campaign_of(connection, campaign).id)
    semantics = _semantics(connection, question, own, sent)
    found.append(CONFIG.c.semantics_version == semantics)
    if question.energy_class is not None:
        found.append(CONFIG.c.energy_class == question.energy_class)
    if question.tier is not None:
        found.append(RUN.c.tier >= TIER_NUMBERS[question.tier])
    if question.since is not None:
        found.append(RUN.c.started_at >= seconds(question.since))
    if question.until is not None:
        found.append(RUN.c.started_at <= seconds(question.until))
    if own is not None:
        found.append(RUN.c.config_id == own)
    if sent is not None:
        found.append(RUN.c.campaign_id == sent)
    if counted is not None:
        found.append(RUN.c.counted.is_(counted))
    return found, semantics


def _semantics(
    connection: sa.Connection, question: Filtered, config_id: int | None, campaign_id: int | None
) -> int:
    """Never several: the one asked for, else the configuration's own, else the newest in the
    campaign, else the newest."""
    if question.semantics is not None:
        return question.semantics
    found: Any = None
    if config_id is not None:
        found = configurations_of(connection, [config_id])[config_id].semantics_version
    elif campaign_id is not None:
        runs = RUN.join(CONFIG, CONFIG.c.id == RUN.c.config_id)
        newest = sa.select(sa.func.max(CONFIG.c.semantics_version)).select_from(runs)
        found = connection.scalar(newest.where(RUN.c.campaign_id == campaign_id))
    return METRIC_SEMANTICS_VERSION if found is None else int(found)


def time_of(seconds_: float) -> str:
    """ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds_, UTC).isoformat(timespec="milliseconds")


FLAT = (
    "run",
    "configuration",
    "experiment_id",
    "campaign",
    "submitter",
    "block",
    "attempt",
    "started_at",
    "tier",
    "counted",
    "flags",
    *OF_CONFIG,
    "semantics_version",
    *HEADLINE,
    *(f"{name}_uncertainty" for name in WITH_UNCERTAINTY),
)
"""Columns of a run as one flat row."""


def flat(row: sa.Row[Any]) -> dict[str, object]:
    """A run as one flat row of plain values, as exports have it: ``FLAT``."""
    r = row._mapping
    said = {
        "run": f"{r['content_sha256']}-{r['number']}",
        "configuration": r["hash"],
        "campaign": f"{r['owner']}-{r['identity_id']}",
        "started_at": time_of(r["started_at"]),
        "tier": tier_name(r["tier"]),
        "flags": r["flags"].replace(",", " "),
        **{f"{name}_uncertainty": r[f"{name}_u"] for name in WITH_UNCERTAINTY},
    }
    return {name: said[name] if name in said else r[name] for name in FLAT}


def boards_of(text: str) -> list[str]:
    """Of ``board_set.boards``: the salted hashes."""
    return [b for b in text.partition(":")[2].split(",") if b]


def figures_of_run(
    row: sa.Row[Any],
) -> Iterator[tuple[str, float, float | None, str]]:
    """(metric, value, uncertainty, unit) of each figure that the run has."""
    r = row._mapping
    for name in HEADLINE:
        if r[name] is not None:
            yield name, r[name], r.get(f"{name}_u"), unit_of(name)
