"""Every metric of a record, described once: its name (with the unit), unit and meaning.

``METRIC_SEMANTICS_VERSION`` is raised whenever the meaning of any of them changes, so that
figures computed under different definitions are never compared.
"""

from typing import NamedTuple

METRIC_SEMANTICS_VERSION = 4
"""1: a gap of ``itl_s`` was between any two tokens, also of one chunk; counts' uncertainties took a
window's two edges to have as many requests under way. Up to 3: offline, latencies (and goodput)
counted from when an engine was handed a request, also where it had no slot free; in a closed loop
from when the end of a client's last answer was noticed."""


class Metric(NamedTuple):
    name: str
    unit: str
    meaning: str
    shape: str
    """``by_class``: one value for each device class; ``value``: one; ``distribution``: mean,
    p50, p90, p95, p99."""
    better: str = "lower"


_TABLE = (
    Metric(
        "energy_per_output_token_j",
        "J/token",
        "energy in the windows ÷ output tokens produced in them",
        "by_class",
    ),
    Metric(
        "energy_per_total_token_j",
        "J/token",
        "energy in the windows ÷ (input + output tokens)",
        "by_class",
    ),
    Metric(
        "energy_per_request_j",
        "J/request",
        "energy in the windows ÷ requests finished in them",
        "by_class",
    ),
    Metric(
        "energy_per_good_request_j",
        "J/request",
        "energy in the windows ÷ requests finished in them that met every service-level objective",
        "by_class",
    ),
    Metric(
        "energy_above_idle_per_output_token_j",
        "J/token",
        "as energy_per_output_token_j, less idle power × the windows' duration",
        "by_class",
    ),
    Metric(
        "energy_prefill_per_input_token_j",
        "J/token",
        "energy in the prefill window ÷ input tokens in it (each answer ends with its first token)",
        "by_class",
    ),
    Metric(
        "energy_decode_per_output_token_j",
        "J/token",
        "energy in the windows, less energy_prefill_per_input_token_j × their input tokens, "
        "÷ output tokens; prefill pays for each answer's first token, so of answers of n tokens "
        "this is (n − 1)/n of a decoding step's energy per token",
        "by_class",
    ),
    Metric(
        "energy_per_answer_j",
        "J/answer",
        "energy in which the questions of measure.accuracy were answered ÷ those that got an "
        "answer",
        "by_class",
    ),
    Metric(
        "energy_per_correct_answer_j",
        "J/answer",
        "the same energy ÷ questions answered correctly; its uncertainty holds that of the share "
        "of correct answers",
        "by_class",
    ),
    Metric(
        "cpu_time_per_output_token_s",
        "s/token",
        "CPU time of the run's processes in the windows ÷ output tokens",
        "value",
    ),
    Metric("mean_power_w", "W", "energy in the windows ÷ their duration", "by_class"),
    Metric("peak_power_w", "W", "highest sampled power in the windows", "by_class"),
    Metric("idle_power_w", "W", "mean power of both idle phases, model loaded", "by_class"),
    Metric(
        "output_throughput_tokens_per_s",
        "tokens/s",
        "output tokens in the windows ÷ their duration",
        "value",
        "higher",
    ),
    Metric(
        "total_throughput_tokens_per_s",
        "tokens/s",
        "input and output tokens in the windows ÷ their duration",
        "value",
        "higher",
    ),
    Metric(
        "request_throughput_per_s",
        "requests/s",
        "requests finished in the windows ÷ their duration",
        "value",
        "higher",
    ),
    Metric(
        "goodput_per_s",
        "requests/s",
        "requests finished in the windows that met every service-level objective ÷ duration",
        "value",
        "higher",
    ),
    Metric(
        "slo_attainment_share",
        "share",
        "requests ended in the windows that met every service-level objective ÷ all that ended "
        "in them, failed and timed-out ones included",
        "value",
        "higher",
    ),
    Metric(
        "goodput_rate_per_s",
        "requests/s",
        "the highest rate found at which enough requests meet every service-level objective: the "
        "rate of the windows, where it was searched for",
        "value",
        "higher",
    ),
    Metric(
        "ttft_s",
        "s",
        "time to first token: from when the request was due (offline: a slot was free for it) "
        "until its first token, of those that came in the windows",
        "distribution",
    ),
    Metric(
        "itl_s",
        "s",
        "inter-token latency: gaps between successive chunks of a stream (tokens of one chunk make "
        "none), that ended in the windows",
        "distribution",
    ),
    Metric(
        "tpot_s",
        "s",
        "time per output token: (last − first token) ÷ (output tokens − 1), of requests finished "
        "in the windows",
        "distribution",
    ),
    Metric(
        "e2e_latency_s",
        "s",
        "from when the request was due (offline: a slot was free for it) until its last token, of "
        "requests finished in the windows",
        "distribution",
    ),
    Metric("peak_memory_bytes", "bytes", "largest memory in use, by device class", "by_class"),
)

METRICS: dict[str, Metric] = {m.name: m for m in _TABLE}

DEVICE_CLASSES = ("gpu", "cpu", "dram", "module", "node", "sensor", "estimated")
"""``cpu`` is the package counter; ``module`` a CPU+GPU module's; ``node`` the wall or node sensor;
``sensor`` one of which nobody said what it measures: shown, in no figure;
``estimated`` is no measurement: CPU time × an assumed power per busy core."""
