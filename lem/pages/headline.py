"""The finding that the site shows first: two configurations of *one* campaign, and how many times
the energy of one is the other's. Which two: :mod:`lem.archive.queries.headline`."""

import math
from dataclasses import dataclass, replace

from lem.analysis.text import plain, scaled
from lem.analysis.words import places
from lem.archive.queries import headline as queries
from lem.archive.queries.answer import CampaignId, Configuration, Figure
from lem.archive.queries.headline import HeadlinePair
from lem.archive.queries.headline_pairs import ENERGY, Side
from lem.charts import model as charts
from lem.charts.model import Target
from lem.pages.doubts import of_campaign
from lem.pages.kept import kept
from lem.pages.naming import device, model_name, way
from lem.pages.one_figure import name_in_class
from lem.pages.page import Reader
from lem.web.strings import text
from lem.web.words import said_unit, setting


@dataclass(frozen=True)
class Headline:
    """``times``: energy of ``more`` ÷ energy of ``less``, at least 1, with its interval."""

    pair: HeadlinePair
    more: Side
    less: Side
    times: float
    low: float
    high: float
    doubts: tuple[str, ...] = ()
    """What makes the two's energies doubtful, in words."""

    @property
    def campaign(self) -> CampaignId:
        return self.pair.campaign.id

    @property
    def name(self) -> str:
        return self.pair.campaign.name

    @property
    def blocks(self) -> int:
        return self.pair.campaign.blocks

    @property
    def baseline(self) -> Configuration:
        return self.pair.base.configuration

    @property
    def estimated(self) -> bool:
        return self.pair.energy_class == "estimated"


def headline(reader: Reader, campaign: CampaignId | None = None) -> Headline | None:
    """Of this campaign, or of the one of the archive that has most to say. None where none
    qualifies. Raises :class:`Refused` (404) for a campaign that is not here."""
    return kept(reader, ("headline", campaign), lambda: _found(reader, campaign))


def _found(reader: Reader, campaign: CampaignId | None) -> Headline | None:
    pair = queries.headline(reader.connection, reader.packs, campaign).pair
    found = None if pair is None else oriented(pair)
    if found is None:
        return None
    both = [one.configuration.id for one in (found.more, found.less)]
    return replace(found, doubts=of_campaign(reader, found.campaign, both))


def oriented(pair: HeadlinePair) -> Headline | None:
    """None without an interval, or where it reaches across 1."""
    ratio = pair.ratio
    if ratio.ratio is None or ratio.low is None or ratio.high is None:
        return None
    if ratio.high < 1:
        ends = 1 / ratio.ratio, 1 / ratio.high, 1 / ratio.low
        return Headline(pair, pair.base, pair.other, *ends)
    if ratio.low > 1:
        return Headline(pair, pair.other, pair.base, ratio.ratio, ratio.low, ratio.high)
    return None


def energy(one: Side) -> Figure:
    """Its energy per output token, of its runs in this campaign."""
    return next(f for f in one.figures if f.metric == ENERGY)


def names(headline: Headline) -> tuple[str, str]:
    """What the one that takes more is called, and the one that takes less: how each is run, and
    where that says the same of both, the settings in which they differ."""
    more, less = headline.more, headline.less
    ways = way(more.configuration), way(less.configuration)
    if ways[0] != ways[1]:
        return ways
    paths = headline.pair.differing[:2]
    told = [
        ", ".join(f"{plain(p.rsplit('.', 1)[-1])} {setting(one.settings.get(p), p)}" for p in paths)
        for one in (more, less)
    ]
    return f"{ways[0]}, {told[0]}", f"{ways[1]}, {told[1]}"


def chart(found: Headline, id: str = "headline") -> charts.Headline:
    """Both as bars, and in big type how many times one is the other."""
    kind = "_estimated" if found.estimated else ""
    figures = [energy(one) for one in (found.more, found.less)]
    factor, unit = scaled(figures[0].unit, [f.value for f in figures])
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
            sublabel="" if one.role == "other" else text(f"headline.{one.role}"),
            target=Target("configuration", {"id": one.configuration.id[:16]}),
            estimated=found.estimated,
        )
        for name, figure, one in zip(names(found), figures, (found.more, found.less), strict=True)
    ]
    return charts.Headline(
        id=id,
        title=text(f"headline.title{kind}", times=times(found), model=model_name(found.baseline)),
        subtitle=text(
            "headline.subtitle",
            energy_class=text(f"class.{found.pair.energy_class}"),
            device=device(found.baseline),
            workload=asked(found),
        ),
        source=text(
            f"headline.source{kind}",
            campaign=plain(found.name),
            submitter=plain(found.pair.campaign.submitter),
            tier=text(f"tier.{found.pair.tier}.name"),
            blocks=found.blocks,
        ),
        notes=(*scope(found), quality(found), *objectives(found)),
        axis=charts.Axis(name_in_class(ENERGY, found.pair.energy_class), said_unit(unit)),
        first=rows[0],
        second=rows[1],
        ratio=found.times,
        ratio_interval=(found.low, found.high),
        ratio_text=text("headline.times", times=times(found)),
        ratio_label=text(f"headline.ratio{kind}"),
    )


def asked(found: Headline) -> str:
    """What was asked of both, in a few words."""
    about = found.pair.workload
    prompts = text(
        "headline.prompts" if about.real_prompts else "headline.random", n=about.requests
    )
    ends = text("headline.natural" if about.natural_stops else "headline.forced")
    if about.arrival == "offline":
        arrival = text("headline.offline")
    elif about.arrival == "concurrency" and about.load is not None:
        arrival = text("headline.concurrency", load=f"{about.load:g}")
    else:
        arrival = text("headline.other_arrival", arrival=plain(about.arrival))
    return f"{prompts}, {arrival}; {ends}"


def scope(found: Headline) -> tuple[str, ...]:
    """Of how little it is, and what is doubtful about it; and where the ratio is known better than
    either of the two figures, why that can be."""
    own = max(found.times / found.low, found.high / found.times) - 1
    bars = [f.uncertainty / f.value for f in map(energy, (found.more, found.less)) if f.uncertainty]
    sharper = len(bars) == 2 and own < min(bars)
    return (
        text("headline.single"),
        *((text("headline.sharper"),) if sharper else ()),
        *((text("headline.doubts", doubts="; ".join(found.doubts)),) if found.doubts else ()),
    )


def quality(found: Headline) -> str:
    """Whether the answers are as good, in words."""
    about = found.pair.quality
    if not about.measured or about.low is None or about.high is None:
        return text("headline.quality_unmeasured")
    margin = f"{100 * about.margin:g}"
    if about.low == about.high == 0:
        return text("headline.quality_exact", margin=margin)
    return text(
        "headline.quality_same",
        margin=margin,
        low=f"{100 * about.low:+.2g}".replace("-", "−"),
        high=f"{100 * about.high:+.2g}".replace("-", "−"),
    )


def objectives(found: Headline) -> tuple[str, ...]:
    """That both kept what was promised, where something was."""
    slo = found.pair.slo
    if slo is None:
        return ()
    shares = [f"{100 * share:.3g}" for share in (slo.base, slo.other)]
    return (text("headline.slo", base=shares[0], other=shares[1], needed=f"{100 * slo.needed:g}"),)


def times(found: Headline) -> str:
    """``4.8``, with the digits that the interval bears, three at most."""
    three = max(0, 2 - math.floor(math.log10(found.times)))
    decimals = min(max(0, places((found.high - found.low) / 2)), three)
    return f"{found.times:.{decimals}f}"
