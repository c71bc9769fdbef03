"""Compares the arms of one campaign with its baseline, from the index's rows. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from lem.analysis.comparison import ArmInfo, ArmResult, Comparison, Quantity, Shortfall
from lem.analysis.naming import readable_names
from lem.analysis.words import sentences
from lem.contract.flags import FLAGS
from lem.contract.metrics import METRICS
from lem.errors import BadInput
from lem.stats import Absolute, RatioEstimate, absolute, ratio_to_baseline
from lem.stores.counted import counted, ended_by_itself, latest_passes, void_reason
from lem.stores.index import Figure, Row
from lem.stores.outcomes import Outcome

ENERGY = "energy_per_output_token_j"
CPU_TIME = "cpu_time_per_output_token_s"
ESTIMATED = "estimated"
SIDE_FIGURES = (
    ("output_throughput_tokens_per_s", ""),
    ("ttft_s", "p50"),
    ("itl_s", "p50"),
    ("nll_per_token", ""),
    (ENERGY, ESTIMATED),
)
"""Shown beside what is compared."""

_OWNERS = {"gpu": "GPU ", "cpu": "CPU ", "dram": "memory ", "module": "module ", "node": "node "}
_ORDER = ("gpu", "module", "node", "cpu", "dram", ESTIMATED)
_WHAT = {
    ENERGY: "energy per output token",
    "energy_per_total_token_j": "energy per token, input and output",
    "energy_per_request_j": "energy per request",
    "energy_above_idle_per_output_token_j": "energy above idle per output token",
    CPU_TIME: "CPU time per output token",
    "mean_power_w": "mean power",
    "peak_power_w": "peak power",
    "idle_power_w": "idle power",
    "output_throughput_tokens_per_s": "output throughput",
    "request_throughput_per_s": "request throughput",
    "ttft_s": "time to first token (median)",
    "itl_s": "inter-token latency (median)",
    "tpot_s": "time per output token (median)",
    "e2e_latency_s": "end-to-end latency (median)",
    "peak_memory_bytes": "peak memory",
}


def needed_metrics(metric: str | None) -> list[str]:
    """The metrics that :func:`compare` looks at."""
    return sorted({ENERGY, CPU_TIME, metric or ENERGY, *(name for name, _ in SIDE_FIGURES)})


def compare(
    campaign: str,
    arms: Sequence[ArmInfo],
    rows: Sequence[Row],
    baseline: ArmInfo,
    *,
    blocks_planned: int | None = None,
    metric: str | None = None,
    hardware: str | None = None,
    level: float = 0.95,
) -> Comparison:
    """Every arm beside ``baseline``: ratios over blocks with joint intervals.

    Only runs that count enter (``lem/stores/counted.py``). Energy is compared by device class, in
    those classes alone that every counted run has. Estimated energy is CPU time in another unit,
    so there CPU time is compared. Raises :class:`BadInput` where the runs cannot be compared.
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
            f"{campaign}: there is no run to compare yet" + _failures_in_words(rows),
            hint="lem results list shows what is there",
        )
    on = _only_one("hardware", {r.hardware for r in used})
    _only_one("semantics", {str(r.semantics) for r in used})
    quantities, left_out = _quantities(used, metric)
    names = readable_names(arms)
    by_arm: dict[str, dict[int, Row]] = defaultdict(dict)
    for r in used:
        by_arm[r.outcome.arm_id][r.outcome.block] = r
    done: dict[str, set[int]] = defaultdict(set)
    for r in valid:
        done[r.outcome.arm_id].add(r.outcome.block)
    base = by_arm.get(baseline.arm_id, {})
    others = max(1, len(arms) - 1)
    results = []
    for arm in arms:
        own = by_arm.get(arm.arm_id, {})
        is_baseline = arm.arm_id == baseline.arm_id
        results.append(
            ArmResult(
                arm=arm,
                name=names[arm.arm_id],
                baseline=is_baseline,
                blocks=len(own),
                figures=_figures(own, quantities),
                ratios={} if is_baseline else _ratios(own, base, quantities, level, others),
                shortfalls=_shortfalls(arm.arm_id, rows, done[arm.arm_id]),
                flags=tuple(sorted({f for r in own.values() for f in r.flags})),
            )
        )
    notes = _notes(rows, used, baseline, base, names)
    shown = {f for r in rows if hardware in (None, r.hardware) for f in r.flags}
    comparison = Comparison(
        campaign=campaign,
        baseline=baseline.arm_id,
        quantities=tuple(quantities),
        arms=tuple(results),
        blocks_done=_blocks_done(rows, known, {r.outcome.block for r in used}),
        blocks_planned=blocks_planned,
        level=level,
        hardware=on,
        meters={c: m for r in used for c, m in r.meters.items()},
        left_out=tuple(left_out),
        notes=tuple(notes),
        flags={f: FLAGS[f].meaning if f in FLAGS else "unknown flag" for f in sorted(shown)},
    )
    return replace(comparison, sentences=tuple(sentences(comparison)))


def _blocks_done(rows: Sequence[Row], arms: set[str], among: set[int]) -> int:
    """In how many of the blocks ``among`` nothing is awaited any more: every arm has ended there,
    or failed the last time it was tried (it may have been given up)."""
    latest = latest_passes(r.outcome for r in rows)
    last: dict[str, Outcome] = {}
    for o in sorted((r.outcome for r in rows), key=lambda o: o.started_at):
        if ended_by_itself(o):
            last[o.arm_id] = o
    given_up = {a for a, o in last.items() if o.kind == "failure"}
    return sum(
        void_reason(latest[b]) is None
        and arms <= given_up | {o.arm_id for o in latest[b] if ended_by_itself(o)}
        for b in among
    )


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


def _quantities(used: Sequence[Row], metric: str | None) -> tuple[list[Quantity], list[str]]:
    """What can be compared, and in words what cannot."""
    name = metric or ENERGY
    if METRICS[name].shape != "by_class":
        part = "p50" if METRICS[name].shape == "distribution" else ""
        if not all(_value(r, name, part) for r in used):
            raise BadInput(f"not every run has {name}, so it cannot be compared")
        return [_quantity(name, part)], []
    common, left_out = _classes(used, name)
    measured = [c for c in common if c != ESTIMATED]
    if measured:
        return [_quantity(name, c) for c in measured], left_out
    if common and name == ENERGY:
        if all(_value(r, CPU_TIME, "") for r in used):
            return [replace(_quantity(CPU_TIME, ""), estimated=True)], left_out
        left_out.append("CPU time is missing in some runs")
    elif common:
        left_out.append(f"{name} is only estimated here, not measured")
    why = "; ".join(left_out) or "no run has an energy figure"
    raise BadInput(
        f"no device class is measured in every run, so {name} cannot be compared: {why}",
        hint=f"lem results compare --metric {CPU_TIME} compares CPU time instead",
    )


def _classes(used: Sequence[Row], name: str) -> tuple[list[str], list[str]]:
    having: dict[str, int] = defaultdict(int)
    for r in used:
        for c in r.metrics.get(name, {}):
            having[c] += _value(r, name, c) is not None
    common, left_out = [], []
    for c in sorted(having, key=lambda c: (_ORDER.index(c) if c in _ORDER else 99, c)):
        meters = {r.meters.get(c, "") for r in used}
        if having[c] < len(used):
            left_out.append(f"{c} is missing in {len(used) - having[c]} of {len(used)} runs")
        elif len(meters) > 1:
            left_out.append(f"{c} was read by different meters ({', '.join(sorted(meters))})")
        else:
            common.append(c)
    if ESTIMATED in common and len(common) > 1:
        common.remove(ESTIMATED)
    return common, left_out


def _quantity(name: str, part: str) -> Quantity:
    about = METRICS[name]
    what = _WHAT.get(name, about.meaning)
    title = what[0].upper() + what[1:]
    by_class = about.shape == "by_class"
    return Quantity(
        metric=name,
        part=part,
        noun=_OWNERS.get(part, f"{part} ") + what if by_class else what,
        title=f"{title} ({part.upper() if part in ('gpu', 'cpu', 'dram') else part})"
        if by_class
        else title,
        unit=about.unit,
        better="higher" if about.better == "higher" else "lower",
    )


def _value(row: Row, metric: str, part: str) -> Figure | None:
    """A figure that a logarithm can be taken of, or None."""
    value = row.metrics.get(metric, {}).get(part)
    return value if value is not None and value.value > 0 else None


def _figures(own: dict[int, Row], quantities: Sequence[Quantity]) -> dict[str, Absolute]:
    wanted = dict.fromkeys([*((q.metric, q.part) for q in quantities), *SIDE_FIGURES])
    figures = {}
    for metric, part in wanted:
        values = [v for b in sorted(own) if (v := own[b].metrics.get(metric, {}).get(part))]
        # A mean over some of an arm's runs would stand beside means over all of them.
        if values and len(values) == len(own):
            key = f"{metric}.{part}" if part else metric
            figures[key] = absolute([v.value for v in values], [v.uncertainty for v in values])
    return figures


def _ratios(
    own: dict[int, Row],
    base: dict[int, Row],
    quantities: Sequence[Quantity],
    level: float,
    comparisons: int,
) -> dict[str, RatioEstimate]:
    ratios = {}
    for q in quantities:
        pairs = []
        for block in sorted(own.keys() & base.keys()):
            a, b = _value(own[block], q.metric, q.part), _value(base[block], q.metric, q.part)
            assert a is not None and b is not None, "quantities are those that every run has"
            pairs.append((a.value, b.value))
        if pairs:
            ratios[q.key] = ratio_to_baseline(pairs, level, comparisons)
    return ratios


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
    random = sum("weights_random" in r.flags for r in used)
    if 0 < random < len(used):
        notes.append("some arms run random weights, others trained ones: quality is no comparison")
    return notes


def _failures_in_words(rows: Sequence[Row]) -> str:
    kinds = sorted({r.outcome.failure_kind for r in rows if r.outcome.failure_kind})
    return f" (failures: {', '.join(kinds)})" if kinds else ""
