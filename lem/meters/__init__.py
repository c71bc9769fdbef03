"""Sources of energy readings, and the process that samples them."""

NOT_PLUGINS = (
    "protocol",
    "sampler",
    "trace",
    "readings",
    "counter",
    "series",
    "process_tree",
    "rounds",
    "nvml_energy",
    "nvml_board",
    "calibration",
    "part_time",
    "nvml_power",
    "neighbours",
    "slow",
    "background",
    "machine",
    "reconcile",
    "foreign",
)
