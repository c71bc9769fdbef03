"""CodeCarbon: an offline tracker, started and stopped around each piece of work
(https://docs.codecarbon.io, "Explicit object"). Its answer is in kWh."""

import os
from typing import Any

import work

J_PER_KWH = 3.6e6


def measure(trial: dict[str, Any], do: work.Work) -> tuple[float, None, list[str]]:
    if "rapl" in trial:
        return with_rapl(trial["rapl"], do), None, []
    from codecarbon import OfflineEmissionsTracker

    tracker = OfflineEmissionsTracker(
        country_iso_code="DEU", gpu_ids=[0], save_to_file=False, log_level="error"
    )
    tracker.start()
    do()
    tracker.stop()
    return tracker.final_emissions_data.gpu_energy * J_PER_KWH, None, []


def with_rapl(folder: str, do: work.Work) -> float:
    """Its own class for RAPL, whose folder can be given; the tracker's cannot."""
    from codecarbon.core.cpu import IntelRAPL
    from codecarbon.core.units import Time

    rapl = IntelRAPL(rapl_dir=folder)
    rapl.start()
    do()
    details = rapl.get_cpu_details(Time(1))
    return J_PER_KWH * sum(v for k, v in details.items() if "Energy" in k)


if __name__ == "__main__":
    os.environ.setdefault("CODECARBON_LOG_LEVEL", "error")
    work.serve(measure, name="CodeCarbon", version=work.version("codecarbon"))
