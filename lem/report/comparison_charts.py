"""A comparison as charts: every arm's ratio to the baseline, its figure, and the figure against the
speed. They say what the tables say: values, intervals and verdicts are those of the comparison."""

from collections.abc import Sequence

from lem.analysis.comparison import ArmResult, Comparison
from lem.analysis.quantities import Quantity, quantity_of
from lem.analysis.text import (
    capital,
    figure,
    provisional,
    ratio,
    rough,
    scaled,
    whiskers,
)
from lem.analysis.words import sentence
from lem.charts.model import Axis, Interval, Intervals, Mark, Row, Scatter, Series
from lem.charts.theme import colours_of
from lem.report.footnotes import about_signs
from lem.report.quality_notes import about_signs_of_quality
from lem.report.table import ESTIMATED_J, quality_mark
from lem.stats import Absolute

THROUGHPUT = "output_throughput_tokens_per_s"
BASELINE_TEXT = "baseline"
WHISKERS = (
    "whiskers: expanded uncertainty U (k = 2), or twice the standard error where none is stated"
)
MODELLED = " (no energy meter here: energy is only estimated, from CPU time)"


def ratios(c: Comparison, quantity: Quantity) -> Intervals:
    """Each arm beside the baseline, on a logarithmic axis, with the joint intervals."""
    key = quantity.key
    arms = [a for a in c.arms if not a.baseline]
    colours = _colours(c)
    way = "less" if quantity.better == "lower" else "less, which is worse"
    what = f"{capital(quantity.noun)} as a ratio to {c.baseline_name}; below 1 is {way}"
    signs = (*about_signs(c, [key]), *about_signs_of_quality(c))
    return Intervals(
        id=f"ratios-{_slug(key)}",
        title=_finding(c, quantity),
        subtitle=what + _estimated(c) + provisional(_unfinished(c)),
        source=f"{_source(c)}; {100 * c.level:.3g} % intervals of ratios within blocks, jointly",
        notes=signs,
        axis=Axis("ratio to the baseline", "", log=True),
        rows=tuple(_ratio_row(c, a, quantity, colours[a.arm.arm_id]) for a in arms),
        reference=1.0,
        reference_label=c.baseline_name,
        band=(1 - c.margin, 1 + c.margin),
    )


def _ratio_row(c: Comparison, arm: ArmResult, quantity: Quantity, colour: int) -> Row:
    found = arm.ratios.get(quantity.key)
    short = ", ".join(f"{s.kind.replace('_', ' ')} in {s.blocks}" for s in arm.shortfalls)
    if found is None:
        text = "failed" if arm.blocks == 0 and arm.shortfalls else ""
        return Row(arm.name, None, text=text, sublabel=short, colour=colour)
    interval = None if found.low is None or found.high is None else (found.low, found.high)
    text = ratio(found, arm.verdicts[quantity.key]) + quality_mark(c, arm)
    return Row(arm.name, found.ratio, interval, text=text, sublabel=short, colour=colour)


def _finding(c: Comparison, quantity: Quantity) -> str:
    """What is known of the arm that differs most; where nothing is, what is compared."""
    key = quantity.key
    known = [a for a in c.arms if key in a.ratios and a.ratios[key].low is not None]
    for says in (("less", "more"), ("same",), ("cannot_tell",)):
        found = [a for a in known if a.verdicts[key].says in says]
        better = [a for a in found if _better(a, quantity) and not c.spoilt(a)] or found
        if better:
            ends = sorted(better, key=lambda a: a.ratios[key].ratio)
            chosen = ends[0] if quantity.better == "lower" else ends[-1]
            return _without_interval(sentence(c, chosen, quantity))
    return f"{capital(quantity.noun)} beside {c.baseline_name}"


def _better(arm: ArmResult, quantity: Quantity) -> bool:
    lower = arm.ratios[quantity.key].ratio < 1
    return lower == (quantity.better == "lower")


def _without_interval(said: str) -> str:
    """A sentence without the brackets that it may end with: the chart shows what is in them."""
    said = said.removesuffix(".")
    if said.endswith(" blocks)") and " (" in said:
        said = said.rpartition(" (")[0]
    return capital(said)


def energy(c: Comparison, quantity: Quantity) -> Intervals | None:
    """Each arm's own figure with its uncertainty; where energy is only estimated, the estimate.
    None where no arm has it."""
    key = ESTIMATED_J if quantity.estimated else quantity.key
    found = {a.arm.arm_id: a.figures[key] for a in c.arms if key in a.figures}
    if not found:
        return None
    shown = quantity_of(*_parts(key)) if quantity.estimated else quantity
    factor, unit = scaled(shown.unit, [f.mean for f in found.values()])
    colours = _colours(c)
    ends = [f.mean for f in found.values()]
    log = min(ends) > 0 and max(ends) / min(ends) > 8
    modelled = "; modelled from CPU time, not measured" if quantity.estimated else ""
    return Intervals(
        id=f"energy-{_slug(shown.key)}",
        title=f"{capital(shown.noun)} of {len(found)} arms",
        subtitle=f"Mean over blocks in {unit}{modelled}{provisional(_unfinished(c))}",
        source=f"{_source(c)}; {WHISKERS}",
        axis=Axis(shown.noun, unit, log=log, positive=quantity.least == 0),
        rows=tuple(
            _row(a, found.get(a.arm.arm_id), factor, unit, quantity, colours) for a in c.arms
        ),
    )


def _row(
    arm: ArmResult,
    found: Absolute | None,
    factor: float,
    unit: str,
    quantity: Quantity,
    colours: dict[str, int],
) -> Row:
    sublabel = BASELINE_TEXT if arm.baseline else ""
    colour = colours[arm.arm.arm_id]
    if found is None:
        return Row(arm.name, None, sublabel=sublabel, colour=colour)
    estimated = quantity.estimated
    interval = (
        _modelled(found, factor) if estimated else whiskers(found, factor, least=quantity.least)
    )
    text = f"{figure(found, factor, least=quantity.least)} {unit}"
    if estimated:
        text = f"≈ {rough(found.mean * factor)} {unit}"
        if interval is not None and found.expanded:
            text += f" ± {100 * found.expanded / found.mean:.0f} %"
    return Row(arm.name, found.mean * factor, interval, text=text, sublabel=sublabel,
               estimated=estimated, colour=colour)  # fmt: skip


def _modelled(found: Absolute, factor: float) -> Interval:
    """Of an estimate the model's own uncertainty is what counts, also of a single block."""
    if not found.expanded:
        return None
    low = min(max(0.0, found.mean - found.expanded), found.mean)
    return low * factor, (found.mean + found.expanded) * factor


def scatter(c: Comparison, quantity: Quantity) -> Scatter | None:
    """Each arm's figure against its output tokens a second; None where no arm has both."""
    arms = [a for a in c.arms if quantity.key in a.figures and THROUGHPUT in a.figures]
    if not arms:
        return None
    factor, unit = scaled(quantity.unit, [a.figures[quantity.key].mean for a in arms])
    speed = quantity_of(THROUGHPUT, "")
    colours = _colours(c)
    backends = list(dict.fromkeys(str(a.arm.paths.get("backend")) for a in arms))

    def mark(arm: ArmResult) -> Mark:
        x, y = arm.figures[THROUGHPUT], arm.figures[quantity.key]
        words = f"{figure(x, least=speed.least)} {speed.unit}"
        words += f", {figure(y, factor, least=quantity.least)} {unit}"
        return Mark(
            arm.name,
            x.mean,
            y.mean * factor,
            whiskers(x, least=speed.least),
            whiskers(y, factor, least=quantity.least),
            title=f"{arm.name}: {words}",
            emphasis=arm.baseline,
        )

    series = tuple(
        Series(
            backend if len(backends) > 1 else "",
            tuple(mark(a) for a in own),
            colour=colours[own[0].arm.arm_id],
        )
        for backend in backends
        if (own := [a for a in arms if str(a.arm.paths.get("backend")) == backend])
    )
    return Scatter(
        id=f"scatter-{_slug(quantity.key)}",
        title=f"{capital(quantity.noun)} against {speed.noun}",
        subtitle=f"One mark an arm; bold: the baseline{_estimated(c)}{provisional(_unfinished(c))}",
        source=f"{_source(c)}; {WHISKERS}",
        x=Axis(
            speed.noun,
            speed.unit,
            log=_wide([a.figures[THROUGHPUT].mean for a in arms]),
            positive=True,
        ),
        y=Axis(
            quantity.noun,
            unit,
            log=_wide([a.figures[quantity.key].mean for a in arms]),
            positive=quantity.least == 0,
        ),
        series=series,
    )


def _wide(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) / min(values) > 4


def _parts(key: str) -> tuple[str, str]:
    metric, _, part = key.partition(".")
    return metric, part


def _estimated(c: Comparison) -> str:
    return MODELLED if c.estimated else ""


def _unfinished(c: Comparison) -> str:
    if not c.provisional:
        return ""
    planned = c.blocks_planned
    return f"{c.blocks_done} of {planned} blocks" if planned else f"only {c.blocks_done} blocks"


def _source(c: Comparison) -> str:
    return f"campaign {c.campaign} on {c.hardware}"


def _colours(c: Comparison) -> dict[str, int]:
    """Arm → its backend's colour."""
    backend = {a.arm.arm_id: str(a.arm.paths.get("backend")) for a in c.arms}
    colours = colours_of(backend.values())
    return {arm: colours[name] for arm, name in backend.items()}


def _slug(key: str) -> str:
    """``energy_per_output_token_j.gpu`` → ``gpu``; of other quantities the whole key."""
    metric, part = _parts(key)
    return part if metric == "energy_per_output_token_j" and part else key.replace(".", "-")
