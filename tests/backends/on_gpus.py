"""What the suites of engines that need a GPU share: those with a stand-in (tests/backends/fakes)
for the machines that have none, and those with the engine itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lem.backends.protocol import Backend
from lem.contract.workload import Concurrency
from lem.workloads.load import Log
from lem.workloads.requests import Request
from lem.workloads.sources import Backlog, arriving
from lem.workloads.stock import Stock

from .conformance import Conformance, answer
from .conformance_served import Served
from .fakes.use import fakes


class OnStandIn(Conformance):
    """The engine's stand-in, in this process."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def there(cls) -> Iterator[None]:
        with fakes():
            yield

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, tiny: Path) -> Path:
        return tiny


class OnStandInServed(Served):
    """Through a server of its own, whose process is a fake."""

    def test_the_cache_s_hits_are_counted(self, engine: Any) -> None:
        shared = [Request(f"c{i}", [9, 9, 9, 9], 2, "") for i in range(4)]
        log = Log()
        engine.serve(arriving(Concurrency(concurrency=1), Stock(shared), log, 4), log)
        assert {r.status for r in log.responses.values()} == {"done"}
        assert engine.facts()["prefix_cache_hit_tokens"] >= 9


class OnGpu(Conformance):
    """The engine itself, in this process."""

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, real_model: Path) -> Path:
        return real_model

    def test_likelihood_of_english_is_higher_than_of_noise(
        self, engine: Any, tokenizer: Any
    ) -> None:
        self.likelihood_of_english_is_higher_than_of_noise(engine, tokenizer)

    def test_an_answer_may_end_by_itself(
        self, engine: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(engine._sampling, "ignore_eos", False)
        response = answer(engine, [self.yes(tokenizer)]).responses["yes"]
        assert response.status == "done" and 1 <= len(response.token_ns) < 200


class OnGpuServed(Served, OnGpu):
    """Through its own server."""

    def test_an_answer_may_end_by_itself(
        self, backend: Backend, model: Path, tokenizer: Any, tmp_path: Path
    ) -> None:
        request = self.yes(tokenizer)
        generate = {"temperature": 0, "ignore_eos": False}
        engine = backend.load(self.job(model, tmp_path, [request], generate=generate))
        log = Log()
        engine.serve(arriving(self.arrival, Stock([request]), log, 1), log)
        engine.close()
        response = log.responses["yes"]
        assert response.status == "done" and 1 <= len(response.token_ns) < 200


class Gone(Exception):
    pass


def break_off(engine: Any, request: Request) -> None:
    """A source that fails while the engine answers: what is open is told as failed, and the engine
    takes work again."""
    log = Log()
    source = Backlog(Stock([request._replace(output_tokens=900)]), log)

    class Breaking:
        def take(self, room: int, busy: int) -> list[Request] | None:
            if log.tokens > 5:
                raise Gone
            return source.take(room, busy)

        def due_ns(self) -> int | None:
            return None

    with pytest.raises(Gone):
        engine.serve(Breaking(), log)
    assert {(r.status, r.text) for r in log.responses.values()} == {("failed", "broken off")}
    assert answer(engine, [request._replace(id="after")]).responses["after"].status == "done"
