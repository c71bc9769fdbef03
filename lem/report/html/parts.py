"""The sections of a report that may be missing: charts with what they say in words."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from lem.analysis.comparison import Comparison
from lem.analysis.results import Campaign
from lem.analysis.text import capital, plain
from lem.charts.model import AnyChart
from lem.contract.record import Record
from lem.errors import BadInput
from lem.meters.sampling import trace
from lem.report import comparison_charts, front, load_curve, power_traces, shares, slopes
from lem.web.strings import text

TRACE = "trace.csv.gz"
OPEN_TRACES, MOST_TRACES = 2, 12
"""Arms of which a trace is drawn: each is some ten kilobytes."""
T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """A section that may be missing, with what it says in words, or why it is missing."""

    charts: tuple[AnyChart, ...] = ()
    more: tuple[AnyChart, ...] = ()
    """Folded away: the same of other devices, or of other arms."""
    more_name: str = ""
    more_sentences: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    missing: str = ""

    def __bool__(self) -> bool:
        return bool(self.charts or self.sentences or self.missing)


def shown(lines: Iterable[str]) -> tuple[str, ...]:
    """Sentences with names from elsewhere, as they may stand on a page."""
    return tuple(plain(line, 2000) for line in lines)


def or_none(make: Callable[[], T]) -> tuple[T | None, str]:
    """What it makes, or why it cannot be made of this campaign."""
    try:
        return make(), ""
    except BadInput as e:
        return None, plain(e.message, 1000)


def ratios_part(c: Comparison) -> Part:
    """What the charts show, the page says above them: their titles are what is drawn."""
    known = [q for q in c.quantities if any(q.key in a.ratios for a in c.arms)]
    charts = [
        replace(
            comparison_charts.ratios(c, q),
            title=text("report.ratios.title", noun=capital(q.noun), baseline=c.baseline_name),
        )
        for q in known
    ]
    return _folded(charts, [q.noun for q in known[1:]], c.sentences)


def _folded(
    charts: Sequence[AnyChart],
    nouns: Sequence[str],
    sentences: Iterable[str] = (),
    more_sentences: Iterable[str] = (),
    notes: Iterable[str] = (),
    first: int = 1,
) -> Part:
    """The first charts open, the others, with their sentences, under what they are of."""
    return Part(
        charts=tuple(charts[:first]),
        more=tuple(charts[first:]),
        more_name=text("report.more", nouns=plain(", ".join(nouns))) if nouns else "",
        sentences=shown(sentences),
        more_sentences=shown(more_sentences),
        notes=shown(notes),
    )


def fronts_part(campaign: Campaign, hardware: str | None) -> Part:
    """Energy against throughput, and against latency where runs have one."""
    charts: list[AnyChart] = []
    sentences: list[str] = []
    for x in ("throughput", "latency"):
        found, _ = or_none(partial(campaign.pareto, x, "energy", None, hardware))
        if found is not None:
            charts.append(replace(front.chart(found), id=f"front-{x}"))
            # The first is the chart's title.
            sentences += found.sentences[1:]
    return Part(tuple(charts), sentences=shown(sentences))


def shares_part(campaign: Campaign, hardware: str | None) -> Part:
    swept = {p for a in campaign.arms() for p in a.settings}
    found, why = or_none(lambda: campaign.attribute(None, None, hardware))
    if found is None:
        # Of one parameter there is nothing to share out.
        return Part(missing=why) if len(swept) > 1 else Part()
    if len(found.factors) < 2:
        return Part()
    metrics = list(dict.fromkeys(one.quantity.metric for one in found.found))
    gathered = campaign.gathered(metrics, None, hardware)
    charts: list[AnyChart] = []
    told = [one for one in found.found if one.shares]
    for one in told:
        charts.append(shares.chart(found, one))
        if one is told[0]:
            charts += slopes.charts(gathered, found, one)
    first = len(charts) - len(told) + 1
    nouns = [one.quantity.noun for one in told[1:]]
    said, notes = found.sentences, shares.footnotes(found)
    here = said[:1] if nouns else said
    return _folded(charts, nouns, here, said[len(here) :], notes, max(1, first))


def load_part(campaign: Campaign, hardware: str | None) -> Part:
    found, _ = or_none(lambda: campaign.curves(None, None, hardware))
    if not found:
        return Part()
    charts = []
    for curve in found:
        title = text("report.load.title", load=curve.noun)
        charts.append(replace(load_curve.chart(curve), title=title))
    nouns = [curve.quantity.noun for curve in found[1:]]
    others = [s for curve in found[1:] for s in curve.sentences]
    return _folded(charts, nouns, found[0].sentences, others)


def traces_part(
    campaign: Campaign,
    found: dict[str, tuple[str, Record]],
    names: dict[str, str],
    telling: Sequence[str],
    progress: Callable[[str], None],
) -> Part:
    charts: list[AnyChart] = []
    notes: list[str] = []
    # The two arms that the page begins with come first.
    first = [a for a in (*telling, *found) if a in found]
    for arm_id in list(dict.fromkeys(first))[:MOST_TRACES]:
        path, record = found[arm_id]
        progress(f"reading the trace of {names[arm_id]}")
        samples, why = or_none(partial(trace.read, campaign.folder / path / TRACE))
        chart = power_traces.chart(record, samples or [], names[arm_id])
        if chart is None:
            reason = why or text("report.traces.no_power")
            notes.append(text("report.traces.none", arm=plain(names[arm_id]), reason=reason))
        else:
            charts.append(replace(chart, id=f"trace-{len(charts)}"))
    if (more := len(found) - MOST_TRACES) > 0:
        notes.append(text("report.traces.more", n=more))
    others = [text("report.traces.others")] if len(charts) > OPEN_TRACES else []
    return _folded(charts, others, notes=notes, first=OPEN_TRACES)
