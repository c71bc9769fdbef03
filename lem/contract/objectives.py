"""What a choice of settings can be judged by: short names, or a metric and one part of it."""

import difflib
from typing import NamedTuple

from lem.contract.metrics import METRICS

NLL = "nll_per_token"
"""The quality probe's figure; it stands beside a record's metrics."""
PER_ANSWER = ("energy_per_answer_j", "energy_per_correct_answer_j")
"""Of the questions' phase, which only `measure.accuracy` has."""
PARTS = ("mean", "p50", "p90", "p99")
"""Statistics of a distribution."""
SHORT = {
    "energy": "energy_per_output_token_j",
    "latency": "tpot_s.p50",
    "throughput": "output_throughput_tokens_per_s",
    "quality": NLL,
}


class Objective(NamedTuple):
    name: str
    """As it was asked for."""
    metric: str
    part: str | None
    """A statistic or a device class; empty where the metric has no parts. None: the device class
    that every run has, the GPU's before others."""
    higher_is_better: bool


def objective(name: str) -> Objective:
    """``energy``, ``latency``, ``throughput``, ``quality``, or a metric such as ``ttft_s.p99`` or
    ``energy_per_request_j.gpu``. Raises ValueError with what there is."""
    metric, _, part = SHORT.get(name, name).partition(".")
    if metric == NLL and not part:
        return Objective(name, NLL, "", False)
    about = METRICS.get(metric)
    if about is None:
        near = difflib.get_close_matches(name, [*SHORT, *METRICS], n=1, cutoff=0.6)
        hint = f"did you mean '{near[0]}'?" if near else f"one of: {', '.join([*SHORT, *METRICS])}"
        raise ValueError(f"no objective named '{name}'; {hint}")
    higher = about.better == "higher"
    if about.shape == "distribution":
        if part and part not in PARTS:
            raise ValueError(f"{metric} has {', '.join(PARTS)}, not '{part}'")
        return Objective(name, metric, part or "p50", higher)
    if about.shape == "by_class":
        return Objective(name, metric, part or None, higher)
    if part:
        raise ValueError(f"{metric} has no parts")
    return Objective(name, metric, "", higher)
