"""Sources of energy readings, and the process that samples them."""

NOT_PLUGINS = (
    "calibration",
    "command",
    "machine",
    "neighbours",
    "nvml_board",
    "nvml_energy",
    "nvml_power",
    "process_tree",
    "protocol",
    "readings",
    "remote",
    "sampler",
    "session",
    "sysfs",
)
