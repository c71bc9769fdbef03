"""What every backend must do, real or not. Each member's test file subclasses :class:`Conformance`
and says how to make its backend and model."""

import gzip
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from lem import plugins
from lem.backends.protocol import Backend, Engine, Scoring
from lem.contract.base import CONTRACT_VERSION
from lem.contract.job import Job
from lem.contract.spec import DeviceSettings, ExperimentModel, Limits, Measurement
from lem.contract.workload import (
    Arrival,
    LongContextDataset,
    Offline,
    Workload,
)
from lem.errors import RunFailed
from lem.workloads import datasets
from lem.workloads.likelihood import Passage
from lem.workloads.load import Log, More
from lem.workloads.requests import Request, Tokenizer, dump
from lem.workloads.sources import Backlog, Stopping, arriving
from lem.workloads.spoken import UNFINISHED
from lem.workloads.steady import Phase
from lem.workloads.stock import FirstTokens, Stock

BATCH = 3
ALWAYS = {
    "attention",
    "batching",
    "compile",
    "device",
    "dtype",
    "max_batch_size",
    "max_model_len",
    "peak_memory_bytes.cpu",
}
"""What every engine says of itself."""


def gpus() -> list[int]:
    """The GPUs that the suite shall use (``LEM_CONFORMANCE_GPUS=0,1``); none: the CPU."""
    return [int(i) for i in os.environ.get("LEM_CONFORMANCE_GPUS", "").split(",") if i]


def own_arguments() -> dict[str, Any]:
    """More ``args`` for every job of an engine that has to be asked for something else on this
    machine (``LEM_CONFORMANCE_ARGS='{"attention_backend": "triton"}'``)."""
    found: dict[str, Any] = json.loads(os.environ.get("LEM_CONFORMANCE_ARGS", "{}"))
    return found


def make_job(
    backend: str,
    model: Path,
    folder: Path,
    requests: list[Request],
    engine: dict[str, Any] | None = None,
    args: dict[str, Any] | None = None,
    generate: dict[str, Any] | None = None,
    arrival: Arrival | None = None,
) -> Job:
    """A job for these requests, with the list written where the job says."""
    data, sha256 = dump(requests)
    path = folder / f"{sha256}.jsonl.gz"
    path.write_bytes(data)
    assert json.loads(gzip.decompress(data).splitlines()[0])
    return Job(
        contract_version=CONTRACT_VERSION,
        run_id="run",
        arm_id="arm",
        experiment_id="0" * 64,
        campaign="conformance",
        block=0,
        block_pass=0,
        attempt=0,
        backend=backend,
        engine_version="1",
        model=str(model),
        model_identity=ExperimentModel(
            id="m", revision=None, content="sha256:" + "0" * 64, weights="trained"
        ),
        engine={"max_batch_size": BATCH} if engine is None else engine,
        args=(args or {}) | own_arguments(),
        generate={"temperature": 0, "ignore_eos": True} if generate is None else generate,
        workload=Workload(arrival=arrival or Offline()),
        requests=str(path),
        requests_sha256=sha256,
        device=DeviceSettings(),
        measure=Measurement(windows=1, window_s=1, idle_s=0, warm_up_cap_s=1),
        limits=Limits(),
        seed=1,
        gpus=gpus(),
        launcher="process",
        image_digest=None,
    )


def answer(engine: Any, requests: list[Request], limit: int | None = None) -> Log:
    """What comes of serving these, ``limit`` of them (going round) where it is given."""
    log = Log()
    engine.serve(Backlog(Stock(requests), log, limit=limit or len(requests)), log)
    return log


class Conformance:
    """The suite. A member sets the attributes and fixtures that have no default here."""

    name: str
    software: str = ""
    """Which server it is, where lem drives one that somebody else started."""
    arguments: dict[str, Any] = {}
    """``args`` that every job of this member has."""
    bad_argument: tuple[dict[str, Any], str]
    """``args`` that the engine refuses, and words of its own refusal."""
    bad_generate: tuple[dict[str, Any], str] | None = None
    settings: dict[str, Any] = {"max_batch_size": BATCH}
    """``engine`` of every job."""
    arrival: Arrival = Offline()
    """How requests come: an engine that is served takes as many as there are clients."""

    @classmethod
    def job(cls, model: Path, folder: Path, requests: list[Request], **more: Any) -> Job:
        """A job of this member."""
        return make_job(
            cls.name, model, folder, requests, cls.settings, arrival=cls.arrival, **more
        )

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls) -> Backend:
        found: Backend = plugins.load("backends", cls.name)()
        return found

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> Path:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def tokenizer(cls, backend: Backend, model: Path) -> Tokenizer:
        return backend.tokenizer(model)

    @pytest.fixture(scope="class")
    @classmethod
    def requests(cls, tokenizer: Tokenizer) -> list[Request]:
        """Unlike lengths on both sides, so that padding and early ends matter."""
        texts = ["The capital of France is", "Once upon a time", "One, two, three, four, five,"]
        outputs = [6, 3, 9, 1, 5]
        return [
            Request(f"r{i}", tokenizer.encode(texts[i % 3], False), n, texts[i % 3])
            for i, n in enumerate(outputs)
        ]

    @pytest.fixture(scope="class")
    @classmethod
    def engine(
        cls,
        backend: Backend,
        model: Path,
        requests: list[Request],
        tmp_path_factory: pytest.TempPathFactory,
    ) -> Any:
        folder = tmp_path_factory.mktemp("requests")
        engine = backend.load(cls.job(model, folder, requests, args=cls.arguments))
        yield engine
        engine.close()

    def yes(self, tokenizer: Tokenizer) -> Request:
        """A question whose answer is short."""
        return Request("yes", tokenizer.encode("Say yes.", True), 200, "")

    def likelihood_of_english_is_higher_than_of_noise(
        self, engine: Engine, tokenizer: Tokenizer, tokens: int = 200
    ) -> None:
        """Of a real model; nats per token."""
        text = engine.nll(tokenizer.encode(datasets.nll_text(), False)[:tokens])
        noise = engine.nll([17 + 7919 * i % 40000 for i in range(tokens)])
        assert text is not None and noise is not None
        assert 2.0 < text < 4.5 < noise

    def test_a_likelihood_is_the_sum_of_its_parts(self, engine: Engine) -> None:
        """And an engine that tells a text's tells those of its parts."""
        ids = [5 + 131 * i % 280 for i in range(24)]
        parts = [Passage(ids, 1), Passage(ids[:9], 1), Passage(ids, 9)]
        found = engine.likelihoods(parts) if isinstance(engine, Scoring) else None
        mean = engine.nll(ids)
        if found is None or mean is None:
            assert found is None and mean is None
            return
        whole, first, second = (s.logprob for s in found)
        assert whole < -20 and first < 0 and second < 0
        assert first + second == pytest.approx(whole, rel=0.01)
        assert mean * 23 == pytest.approx(-whole, rel=0.01)
        assert found[0].greedy == (found[1].greedy and found[2].greedy)

    def serve(self, engine: Engine, requests: list[Request]) -> Log:
        log = Log()
        engine.serve(arriving(self.arrival, Stock(requests), log, len(requests)), log)
        return log

    def test_every_request_is_answered_once_with_exactly_its_tokens(
        self, engine: Engine, requests: list[Request]
    ) -> None:
        ends: list[str] = []
        log = Log(watch=lambda r: ends.append(r.request.id))
        engine.serve(arriving(self.arrival, Stock(requests), log, len(requests)), log)
        assert sorted(ends) == sorted(r.id for r in requests)
        assert {r.status for r in log.responses.values()} == {"done"}
        counted = {name: len(r.token_ns) for name, r in log.responses.items()}
        assert counted == {r.id: r.output_tokens for r in requests}
        assert log.tokens == sum(r.output_tokens for r in requests)

    def test_time_stamps_rise_from_sent_to_end(
        self, engine: Engine, requests: list[Request]
    ) -> None:
        for r in self.serve(engine, requests).responses.values():
            times = [r.sent_ns, *r.token_ns, r.end_ns]
            assert times == sorted(times)
            assert r.token_ns[0] > r.sent_ns

    def test_tokens_come_one_after_another(self, engine: Engine, requests: list[Request]) -> None:
        longest = max(requests, key=lambda r: r.output_tokens)
        times = self.serve(engine, requests).responses[longest.id].token_ns
        assert len(set(times)) > longest.output_tokens // 2

    def test_greedy_answers_are_the_same_again(
        self, engine: Engine, requests: list[Request]
    ) -> None:
        first = {r.request.id: r.text for r in self.serve(engine, requests[:1]).responses.values()}
        again = {r.request.id: r.text for r in self.serve(engine, requests[:1]).responses.values()}
        assert first == again

    def test_who_watches_reads_an_answer_while_it_is_generated(
        self, engine: Engine, requests: list[Request]
    ) -> None:
        """Where the engine knows it before its end: a piece at a time, and in the end all of it."""
        followed: dict[str, More] = {}
        read: dict[str, str] = {}
        over = threading.Event()

        def look() -> None:
            for name, more in list(followed.items()):
                read[name] = read.get(name, "") + more()

        def watch() -> None:
            while not over.wait(0.002):
                look()

        log = Log(follow=followed.__setitem__)
        thread = threading.Thread(target=watch)
        thread.start()
        engine.serve(arriving(self.arrival, Stock(requests), log, len(requests)), log)
        over.set()
        thread.join()
        look()
        assert set(followed) in (set(), {r.id for r in requests})
        for name, text in read.items():
            whole = log.responses[name].text
            # Of a character that never became whole nothing is told.
            assert text == whole or (whole.startswith(text) and whole.endswith(UNFINISHED))

    def test_a_source_that_stops_is_drained(self, engine: Engine, requests: list[Request]) -> None:
        log = Log()
        stop = Stopping(arriving(self.arrival, Stock(requests), log), lambda: log.tokens >= 12)
        engine.serve(stop, log)
        assert log.tokens >= 12
        for r in log.responses.values():
            assert (r.status, len(r.token_ns)) == ("done", r.request.output_tokens)

    def test_a_window_can_be_cut_out_of_the_work(
        self, engine: Engine, requests: list[Request]
    ) -> None:
        log = Log()
        phase = Phase(
            arriving(self.arrival, Stock(requests), log),
            log,
            atomic=engine.atomic_batches,
            window_s=0.05,
        )
        engine.serve(phase, log)
        (window,) = phase.recounted()
        assert window.output_tokens > 0 and window.failed == 0
        assert window.duration_s >= 0.05
        assert all(r.status == "done" for r in log.responses.values())

    def test_prefill_alone_can_be_a_window(self, engine: Engine, requests: list[Request]) -> None:
        log = Log()
        phase = Phase(
            arriving(self.arrival, FirstTokens(Stock(requests)), log),
            log,
            atomic=engine.atomic_batches,
            window_s=0.05,
        )
        engine.serve(phase, log)
        (window,) = phase.recounted()
        assert {(r.status, len(r.token_ns)) for r in log.responses.values()} == {("done", 1)}
        assert window.output_tokens > 0 and window.failed == 0
        inputs = {r.id: len(r.input_ids) for r in requests}
        inside = [
            name.partition("#")[0]
            for name, r in log.responses.items()
            if window.start_ns < r.token_ns[0] <= window.end_ns
        ]
        assert window.input_tokens == sum(inputs[name] for name in inside)

    def test_facts_name_what_the_engine_uses(self, engine: Engine) -> None:
        facts = engine.facts()
        assert set(facts) >= ALWAYS
        assert facts["max_batch_size"] == BATCH
        peak = facts["peak_memory_bytes.cpu"]
        assert isinstance(peak, int) and 2**20 < peak < 2**40

    def test_the_tokenizer_keeps_its_promises(self, tokenizer: Tokenizer) -> None:
        ids = tokenizer.encode("The capital of France is", False)
        assert ids and all(0 <= i < tokenizer.vocabulary for i in ids)
        assert tokenizer.decode(ids).strip() == "The capital of France is"
        assert all(0 <= i < tokenizer.vocabulary for i in tokenizer.special_ids)
        assert tokenizer.decode([tokenizer.vocabulary - 1]) is not None

    def test_the_tokenizer_takes_conversations(self, tokenizer: Tokenizer) -> None:
        question = {"role": "user", "content": "What is the capital of France?"}
        answer = {"role": "assistant", "content": "It is Paris."}
        one = tokenizer.chat([question])
        assert one == tokenizer.encode(question["content"], chat=True)
        said = tokenizer.chat([question, answer, {"role": "user", "content": "Why so?"}])
        assert len(said) > len(one) and all(0 <= i < tokenizer.vocabulary for i in said)
        text = tokenizer.decode(said)
        places = [text.find(t) for t in (question["content"], answer["content"], "Why so?")]
        assert -1 not in places and places == sorted(places)

    def test_long_contexts_have_exact_counts(self, tokenizer: Tokenizer) -> None:
        workload = Workload(requests=2, dataset=LongContextDataset(input_tokens=900))
        first, second = datasets.make(workload, tokenizer, 1)
        assert len(first.input_ids) == len(second.input_ids) == 900
        question = first.text.split("\n\n")[-1]
        assert question.startswith("Question: ") and question in tokenizer.decode(first.input_ids)
        assert first.input_ids[:100] != second.input_ids[:100]

    def test_good_arguments_are_not_rejected(
        self, backend: Backend, model: Path, requests: list[Request], tmp_path: Path
    ) -> None:
        job = self.job(model, tmp_path, requests, args=self.arguments)
        assert backend.reject(job) == []

    def test_a_bad_argument_is_refused_in_the_engines_words(
        self, backend: Backend, model: Path, requests: list[Request], tmp_path: Path
    ) -> None:
        args, words = self.bad_argument
        job = self.job(model, tmp_path, requests, args=args)
        self.refused(backend, job, words)

    def test_a_bad_generation_argument_is_refused_in_the_engines_words(
        self, backend: Backend, model: Path, requests: list[Request], tmp_path: Path
    ) -> None:
        if self.bad_generate is None:
            return
        generate, words = self.bad_generate
        job = self.job(model, tmp_path, requests, args=self.arguments, generate=generate)
        self.refused(backend, job, words)

    def refused(self, backend: Backend, job: Job, words: str) -> None:
        (rejection,) = backend.reject(job)
        assert rejection.arm_id == job.arm_id and words in rejection.message
        with pytest.raises(RunFailed, match=words) as e:
            backend.load(job)
        assert e.value.kind == "bad_argument"
