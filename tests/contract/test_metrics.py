"""The table of metrics: every name carries its unit, and a record's shapes are as described."""

import json
from pathlib import Path

import pytest

from lem.contract import metrics
from lem.contract.metrics import DEVICE_CLASSES, METRICS
from lem.contract.record import Distribution, Record, Value

ENDING = {
    "J/token": "_token_j",
    "J/request": "_request_j",
    "J/answer": "_answer_j",
    "s/token": "_token_s",
    "s": "_s",
    "W": "_w",
    "tokens/s": "_tokens_per_s",
    "requests/s": "_per_s",
    "bytes": "_bytes",
    "share": "_share",
}


def test_names_are_unique() -> None:
    assert len(METRICS) == len(metrics._TABLE)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_a_metric_is_described_and_its_name_ends_with_its_unit(metric: metrics.Metric) -> None:
    assert metric.name.endswith(ENDING[metric.unit])
    assert len(metric.meaning) > 10
    assert metric.shape in ("by_class", "value", "distribution")
    assert metric.better in ("lower", "higher")


def test_more_is_better_only_for_throughput() -> None:
    assert {m.name for m in METRICS.values() if m.better == "higher"} == {
        "output_throughput_tokens_per_s",
        "total_throughput_tokens_per_s",
        "request_throughput_per_s",
        "goodput_per_s",
        "goodput_rate_per_s",
        "slo_attainment_share",
    }


def test_estimated_energy_is_a_class_of_its_own() -> None:
    assert "estimated" in DEVICE_CLASSES
    assert len(set(DEVICE_CLASSES)) == len(DEVICE_CLASSES)


def test_shapes_are_told_apart_when_a_record_is_read() -> None:
    golden = json.loads((Path(__file__).parent / "golden" / "record.v1.json").read_text())
    found = Record.parse(json.dumps(golden).encode()).metrics
    assert found["energy_per_output_token_j"] == {
        "gpu": Value(value=1.953125, uncertainty=0.0098),
        "cpu": Value(value=0.5),
    }
    assert found["output_throughput_tokens_per_s"] == Value(value=128.0)
    assert isinstance(found["ttft_s"], Distribution)
