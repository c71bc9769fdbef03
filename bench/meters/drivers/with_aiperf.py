"""AIPerf's reading: its NVML collector and its sum of energy, as during a profiling run.

A whole run needs an inference server; what it does around one is a scrape before (the baseline),
one every 333 ms, one when profiling completes, and the counter's difference between the baseline
and the last scrape up to its grace time after the end.
"""

import asyncio
import time
from typing import Any

import work


def measure(trial: dict[str, Any], do: work.Work) -> tuple[float | None, None, list[str]]:
    if "rapl" in trial:
        raise work.NotRead("RAPL")
    return asyncio.run(around(do))


async def around(do: work.Work) -> tuple[float | None, None, list[str]]:
    from aiperf.common.enums import EnergyMetricUnit
    from aiperf.common.environment import Environment
    from aiperf.common.exceptions import NoMetricValue
    from aiperf.common.models.server_metrics_models import TimeRangeFilter
    from aiperf.common.models.telemetry_models import TelemetryHierarchy
    from aiperf.gpu_telemetry.constants import NVIDIA_ENERGY_CONSUMPTION_FIELD as FIELD
    from aiperf.gpu_telemetry.pynvml_collector import PyNVMLTelemetryCollector

    hierarchy = TelemetryHierarchy()

    async def keep(records: list[Any], _: str) -> None:
        for record in records:
            hierarchy.add_record(record)

    collector = PyNVMLTelemetryCollector(record_callback=keep)
    await collector.initialize()
    await collector.collect_and_process_metrics()
    await collector.start()
    start_ns = time.time_ns()
    await asyncio.to_thread(do)
    end_ns = time.time_ns()
    await collector.collect_and_process_metrics()
    await collector.stop()
    window = TimeRangeFilter(
        start_ns=start_ns, end_ns=end_ns + Environment.GPU.FINAL_SCRAPE_GRACE_NS
    )
    for boards in hierarchy.telemetry_source_endpoints.values():
        for data in boards.values():
            try:
                result = data.get_metric_result(
                    FIELD, FIELD, "Energy", "MJ", time_filter=window, is_counter=True
                )
            except NoMetricValue as e:
                return None, None, [str(e)[:80]]
            if result.avg is not None:
                return result.avg * EnergyMetricUnit.MEGAJOULE.joules, None, []
    return None, None, ["no energy"]


if __name__ == "__main__":
    work.serve(measure, name="AIPerf's reading", version=work.version("aiperf"))
