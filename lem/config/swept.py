"""What a section must have need not be written there where it is swept."""

from typing import Any

_REQUIRED = {
    ("arrival", "rate"): ("constant", "poisson", "gamma"),
    ("arrival", "path"): ("trace",),
    ("dataset", "path"): ("jsonl", "sharegpt", "trace"),
}
"""Keys of the workload without a default, and the kinds that have them."""


def with_swept(data: dict[str, Any]) -> dict[str, Any]:
    """A campaign's data, each required key of the workload that is not written but swept for all
    backends set to the first value of its sweep. In the experiments the swept values stand."""
    workload, sweep = data.get("workload"), data.get("sweep")
    if not isinstance(workload, dict) or not isinstance(sweep, dict):
        return data
    filled = dict(workload)
    for (section, key), kinds in _REQUIRED.items():
        written, values = workload.get(section), sweep.get(f"workload.{section}.{key}")
        first = values.get("low") if isinstance(values, dict) else values
        first = first[0] if isinstance(first, list) and first else first
        if (
            isinstance(written, dict)
            and written.get("kind") in kinds
            and key not in written
            and isinstance(first, str | int | float)
        ):
            filled[section] = {**written, key: first}
    return {**data, "workload": filled}
