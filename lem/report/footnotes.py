"""What one must know not to misread a comparison's tables, a line each."""

import math
from collections.abc import Collection, Iterator

from lem.analysis.comparison import ArmResult, Comparison
from lem.analysis.quantities import Quantity
from lem.analysis.text import plain
from lem.analysis.words import two_digits
from lem.report.boards import about_spread
from lem.report.quality_notes import about_quality

MOST_BIASES = 3
"""For so many arms the footnote has the bound on their bias."""


def footnotes(comparison: Comparison) -> Iterator[str]:
    """All that must be known beside the figures, a line each."""
    c = comparison
    meters = ", ".join(f"{k}: {m}" for k, m in c.meters.items() if m)
    read = f" (meters: {meters})" if meters and not c.estimated else ""
    yield f"{c.campaign} on {c.hardware}{read}"
    yield from _about_intervals(c)
    yield from _about_blocks(c)
    yield from _about_boards(c)
    yield from about_spread(c)
    yield from _about_carry_over(c)
    yield from _about_uncertainties(c)
    yield from _about_repeatability(c)
    yield from about_quality(c)
    for arm in c.arms:
        yield from _shortfalls(arm)
        if any(r.n < arm.blocks for r in arm.ratios.values()):
            n = min(r.n for r in arm.ratios.values())
            yield (
                f"{arm.name}: counted in {arm.blocks} blocks, of which {n} have the baseline, too:"
                " its ratio is of those."
            )
    if c.left_out:
        yield f"Not compared: {'; '.join(c.left_out)}."
    yield from c.notes
    for flag, meaning in c.flags.items():
        if flag != "estimated":
            yield f"Flag {flag}: {meaning}."


def _about_intervals(c: Comparison) -> Iterator[str]:
    estimates = [r for a in c.arms for r in a.ratios.values()]
    with_interval = [r for r in estimates if r.low is not None]
    if with_interval:
        level = f"{100 * c.level:.3g} %"
        many = with_interval[0].comparisons > 1 or c.across
        together = f"they hold together with {level} confidence" if many else level
        which = "Intervals"
        if len(c.quantities) > 1:
            which = "Intervals of all tables" if c.across else "Intervals of each table"
        how = " or ".join(
            w for m, w in _METHODS.items() if any(r.method == m for r in with_interval)
        )
        yield f"{which}: within-block log-ratios, {how}; {together}."
    yield from about_signs(c, [q.key for q in c.quantities])
    for reason in sorted({r.reason for r in estimates if r.reason}):
        yield f"No interval: {reason}."


def about_signs(c: Comparison, keys: Collection[str]) -> Iterator[str]:
    """The signs that stand behind ratios of these quantities."""
    says = {
        v.says
        for a in c.arms
        for k, v in a.verdicts.items()
        if k in keys and a.ratios[k].low is not None
    }
    if "cannot_tell" in says:
        yield "?: the interval includes 1, so it can't be told yet."
    if "same" in says:
        yield f"=: the same within {100 * c.margin:g} %, by two one-sided tests."


_METHODS = {
    "t": "Student t",
    "dunnett": "Dunnett's quantile, each arm's own scatter weighed with that of all",
    "boards": "where boards disagree that of their means",
}
"""Method of an interval, in words."""


def _about_blocks(c: Comparison) -> Iterator[str]:
    """Why there are so many blocks, and whether they were enough."""
    if c.decision is not None:
        noun = "block" if c.decision.final else "pilot block"
        blocks = f"{c.decision.n} {noun}{'' if c.decision.n == 1 else 's'}"
        yield f"{blocks}: {c.decision.reason}."
    yield from about_precision(c)


def about_precision(c: Comparison) -> Iterator[str]:
    """The widest interval of each quantity beside the precision that was asked for."""
    if c.target is None:
        return
    for q in c.quantities:
        if (reached := c.reached(q)) is not None:
            which = f" in {q.noun}" if len(c.quantities) > 1 else ""
            state = "reached" if reached <= c.target * (1 + 1e-9) else "not reached"
            yield (
                f"Precision{which}: ±{100 * reached:.2g} %, where ±{100 * c.target:g} % was asked"
                f" for: {state}."
            )


def _about_boards(c: Comparison) -> Iterator[str]:
    """Gains of boards cancel only as far as two arms ran on the same ones."""
    for q in c.quantities:
        found = [
            (r.shared_log, a.name)
            for a in c.arms
            if (r := a.ratios.get(q.key)) is not None and r.shared_log > 0
        ]
        if not found:
            continue
        which = f" in {q.noun}" if len(c.quantities) > 1 else ""
        said = ", ".join(f"{name} ±{200 * u:.2g} %" for u, name in found)
        yield (
            f"Boards{which}: an arm and the baseline spread their energy over different boards, so"
            " that the boards' gains cancel only in part. What is left is in the intervals"
            f" (k = 2: {said}), and no number of blocks lessens it; a calibration does."
        )


def _about_carry_over(c: Comparison) -> Iterator[str]:
    """What a run hands on to the next is a bias, which no interval holds."""
    for q in c.quantities:
        carry = c.carry.get(q.key)
        if carry is None:
            continue
        which = f" in {q.noun}" if len(c.quantities) > 1 else ""
        if carry.share is None:
            yield (
                f"Carry-over from run to run{which} is not known: the runs and their order do not"
                " tell it. The same, and a passed gate, are said only where they hold even if a run"
                " showed all of the difference of the one before it."
            )
            continue
        seen = (
            f"a run shows {100 * carry.share:.2g} % of the difference of the one before it"
            if carry.noticed
            else "none is seen"
        )
        yield (
            f"Carry-over from run to run{which}: {seen}; at most {100 * carry.bound:.2g} %."
            f" Beside its interval this may bias the ratio of {_biases(c, q)}."
        )


def _biases(c: Comparison, q: Quantity) -> str:
    """Each arm's bound and expanded uncertainty; of many arms, those of the largest bounds."""
    found = [(b, a) for a in c.arms if (b := c.bias_log(a, q.key)) is not None]
    found.sort(key=lambda item: -item[0])
    said = []
    for bias, arm in found[:MOST_BIASES]:
        expanded = c.expanded_log(arm, q.key) if q.key in arm.ratios else None
        u = "" if expanded is None else f" (U = {two_digits(100 * math.expm1(expanded))} %)"
        said.append(f"{arm.name} by up to {two_digits(100 * math.expm1(bias))} %{u}")
    rest = ", the others by less" if len(found) > MOST_BIASES else ""
    return ", ".join(said) + rest


def _about_repeatability(c: Comparison) -> Iterator[str]:
    """What the intervals of absolute figures say, and why there is none."""
    found = [
        (a.name, q, a.figures[q.key]) for q in c.quantities for a in c.arms if q.key in a.figures
    ]
    if any(f.low is not None for _, _, f in found):
        allowed = " and allows for slow drift that so few blocks would not show"
        few = allowed if any(f.few_blocks for _, _, f in found) else ""
        where = "on this machine"
        if all(f.boards for _, _, f in found):
            where = "on others like these"
            if any(b.kind == "boot" for b in c.boards):
                where = "in boots like these"
        elif any(f.boards for _, _, f in found):
            where = "on this machine, or on boards or nodes like these,"
        yield (
            f"Repeatability: where the mean of many such campaigns {where} would lie;"
            f" it says nothing of the meter's error{few}."
        )
    for reason in dict.fromkeys(f.reason for _, _, f in found if f.reason):
        arms = list(dict.fromkeys(name for name, _, f in found if f.reason == reason))
        who = ", ".join(arms) if len(arms) < len(c.arms) else "any arm"
        yield f"No repeatability interval for {who}: {reason}."
    merged = list(dict.fromkeys(name for name, _, f in found if f.merged > 1))
    if merged:
        yield (
            "Neighbouring blocks resemble each other, so they were merged for the repeatability"
            f" of {', '.join(merged)}."
        )


def _about_uncertainties(c: Comparison) -> Iterator[str]:
    compared = {q.key for q in c.quantities}
    shown = {k: f for a in c.arms for k, f in a.figures.items()}
    own = [a.figures[k] for a in c.arms for k in compared & a.figures.keys()]
    stated = any(f.expanded for f in own if f.n > 1)
    few = ["blocks"] if any(f.few_blocks for f in own) else []
    few += ["boards or nodes"] if any(f.few_boards for f in own) else []
    so_few = f"with so few {' and '.join(few)} rough, " if few else ""
    rough_as_few = f"{so_few}not a 95 % interval"
    if c.estimated:
        yield (
            "Energy is estimated, not measured: CPU time × an assumed power per busy core. The"
            " ratio is exactly that of CPU time."
        )
    one = max(a.blocks for a in c.arms) < 2
    if stated:
        yield (
            "± is the expanded uncertainty U (k = 2) of meter and scatter together;"
            f" {rough_as_few}."
        )
    if not one:
        more = ", of few boards or nodes more" if any(f.k_a > 2 for f in shown.values()) else ""
        which = "Where no meter states one, ±" if stated else "±"
        yield (
            f"{which} is the scatter between blocks alone (twice the standard error of the"
            f" mean{more}); {rough_as_few}."
        )
    if any(f.n == 1 for f in own):
        yield "No ± beside a figure: it is of one block, which shows no scatter."
    if shown.keys() & {"ttft_s.p50", "itl_s.p50"}:
        yield "TTFT, ITL: time to first token and gap between tokens: mean over runs of the median."
    yield from _about_objectives(c, shown.keys())


def _about_objectives(c: Comparison, shown: Collection[str]) -> Iterator[str]:
    """What goodput is counted by."""
    if "goodput_per_s" in shown:
        limits = [
            ", ".join(
                f"{name} {a.arm.paths[path]:g} ms"
                for path, name in _LIMITS.items()
                if isinstance(a.arm.paths.get(path), int | float)
            )
            for a in c.arms
        ]
        same = f" ({limits[0]})" if limits[0] and len(set(limits)) == 1 else ""
        yield (
            f"Goodput: requests a second that kept every limit of slo{same}; SLO kept: their share"
            " of all that ended."
        )
    if "goodput_rate_per_s" in shown:
        yield "Rate found: the highest at which enough requests kept them; the windows are at it."


_LIMITS = {
    "workload.slo.ttft_ms": "TTFT",
    "workload.slo.itl_ms": "TPOT",
    "workload.slo.e2e_ms": "end to end",
}
"""``itl_ms`` and ``tpot_ms`` are two names of one limit, kept under the first."""


def _shortfalls(arm: ArmResult) -> Iterator[str]:
    for s in arm.shortfalls:
        where = "1 block" if s.blocks == 1 else f"{s.blocks} blocks"
        said = plain(" ".join(s.message.split()), 160)
        if s.kind == "excluded":
            yield f"{arm.name}: left out in {where} because of flags: {said}"
        elif s.kind == "device_setting":
            yield f"{arm.name}: skipped, its setting could not be made: {said}"
        elif s.kind == "void":
            yield f"{arm.name}: void in {where}: {said}"
        else:
            yield f"{arm.name}: failed in {where}: {s.kind}: {said}"
