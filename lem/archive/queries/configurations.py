"""All that is known of one configuration."""

import math
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from lem.archive.figures import Runs, on_boards, summarise
from lem.archive.queries.answer import (
    Answer,
    CampaignId,
    Configuration,
    ConfigurationId,
    Figure,
    Shape,
    Tier,
    head,
    tier_name,
)
from lem.archive.queries.figures import configurations_of, experiments_of, figure, id_of
from lem.archive.queries.ratio_replications import RatioReplication, ratio_replications
from lem.archive.queries.runs import FIGURES, boards_of, time_of
from lem.archive.schema import (
    BOARD_SET,
    CAMPAIGN,
    CONFIG_SUMMARY,
    HEADLINE,
    IDENTITY,
    REPLICATION,
    RUN,
    SELF_REPORTED,
)
from lem.archive.summaries import rows_of


class Submitter(Shape):
    """One submitter's figures, beside the others'."""

    submitter: str
    enrolled_by: str
    campaigns: list[CampaignId]
    boards: list[str]
    """Salted hashes that tell boards apart and nothing else."""
    runs: int
    best_tier: Tier
    first_at: str
    last_at: str
    figures: list[Figure]
    """Of its counted runs alone."""


class Replication(Shape):
    """Two submitters beside each other, by two one-sided tests of equivalence."""

    submitter_a: str
    submitter_b: str
    ratio: float
    """a ÷ b, of energy per output token."""
    low: float | None
    high: float | None
    verdict: str
    """``agrees``, ``disagrees``, ``cannot_tell``, ``same_boards``."""


class Day(Shape):
    """Energy per output token of the runs of one day (UTC)."""

    date: str
    runs: int
    mean: float
    least: float
    most: float


class ConfigurationAnswer(Answer):
    configuration: Configuration
    experiment: dict[str, Any]
    figures: list[Figure]
    """Every metric at every tier that has runs, the best tier first."""
    submitters: list[Submitter]
    replications: list[Replication]
    """Also those that disagree."""
    ratio_replications: list[RatioReplication]
    """The same for its ratio to a baseline that campaigns share, which is held to less."""
    history: list[Day]
    """Of counted runs; the newest 366 days that have any, oldest first."""


DAYS = 366


def configuration(
    connection: sa.Connection,
    configuration: ConfigurationId,
    of_submitters: Collection[str] = HEADLINE,
) -> ConfigurationAnswer:
    """``of_submitters``: the metrics that each submitter has figures of. Raises :class:`Refused`
    (404)."""
    key = id_of(connection, configuration)
    about = configurations_of(connection, [key])[key]
    s = CONFIG_SUMMARY.c
    query = sa.select(CONFIG_SUMMARY).where(s.config_id == key)
    summaries = connection.execute(query.order_by(s.tier.desc(), s.metric)).all()
    figures = [figure(row._mapping, about.energy_class) for row in summaries]
    of_all = [f for f, row in zip(figures, summaries, strict=True) if row.tier == SELF_REPORTED]
    runs = _runs(connection, key)
    return ConfigurationAnswer(
        **head(connection, about.semantics_version).fields(),
        configuration=about,
        experiment=experiments_of(connection, [key])[key],
        figures=figures,
        submitters=_submitters(runs, of_all, about.energy_class, of_submitters),
        replications=_replications(connection, key),
        ratio_replications=ratio_replications(connection, key, about.energy_class),
        history=_history(runs),
    )


def _runs(connection: sa.Connection, config_id: int) -> list[sa.RowMapping]:
    """Its counted runs."""
    r = RUN.c
    columns = [r[n] for n in (*_PLACE, "started_at", "tier", *FIGURES)]
    query = (
        sa.select(
            *columns,
            IDENTITY.c.name,
            IDENTITY.c.enrolled_by,
            CAMPAIGN.c.owner,
            CAMPAIGN.c.identity_id.label("begun_by"),
            BOARD_SET.c.boards,
        )
        .join(IDENTITY, IDENTITY.c.id == r.identity_id)
        .join(CAMPAIGN, CAMPAIGN.c.id == r.campaign_id)
        .join(BOARD_SET, BOARD_SET.c.id == r.board_set_id)
        .where(r.config_id == config_id, r.counted)
        .order_by(r.started_at, r.id)
    )
    return list(connection.execute(query).mappings())


_PLACE = ("identity_id", "campaign_id", "block", "arm", "attempt")


def _submitters(
    runs: Sequence[sa.RowMapping],
    of_all: list[Figure],
    energy_class: str,
    metrics: Collection[str],
) -> list[Submitter]:
    """``of_all``: figures of all counted runs, which are those of a submitter who is alone."""
    own: dict[int, list[sa.RowMapping]] = defaultdict(list)
    for run in runs:
        own[run["identity_id"]].append(run)
    alone = len(own) == 1
    if alone:
        asked = [f for f in of_all if f.metric in metrics]
        figures = dict.fromkeys(own, asked)
    else:
        figures = _figures(runs, energy_class, metrics)
    found = []
    for identity, those in own.items():
        best = tier_name(max(r["tier"] for r in those))
        assert best is not None
        found.append(
            Submitter(
                submitter=those[0]["name"],
                enrolled_by=those[0]["enrolled_by"],
                campaigns=sorted({f"{r['owner']}-{r['begun_by']}" for r in those}),
                boards=sorted({b for r in those for b in boards_of(r["boards"])}),
                runs=len(those),
                best_tier=best,
                first_at=time_of(those[0]["started_at"]),
                last_at=time_of(those[-1]["started_at"]),
                figures=figures[identity],
            )
        )
    return found


def _figures(
    runs: Sequence[sa.RowMapping], energy_class: str, metrics: Collection[str]
) -> dict[int, list[Figure]]:
    """Submitter → figures of its runs: each taken as if it were a configuration of its own, so
    that mean and uncertainty are made as those of configurations are."""
    whole = np.array([[r[n] for n in _PLACE] for r in runs], dtype=np.int64)
    whole = whole.reshape(-1, len(_PLACE))
    table = np.array([[r[n] for n in FIGURES] for r in runs], dtype=float)
    table = table.reshape(-1, len(FIGURES))
    table[:, : len(HEADLINE)][:, [name not in metrics for name in HEADLINE]] = np.nan
    sets = {boards: i for i, boards in enumerate(dict.fromkeys(r["boards"] for r in runs))}
    of_run = np.array([sets[r["boards"]] for r in runs], dtype=np.int64)
    names = {i: boards for boards, i in sets.items()}
    found = summarise(
        Runs(
            config=whole[:, 0],
            identity=whole[:, 0],
            place=whole[:, 1:],
            started=np.array([r["started_at"] for r in runs], dtype=float),
            tier=np.full(len(runs), SELF_REPORTED),
            boards=on_boards(whole[:, 0], whole[:, 0], of_run, lambda _: names),
            values=table[:, : len(HEADLINE)],
            expanded=table[:, len(HEADLINE) :],
        ),
        (SELF_REPORTED,),
    )
    figures: dict[int, list[Figure]] = defaultdict(list)
    for row in rows_of(found):
        values = dict(zip(CONFIG_SUMMARY.c.keys(), row, strict=True))
        figures[values["config_id"]].append(figure(values, energy_class))
    return figures


def _replications(connection: sa.Connection, config_id: int) -> list[Replication]:
    a, b = IDENTITY.alias("a"), IDENTITY.alias("b")
    p = REPLICATION.c
    query = (
        sa.select(p.ratio, p.low, p.high, p.verdict, a.c.name, b.c.name.label("other"))
        .join(a, a.c.id == p.identity_a)
        .join(b, b.c.id == p.identity_b)
        .where(p.config_id == config_id)
        .order_by(p.identity_a, p.identity_b)
    )
    return [
        Replication(
            submitter_a=row.name,
            submitter_b=row.other,
            ratio=row.ratio,
            low=row.low,
            high=row.high,
            verdict=row.verdict,
        )
        for row in connection.execute(query)
    ]


def _history(runs: Sequence[sa.RowMapping]) -> list[Day]:
    days: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        if run[HEADLINE[0]] is not None:
            days[time_of(run["started_at"])[:10]].append(run[HEADLINE[0]])
    return [
        Day(
            date=date,
            runs=len(values),
            mean=math.fsum(values) / len(values),
            least=min(values),
            most=max(values),
        )
        for date, values in sorted(days.items())[-DAYS:]
    ]
