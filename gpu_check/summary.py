"""The report in words and tables: ``results/gpu-check-<gpu>.md`` from the JSON beside it."""

from collections.abc import Mapping, Sequence
from typing import Any


def markdown(document: Mapping[str, Any]) -> str:
    """What was found, what failed and what is still to be done."""
    board = document["gpu"]
    lines = [
        f"# GPU check: {board['name']}",
        "",
        f"{document['started_at']}, driver {board['driver']}, lem {document['lem_version']}, "
        f"kernel {document['kernel']}, Python {document['python']}. Written by `make gpu-check`; "
        "all figures are in the JSON file of the same name.",
        "",
        "| part | | took |",
        "| --- | --- | ---: |",
    ]
    parts = {p["part"]: p for p in document["parts"]}
    for name, part in parts.items():
        took = f"{part['took_s']:.0f} s" if "took_s" in part else ""
        lines.append(f"| {name} | {_state(part)} | {took} |")
    for name, tell in _TOLD.items():
        if parts.get(name, {}).get("status") == "done":
            lines += ["", *tell(parts[name]["result"])]
    return "\n".join(lines) + "\n"


def _state(part: Mapping[str, Any]) -> str:
    if part["status"] == "failed":
        failure = part["failure"]
        return _cell(f"failed ({failure['kind']}): {failure['message'].splitlines()[0]}")
    if part["status"] == "skipped":
        return _cell(f"not yet: {part['reason']}")
    return "done"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")[:200]


def _meters(r: Mapping[str, Any]) -> list[str]:
    lines = [
        "## Meters",
        "",
        "| device | class | reads | uncertainty (k = 2) |",
        "|---|---|---|---|",
    ]
    for d in r["devices"]:
        lines.append(
            f"| {d['meter']} {d['device']} | {d['device_class']} | {_cell(d['description'])} | "
            f"{d['uncertainty'] or ''} |"
        )
    for name, why in r["unavailable"].items():
        lines.append(f"| {name} | | not here: {_cell(why['reason'])} | |")
    return lines


def _tick(r: Mapping[str, Any]) -> list[str]:
    t, call = r["tick_ms"], r["call_us"]
    return [
        "## The counter",
        "",
        f"It moves every {t['median']:.2f} ms (from {t['min']:.2f} to {t['max']:.2f}, standard "
        f"deviation {t['sd']:.2f}, {r['ticks']} ticks). A reading costs {call['median']:.0f} µs, "
        f"at most {call['max']:.0f} µs. The sampler learned {_number(r['learned_ms'], 1)} ms "
        f"within {r['learning_took_s']:.1f} s.",
    ]


def _settings(r: Mapping[str, Any]) -> list[str]:
    lines = [
        "## Power limit and clock",
        "",
        f"A power limit of {r['asked_w']:g} W (before: {r['before_w']:g} W) was in force "
        f"{r['set_took_ms']:.0f} ms after it was asked for, and put back: {r['after_w']:g} W. "
        f"After a kill -9 it stood at {r['killed_w']:g} W until the next start put it back: "
        f"{r['put_back_w']:g} W.",
    ]
    clock = r["clock"]
    if "refused" in clock:
        return [*lines, "", f"SM clock: {_cell(clock['refused'])}."]
    return [
        *lines,
        "",
        f"SM clock locked to {clock['asked_mhz']} MHz: {clock['seen_mhz']} MHz was seen (without "
        f"load); afterwards {clock['after_mhz']} MHz.",
    ]


def _power(r: Mapping[str, Any]) -> list[str]:
    lines = ["## Power readings", "", "| call | changes every | costs |", "|---|---|---|"]
    for name in ("nvmlDeviceGetPowerUsage", "fields", "module_fields"):
        if r[name] is None:
            lines.append(f"| {name} | not on this board | |")
            continue
        periods = ", ".join(
            f"{p['median']:.1f} ms" if p else "not seen to" for p in r[name]["changes_every_ms"]
        )
        lines.append(f"| {name} | {periods} | {r[name]['call_us']['median']:.0f} µs |")
    return lines


def _idle(title: str) -> Any:
    def tell(r: Mapping[str, Any]) -> list[str]:
        polled = ", ".join(f"{q} {s['median']:.1f} W" for q, s in r["polled_power_w"].items())
        return [
            f"## {title}",
            "",
            f"{r['mean_power_w']:.2f} W ± {r['uncertainty_w']:.2f} W by the counter over "
            f"{r['window_s']:.1f} s; by power readings {polled or 'unknown'}.",
        ]

    return tell


def _against(r: Mapping[str, Any]) -> list[str]:
    lines = [
        "## Counter ÷ integrated power",
        "",
        "| load | power | ratio | tolerance | |",
        "|---|---|---:|---:|---|",
    ]
    for load, found in r.items():
        for quantity, one in found["by_power"].items():
            verdict = "differs" if one["differs"] else "" if one["differs"] is None else "within"
            lines.append(
                f"| {load} | {quantity} | {_number(one['ratio'], 4)} | "
                f"{_number(one['tolerance'], 3)} | {verdict} |"
            )
    return lines


def _step(r: Mapping[str, Any]) -> list[str]:
    lines = ["## A step of the load", ""]
    for edge in ("on", "off"):
        lag = r[edge]["counter_lag_s"]
        lines.append(f"- load {edge}: the counter's energy is {_number(lag, 3)} s late")
        for source, reached in r[edge].items():
            if isinstance(reached, dict):
                shown = ", ".join(
                    f"{k.split('_')[1]} after {_number(v, 3)} s" for k, v in reached.items()
                )
                lines.append(f"  - {source} shows {shown}")
    return lines


def _part_time(r: Mapping[str, Any]) -> list[str]:
    lines = [
        "## Part-time sampling",
        "",
        "| reading | looks at | window | changes every | r² |",
        "|---|---:|---:|---:|---:|",
    ]
    for source, found in r["sensor"].items():
        if found is None:
            lines.append(f"| {source} | could not be told | | | |")
            continue
        lines.append(
            f"| {source} | {found['share_of_time']:.0%} of the time | {found['window_ms']:.0f} ms "
            f"({found['window_low_ms']:.0f} to {found['window_high_ms']:.0f}) | "
            f"{found['changes_every_ms']:.0f} ms | {found['r2']:.3f} |"
        )
    sources = list(r["periods"][0]["mean_power_w"])
    lines += ["", f"| period of the load | on | {' | '.join(sources)} |"]
    lines.append("|---:" * (len(sources) + 2) + "|")
    for one in r["periods"]:
        shown = " | ".join(f"{_number(one['mean_power_w'][s], 1)} W" for s in sources)
        lines.append(f"| {one['period_ms']:.0f} ms | {one['on_share']:.0%} | {shown} |")
    return lines


def _overhead(r: Mapping[str, Any]) -> list[str]:
    lines = ["## What the sampler costs", ""]
    for interval, one in r.items():
        memory = one["peak_memory_bytes"]
        size = "" if memory is None else f", {memory / 1e6:.0f} MB"
        lines.append(f"- every {interval}: {one['share_of_time']:.3%} of the time{size}")
    return lines


def _beside_load(r: Mapping[str, Any]) -> list[str]:
    return [
        f"- the same products with and without it: {r['log_ratio_mean']:+.3%} longer, standard "
        f"deviation {_percent(r['log_ratio_sd'])} over {r['pairs']} pairs"
    ]


def _same(r: Mapping[str, Any]) -> list[str]:
    w = r["windows"]
    return [
        "## The same work again and again",
        "",
        f"{w['n']} windows of {r['window_s']:.1f} s: coefficient of variation {_percent(w['cv'])}, "
        f"lag-1 autocorrelation {_number(w['lag_1'], 2)} (by chance within "
        f"±{w['lag_1_by_chance']:.2f}), drift over all {_percent(w['slope_over_all'])}.",
        f"{r['pairs']} ratios of neighbours: mean {_percent(r['log_ratio_mean'])}, standard "
        f"deviation {_percent(r['log_ratio_sd'])}, lag-1 {_number(r['lag_1'], 2)} (±"
        f"{r['lag_1_by_chance']:.2f}), drift {_percent(r['slope_over_all'])}.",
        f"Stated of one window, without the gain that all share: ±"
        f"{_percent(r['stated_without_gain'])} (k = 2). Flags: {', '.join(r['flags']) or 'none'}.",
    ]


def _models(r: Mapping[str, Any]) -> list[str]:
    return [
        "## The model campaign",
        "",
        f"{len(r['records'])} records in `{r['campaign']}`, {len(r['failures'])} failed runs, "
        f"{len(r['skipped_for_time'])} experiments not begun. `lem results list` shows them.",
    ]


def _conformance(r: Mapping[str, Any]) -> list[str]:
    lines = [
        "## Conformance of the engines",
        "",
        "| engine | version | passed | failed | |",
        "|---|---|---:|---:|---|",
    ]
    for name, told in r["engines"].items():
        if told["record"] is None:
            last = told["last_lines"][-1] if told["last_lines"] else "nothing was said"
            lines.append(f"| {name} | | | | no record: {_cell(last)} |")
        else:
            where = f"{told['device']['kind']}: {told['device']['name']}"
            lines.append(
                f"| {name} | {told['engine_version']} | {told['passed']} | {told['failed']} | "
                f"{_cell(where)}, `{told['record']}` |"
            )
    return lines


def _number(value: float | None, digits: int) -> str:
    return "?" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None) -> str:
    return "?" if value is None else f"{100 * value:.3f} %"


_TOLD: dict[str, Any] = {
    "meters": _meters,
    "counter_tick": _tick,
    "power_readings": _power,
    "settings": _settings,
    "idle": _idle("Idle"),
    "idle_with_context": _idle("Idle with a CUDA context"),
    "counter_against_power": _against,
    "step_response": _step,
    "part_time_sampling": _part_time,
    "sampler_overhead": _overhead,
    "sampler_beside_load": _beside_load,
    "same_twice": _same,
    "models": _models,
    "conformance": _conformance,
}


def table_of(parts: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line a part, for the terminal."""
    return [f"{part['part']}: {_state(part)}" for part in parts]
