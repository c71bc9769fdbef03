"""The finding that the site shows first: two configurations of *one* campaign, and how many times
the energy of one is the other's.

Both ran in the same blocks with the same prompts under the same load, on the same hardware, with
weights of the same content; both met the objectives of the load, where it has any; and the answers
of one are as good as the other's, as far as that was measured. One of them is the campaign's
baseline. It is never the best of the archive against the worst: what else differs between those
would be in the ratio.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from lem.analysis.text import plain, scaled
from lem.analysis.words import places
from lem.archive.queries.answer import CampaignId, Configuration, Figure
from lem.archive.queries.blocks import Records, experiments_of
from lem.archive.queries.campaigns import lock_of
from lem.archive.queries.compare import Compared, CompareQuestion, Comparison, compare
from lem.archive.queries.figures import configurations_of
from lem.archive.queries.ratios import NLL, QUALITY_MARGIN, Ratio
from lem.archive.queries.runs import campaign_of
from lem.archive.refused import Refused
from lem.archive.schema import CAMPAIGN, RUN
from lem.charts import model as charts
from lem.charts.model import Target
from lem.contract.record import Value
from lem.pages.naming import device, model_name, way, workload
from lem.pages.page import Reader
from lem.web.strings import text
from lem.web.words import said_unit, setting

METRIC = "energy_per_output_token_j"
MOST_CAMPAIGNS = 12
"""So many are looked at, the newest first."""
MOST_ARMS = 20
ATTAINED = 0.95
"""Share of requests that have to meet the objectives, where there are any."""


@dataclass(frozen=True)
class Headline:
    """``times``: energy of ``more`` ÷ energy of ``less``, always above 1, with its interval."""

    campaign: CampaignId
    name: str
    more: Compared
    less: Compared
    baseline: Configuration
    times: float
    low: float
    high: float
    blocks: int
    same_quality: bool
    """Whether it was measured and found within the margin; else both store their numbers alike,
    and nothing was measured."""

    @property
    def estimated(self) -> bool:
        return self.baseline.energy_class == "estimated"


def headline(reader: Reader, campaign: CampaignId | None = None) -> Headline | None:
    """Of this campaign, or of the one of the archive that has most to say: measured energy before
    estimates, then more blocks, then the newer one. None where none qualifies.

    Raises :class:`Refused` (404) for a campaign that is not here.
    """
    if campaign is not None:
        return of_campaign(reader, campaign_of(reader.connection, campaign))
    found = [
        one
        for row in _campaigns(reader.connection)
        if (one := of_campaign(reader, row)) is not None
    ]
    return max(found, key=lambda h: (not h.estimated, h.same_quality, h.blocks), default=None)


def _campaigns(connection: sa.Connection) -> list[sa.Row[Any]]:
    c = CAMPAIGN.c
    query = sa.select(CAMPAIGN).where(c.state == "complete").order_by(c.id.desc())
    return list(connection.execute(query.limit(MOST_CAMPAIGNS)))


def of_campaign(reader: Reader, row: sa.Row[Any]) -> Headline | None:
    """What this row of ``campaign`` has to say."""
    if row.state != "complete":
        return None
    arms = _arms(reader.connection, row.id)
    if arms is None:
        return None
    base, others = arms
    alike = _alike(reader, base, others)
    if not alike:
        return None
    configurations = configurations_of(reader.connection, [base, *alike])
    question = CompareQuestion(
        id=[configurations[key].id for key in (base, *alike)], metric="energy_per_output_token_j"
    )
    try:
        comparison = compare(reader.connection, reader.packs, question)
    except Refused:
        return None
    name = f"{row.owner}-{row.identity_id}"
    return _furthest(comparison, name, row.name)


def arms(reader: Reader, campaign: CampaignId) -> list[str]:
    """Ids of the configurations of a campaign's arms, the baseline first. Empty where that has no
    run that counts, or arms were chosen by what was measured."""
    found = _arms(reader.connection, campaign_of(reader.connection, campaign).id)
    if found is None:
        return []
    keys = [found[0], *found[1]]
    configurations = configurations_of(reader.connection, keys)
    return [configurations[key].id for key in keys]


def _arms(connection: sa.Connection, campaign: int) -> tuple[int, list[int]] | None:
    """Configurations of the baseline and of the other arms that count; None where the baseline has
    none, or arms were chosen by what was measured."""
    lock = lock_of(connection, campaign)
    if lock is None or lock.adaptive is not None:
        return None
    baseline = next((i for i, arm in enumerate(lock.arms) if arm.arm_id == lock.baseline), None)
    query = (
        sa.select(RUN.c.arm, RUN.c.config_id)
        .where(RUN.c.campaign_id == campaign, RUN.c.counted)
        .distinct()
        .order_by(RUN.c.arm, RUN.c.config_id)
    )
    of_arm: dict[int, int] = {}
    for arm, config_id in connection.execute(query):
        of_arm.setdefault(arm, config_id)
    if baseline is None or baseline not in of_arm:
        return None
    base = of_arm.pop(baseline)
    others = list(dict.fromkeys(key for key in of_arm.values() if key != base))
    return (base, others[: MOST_ARMS - 1]) if others else None


def _alike(reader: Reader, base: int, others: list[int]) -> list[int]:
    """Those that were asked the same, of the same model on the same hardware, and kept what the
    load promises."""
    experiments = experiments_of(reader.connection, [base, *others])
    configurations = configurations_of(reader.connection, [base, *others])
    records = Records(reader.connection, reader.packs)
    if not _promises_kept(experiments[base], records, base):
        return []
    return [
        key
        for key in others
        if _asked(experiments[key]) == _asked(experiments[base])
        and _on(configurations[key]) == _on(configurations[base])
        and _promises_kept(experiments[key], records, key)
    ]


def _asked(experiment: Mapping[str, Any]) -> tuple[Any, ...]:
    return experiment["workload"], experiment["generate"], experiment["requests_sha256"]


def _on(one: Configuration) -> tuple[Any, ...]:
    return (
        one.model_content,
        one.device_model,
        one.device_count,
        one.energy_class,
        one.meter_class,
        one.semantics_version,
    )


def _promises_kept(experiment: Mapping[str, Any], records: Records, key: int) -> bool:
    slo = experiment["workload"].get("slo") or {}
    if not any(limit is not None for limit in slo.values()):
        return True
    record = records.of_configuration(key)
    if record is None:
        return False
    kept = record.metrics.get("slo_attainment_share")
    return isinstance(kept, Value) and kept.value is not None and kept.value >= ATTAINED


def _furthest(comparison: Comparison, campaign: CampaignId, name: str) -> Headline | None:
    """The arm that is furthest from the baseline among those that are shown to differ. All
    intervals hold together, so choosing the largest is no cheating."""
    base = next(row for row in comparison.rows if row.ratio is None)
    found = [one for row in comparison.rows if (one := _of(comparison, base, row, campaign, name))]
    return max(found, key=lambda h: (h.same_quality, h.times), default=None)


def _of(
    comparison: Comparison, base: Compared, row: Compared, campaign: CampaignId, name: str
) -> Headline | None:
    ratio = row.ratio
    if ratio is None or not _told_apart(ratio, campaign):
        return None
    quality = _same_quality(base, row)
    if quality is False or (quality is None and not _same_numbers(base, row)):
        return None
    assert ratio.ratio is not None and ratio.low is not None and ratio.high is not None
    less = ratio.ratio < 1
    ends = (ratio.ratio, ratio.low, ratio.high)
    times, low, high = (1 / ends[0], 1 / ends[2], 1 / ends[1]) if less else ends
    return Headline(
        campaign=campaign,
        name=name,
        more=base if less else row,
        less=row if less else base,
        baseline=base.configuration,
        times=times,
        low=low,
        high=high,
        blocks=ratio.blocks or 0,
        same_quality=quality is True,
    )


def _told_apart(ratio: Ratio, campaign: CampaignId) -> bool:
    return (
        ratio.basis == "within campaign"
        and ratio.campaign == campaign
        and ratio.verdict in ("less", "more")
        and None not in (ratio.ratio, ratio.low, ratio.high)
    )


def _same_quality(base: Compared, row: Compared) -> bool | None:
    """By the likelihood of a fixed text; None where one of them has none."""
    values = [_value(one, NLL) for one in (base, row)]
    if values[0] is None or values[1] is None:
        return None
    return abs(values[1] - values[0]) <= QUALITY_MARGIN * values[0]


def _same_numbers(base: Compared, row: Compared) -> bool:
    one, other = base.configuration, row.configuration
    return (one.dtype, one.quantization) == (other.dtype, other.quantization)


def _value(one: Compared, metric: str) -> float | None:
    return next((f.value for f in one.figures if f.metric == metric), None)


def energy(one: Compared) -> Figure:
    """Its energy per output token."""
    return next(f for f in one.figures if f.metric == METRIC)


def names(headline: Headline) -> tuple[str, str]:
    """What the one that takes more is called, and the one that takes less: how each is run, and
    where that says the same of both, the settings in which they differ."""
    more, less = headline.more, headline.less
    ways = way(more.configuration), way(less.configuration)
    if ways[0] != ways[1]:
        return ways
    paths = [
        p for p in more.settings | less.settings if more.settings.get(p) != less.settings.get(p)
    ]
    told = [
        ", ".join(
            f"{plain(p.rsplit('.', 1)[-1])} {setting(one.settings.get(p))}" for p in paths[:2]
        )
        for one in (more, less)
    ]
    return f"{ways[0]}, {told[0]}", f"{ways[1]}, {told[1]}"


def chart(found: Headline, id: str = "headline") -> charts.Headline:
    """Both as bars, and in big type how many times one is the other."""
    figures = [energy(one) for one in (found.more, found.less)]
    factor, unit = scaled(figures[0].unit, [f.value for f in figures])
    more, less = names(found)
    rows = [
        charts.Row(
            label=name,
            value=figure.value * factor,
            interval=None
            if figure.uncertainty is None
            else (
                max(0.0, figure.value - figure.uncertainty) * factor,
                (figure.value + figure.uncertainty) * factor,
            ),
            sublabel=text("headline.baseline") if one.configuration.id == found.baseline.id else "",
            target=Target("configuration", {"id": one.configuration.id[:16]}),
            estimated=found.estimated,
        )
        for name, figure, one in zip((more, less), figures, (found.more, found.less), strict=True)
    ]
    return charts.Headline(
        id=id,
        title=text("headline.title", times=times(found), model=model_name(found.baseline)),
        subtitle=text(
            "headline.subtitle",
            energy_class=text(f"class.{found.baseline.energy_class}"),
            device=device(found.baseline),
            workload=workload(found.baseline),
        ),
        source=text("headline.source", campaign=plain(found.name), blocks=found.blocks),
        notes=() if found.same_quality else (text("headline.quality_unmeasured"),),
        axis=charts.Axis(text(f"metrics.{METRIC}"), said_unit(unit)),
        first=rows[0],
        second=rows[1],
        ratio=found.times,
        ratio_interval=(found.low, found.high),
        ratio_label=text("headline.ratio"),
    )


def times(found: Headline) -> str:
    """``4.8 times``, with the digits that the interval bears."""
    decimals = min(places((found.high - found.low) / 2), 3)
    return f"{found.times:.{decimals}f}"
