"""A required key of the workload may be swept without standing in its section."""

import pytest

from lem.config import parse
from lem.config.swept import with_swept
from lem.errors import BadInput

HEAD = "version: 1\nname: x\nmodels: [{id: a/b}]\nbackends: {llama_cpp: {}}\n"


def rates(text: str) -> list[float]:
    return [d.workload.arrival.rate for d in parse(HEAD + text, "c.yaml").drafts]  # type: ignore[union-attr]


def test_a_rate_that_is_swept_need_not_be_written() -> None:
    swept = "sweep: {workload.arrival.rate: [2, 0.5]}\n"
    assert rates(swept + "workload: {arrival: {kind: poisson}}\n") == [2, 0.5]
    written = swept + "workload: {arrival: {kind: poisson, rate: 7}}\n"
    assert rates(written) == [2, 0.5]


def test_bounds_will_do() -> None:
    text = "sweep: {workload.arrival.rate: {low: 1, high: 4, scale: log2}}\n"
    assert rates(text + "workload: {arrival: {kind: constant}}\n") == [1, 2, 4]


def test_a_path_that_is_swept_need_not_be_written() -> None:
    file = parse(
        HEAD + "sweep: {workload.dataset.path: [a.jsonl, b.jsonl]}\n"
        "workload: {dataset: {kind: jsonl, output_tokens: 8}}\n",
        "c.yaml",
    )
    assert len(file.drafts) == 2


@pytest.mark.parametrize(
    "sweep", ["{}", "{llama_cpp.workload.arrival.rate: [1, 2]}", "{workload.arrival.rate: []}"]
)
def test_what_nobody_says_is_missing(sweep: str) -> None:
    with pytest.raises(BadInput, match="rate"):
        rates(f"sweep: {sweep}\nworkload: {{arrival: {{kind: poisson}}}}\n")


@pytest.mark.parametrize(
    "data",
    [
        {"sweep": {"workload.arrival.rate": [1]}},
        {"workload": [], "sweep": {}},
        {"workload": {"arrival": 3}, "sweep": {"workload.arrival.rate": [1]}},
        {"workload": {"arrival": {"kind": []}}, "sweep": {"workload.arrival.rate": [1]}},
        {"workload": {"arrival": {"kind": "offline"}}, "sweep": {"workload.arrival.rate": [1]}},
        {"workload": {"arrival": {"kind": "gamma"}}, "sweep": {"workload.arrival.rate": [[1]]}},
    ],
)
def test_other_data_stay_as_they_are(data: dict[str, object]) -> None:
    assert with_swept(data) == data
