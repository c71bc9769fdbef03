"""Every rule by which the archive looks at a run: its name, what it says, what follows from it.

``note``: shown, nothing else. ``hold``: the run stays self-reported. ``reject``: neither it nor its
campaign enters any figure. What an honest run on an unknown machine may do is never rejected; only
what contradicts itself is, or what no board can do.
"""

from typing import Literal, NamedTuple

Consequence = Literal["note", "hold", "reject"]


class Rule(NamedTuple):
    name: str
    meaning: str
    consequence: Consequence


_FIGURES = (
    Rule("figures_differ", "a figure is not what the trace and the responses give", "reject"),
    Rule(
        "figures_of_another_version",
        "figures or flags are not what this version of lem gives, and the record is of another",
        "hold",
    ),
    Rule(
        "semantics_old",
        "figures are not what the files give, since metrics meant something else then",
        "hold",
    ),
    Rule(
        "semantics_unknown", "metrics' meanings are of a later version than this server's", "hold"
    ),
    Rule("flags_missing", "the record lacks a flag that its files give", "reject"),
    Rule("flags_unfounded", "the record has a flag that its files contradict", "reject"),
    Rule("not_recomputable", "figures cannot be worked out from files of this kind or age", "hold"),
    Rule("too_large", "trace or responses are larger than what is recomputed here", "hold"),
    Rule("files_unreadable", "trace or responses are not what they should be", "reject"),
)

_TRACE = (
    Rule("trace_short", "the trace does not reach around every window and idle phase", "hold"),
    Rule("trace_gap", "a meter that the figures need was not read for a long time", "hold"),
    Rule(
        "samples_even", "readings are evenly spaced to the nanosecond, as no sampler's are", "hold"
    ),
    Rule("values_not_whole", "a counter that counts whole units shows fractions of them", "reject"),
    Rule("values_off_grid", "a counter shows values between its own steps", "reject"),
    Rule(
        "tick_impossible",
        "a counter is brought up to date more often or more rarely than any",
        "hold",
    ),
    Rule("meter_inconsistent", "the trace is not of the meters that the record names", "reject"),
    Rule("phases_disordered", "the trace's phases are missing or not in a run's order", "reject"),
    Rule("trace_repeated", "another run of the campaign has the same trace", "reject"),
    Rule(
        "trace_shape_repeated",
        "another run of the campaign has the same readings of something at other times",
        "reject",
    ),
    Rule(
        "trace_replayed",
        "a run of another campaign that was submitted before has the same readings",
        "reject",
    ),
)

_POWER = (
    Rule(
        "power_above_limit",
        "mean power is above the limit in force, beyond its tolerance",
        "reject",
    ),
    Rule("power_above_board", "power is more than any board of this model may draw", "reject"),
    Rule(
        "limit_impossible",
        "the power limit is none that this board can have, or not the one that was read",
        "hold",
    ),
    Rule("power_below_floor", "power is less than a board of this model needs to be on", "hold"),
    Rule("work_below_idle", "less power at work than at rest", "hold"),
    Rule(
        "counter_differs_from_power",
        "the energy counter and integrated power differ by more than boards of this kind do",
        "hold",
    ),
    Rule(
        "counter_contradicts_power",
        "the energy counter and integrated power differ by more than a factor of two",
        "reject",
    ),
    Rule("reading_impossible", "a temperature or clock is none that this board can have", "hold"),
    Rule("calibration_far", "energy is corrected by a gain further from 1 than boards are", "hold"),
    Rule("calibrated", "energy is corrected by a gain that the submitter determined", "note"),
    Rule("estimated", "energy is modelled, not measured; it has a board of its own", "note"),
)

_WINDOWS = (
    Rule(
        "windows_not_as_asked",
        "windows or idle phases are fewer or shorter than asked for",
        "reject",
    ),
    Rule("window_too_long", "a window is longer than its rule lets it be", "hold"),
    Rule("window_late", "the first window begins later than its rule lets it", "hold"),
    Rule(
        "windows_misplaced",
        "a window or idle phase lies outside its phase, or over another",
        "reject",
    ),
    Rule(
        "edge_unmarked", "a window's edge is no moment at which the meters were read for it", "hold"
    ),
    Rule("work_outside_windows", "batches of the measured phase are in no window", "reject"),
)

_REQUESTS = (
    Rule("input_tokens_not_as_asked", "prompts are not as long as the data set's", "reject"),
    Rule(
        "output_tokens_not_as_asked",
        "answers are longer than asked for, or shorter unflagged",
        "reject",
    ),
    Rule("requests_not_in_order", "requests are not those whose turn it was", "hold"),
    Rule("load_not_as_asked", "more requests were open at once than there are clients", "reject"),
    Rule(
        "tokens_beyond_bandwidth",
        "more tokens a second than the board's memory could read the model for",
        "hold",
    ),
)

_PROVENANCE = (
    Rule(
        "experiment_id_differs", "the experiment's id is not the hash of the experiment", "reject"
    ),
    Rule("model_unresolved", "the model is named, and not by the hash of its weights", "hold"),
    Rule("not_of_its_lock", "experiment or measurement is not the campaign's", "reject"),
    Rule("engine_version_differs", "the engine that ran is not the experiment's version", "hold"),
    Rule("devices_differ", "boards, meters and device set do not go together", "hold"),
    Rule(
        "board_differs", "memory, architecture, parts or name are not those of this board", "hold"
    ),
    Rule(
        "board_unknown",
        "limits of this board are not known here; rules that need them did not run",
        "note",
    ),
    Rule("image_unknown", "a container ran whose image is not named by its digest", "hold"),
    Rule("times_contradict", "the run was over before its trace", "reject"),
    Rule("in_the_future", "the run ended after it was received", "hold"),
    Rule(
        "arms_not_in_order",
        "a block's runs were not made in the order that the campaign's seed draws",
        "hold",
    ),
    Rule("runs_overlap", "two runs used the same devices at the same time", "hold"),
    Rule(
        "clocks_disagree", "wall clock and monotonic clock do not go together in a campaign", "hold"
    ),
)

FAMILIES = {
    "Figures": _FIGURES,
    "Trace": _TRACE,
    "Power": _POWER,
    "Windows": _WINDOWS,
    "Requests": _REQUESTS,
    "Provenance": _PROVENANCE,
}

RULES: dict[str, Rule] = {r.name: r for family in FAMILIES.values() for r in family}
