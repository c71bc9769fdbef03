"""Which choice matters: how much of the spread of energy per token each swept parameter explains.

Shares are of *this* grid: with other values of a parameter they would be others. So they are
computed within one campaign, from a complete grid, and never without the ranges beside them.
"""

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from lem.analysis.answering import check_alike
from lem.analysis.comparison import ArmInfo
from lem.analysis.gains import LEAST, gains_of
from lem.analysis.gathered import Gathered
from lem.analysis.naming import noun
from lem.analysis.places import of_these
from lem.analysis.quantities import Quantity, quantities_of
from lem.analysis.text import about
from lem.contract.base import Scalar
from lem.contract.metrics import METRICS
from lem.errors import BadInput

_ALWAYS = ("model.id", "backend", "launcher")
"""May differ between arms without being swept by a path."""
DIFFER = 0.05
"""Of two blocks, which have no intervals: how likely at most arms that do not differ may look as
different as these do, for them to be told apart."""
NOTABLE, MINOR = 0.005, 0.05
"""The gains of boards are said to be able to explain a share of at least so much, if they may leave
less than this part of it."""


@dataclass(frozen=True)
class Factor:
    path: str
    noun: str
    """``batch size``"""
    values: tuple[Scalar, ...]
    """In the campaign's order."""

    @property
    def range(self) -> str:
        shown = ["none" if v is None else str(v).lower() if isinstance(v, bool) else str(v)
                 for v in self.values]  # fmt: skip
        if len(shown) > 6:
            shown = [*shown[:3], "…", shown[-1]]
        return f"{self.noun} {', '.join(shown)}"


@dataclass(frozen=True)
class Share:
    """One effect's part of the variance of the logarithms."""

    paths: tuple[str, ...]
    """One: a main effect; several: of these together, beyond their main effects; none: of more
    than two together."""
    name: str
    share: float
    low: float | None
    """95 % interval of this share alone, within 0 and 1; None below 3 blocks."""
    high: float | None
    boards_may_explain: bool = False
    """Whether the gains of boards alone could look like this share."""


@dataclass(frozen=True)
class Attributed:
    """One quantity."""

    quantity: Quantity
    shares: tuple[Share, ...]
    """Largest first. Empty where the arms do not differ by more than scatter."""
    spread: float
    """Largest ÷ smallest geometric mean of the arms."""
    least: str
    most: str
    """Names of the arms with the least and the most."""
    scatter: float
    """Standard deviation of one run about its block and arm, as a share."""
    told_apart: bool
    """Whether the arms differ by more than scatter, and the gains of boards, explain."""
    gains_log: float = 0.0
    """Standard uncertainty that the gains of boards give an arm's mean logarithm beside that of all
    arms, RMS over arms; 0 where all ran on the same boards alike. It is in the intervals."""


@dataclass(frozen=True)
class Attribution:
    campaign: str
    hardware: str
    factors: tuple[Factor, ...]
    blocks: int
    left_out_blocks: int
    """Blocks in which an arm has no run that counts."""
    found: tuple[Attributed, ...]
    left_out: tuple[str, ...]
    """Device classes that are not looked at, with the reason."""
    unfinished: str
    where: str | None
    sentences: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        document = asdict(self)
        for one, found in zip(document["found"], self.found, strict=True):
            one["quantity"] = found.quantity.key
            one["noun"] = found.quantity.noun
        return {"schema_version": 1, **document}


def attribute(
    gathered: Gathered, metric: str | None = None, where: str | None = None
) -> Attribution:
    """Split the variance of the logarithms over a complete grid of arms.

    Raises :class:`BadInput`, with the reason, where the arms are no complete grid, where a
    parameter holds for some of them only, or where fewer than two blocks are whole.
    """
    if metric is not None and metric not in METRICS:
        raise BadInput(f"no metric named {metric!r}", hint="one of: " + ", ".join(METRICS))
    _, blocks, _ = _whole_blocks(gathered)
    rows = [gathered.runs[a.arm_id][b] for a in gathered.arms for b in blocks]
    if metric is not None:
        check_alike(rows, metric)
    quantities, left_out = quantities_of(rows, metric)
    return replace(split(gathered, quantities, where), left_out=tuple(left_out))


def split(
    gathered: Gathered, quantities: Sequence[Quantity], where: str | None = None
) -> Attribution:
    """:func:`attribute` of these quantities, which every run has from the same kind of meter."""
    import numpy as np

    from lem.stats.attribution import shares
    from lem.stats.attribution_shared import with_shared

    arms = gathered.arms
    factors, blocks, every = _whole_blocks(gathered)
    place = {_values(a, factors): a.arm_id for a in arms}
    cells = list(itertools.product(*(range(len(f.values)) for f in factors)))
    found = []
    for quantity in quantities:
        table = gathered.table(quantity.metric, quantity.part)
        logs = _array(table, place, factors, cells, blocks)
        result = shares(logs)
        own = [{b: gathered.runs[_arm(place, factors, cell)][b] for b in blocks} for cell in cells]
        tables = gains_of(own, quantity.metric, quantity.part)
        errors = [np.reshape(t, (*logs.shape[1:], -1)) for t in tables]
        bounds = with_shared(logs, result, errors, LEAST)
        found.append(_attributed(gathered, quantity, factors, logs, result, bounds, place, cells))
    attribution = Attribution(
        campaign=gathered.campaign,
        hardware=gathered.hardware,
        factors=tuple(factors),
        blocks=len(blocks),
        left_out_blocks=every - len(blocks),
        found=tuple(found),
        left_out=(),
        unfinished=gathered.unfinished,
        where=where,
        sentences=(),
    )
    said = [sentence(attribution, f) for f in found]
    said += of_these((gathered.places.of(q.metric, q.part) for q in quantities), "shares are")
    return replace(attribution, sentences=tuple(said))


def _whole_blocks(gathered: Gathered) -> tuple[list[Factor], list[int], int]:
    """The grid's parameters, the blocks that have a run of every arm, and how many blocks there
    are. Raises :class:`BadInput` where that is no complete grid, or too little."""
    factors = factors_of(gathered.arms)
    missing = [gathered.names[a.arm_id] for a in gathered.arms if a.arm_id not in gathered.runs]
    if missing:
        raise BadInput(
            f"{missing[0]} has no run that counts, so the grid is not complete; an unbalanced one "
            "would give its parameters shares that are not theirs",
            hint=_hint(factors),
        )
    blocks = sorted(set.intersection(*(set(own) for own in gathered.runs.values())))
    every = {b for own in gathered.runs.values() for b in own}
    if len(blocks) < 2:
        raise BadInput(
            f"{len(blocks)} of {len(every)} blocks have a run of every arm that counts; 2 are "
            "needed, to tell what the parameters do from scatter"
        )
    return factors, blocks, len(every)


def factors_of(arms: Sequence[ArmInfo]) -> list[Factor]:
    """The parameters in which the arms differ. Raises :class:`BadInput` where they are no complete
    grid of them."""
    swept = dict.fromkeys([*_ALWAYS, *(p for a in arms for p in a.settings)])
    for path in swept:
        having = [a for a in arms if path in a.settings]
        if path not in _ALWAYS and 0 < len(having) < len(arms):
            backends = sorted({str(a.paths.get("backend")) for a in having})
            raise BadInput(
                f"{path} was varied for {', '.join(backends)} alone ({len(having)} of "
                f"{len(arms)} arms), so it has no share of the whole",
                hint=f"look at one backend: --where backend={backends[0]}",
            )
    factors = []
    for path in swept:
        values = {json.dumps(a.paths.get(path)): a.paths.get(path) for a in arms}
        if len(values) > 1:
            factors.append(Factor(path, noun(path), tuple(values.values())))
    if not factors:
        raise BadInput("no parameter is swept here, so there is nothing to attribute")
    size = math.prod(len(f.values) for f in factors)
    different = {_values(a, factors) for a in arms}
    if len(different) < len(arms):
        raise BadInput(
            "some arms have the same values of all swept parameters, so they differ in something "
            "that is not swept"
        )
    if len(different) < size:
        shape = " × ".join(f"{len(f.values)} {f.noun}" for f in factors)
        raise BadInput(
            f"not every combination was run: {len(arms)} of {size} ({shape}). The shares would "
            "depend on which ones are missing",
            hint=_hint(factors),
        )
    return factors


def _hint(factors: Sequence[Factor]) -> str:
    first = factors[0]
    return f"name a part of the campaign that is complete: --where {first.path}={first.values[0]}"


def _values(arm: ArmInfo, factors: Sequence[Factor]) -> tuple[str, ...]:
    return tuple(json.dumps(arm.paths.get(f.path)) for f in factors)


def _array(
    table: dict[str, dict[int, float]],
    place: dict[tuple[str, ...], str],
    factors: Sequence[Factor],
    cells: Sequence[tuple[int, ...]],
    blocks: Sequence[int],
) -> Any:
    import numpy as np

    logs = np.empty((len(blocks), *(len(f.values) for f in factors)))
    for cell in cells:
        own = table[_arm(place, factors, cell)]
        for i, block in enumerate(blocks):
            if own.get(block, 0.0) <= 0:
                raise BadInput("a run has a figure of 0 or less, of which there is no logarithm")
            logs[(i, *cell)] = math.log(own[block])
    return logs


def _arm(
    place: dict[tuple[str, ...], str], factors: Sequence[Factor], cell: tuple[int, ...]
) -> str:
    return place[tuple(json.dumps(f.values[i]) for f, i in zip(factors, cell, strict=True))]


def _attributed(
    gathered: Gathered,
    quantity: Quantity,
    factors: Sequence[Factor],
    logs: Any,
    result: Any,
    bounds: Any,
    place: dict[tuple[str, ...], str],
    cells: Sequence[tuple[int, ...]],
) -> Attributed:
    means = logs.mean(axis=0)
    order = sorted(cells, key=lambda c: float(means[c]))
    total, half = float(result.total), float(result.total_half_width)
    differ = float(result.chance) < DIFFER if math.isnan(half) else total - half > 0
    told_apart = total > 0 and differ and (bounds is None or bounds.total_low > LEAST**2)
    found = []
    for i, effect in enumerate(result.effects if told_apart else ()):
        share, width = float(result.share[i]), float(result.half_width[i])
        low, high, boards = share - width, share + width, False
        if bounds is not None:
            low, high = float(bounds.low[i]), float(bounds.high[i])
            boards = share >= NOTABLE and float(bounds.least[i]) < MINOR * share
        found.append(
            Share(
                paths=tuple(factors[j].path for j in effect),
                name=_name([factors[j].noun for j in effect]),
                share=min(1.0, max(0.0, share)),
                low=None if math.isnan(low) else min(1.0, max(0.0, low)),
                high=None if math.isnan(high) else min(1.0, max(0.0, high)),
                boards_may_explain=boards,
            )
        )
    return Attributed(
        quantity=quantity,
        shares=tuple(sorted(found, key=lambda s: -s.share)),
        spread=math.exp(float(means[order[-1]] - means[order[0]])),
        least=gathered.names[_arm(place, factors, order[0])],
        most=gathered.names[_arm(place, factors, order[-1])],
        scatter=float(result.noise),
        told_apart=told_apart,
        gains_log=0.0 if bounds is None else float(bounds.deviation),
    )


def _name(nouns: Sequence[str]) -> str:
    if not nouns:
        return "three or more together"
    return nouns[0] if len(nouns) == 1 else f"{' and '.join(nouns)} together"


def sentence(attribution: Attribution, found: Attributed, most: int = 4) -> str:
    """What the shares say, with what they are shares of."""
    ranges = "; ".join(f.range for f in attribution.factors)
    within = f" ({ranges}; {attribution.blocks} blocks on {attribution.hardware})"
    so_far = "So far " if attribution.unfinished else ""
    noun_ = found.quantity.noun
    if not found.told_apart:
        by = "scatter explains"
        if found.gains_log > 0:
            by = "scatter and the gains of the boards that they ran on explain"
        return f"{so_far}{noun_} does not differ between these arms by more than {by}{within}."
    telling = [s for s in found.shares if s.share >= NOTABLE][:most]
    parts = [f"{s.name} explains {percent(s)}" if i == 0 else f"{s.name} {percent(s)}"
             for i, s in enumerate(telling)]  # fmt: skip
    text = f"{so_far}{', '.join(parts)} of the spread of {noun_}, which is a factor of about "
    text += f"{about(found.spread)} between {found.most} and {found.least}{within}."
    return text[0].upper() + text[1:]


def percent(share: Share) -> str:
    """``71 % (69–73)``: as many digits as the interval supports, its ends rounded outwards."""
    if share.low is None or share.high is None:
        return f"{100 * share.share:.0f} %"
    half = 100 * (share.high - share.low) / 2
    decimals = 0 if half >= 1 else 1 if half >= 0.1 else 2
    low = math.floor(round(100 * share.low * 10**decimals, 6)) / 10**decimals
    high = math.ceil(round(100 * share.high * 10**decimals, 6)) / 10**decimals
    return f"{100 * share.share:.{decimals}f} % ({low:.{decimals}f}–{high:.{decimals}f})"
