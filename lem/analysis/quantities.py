"""What can be compared among runs: which figures, of which device classes."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from lem.contract.metrics import METRICS
from lem.contract.objectives import NLL
from lem.errors import BadInput
from lem.stores.rows import Figure, Row

if TYPE_CHECKING:
    from lem.stats import Absolute

ENERGY = "energy_per_output_token_j"
CPU_TIME = "cpu_time_per_output_token_s"
ESTIMATED = "estimated"

OWNERS = {"gpu": "GPU ", "cpu": "CPU ", "dram": "memory ", "module": "module ", "node": "node "}
_ORDER = ("gpu", "module", "node", "cpu", "dram", ESTIMATED)
_WHAT = {
    ENERGY: "energy per output token",
    "energy_per_total_token_j": "energy per token, input and output",
    "energy_per_request_j": "energy per request",
    "energy_per_good_request_j": "energy per request that kept the objectives",
    "energy_above_idle_per_output_token_j": "energy above idle per output token",
    "energy_prefill_per_input_token_j": "energy of prefill per input token",
    "energy_decode_per_output_token_j": "energy of decode per output token",
    "energy_per_answer_j": "energy per answer",
    "energy_per_correct_answer_j": "energy per correct answer",
    CPU_TIME: "CPU time per output token",
    "mean_power_w": "mean power",
    "peak_power_w": "peak power",
    "idle_power_w": "idle power",
    "output_throughput_tokens_per_s": "output throughput",
    "total_throughput_tokens_per_s": "throughput of input and output",
    "request_throughput_per_s": "request throughput",
    "goodput_per_s": "goodput",
    "slo_attainment_share": "share of requests that kept the objectives",
    "goodput_rate_per_s": "highest rate that kept the objectives",
    "ttft_s": "time to first token (median)",
    "itl_s": "inter-token latency (median)",
    "tpot_s": "time per output token (median)",
    "e2e_latency_s": "end-to-end latency (median)",
    "peak_memory_bytes": "peak memory",
}

DIFFERENCES = ("energy_above_idle_per_output_token_j", "energy_decode_per_output_token_j")
"""Metrics that may lie below 0: what is taken away has its own noise."""
_UNKNOWN_TO_ESTIMATES = ("idle_power_w", "energy_above_idle_per_output_token_j")
"""An estimate sees the CPU time of the run's own processes, so it knows no power at rest."""
NO_POWER_AT_REST = "an estimate knows no power at rest, and no energy above it"


def can_be_known(metric: str, device_class: str) -> bool:
    """Whether figures of this class of devices can tell it."""
    return device_class != ESTIMATED or metric not in _UNKNOWN_TO_ESTIMATES


def least_of(metric: str) -> float | None:
    """What a metric can't be below; None where there is no such value."""
    return None if metric in DIFFERENCES else 0.0


@dataclass(frozen=True)
class Quantity:
    """One compared figure: a metric, and the part of it (a device class or a percentile)."""

    metric: str
    part: str
    noun: str
    """In a sentence: ``GPU energy per output token``."""
    title: str
    """Over a table."""
    unit: str
    better: Literal["lower", "higher"]
    estimated: bool = False

    @property
    def least(self) -> float | None:
        """What it can't be below."""
        return least_of(self.metric)

    @property
    def key(self) -> str:
        return f"{self.metric}.{self.part}" if self.part else self.metric


def quantities_of(used: Sequence[Row], metric: str | None) -> tuple[list[Quantity], list[str]]:
    """What can be compared, and in words what cannot."""
    name = metric or ENERGY
    if METRICS[name].shape != "by_class":
        part = "p50" if METRICS[name].shape == "distribution" else ""
        if lacking := sum(part not in r.metrics.get(name, {}) for r in used):
            raise BadInput(f"{lacking} of {len(used)} runs have no {name}: it cannot be compared")
        if zero := sum(value_of(r, name, part) is None for r in used):
            raise BadInput(
                f"{name} is 0 in {zero} of {len(used)} runs, and there is no ratio to 0",
                hint="lem results compare without --metric shows it beside the energy"
                if name in ("goodput_per_s", "slo_attainment_share")
                else None,
            )
        return [quantity_of(name, part)], []
    common, left_out = _classes(used, name)
    measured = [c for c in common if c != ESTIMATED]
    if measured:
        return [quantity_of(name, c) for c in measured], left_out
    # Who asks for energy by its name is not given CPU time in its place.
    if common and metric is None:
        if all(value_of(r, CPU_TIME, "") for r in used):
            return [replace(quantity_of(CPU_TIME, ""), estimated=True)], left_out
        left_out.append("CPU time is missing in some runs")
    elif common:
        left_out.append(f"{name} is only estimated here, not measured")
    why = "; ".join(left_out) or "no run has it"
    raise BadInput(
        f"no device class is measured in every run, so {name} cannot be compared: {why}",
        hint=f"lem results compare --metric {CPU_TIME} compares CPU time instead",
    )


def _classes(used: Sequence[Row], name: str) -> tuple[list[str], list[str]]:
    return common_classes(
        [
            {c: r.meters.get(c, "") for c in r.metrics.get(name, {}) if value_of(r, name, c)}
            for r in used
        ]
    )


def common_classes(runs: Sequence[Mapping[str, str]]) -> tuple[list[str], list[str]]:
    """Device classes that every run has from the same meters, and in words those left out.

    ``runs``: device class → names of the meters, of each run. An estimate gives way to what is
    measured.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for run in runs:
        for c, meter in run.items():
            found[c].append(meter)
    common, left_out = [], []
    for c in sorted(found, key=lambda c: (_ORDER.index(c) if c in _ORDER else 99, c)):
        if len(found[c]) < len(runs):
            left_out.append(f"{c} is missing in {len(runs) - len(found[c])} of {len(runs)} runs")
        elif len(set(found[c])) > 1:
            meters = ", ".join(sorted(set(found[c])))
            left_out.append(f"{c} was read by different meters ({meters})")
        else:
            common.append(c)
    if ESTIMATED in common and len(common) > 1:
        common.remove(ESTIMATED)
    return common, left_out


def quantity_of(name: str, part: str) -> Quantity:
    """The figure of that name and part, in words."""
    if name == NLL:
        noun = "negative log-likelihood per token"
        return Quantity(NLL, part, noun, "NLL per token", "nats/token", "lower")
    about = METRICS[name]
    what = _WHAT.get(name, about.meaning)
    if about.shape == "distribution" and part != "p50":
        what = what.replace("median", part)
    title = what[0].upper() + what[1:]
    by_class = about.shape == "by_class"
    return Quantity(
        metric=name,
        part=part,
        noun=OWNERS.get(part, f"{part} ") + what if by_class else what,
        title=f"{title} ({part.upper() if part in ('gpu', 'cpu', 'dram') else part})"
        if by_class
        else title,
        unit=about.unit,
        better="higher" if about.better == "higher" else "lower",
    )


def not_below_zero(figures: Mapping[str, "Absolute"]) -> dict[str, "Absolute"]:
    """The figures (by a quantity's key), their intervals cut at 0 where the metric cannot be less.

    The intervals are symmetric, so with few scattered blocks they reach below. Cutting off what is
    impossible takes nothing from their confidence.
    """
    return {
        key: replace(found, low=0.0)
        if found.low is not None and found.low < 0 and key.partition(".")[0] not in DIFFERENCES
        else found
        for key, found in figures.items()
    }


def value_of(row: Row, metric: str, part: str) -> Figure | None:
    """A figure that a logarithm can be taken of, or None."""
    value = row.metrics.get(metric, {}).get(part)
    return value if value is not None and value.value > 0 else None
