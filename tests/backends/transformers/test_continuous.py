"""Tokens and their times as transformers' continuous batching tells them."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from lem.backends.transformers.continuous import ContinuousBatches, _Open
from lem.workloads.load import Log
from lem.workloads.requests import Request


@dataclass
class Told:
    """As its ``GenerationOutput``: all tokens so far, and the stamps that the request has now."""

    generated_tokens: list[int]
    timestamps: list[float]
    finished: bool = False
    request_id: str = "r"
    error: str | None = None

    def is_finished(self) -> bool:
        return self.finished


@dataclass
class Words:
    asked: list[list[int]] = field(default_factory=list)

    def decode(self, ids: list[int]) -> str:
        self.asked.append(ids)
        return "text"


def heard(results: list[Told], told_at_ns: int = 9 * 10**9) -> Any:
    engine = object.__new__(ContinuousBatches)
    engine._tokenizer = Words()  # type: ignore[assignment]
    request = Request("r", [1, 2], 5, "")
    log = Log(lambda: told_at_ns)
    log.sent([request], 0)
    open_requests = {"r": _Open(request)}
    for result in results:
        engine._tell(result, open_requests, log)
    assert not open_requests
    return log.responses["r"]


def test_each_token_has_its_stamp_and_the_answer_ends_with_the_last() -> None:
    found = heard([Told([7], [1.0]), Told([7, 8, 9], [1.0, 2.0, 3.5], finished=True)])
    assert found.token_ns == [10**9, 2 * 10**9, 3_500_000_000]
    assert found.end_ns == 3_500_000_000 and found.status == "done"


def test_no_token_is_lost_where_a_request_has_to_begin_anew() -> None:
    """With the KV cache full, a request's tokens become part of its prompt, and its stamps
    begin anew."""
    found = heard(
        [
            Told([7], [1.0]),
            Told([7, 8], [1.0, 2.0]),
            Told([7, 8, 9], [3.0]),
            Told([7, 8, 9, 10], [3.0, 4.0]),
            Told([7, 8, 9, 10, 11], [3.0, 4.0, 5.0], finished=True),
        ]
    )
    assert found.token_ns == pytest.approx([s * 10**9 for s in (1, 2, 3, 4, 5)])
