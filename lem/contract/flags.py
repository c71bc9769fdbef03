"""Every flag that can stand in a record: what it means and what follows from it.

Consequence: ``info`` is shown; ``exclude`` takes the run out of every estimate; ``void`` makes its
block be repeated.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

Consequence = Literal["info", "exclude", "void"]


class Flag(NamedTuple):
    name: str
    meaning: str
    consequence: Consequence


SYNTHETIC = "synthetic"
"""Only archives for demonstrations take records that have it."""

_TABLE = (
    Flag(SYNTHETIC, "made up to show or to test software: nobody measured this", "info"),
    Flag("estimated", "energy is modelled from CPU time, not measured", "info"),
    Flag("short_window", "a window is shorter than 10 s; its edges weigh more", "info"),
    Flag("warm_up_capped", "throughput had not settled when the warm-up limit was reached", "info"),
    Flag("weights_random", "the model has random weights; its answers mean nothing", "info"),
    Flag("shared_device", "other work may have drawn energy from this device", "info"),
    Flag("power_integrated", "energy is integrated from sampled power, without a counter", "info"),
    Flag(
        "power_differs",
        "energy counter and integrated power differ by more than boards of this kind should",
        "info",
    ),
    Flag(
        "idle_drift",
        "idle power before and after the window differed by over 10 %, and enough to matter",
        "info",
    ),
    Flag("clocks_changed", "application clocks changed during the run", "info"),
    Flag("sampler_gap", "the meter was not read for more than three periods", "info"),
    Flag(
        "few_turns",
        "a window holds fewer than three answers of each slot, and answers differ in length: "
        "energy per token may be some per cent too low",
        "info",
    ),
    Flag(
        "cool_down_missed",
        "no GPU temperature was seen to reach measure.cool_down's within its limit",
        "info",
    ),
    Flag(
        "idle_untrusted",
        "an idle phase has a reading that cannot be trusted: no idle power of that device class",
        "info",
    ),
    Flag(
        "meters_disagree",
        "two meters of the same energy differ by more than their uncertainties",
        "info",
    ),
    Flag(
        "not_attributed",
        "over a fifth of a device class's energy may be other programs': the class has no figure",
        "info",
    ),
    Flag(
        "too_few_updates",
        "the window is shorter than four updates of this meter, or than what it averages over, or"
        " no updates of it were seen: no figure from it",
        "info",
    ),
    Flag(
        "counter_uneven",
        "a step of the counter stands out: its fault, or a moment of another power; the uncertainty"
        " allows for both",
        "info",
    ),
    Flag(
        "never_changed",
        "this power was the same at every reading, or for more than half of a window: the sensor"
        " may have stopped",
        "exclude",
    ),
    Flag("uncertainty_unstated", "nobody stated how good this meter is", "info"),
    Flag("no_meter", "no meter could be read; there is no energy figure", "exclude"),
    Flag(
        "neighbours_unknown",
        "whether other processes used the GPU could not be told",
        "info",
    ),
    Flag("foreign_gpu_process", "another process used the GPU", "exclude"),
    Flag("throttled", "the GPU lowered its clocks for heat or power delivery", "exclude"),
    Flag(
        "foreign_load",
        "over a fifth of this energy may have been drawn by other programs on the CPU",
        "exclude",
    ),
    Flag(
        "meters_contradict",
        "two meters of the same energy differ by more than a factor of two, or a part exceeds "
        "the whole",
        "exclude",
    ),
    Flag("power_limit_changed", "the GPU's power limit changed during the run", "exclude"),
    Flag(
        "power_limit_not_as_asked",
        "the power limit in force was not device.power_limit_w, or could not be read",
        "exclude",
    ),
    Flag(
        "clock_not_as_asked",
        "the SM clock in a window was not device.sm_clock_mhz (power and heat hold it down), or"
        " could not be read",
        "exclude",
    ),
    Flag("counter_frozen", "the energy counter did not move under load", "exclude"),
    Flag("counter_backwards", "the energy counter went back", "exclude"),
    Flag("counter_implausible", "the counter moved more than the device can draw", "exclude"),
    Flag("wrap_ambiguous", "the counter may have wrapped more than once unseen", "exclude"),
    Flag("counter_disagrees", "energy counter and integrated power disagree", "exclude"),
    Flag("meter_lost", "the meter stopped answering during the run", "exclude"),
    Flag("sampler_died", "the process that reads the meters ended early", "exclude"),
    Flag("no_coverage", "the trace does not reach both edges of the window", "exclude"),
    Flag("requests_failed", "some requests of the window failed", "exclude"),
    Flag(
        "client_late",
        "over 1 % of the requests left the client late, by over 5 ms and 5 % of the median time "
        "to first token, which holds it; or over 1 % of the chunks lay unread longer than the next "
        "one took to come, so that some share a time",
        "info",
    ),
    Flag(
        "tokens_spread",
        "the server told an answer's number of tokens only at its end; they are spread evenly over "
        "its chunks: counts are right, times between tokens are not",
        "info",
    ),
    Flag(
        "tokens_assumed",
        "the server told no number of tokens: each chunk was taken for one",
        "exclude",
    ),
    Flag(
        "input_tokens_differ",
        "the server counted other input tokens than the request list has (a chat template, a "
        "special token): figures per input token are of the list's",
        "info",
    ),
    Flag(
        "prompts_maybe_known",
        "the server runs on between runs and may have kept their prompts, which are the same ones: "
        "then there is less prefill in this run than in one of an engine that starts anew",
        "info",
    ),
    Flag(
        "answers_ended_early",
        "`ignore_eos` was asked for, but some answers are shorter than asked: the engine did less "
        "work than one that goes on to the end",
        "info",
    ),
    Flag("questions_failed", "some questions got no answer; they count as wrong", "info"),
    Flag(
        "likelihood_by_steps",
        "the engine tells the likelihood of a given answer one step for each of its tokens, so "
        "energy per answer is more than that of reading it",
        "info",
    ),
    Flag("requests_timed_out", "some requests of the window were given up waiting for", "exclude"),
    Flag(
        "overloaded",
        "more requests came than were answered, by more than chance explains: the queue grew, and "
        "there was no steady state",
        "exclude",
    ),
    Flag(
        "overload_unknown",
        "fewer than 40 requests came in the windows of an open load: even an overload of twice "
        "what can be answered may not be told from chance",
        "info",
    ),
    Flag(
        "target_not_held",
        "the load asked for was not held: clients of a closed loop were idle for over 5 % of the "
        "time, over 1 % of scheduled requests were sent over 20 ms late, or over 5 % fewer were "
        "sent than scheduled, since turns wait for the one before",
        "info",
    ),
    Flag(
        "rate_bound_hit",
        "the search for a rate ended at its lowest or highest, so the rate is not the one asked "
        "for",
        "exclude",
    ),
    Flag(
        "rate_search_capped",
        "the search for a rate ran out of time or trials before it had closed in on one",
        "info",
    ),
    Flag(
        "objectives_missed",
        "at the rate that was searched for fewer of the windows' requests met the objectives than "
        "asked for, by more than chance explains: the rate may be too high",
        "info",
    ),
    Flag(
        "shared_node",
        "the job had a part of its node's CPUs: others' jobs may have run beside it, and energy of "
        "CPU, memory or the whole node may hold theirs. GPUs were the job's own",
        "info",
    ),
    Flag("requests_exhausted", "the request list was used more than once", "info"),
    Flag("suspended", "the machine was suspended or the clock jumped", "void"),
)

FLAGS: dict[str, Flag] = {f.name: f for f in _TABLE}


def worst(flags: Iterable[str]) -> Consequence:
    """The gravest consequence among ``flags``; ``info`` for none. Unknown names exclude."""
    found = {FLAGS[f].consequence if f in FLAGS else "exclude" for f in flags}
    if "void" in found:
        return "void"
    return "exclude" if "exclude" in found else "info"
