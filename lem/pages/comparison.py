"""Configurations beside each other, as charts, tables and words: of the page that compares, and of
a campaign's page."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from lem.analysis.naming import flat, words
from lem.analysis.text import plain, rough
from lem.analysis.words import with_ends
from lem.archive.queries.answer import Configuration
from lem.archive.queries.compare import MEASURED_ON, Compared, Comparison
from lem.archive.queries.figures import experiments_by_hash
from lem.archive.queries.ratios import Elsewhere, Ratio
from lem.charts.model import Axis, Intervals, Row, Target
from lem.charts.table import Cell, Column, Table
from lem.contract.base import Scalar
from lem.pages.naming import device, model_name, way
from lem.pages.one_figure import by_class, is_energy, name_in_class
from lem.pages.settings import name_of
from lem.web.strings import text

_CONSEQUENCES = frozenset(
    ("model.content", "model.revision", "model.weights", "engine_version", "requests_sha256")
)
"""Settings that follow from others or from time, and name nothing."""
MOST_TOLD = 3
"""Settings in a name."""
_TOLD = ("less", "more", "same")


class SettingRow(NamedTuple):
    path: str
    name: str
    values: list[Scalar]
    """In the order of the configurations; None: not set."""


class Settings(NamedTuple):
    differing: list[SettingRow]
    equal: list[SettingRow]
    """With one value."""


def labels(configurations: Sequence[Configuration], settings: Settings) -> list[str]:
    """A name for each, from what they differ in; numbered where that tells two of them apart no
    better."""
    telling = [s for s in settings.differing if s.path not in _CONSEQUENCES][:MOST_TOLD]
    names = []
    for i, one in enumerate(configurations):
        parts = [_said(s.path, s.values[i], one) for s in telling] or [way(one)]
        names.append(", ".join(parts))
    return [f"{name} [{i}]" if names.count(name) > 1 else name for i, name in enumerate(names, 1)]


def _said(path: str, value: Scalar, one: Configuration) -> str:
    if path == "model.id":
        return model_name(one)
    if path in ("device_model", "device_count"):
        return device(one)
    if path == "meter_class":
        return text("compare.meter", meter=plain(str(value)))
    return plain(words(path, value))


def settings_of(connection: sa.Connection, comparison: Comparison) -> Settings:
    """All of them; those that differ as the comparison says."""
    configurations = [row.configuration for row in comparison.rows]
    experiments = experiments_by_hash(connection, [one.id for one in configurations])
    paths: list[Mapping[str, Scalar]] = [
        {**flat(experiments[one.id]), **{name: getattr(one, name) for name in MEASURED_ON}}
        for one in configurations
    ]
    every = dict.fromkeys(path for one in paths for path in one)
    differing = dict.fromkeys(comparison.differing)
    return Settings(
        [SettingRow(p, _name(p), [one.get(p) for one in paths]) for p in differing],
        [SettingRow(p, _name(p), [paths[0].get(p)]) for p in every if p not in differing],
    )


def _name(path: str) -> str:
    return text(f"dimensions.{path}") if path in MEASURED_ON else name_of(path)


def ratio_chart(comparison: Comparison, names: Sequence[str]) -> Intervals:
    """Every ratio to the baseline, on a logarithmic axis."""
    others = [(r, n) for r, n in zip(comparison.rows, names, strict=True) if r.ratio is not None]
    base = next(
        n
        for r, n in zip(comparison.rows, names, strict=True)
        if r.configuration.id == comparison.baseline
    )
    margin = comparison.margin
    metric = name_in_class(comparison.metric, comparison.energy_class)
    return Intervals(
        id="ratios",
        title=finding(comparison, names),
        subtitle=text(
            "compare.ratios.subtitle",
            metric=metric,
            baseline=base,
            percent=f"{100 * margin:g}",
        )
        + _and(by_class(comparison.metric, comparison.energy_class)),
        source=f"{' '.join(_intervals(others))} {comparison.citation}",
        notes=tuple(plain(note) for note in comparison.notes),
        axis=Axis(text("compare.ratios.axis", metric=metric), "", log=True),
        reference=1.0,
        reference_label=base,
        band=(1 - margin, 1 + margin),
        rows=tuple(_row(comparison, row, name) for row, name in others),
    )  # fmt: skip


def _and(sentence: str) -> str:
    return f" {sentence}" if sentence else ""


def _intervals(others: Iterable[tuple[Compared, str]]) -> Iterator[str]:
    """What the chart's intervals are: of blocks they have a joint level; of figures from different
    campaigns they are as wide as expanded uncertainties make them, which is no level."""
    having = [r.ratio for r, _ in others if r.ratio is not None and r.ratio.low is not None]
    if within := [r for r in having if r.basis == "within campaign"]:
        n = within[0].comparisons
        key = "compare.ratios.source" if n > 1 else "compare.ratios.source_of_one"
        yield text(key, level=f"{100 * within[0].level:g}", n=n)
    if across := [r for r in having if r.basis == "across campaigns"]:
        n = across[0].comparisons
        yield text("compare.ratios.expanded" if n > 1 else "compare.ratios.expanded_one", n=n)


def what_interval(ratio: Ratio) -> str:
    """What the interval of one ratio is, in words."""
    n = ratio.comparisons
    if ratio.basis == "across campaigns":
        key = "compare.verdicts.expanded" if n > 1 else "compare.verdicts.expanded_one"
        return text(key, n=n)
    key = "compare.verdicts.joint" if n > 1 else "compare.verdicts.alone"
    return text(key, level=f"{100 * ratio.level:g}", n=n)


def _row(comparison: Comparison, row: Compared, name: str) -> Row:
    assert row.ratio is not None
    return Row(
        label=name,
        sublabel=text(f"compare.basis.{row.ratio.basis.replace(' ', '_')}"),
        value=row.ratio.ratio,
        interval=ends(row.ratio),
        text=said(row.ratio),
        target=Target("configuration", {"id": row.configuration.id[:16]}),
        estimated=comparison.energy_class == "estimated" and is_energy(comparison.metric),
    )


def rule(comparison: Comparison) -> str:
    """When two are called different, when the same, and about how large a difference has to be,
    given the intervals that there are and as far as it is larger than the margin."""
    said = text("compare.rule", percent=f"{100 * comparison.margin:g}")
    widths = [
        width
        for row in comparison.rows
        if (r := row.ratio) and r.ratio and r.low and r.high
        if (width := max(r.high / r.ratio, r.ratio / r.low)) > 1 + comparison.margin
    ]
    if not widths:
        return said
    least, most = _least_told(min(widths)), _least_told(max(widths))
    key = "compare.smallest" if least == most else "compare.smallest_of"
    return f"{said} {text(key, least=least, most=most)}"


def _least_told(width: float) -> str:
    """``9 % less or 10 % more``: what an interval that is so wide, as a factor to either side, is
    on one side of 1 from."""
    if width >= 10:
        return text("compare.at_least_times", times=rough(width))
    less, more = (f"{float(f'{100 * share:.2g}'):g}" for share in (1 - 1 / width, width - 1))
    return text("compare.at_least", less=less, more=more)


def ends(ratio: Ratio) -> tuple[float, float] | None:
    if ratio.low is None or ratio.high is None:
        return None
    return ratio.low, ratio.high


def said(ratio: Ratio) -> str:
    """``0.588 (0.562–0.615)``."""
    return text("compare.no_ratio") if ratio.ratio is None else said_interval(ratio)


def said_interval(ratio: Ratio | Elsewhere) -> str:
    """Of one that has a ratio."""
    assert ratio.ratio is not None
    if ratio.low is None or ratio.high is None:
        return text("compare.no_interval", ratio=f"{ratio.ratio:.2g}")
    value, low, high = with_ends(ratio.ratio, ratio.low, ratio.high)
    return f"{value} ({low}–{high})"


def finding(comparison: Comparison, names: Sequence[str]) -> str:
    """The first that can be told apart, in words, as the title of the chart; else the first."""
    rows = [(r, n) for r, n in zip(comparison.rows, names, strict=True) if r.ratio is not None]
    row, name = next(((r, n) for r, n in rows if r.ratio and r.ratio.verdict in _TOLD), rows[0])
    assert row.ratio is not None
    more = text("compare.and_more", n=len(rows) - 1) if len(rows) > 1 else ""
    return f"{name}: {plain(row.ratio.words)}{more}"


def table(comparison: Comparison, names: Sequence[str]) -> Table:
    """One line for each configuration."""
    unit = comparison.unit
    columns = (
        ("configuration", ""), ("name", ""), ("model", ""), ("backend", ""), ("device", ""),
        ("metric", ""), ("value", unit), ("U (k = 2)", unit), ("runs", ""), ("tier", ""),
        ("energy class", ""), ("ratio", ""), ("low", ""), ("high", ""), ("joint level", ""),
        ("comparisons", ""), ("basis", ""), ("blocks", ""), ("verdict", ""), ("in words", ""),
    )  # fmt: skip
    rows = []
    for row, name in zip(comparison.rows, names, strict=True):
        c, ratio = row.configuration, row.ratio
        own = next((f for f in row.figures if f.metric == comparison.metric), None)
        figure: tuple[Cell, ...] = (
            (None,) * 4 if own is None else (own.value, own.uncertainty, own.runs, own.tier)
        )
        compared: tuple[Cell, ...] = (1.0, None, None, None, None, "baseline", None, None, None)
        if ratio is not None:
            compared = (
                ratio.ratio, ratio.low, ratio.high,
                ratio.level if ratio.basis == "within campaign" else None,
                ratio.comparisons, ratio.basis,
                ratio.blocks, ratio.verdict, ratio.words,
            )  # fmt: skip
        about = (c.id, name, c.model, c.backend, device(c), comparison.metric)
        rows.append((*about, *figure, comparison.energy_class, *compared))
    return Table(tuple(Column(n, u) for n, u in columns), tuple(rows))
