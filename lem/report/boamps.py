"""A record as a BoAmps report: Boavizta's open format for the energy of AI tasks (version 1.1.0,
https://github.com/Boavizta/BoAmps, CC-BY-4.0).

The format has a power consumption for each measure and no uncertainty but three classes of
quality, so what a record says beyond that stands in the task's description. A device class is a
measure of its own: they are never summed in silence.
"""

import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from lem.contract.base import canonical_json
from lem.contract.metrics import METRICS
from lem.contract.record import Record
from lem.stores.costs import meters_of

FORMAT_VERSION = "1.1.0"
SPECIFICATION = "https://github.com/Boavizta/BoAmps/tree/main/model"
J_PER_KWH = 3.6e6
POWER, ENERGY = "mean_power_w", "energy_per_output_token_j"
_NAMESPACE = uuid.UUID("c1a3f0de-6a2c-5c0b-9a57-1d0f1f6f7f2a")
_QUALITY = ((0.10, "high"), (0.25, "medium"))
"""Relative error up to which the format speaks of that quality; else ``low``."""


def report(
    record: Record,
    *,
    licence: str | None = None,
    publisher: str | None = None,
    identity: str | None = None,
    note: str = "",
) -> dict[str, Any] | None:
    """One run's report; None where it has no energy, which a report must have.

    ``identity``: what makes the report's id, the same at every export (by default the run's id);
    ``note``: added to the task's description.
    """
    energies = _energies(record)
    if not energies:
        return None
    header = {
        **({"licensing": licence} if licence else {}),
        "formatVersion": FORMAT_VERSION,
        "formatVersionSpecificationUri": SPECIFICATION,
        "reportId": str(uuid.uuid5(_NAMESPACE, identity or record.run_id)),
        "reportDatetime": _time(record.ended_at),
        "reportStatus": "final",
        "publisher": {
            **({"name": publisher} if publisher else {}),
            "confidentialityLevel": "public" if licence else "internal",
        },
    }
    return {
        "header": header,
        "task": _task(record, note),
        "measures": [_measure(record, c, joules) for c, joules in energies.items()],
        "system": {"os": record.environment.os},
        "software": {"language": "python", "version": record.environment.python},
        "infrastructure": {"infraType": "other", "components": _components(record)},
        "quality": _quality(record, list(energies)),
    }


def boamps_lines(records: Iterable[Record]) -> Iterator[str]:
    """One report a line, of the records that have energy."""
    for record in records:
        if (found := report(record)) is not None:
            yield canonical_json(found).decode() + "\n"


def _seconds(record: Record) -> float:
    return sum(w.end_ns - w.start_ns for w in record.windows) / 1e9


def _energies(record: Record) -> dict[str, float]:
    """Device class → joules in the windows."""
    power = record.metrics.get(POWER)
    if not isinstance(power, dict):
        return {}
    return {c: value.value * _seconds(record) for c, value in sorted(power.items())}


def _measure(record: Record, device_class: str, joules: float) -> dict[str, Any]:
    meter = meters_of(record).get(device_class, "unknown")
    modelled = ", modelled from CPU time" if device_class == "estimated" else ""
    tracking = {"cpu": "cpuTrackingMode", "gpu": "gpuTrackingMode", "estimated": "cpuTrackingMode"}
    return {
        "measurementMethod": f"lem: {device_class} by {meter}{modelled}",
        "version": record.environment.lem_version,
        **({tracking[device_class]: meter} if device_class in tracking else {}),
        "powerConsumption": joules / J_PER_KWH,
        "measurementDuration": _seconds(record),
        "measurementDateTime": _time(record.started_at),
    }


def _task(record: Record, note: str) -> dict[str, Any]:
    e = record.experiment
    requests = sum(w.requests for w in record.windows)
    tokens = {
        "input": sum(w.input_tokens for w in record.windows),
        "output": sum(w.output_tokens for w in record.windows),
    }
    quantization = e.engine.get("quantization") or e.engine.get("dtype")
    algorithm = {
        "algorithmType": "llm",
        "foundationModelName": e.model.id,
        "framework": e.backend,
        "frameworkVersion": e.engine_version,
        **({"quantization": quantization} if isinstance(quantization, str) else {}),
    }
    accuracy = record.quality.accuracy
    return {
        "taskStage": "inference",
        "taskFamily": "text generation",
        "nbRequest": requests,
        "algorithms": [algorithm],
        "dataset": [
            {
                "dataUsage": usage,
                "dataType": "token",
                **({"dataQuantity": n / requests} if requests else {}),
            }
            for usage, n in tokens.items()
        ],
        **({"measuredAccuracy": accuracy.value} if accuracy is not None else {}),
        "taskDescription": _description(record, note),
    }


def _description(record: Record, note: str) -> str:
    said = [f"experiment {record.experiment_id}, run {record.run_id}"]
    by_class = record.metrics.get(ENERGY)
    for name, value in sorted(by_class.items()) if isinstance(by_class, dict) else ():
        u = "not stated" if value.uncertainty is None else f"{value.uncertainty:.4g}"
        said.append(
            f"{ENERGY} ({name}): {value.value:.6g} {METRICS[ENERGY].unit}, expanded uncertainty "
            f"(k = 2): {u}"
        )
    said.append(f"metric semantics {record.metric_semantics_version}")
    if record.flags:
        said.append(f"flags: {', '.join(record.flags)}")
    return "; ".join([*said, *([note] if note else [])])


def _components(record: Record) -> list[dict[str, Any]]:
    env = record.environment
    found: list[dict[str, Any]] = []
    for name in sorted({g.name for g in env.gpus}):
        same = [g for g in env.gpus if g.name == name]
        found.append(
            {
                "componentName": name,
                "componentType": "gpu",
                "nbComponent": len(same),
                "memorySize": same[0].memory_bytes / 1e9,
            }
        )
    cpu = f"{env.cpu_model} ({env.cpu_count} logical CPUs)"
    return [
        *found,
        {"componentName": cpu, "componentType": "cpu", "nbComponent": 1},
        {"componentType": "ram", "nbComponent": 1, "memorySize": env.memory_bytes / 1e9},
    ]


def _quality(record: Record, classes: list[str]) -> str:
    """By the widest relative uncertainty of the classes; ``low`` where one states none."""
    worst = 0.0
    for name in (ENERGY, POWER):
        by_class = record.metrics.get(name)
        stated = by_class if isinstance(by_class, dict) else {}
        if all(c in stated and stated[c].uncertainty is not None for c in classes):
            for c in classes:
                value, u = stated[c].value, stated[c].uncertainty
                worst = max(worst, (u or 0.0) / value if value > 0 else 1.0)
            return next((word for limit, word in _QUALITY if worst <= limit), "low")
    return "low"


def _time(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
