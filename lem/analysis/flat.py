"""A record as one row of a table."""

from typing import Any

from lem.analysis.naming import flat
from lem.contract.record import Record
from lem.stores.index import metric_values


def flat_record(record: Record, counts: bool) -> dict[str, Any]:
    """Column → value; see :meth:`lem.analysis.results.Results.table`. ``counts``: whether its run
    counts in comparisons."""
    row: dict[str, Any] = {
        "campaign": record.campaign,
        "run_id": record.run_id,
        "arm_id": record.arm_id,
        "experiment_id": record.experiment_id,
        "block": record.block,
        "block_pass": record.block_pass,
        "attempt": record.attempt,
        "counted": counts,
        "started_at": record.started_at,
        "ended_at": record.ended_at,
        "metric_semantics_version": record.metric_semantics_version,
        "flags": " ".join(record.flags),
        "launcher": record.environment.launcher,
        "cpu_model": record.environment.cpu_model,
        "gpus": ", ".join(g.name for g in record.environment.gpus),
        **flat(record.experiment.model_dump()),
    }
    for metric, part, value in metric_values(record):
        name = f"{metric}.{part}" if part else metric
        row[name] = value.value
        if value.uncertainty is not None:
            row[f"{name}.uncertainty"] = value.uncertainty
    return row
