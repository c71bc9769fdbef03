"""Energy per token against load: servers are rarely full, and an idle board is not free."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lem.analysis.comparison import ArmInfo
from lem.analysis.gathered import Gathered
from lem.analysis.naming import noun, words
from lem.analysis.places import of_these
from lem.analysis.quantities import ENERGY, ESTIMATED, Quantity, common_classes, quantity_of
from lem.analysis.words import with_ends
from lem.errors import BadInput
from lem.stats import Absolute, RatioEstimate, ratios

ABOVE_IDLE = "energy_above_idle_per_output_token_j"
THROUGHPUT = "output_throughput_tokens_per_s"
REQUESTS = "request_throughput_per_s"
METRICS = [ENERGY, ABOVE_IDLE, THROUGHPUT, REQUESTS, "idle_power_w"]
LOADS = ("workload.arrival.rate", "workload.arrival.concurrency", "engine.max_batch_size")
"""What offers more or less work, the most telling first."""
_APART = ("model.id", "backend", "launcher")


@dataclass(frozen=True)
class LoadPoint:
    arm_id: str
    name: str
    load: float
    blocks: int
    throughput: Absolute | None
    """Output tokens a second."""
    requests: Absolute | None
    """Requests a second."""
    utilisation: float | None
    """Throughput as a share of the highest in this series."""
    total: Absolute
    above_idle: Absolute | None
    beside_least: RatioEstimate | None
    """Ratio to the load of this series with the least energy per token; None for that one."""


@dataclass(frozen=True)
class Series:
    name: str
    """What else its arms have in common; empty where there is but one series."""
    points: tuple[LoadPoint, ...]


@dataclass(frozen=True)
class Curve:
    campaign: str
    hardware: str
    path: str
    noun: str
    quantity: Quantity
    """Energy per output token of one device class."""
    series: tuple[Series, ...]
    left_out: tuple[str, ...]
    unfinished: str
    sentences: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        document = asdict(self)
        document["quantity"] = {"key": self.quantity.key, **asdict(self.quantity)}
        return {"schema_version": 1, **document}


def curves(gathered: Gathered, over: str | None = None) -> list[Curve]:
    """One for each device class that every run has. ``over``: the path of the load (default: the
    rate, the concurrency or the batch size, whichever is swept).

    Raises :class:`BadInput` where no load is swept or no energy is known.
    """
    path = _load(gathered.arms, over)
    runs = [{c: r.meters.get(c, "") for c in r.metrics.get(ENERGY, {})} for r in gathered.rows]
    common, left_out = common_classes(runs)
    if not common:
        raise BadInput("no energy is known of every run: " + ("; ".join(left_out) or "none has it"))
    groups: dict[tuple[str, ...], list[ArmInfo]] = {}
    for arm in gathered.arms:
        if arm.arm_id in gathered.runs and _number(arm.paths.get(path)) is not None:
            groups.setdefault(_rest(arm, path, gathered.arms), []).append(arm)
    found = []
    for part in common:
        quantity = quantity_of(ENERGY, part)
        zero = [a for a in gathered.runs if not gathered.positive(a, ENERGY, part)]
        series = tuple(
            Series(", ".join(key), _points(gathered, arms, path, part))
            for key, arms in groups.items()
        )
        series = tuple(s for s in series if s.points)
        if not series:
            raise BadInput(f"no arm has energy per token at a known {noun(path)}")
        said = [_sentence(s, quantity, noun(path), gathered.unfinished) for s in series]
        said += of_these([gathered.places.of(ENERGY, part)], "what is said is")
        found.append(
            Curve(
                campaign=gathered.campaign,
                hardware=gathered.hardware,
                path=path,
                noun=noun(path),
                quantity=quantity,
                series=series,
                left_out=(
                    *left_out,
                    *(f"{gathered.names[a]}, in which {quantity.noun} is 0 in a run" for a in zero),
                ),
                unfinished=gathered.unfinished,
                sentences=tuple(s for s in said if s),
            )
        )
    return found


def _load(arms: Sequence[ArmInfo], over: str | None) -> str:
    def levels(path: str) -> set[float]:
        return {v for a in arms if (v := _number(a.paths.get(path))) is not None}

    if over is not None:
        if len(levels(over)) < 2:
            raise BadInput(f"{over} does not have two numbers among these arms")
        return over
    for path in LOADS:
        if len(levels(path)) > 1:
            return path
    raise BadInput(
        "no load is swept here: neither workload.arrival.rate, workload.arrival.concurrency nor "
        "engine.max_batch_size has two values",
        hint="name the path of what offers more or less work: --over PATH",
    )


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def _rest(arm: ArmInfo, path: str, arms: Sequence[ArmInfo]) -> tuple[str, ...]:
    """What tells this arm's series from others: everything swept but the load."""
    swept = dict.fromkeys([*_APART, *(p for a in arms for p in a.settings)])
    apart = [p for p in swept if p != path and len({str(a.paths.get(p)) for a in arms}) > 1]
    return tuple(words(p, arm.paths.get(p)) for p in apart)


def _points(
    gathered: Gathered, arms: Sequence[ArmInfo], path: str, part: str
) -> tuple[LoadPoint, ...]:
    totals = {
        a.arm_id: t
        for a in arms
        if gathered.positive(a.arm_id, ENERGY, part)
        and (t := gathered.absolute(a.arm_id, ENERGY, part)) is not None
    }
    if not totals:
        return ()
    table = {a: v for a, v in gathered.table(ENERGY, part).items() if a in totals}
    least = min(totals, key=lambda a: totals[a].mean)
    beside = ratios(table, least, boards=gathered.on(ENERGY, part)) if table[least] else {}
    speed = {a: gathered.absolute(a, THROUGHPUT, "") for a in totals}
    most = max((s.mean for s in speed.values() if s is not None), default=None)
    points = []
    for arm in arms:
        if arm.arm_id not in totals:
            continue
        own = speed[arm.arm_id]
        load = _number(arm.paths.get(path))
        assert load is not None
        points.append(
            LoadPoint(
                arm_id=arm.arm_id,
                name=gathered.names[arm.arm_id],
                load=load,
                blocks=len(gathered.runs[arm.arm_id]),
                throughput=own,
                requests=gathered.absolute(arm.arm_id, REQUESTS, ""),
                utilisation=own.mean / most if own is not None and most else None,
                total=totals[arm.arm_id],
                above_idle=gathered.absolute(arm.arm_id, ABOVE_IDLE, part),
                beside_least=beside.get(arm.arm_id),
            )
        )
    return tuple(sorted(points, key=lambda p: p.load))


def _sentence(series: Series, quantity: Quantity, load: str, unfinished: str) -> str:
    """How much more a token costs at the lowest load."""
    low = series.points[0]
    least = next((p for p in series.points if p.beside_least is None), None)
    ratio = low.beside_least
    if least is None or ratio is None or ratio.low is None or ratio.high is None:
        return ""
    times, start, end = with_ends(ratio.ratio, ratio.low, ratio.high)
    name = f"{series.name}: " if series.name else ""
    what = quantity.noun.replace(" per output token", "")
    if ratio.low <= 1:
        text = (
            f"{name}can't tell yet whether a token takes more {what} at {load} {low.load:g} than "
            f"at {load} {least.load:g}: {times} times as much ({start}–{end})"
        )
        return f"{text}." if name else f"C{text[1:]}."
    text = (
        f"{name or 'at '}{'at ' if name else ''}{load} {low.load:g} a token takes {times} times "
        f"the {what} that it takes at {load} {least.load:g} ({start}–{end})"
    )
    if low.above_idle is not None and low.total.mean > 0 and quantity.part != ESTIMATED:
        share = 100 * (1 - low.above_idle.mean / low.total.mean)
        text += f"; {min(100.0, max(0.0, share)):.0f} % of it there is idle power"
    return f"So far: {text}." if unfinished else f"{text}." if name else f"A{text[1:]}."
