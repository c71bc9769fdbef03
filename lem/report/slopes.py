"""What one choice changes, all else being equal: slope charts of a complete grid's arms."""

from lem.analysis.attribute import Attributed, Attribution, Factor
from lem.analysis.comparison import ArmInfo
from lem.analysis.gathered import Gathered
from lem.analysis.naming import words
from lem.analysis.text import capital, provisional, scaled, whiskers
from lem.charts.model import Axis, Slope, SlopeLine
from lem.report.comparison_charts import MODELLED, WHISKERS
from lem.stats import Absolute

MOST = 12
"""Lines; of more, those between evenly chosen arms."""


def charts(gathered: Gathered, found: Attribution, one: Attributed) -> list[Slope]:
    """One for each parameter that explains something by itself, the most telling first: from its
    first value to its last."""
    telling = [s.paths[0] for s in one.shares if len(s.paths) == 1]
    factors = {f.path: f for f in found.factors}
    return [_chart(gathered, found, one, factors[path]) for path in telling if path in factors]


def _chart(gathered: Gathered, found: Attribution, one: Attributed, factor: Factor) -> Slope:
    left, right = factor.values[0], factor.values[-1]
    others = [f for f in found.factors if f.path != factor.path]
    pairs: dict[tuple[str, ...], dict[str, ArmInfo]] = {}
    for arm in gathered.arms:
        value = arm.paths.get(factor.path)
        side = "left" if value == left else "right" if value == right else ""
        rest = tuple(words(f.path, arm.paths.get(f.path)) for f in others)
        if side:
            pairs.setdefault(rest, {})[side] = arm
    whole = [(rest, own) for rest, own in pairs.items() if len(own) == 2]
    chosen = whole if len(whole) <= MOST else [whole[i * len(whole) // MOST] for i in range(MOST)]
    quantity = one.quantity

    def figure_of(arm: ArmInfo) -> Absolute | None:
        return gathered.absolute(arm.arm_id, quantity.metric, quantity.part)

    figures = [(rest, figure_of(own["left"]), figure_of(own["right"])) for rest, own in chosen]
    means = [f.mean for _, *both in figures for f in both if f is not None]
    scale, unit = scaled(quantity.unit, means)
    ends = (words(factor.path, left), words(factor.path, right))
    between = len(factor.values) - 2
    few = f"{len(chosen)} of {len(whole)} combinations are drawn." if len(whole) > MOST else ""
    return Slope(
        id=f"slope-{quantity.part or quantity.metric}-{factor.path.replace('.', '-')}",
        title=f"From {ends[0]} to {ends[1]}, all else being equal",
        subtitle=f"{capital(quantity.noun)}; each line is one combination of what else was swept"
        + MODELLED * quantity.estimated
        + provisional(found.unfinished),
        source=f"campaign {found.campaign} on {found.hardware}; {WHISKERS}",
        notes=(
            *([f"Not drawn: {between} value{'s' * (between > 1)} between."] if between > 0 else []),
            *([few] if few else []),
        ),
        axis=Axis(
            quantity.noun, unit, log=min(means, default=0) > 0 and max(means) / min(means) > 3
        ),
        left=ends[0],
        right=ends[1],
        lines=tuple(
            SlopeLine(
                ", ".join(rest) or "all arms",
                None if a is None else a.mean * scale,
                None if b is None else b.mean * scale,
                None if a is None else whiskers(a, scale, least=quantity.least),
                None if b is None else whiskers(b, scale, least=quantity.least),
            )
            for rest, a, b in figures
        ),
    )
