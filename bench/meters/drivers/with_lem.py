"""lem: its meter as a context around each piece of work."""

import sys
from pathlib import Path
from typing import Any

import work


def measure(trial: dict[str, Any], do: work.Work) -> tuple[Any, ...]:
    import lem
    from lem.meters.protocol import MeterSettings

    if "rapl" in trial:
        meter = lem.meter(["rapl"], settings=MeterSettings(powercap_root=Path(trial["rapl"])))
    else:
        meter = lem.meter(["nvml"])
    with meter as m:
        do()
    r = m.readings[0]
    own = [u for part, u in r.budget_j.items() if part != "gain"]
    return r.energy_j, r.uncertainty_j, m.flags, 2 * sum(u * u for u in own) ** 0.5


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[3]))
    work.serve(measure, name="lem", version=work.version("lem-energy"))
