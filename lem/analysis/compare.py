"""Compares the arms of one campaign with its baseline, from the index's rows. Pure."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lem.analysis.answering import unlike
from lem.analysis.blocks import Blocks, blocks_done
from lem.analysis.boards import boards_of, gains_on, nodes_of, of_blocks
from lem.analysis.comparison import ArmInfo, ArmResult, Comparison, Shortfall
from lem.analysis.gains import shared_log
from lem.analysis.lengths import of_answers
from lem.analysis.naming import readable_names
from lem.analysis.places import Places, before_on_the_same, lost, places_of
from lem.analysis.quality import QUALITY_MARGIN, Seen, qualities
from lem.analysis.quantities import (
    CPU_TIME,
    ENERGY,
    ESTIMATED,
    Quantity,
    not_below_zero,
    quantities_of,
    value_of,
)
from lem.analysis.words import sentences
from lem.contract.flags import FLAGS
from lem.contract.metrics import METRICS
from lem.errors import BadInput
from lem.stats import Absolute, CarryOver, carry_over, ratios, verdict, with_shared
from lem.stores.awaited import dropped
from lem.stores.counted import counted, ended_by_itself, latest_passes, void_reason
from lem.stores.outcomes import Outcome
from lem.stores.rows import Row

SAME_WITHIN = 0.02
"""Margin of "the same" where nobody names one."""
SIDE_FIGURES = (
    ("output_throughput_tokens_per_s", ""),
    ("ttft_s", "p50"),
    ("itl_s", "p50"),
    ("goodput_per_s", ""),
    ("slo_attainment_share", ""),
    ("goodput_rate_per_s", ""),
    ("nll_per_token", ""),
    ("accuracy", ""),
    (ENERGY, ESTIMATED),
)
"""Shown beside what is compared."""


def needed_metrics(metric: str | None) -> list[str]:
    """The metrics that :func:`compare` looks at."""
    return sorted({ENERGY, CPU_TIME, metric or ENERGY, *(name for name, _ in SIDE_FIGURES)})


def compare(
    campaign: str,
    arms: Sequence[ArmInfo],
    rows: Sequence[Row],
    baseline: ArmInfo,
    *,
    decision: Blocks | None = None,
    target: float | None = None,
    metric: str | None = None,
    hardware: str | None = None,
    margin: float | None = None,
    level: float = 0.95,
    across: bool = False,
    seen: Mapping[str, Seen] | None = None,
    quality_margin: float | None = None,
    ignore_quality: bool = False,
    placed: bool = False,
) -> Comparison:
    """Every arm beside ``baseline``: ratios over blocks with joint intervals.

    Only runs that count enter (``lem/stores/counted.py``). Energy is compared by device class, in
    those classes alone that every counted run has. Estimated energy is CPU time in another unit,
    so there CPU time is compared.

    ``decision`` and ``target``: how many blocks there are to be, why, and the half-width asked for.
    ``margin``: within which two arms count as the same. ``level`` holds for each quantity's
    intervals together; with ``across`` for those of all quantities (1 − level is divided among
    them). ``seen``: attempt's path → what it shows of its quality, of which an arm that counts as
    better may lose ``quality_margin``; with ``ignore_quality`` any. ``placed``: whether a scheduler
    chose the runs' nodes. Raises :class:`BadInput` where the runs cannot be compared.
    """
    if metric is not None and metric not in METRICS:
        raise BadInput(f"no metric named {metric!r}", hint="one of: " + ", ".join(METRICS))
    known = {a.arm_id for a in arms}
    rows = [r for r in rows if r.outcome.arm_id in known]
    # What counts is decided with all runs in sight: without those of other hardware a block that
    # is void because it changed machines would look whole.
    counting = {o.path for o in counted(r.outcome for r in rows)}
    valid = [r for r in rows if r.outcome.path in counting]
    used = [r for r in valid if hardware is None or r.hardware == hardware]
    if not used:
        raise BadInput(
            f"{campaign}: there is no run to compare yet" + _why_none(rows),
            hint="lem results list shows what is there",
        )
    on = _only_one("hardware", {r.hardware for r in used})
    _only_one("semantics", {str(r.semantics) for r in used})
    quantities, left_out = quantities_of(used, metric)
    names = readable_names(arms)
    by_arm: dict[str, dict[int, Row]] = defaultdict(dict)
    for r in used:
        by_arm[r.outcome.arm_id][r.outcome.block] = r
    done: dict[str, set[int]] = defaultdict(set)
    for r in valid:
        done[r.outcome.arm_id].add(r.outcome.block)
    base = by_arm.get(baseline.arm_id, {})
    outcomes = [r.outcome for r in rows]
    gone = dropped(outcomes).keys() - by_arm.keys()
    apart = unlike(by_arm, baseline.arm_id, metric) if metric is not None else {}
    alike = {arm: own for arm, own in by_arm.items() if arm not in apart}
    tables = {q.key: _table(alike, q) for q in quantities}
    places = places_of(campaign, used, placed)
    spread = {q.key: places.of(q.metric, q.part) for q in quantities}
    estimates = {
        q.key: ratios(
            tables[q.key],
            baseline.arm_id,
            pilot=decision.pilot if decision is not None else None,
            target=target,
            level=1 - (1 - level) / len(quantities) if across else level,
            comparisons=len(known - gone - apart.keys() - {baseline.arm_id}),
            boards=None if (s := spread[q.key]) is None or not s.told else s.of_block,
            gains=None if s is None else gains_on(alike, baseline.arm_id, q, s),
        )
        for q in quantities
        if base
    }
    estimates = {
        q.key: {
            a: with_shared(e, shared_log(by_arm[a], base, q.metric, q.part))
            for a, e in estimates[q.key].items()
        }
        for q in quantities
        if q.key in estimates
    }
    passes = latest_passes(o for o in outcomes if ended_by_itself(o))
    order = _order(passes)
    alone = places.boards is None and places.nodes is None
    previous = None if alone else before_on_the_same([o for p in passes.values() for o in p])
    found_carry = {
        key: carry_over(table, order, baseline.arm_id, previous=previous)
        for key, table in tables.items()
        if base
    }
    margin = SAME_WITHIN if margin is None else margin
    quality_margin = QUALITY_MARGIN if quality_margin is None else quality_margin
    shown = {
        arm: {block: (seen or {}).get(r.outcome.path, Seen()) for block, r in own.items()}
        for arm, own in by_arm.items()
    }
    of_quality = (
        qualities(shown, baseline.arm_id, margin=quality_margin, level=level)
        if any(s != Seen() for own in shown.values() for s in own.values())
        else {}
    )
    results = []
    for arm in arms:
        own = by_arm.get(arm.arm_id, {})
        found = {k: e[arm.arm_id] for k, e in estimates.items() if arm.arm_id in e}
        results.append(
            ArmResult(
                arm=arm,
                name=names[arm.arm_id],
                baseline=arm.arm_id == baseline.arm_id,
                blocks=len(own),
                figures=_figures(own, quantities, places),
                ratios=found,
                verdicts={
                    k: verdict(r, margin, _bias_log(found_carry.get(k), arm.arm_id))
                    for k, r in found.items()
                },
                shortfalls=_shortfalls(arm.arm_id, rows, done[arm.arm_id]),
                flags=tuple(sorted({f for r in own.values() for f in r.flags})),
                quality=of_quality.get(arm.arm_id),
            )
        )
    notes = [*_notes(rows, used, baseline, base, names), *of_answers(alike, names, metric)]
    notes += _restarts(places.boots)
    notes += _lost(campaign, [r for r in rows if r.hardware in ("", on)], used, places)
    notes += [f"{names[a]} has no ratio in {metric}: {why}" for a, why in sorted(apart.items())]
    comparison = Comparison(
        campaign=campaign,
        baseline=baseline.arm_id,
        quantities=tuple(quantities),
        arms=tuple(results),
        blocks_done=blocks_done(outcomes, known, {r.outcome.block for r in used}),
        decision=decision,
        level=level,
        across=across and len(quantities) > 1,
        target=target,
        margin=margin,
        carry={key: c for key, c in found_carry.items() if c is not None},
        hardware=on,
        meters={c: m for r in used for c, m in r.meters.items()},
        left_out=tuple(left_out),
        notes=tuple(notes),
        flags=_flags([r for r in rows if hardware in (None, r.hardware)]),
        quality_margin=quality_margin,
        quality_ignored=ignore_quality,
        boards=tuple(
            found
            for q in quantities
            if (s := spread[q.key]) is not None
            for found in (
                boards_of(alike, tables[q.key], q, s, level),
                nodes_of(tables[q.key], baseline.arm_id, q, places, level),
            )
            if found is not None
        ),
    )
    return replace(comparison, sentences=tuple(sentences(comparison)))


def _bias_log(carry: CarryOver | None, arm_id: str) -> float:
    """Bound on the bias of the arm's log-ratio; 0 where no run has another before it."""
    return 0.0 if carry is None else carry.bias.get(arm_id, 0.0)


def _table(by_arm: dict[str, dict[int, Row]], quantity: Quantity) -> dict[str, dict[int, float]]:
    """Arm → block → value."""
    name, part = quantity.metric, quantity.part
    return {
        arm: {block: v.value for block, r in own.items() if (v := value_of(r, name, part))}
        for arm, own in by_arm.items()
    }


def _order(passes: Mapping[int, Sequence[Outcome]]) -> dict[int, list[str]]:
    """Block → arms in the order in which they ran in its latest pass, those that failed, too."""
    return {
        block: list(dict.fromkeys(o.arm_id for o in sorted(members, key=lambda o: o.started_at)))
        for block, members in passes.items()
    }


def _only_one(what: str, found: set[str]) -> str:
    if len(found) == 1:
        return next(iter(found))
    listed = "; ".join(sorted(found))
    if what == "hardware":
        raise BadInput(
            f"the runs were made on different hardware, which is not compared as one: {listed}",
            hint=f"compare one at a time: --hardware {sorted(found)[0]!r}",
        )
    raise BadInput(
        f"the records define their metrics differently (metric_semantics_version {listed})",
        hint="run the campaign anew with one version of lem (--out elsewhere)",
    )


def _figures(
    own: dict[int, Row], quantities: Sequence[Quantity], places: Places
) -> dict[str, Absolute]:
    wanted = dict.fromkeys([*((q.metric, q.part) for q in quantities), *SIDE_FIGURES])
    figures = {}
    for metric, part in wanted:
        # A mean over some of an arm's runs would stand beside means over all of them.
        found = of_blocks(own, metric, part, places.of(metric, part))
        if found is not None:
            figures[f"{metric}.{part}" if part else metric] = found
    return not_below_zero(figures)


def _flags(rows: Sequence[Row]) -> dict[str, str]:
    """Flag → its meaning, and how many of the runs have it."""
    runs = sum(r.outcome.kind == "record" for r in rows)
    found = Counter(f for r in rows for f in r.flags)
    return {
        f: f"{FLAGS[f].meaning if f in FLAGS else 'unknown flag'} ({found[f]} of {runs} runs)"
        for f in sorted(found)
    }


def _shortfalls(arm_id: str, rows: Sequence[Row], done: set[int]) -> tuple[Shortfall, ...]:
    """What kept the arm from counting in blocks where it was tried, the most frequent first."""
    latest = latest_passes(r.outcome for r in rows)
    by_path = {r.outcome.path: r for r in rows}
    found: dict[str, list[str]] = defaultdict(list)
    for block in sorted(latest):
        if block in done:
            continue
        own = [o for o in latest[block] if o.arm_id == arm_id and o.kind != "open"]
        if not own:
            continue
        last = max(own, key=lambda o: o.attempt)
        row = by_path[last.path]
        if last.kind == "failure":
            found[last.failure_kind or "engine_error"].append(row.message)
        elif void := void_reason(latest[block]):
            found["void"].append(void)
        else:
            out = [f for f in row.flags if f not in FLAGS or FLAGS[f].consequence != "info"]
            found["excluded"].append(", ".join(out))
    most = sorted(found.items(), key=lambda kv: (-len(kv[1]), kv[0]))
    return tuple(Shortfall(kind, len(said), said[-1]) for kind, said in most)


def _notes(
    rows: Sequence[Row],
    used: Sequence[Row],
    baseline: ArmInfo,
    base: dict[int, Row],
    names: dict[str, str],
) -> list[str]:
    notes = []
    if not base:
        notes.append(
            f"the baseline ({names[baseline.arm_id]}) has no run that counts, so there are no"
            " ratios; --baseline picks another"
        )
    damaged = [r for r in rows if r.outcome.kind == "open" and r.message]
    if damaged:
        notes.append(
            f"{len(damaged)} document(s) could not be used, such as {damaged[0].outcome.path}:"
            f" {damaged[0].message.splitlines()[0]}"
        )
    told = sorted({r.commentary_s for r in used if r.commentary_s is not None})
    if len(told) > 1:
        notes.append(
            f"agents told what they do every {' or '.join(f'{s:g}' for s in told)} s: more often is"
            " more work of the measured machine, which ratios between such runs hold too"
        )
    random = sum("weights_random" in r.flags for r in used)
    if 0 < random < len(used):
        notes.append("some arms run random weights, others trained ones: quality is no comparison")
    return notes


def _restarts(boots: int) -> list[str]:
    if boots < 2:
        return []
    return [
        f"blocks ran in {boots} boots, one after another: taken for one machine that was restarted"
    ]


def _lost(campaign: str, rows: Sequence[Row], used: Sequence[Row], places: Places) -> list[str]:
    """Boards on which no run counts, and why."""
    passes: dict[tuple[int, int], list[Outcome]] = defaultdict(list)
    for r in rows:
        passes[r.outcome.block, r.outcome.block_pass].append(r.outcome)
    void = {key: void_reason(own) for key, own in passes.items()}
    tried = []
    for r in rows:
        o = r.outcome
        flags = [f for f in r.flags if f not in FLAGS or FLAGS[f].consequence != "info"]
        why = o.failure_kind or ", ".join(flags) or void[o.block, o.block_pass]
        if ended_by_itself(o):
            tried.append((o, why or "begun anew elsewhere"))
    such = "" if places.boards is None else "; boards like these are boards that are not such"
    found = []
    for one in lost(campaign, tried, used):
        name = f"board {one.name}" if one.boards == 1 else f"{one.boards} boards {one.name}"
        blocks = "1 block" if one.blocks == 1 else f"{one.blocks} blocks"
        found.append(f"{name}: {blocks}, none counts: {one.why}{such}")
    return found


def _why_none(rows: Sequence[Row]) -> str:
    kinds = sorted({r.outcome.failure_kind for r in rows if r.outcome.failure_kind})
    flags = sorted(
        {
            f
            for r in rows
            for f in r.flags
            if r.outcome.kind == "record" and (f not in FLAGS or FLAGS[f].consequence != "info")
        }
    )
    said = [f"failures: {', '.join(kinds)}"] if kinds else []
    said += [f"left out because of flags: {', '.join(flags)}"] if flags else []
    return f" ({'; '.join(said)})" if said else ""
