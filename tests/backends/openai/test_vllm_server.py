"""The openai backend against a real vLLM server on the CPU, in vLLM's image: the environment of the
other tests does not have it (scripts/conformance_in_image.sh, tests/backends/test_in_image.py)."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lem.backends.protocol import Apart, Backend, Engine
from lem.contract.spec import ModelSpec
from lem.errors import RunFailed
from lem.meters.process_tree import ProcessTree
from lem.workloads import datasets, likelihood
from lem.workloads.load import Log
from lem.workloads.requests import Request, Tokenizer
from lem.workloads.sources import arriving
from lem.workloads.stock import Stock
from tests.campaign import given

from ..conformance import ALWAYS, answer
from ..conformance_served import Served
from ..vllm.test_backend import NLL, PROMPT
from .vllm_http import NAME, VllmHttp


@pytest.fixture(scope="module")
def server(smollm2_safetensors: Path) -> Iterator[VllmHttp]:
    from vllm.platforms import current_platform

    assert current_platform.is_cpu(), "a record of this suite is of a CPU"
    server = VllmHttp(smollm2_safetensors)
    yield server
    server.stop()


class TestReal(Served):
    name = "openai"
    software = "vLLM"
    settings: dict[str, Any] = {}
    bad_argument = ({"base_url": "http://127.0.0.1:1/v1", "colour": "red"}, "no such argument")
    bad_generate = ({"temperature": "hot"}, "Input should be a valid number")

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def arguments_of(cls, server: VllmHttp) -> None:
        cls.arguments = {"base_url": server.url}

    @pytest.fixture(scope="class")
    @classmethod
    def model(
        cls, backend: Backend, smollm2_safetensors: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> Path:
        """Of the model only the tokenizer, as a campaign's is."""
        target = tmp_path_factory.mktemp("openai")
        name = backend.prepare(ModelSpec(id="smollm2"), smollm2_safetensors, target, False)
        assert not list((target / name).glob("*.safetensors"))
        return target / name

    def test_facts_name_what_the_engine_uses(self, engine: Engine) -> None:
        """What the server tells; the rest is said to be unknown."""
        import vllm

        facts = engine.facts()
        assert set(facts) >= ALWAYS - {"batching", "compile"}
        expected = {
            "engine_version": vllm.__version__.partition("+")[0],
            "server": "uvicorn",
            "served_model": NAME,
            "max_model_len": 8192,
            "token_counts": "each chunk",
            "prompt_cache": "salted",
            "api": "completions",
            "prompt": "ids",
            "device": "unknown",
        }
        assert expected.items() <= facts.items()
        # The weights alone are 270 MB; they are in vLLM's processes, not in this one.
        peak = facts["peak_memory_bytes.cpu"]
        assert isinstance(peak, int) and 2**28 < peak < 2**40

    def test_the_process_is_the_server_s(self, engine: Engine, server: VllmHttp) -> None:
        """And the engine's core, in a process of its own, is below it."""
        assert isinstance(engine, Apart) and engine.process == server.pid
        tree = ProcessTree(engine.process, Path("/proc"))
        tree.cpu_time_ns()
        assert len(tree.members()) > 1

    def test_answers_are_readable(self, engine: Engine, tokenizer: Tokenizer) -> None:
        log = self.serve(engine, [Request("r0", tokenizer.encode(PROMPT, False), 3, PROMPT)])
        assert log.responses["r0"].text.startswith(" Paris")

    def test_likelihood_is_that_of_transformers(self, engine: Engine, tokenizer: Tokenizer) -> None:
        ids = tokenizer.encode(datasets.nll_text(), False)
        assert engine.nll(ids) == pytest.approx(NLL, abs=0.02)

    def test_likelihoods_are_the_harness_s(self, engine: Any, tokenizer: Tokenizer) -> None:
        """Weights in bfloat16 here, arithmetic in float32 there."""
        split = [text.rpartition(" ") for text in given.CLOZE]
        found = engine.likelihoods([likelihood.split(tokenizer, a, f" {b}") for a, _, b in split])
        for one, (logprob, greedy) in zip(found, given.CLOZE_TRUTH, strict=True):
            assert one.logprob == pytest.approx(logprob, rel=0.05, abs=0.05)
            assert one.greedy == greedy

    def test_no_run_finds_prompts_of_another_or_of_its_own_first_turn(
        self,
        backend: Backend,
        model: Path,
        requests: list[Request],
        server: VllmHttp,
        tmp_path: Path,
    ) -> None:
        """The server keeps prompts, and it is the same server for every run."""
        fresh = [
            Request(f"f{i}", [1000 + 300 * i + j for j in range(260)], 2, "") for i in range(4)
        ]
        for run in ("one", "another"):
            job = self.job(model, tmp_path, requests, args=self.arguments)
            engine = backend.load(job.model_copy(update={"run_id": run}))
            before = server.lookups()
            log = answer(engine, fresh, limit=8)
            assert {r.status for r in log.responses.values()} == {"done"}
            looked, found = (b - a for a, b in zip(before, server.lookups(), strict=True))
            assert (looked, found) == (2 * 4 * 260, 0)
            engine.close()

    def test_a_shared_prefix_is_found(self, engine: Engine, server: VllmHttp) -> None:
        prefix = list(range(20000, 20000 + 256))
        shared = [Request(f"s{i}", [*prefix, 500 + i, 600 + i], 2, "") for i in range(6)]
        before = server.lookups()
        answer(engine, shared)
        looked, found = (b - a for a, b in zip(before, server.lookups(), strict=True))
        # Those that begin together cannot find what the others are still computing.
        assert looked == 6 * 258 and 256 <= found <= 5 * 256

    def test_a_killed_server_is_a_failure_with_a_name(
        self,
        backend: Backend,
        model: Path,
        requests: list[Request],
        tmp_path: Path,
        smollm2_safetensors: Path,
    ) -> None:
        """Nothing that lem started ends here: the requests fail, and whoever asks next is told."""
        another = VllmHttp(smollm2_safetensors)
        job = self.job(model, tmp_path, requests, args={"base_url": another.url})
        try:
            engine = backend.load(job)
            log = Log()
            inner = arriving(self.arrival, Stock(requests), log)

            class Killing:
                def take(self, room: int, busy: int) -> list[Request] | None:
                    if log.tokens > 5:
                        os.killpg(another.pid, signal.SIGKILL)
                        time.sleep(0.2)
                    return inner.take(room, busy)

                def due_ns(self) -> int | None:
                    return None

            with pytest.raises(RunFailed) as e:
                engine.serve(Killing(), log)
            assert e.value.kind == "engine_error"
            assert "open" not in {r.status for r in log.responses.values()}
            with pytest.raises(RunFailed, match="no server answers"):
                backend.load(job)
        finally:
            another.stop()

    @pytest.mark.parametrize("api", ["completions", "chat"])
    def test_text_can_be_sent_too(
        self, backend: Backend, model: Path, server: VllmHttp, tmp_path: Path, api: str
    ) -> None:
        request = Request("r0", [504, 3575, 282, 4649, 314], 3, PROMPT)
        args = {"base_url": server.url, "api": api, "prompt": "text"}
        engine = backend.load(self.job(model, tmp_path, [request], args=args))
        log = self.serve(engine, [request])
        assert "Paris" in log.responses["r0"].text or api == "chat"
        assert len(log.responses["r0"].token_ns) == 3
        # The chat template's own tokens are not in the list's.
        assert engine.flags() == ({"input_tokens_differ"} if api == "chat" else set())
        assert engine.nll(request.input_ids) is None
