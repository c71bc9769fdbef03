"""The suite on an engine without a model: shows that the suite itself can be passed."""

import time
from pathlib import Path
from typing import Any

import pytest

from lem.backends.protocol import Backend
from lem.contract.base import Scalar
from lem.contract.job import Job, Rejection
from lem.contract.spec import ModelSpec
from lem.errors import RunFailed
from lem.workloads.load import Sink, Source
from lem.workloads.requests import Message, Request, Tokenizer, plain_chat

from .conformance import Conformance


class Letters:
    vocabulary = 256
    special_ids: frozenset[int] = frozenset({0})

    def encode(self, text: str, chat: bool) -> list[int]:
        return list(text.encode())

    def chat(self, messages: list[Message]) -> list[int]:
        return self.encode(plain_chat(messages), True)

    def decode(self, ids: list[int]) -> str:
        return bytes(ids).decode(errors="replace")


class FakeEngine:
    atomic_batches = True

    def __init__(self, batch: int) -> None:
        self.batch = batch

    def serve(self, source: Source, sink: Sink) -> None:
        while (taken := source.take(self.batch, 0)) is not None:
            for step in range(max((r.output_tokens for r in taken), default=0)):
                time.sleep(0.001)
                for r in taken:
                    if step < r.output_tokens:
                        sink.token(r.id)
            for r in taken:
                sink.done(r.id, "x" * r.output_tokens)

    def facts(self) -> dict[str, Scalar]:
        return {
            "dtype": "none",
            "device": "cpu",
            "attention": "none",
            "batching": "continuous",
            "compile": False,
            "max_model_len": None,
            "max_batch_size": self.batch,
            "peak_memory_bytes.cpu": 2**24,
        }

    def nll(self, token_ids: list[int]) -> float | None:
        return None

    def close(self) -> None:
        pass


class Fake:
    name = "fake"
    distribution = "lem-energy"
    libraries: tuple[str, ...] = ()

    def prepare(self, model: ModelSpec, source: Path | None, target: Path, trust: bool) -> str:
        return "."

    def tokenizer(self, path: Path) -> Tokenizer:
        return Letters()

    def reject(self, job: Job) -> list[Rejection]:
        if "volume" in job.args:
            return [Rejection(arm_id=job.arm_id, argument="args.volume", message="no volume here")]
        return []

    def load(self, job: Job) -> FakeEngine:
        for rejection in self.reject(job):
            raise RunFailed("bad_argument", rejection.message)
        return FakeEngine(int(str(job.engine["max_batch_size"])))


class TestFake(Conformance):
    name = "fake"
    bad_argument = ({"volume": 11}, "no volume here")

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls) -> Backend:
        return Fake()

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return tmp_path_factory.mktemp("model")


def test_the_suite_notices_a_lost_token(tmp_path: Path) -> None:
    class Lossy(FakeEngine):
        def serve(self, source: Source, sink: Sink) -> None:
            while (taken := source.take(self.batch, 0)) is not None:
                for r in taken:
                    sink.token(r.id, r.output_tokens - 1)
                    sink.done(r.id, "")

    requests = [Request("r0", [1], 4, "")]
    engine: Any = Lossy(1)
    with pytest.raises(AssertionError):
        Conformance().test_every_request_is_answered_once_with_exactly_its_tokens(engine, requests)
