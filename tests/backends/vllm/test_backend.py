"""vLLM passes the suite with the real small model, in its own image: the environment of the other
tests does not have it (scripts/conformance_in_image.sh, tests/backends/test_in_image.py)."""

from pathlib import Path
from typing import Any

import pytest

from lem import plugins
from lem.workloads import datasets, likelihood
from lem.workloads.load import Log
from lem.workloads.requests import Request
from lem.workloads.sources import Backlog
from lem.workloads.stock import Stock
from tests.campaign import given

from ..conformance import Conformance, answer, gpus, make_job
from ..conformance_served import Served

PROMPT = "The capital of France is"
EAGER = {"enforce_eager": True}
"""Compiling takes a minute; it is vLLM's to test."""
HARDWARE = (
    {"device": "cuda"}
    if gpus()
    else {"device": "cpu", "attention": "CPU_ATTN", "v1_multiprocessing": False}
)
"""Which kernel for attention vLLM takes on a GPU is a matter of the GPU."""
NLL = 3.397
"""Of the quality text, by transformers with the same weights in bfloat16 (../transformers)."""


def backend() -> Any:
    return plugins.load("backends", "vllm")()


def hits(engine: Any) -> tuple[int, int]:
    facts = engine.facts()
    return facts["prefix_cache_query_tokens"], facts["prefix_cache_hit_tokens"]


class Vllm(Conformance):
    """What holds in this process and behind vLLM's own server."""

    name = "vllm"
    arguments = EAGER
    bad_generate = ({"temperature": 0, "loudness": 11}, "loudness")

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, smollm2_safetensors: Path) -> Path:
        return smollm2_safetensors

    def test_answers_are_readable(self, engine: Any, tokenizer: Any) -> None:
        requests = [Request("r0", tokenizer.encode(PROMPT, False), 3, PROMPT)]
        assert answer(engine, requests).responses["r0"].text.startswith(" Paris")

    def test_likelihood_is_that_of_transformers(self, engine: Any, tokenizer: Any) -> None:
        ids = tokenizer.encode(datasets.nll_text(), False)
        assert engine.nll(ids) == pytest.approx(NLL, abs=0.02)

    def test_likelihoods_are_the_harness_s(self, engine: Any, tokenizer: Any) -> None:
        """Weights in bfloat16 here, arithmetic in float32 there."""
        split = [text.rpartition(" ") for text in given.CLOZE]
        found = engine.likelihoods([likelihood.split(tokenizer, a, f" {b}") for a, _, b in split])
        for one, (logprob, greedy) in zip(found, given.CLOZE_TRUTH, strict=True):
            assert one.logprob == pytest.approx(logprob, rel=0.05, abs=0.05)
            assert one.greedy == greedy

    def test_a_second_time_round_the_list_finds_nothing_of_the_first(self, engine: Any) -> None:
        fresh = [
            Request(f"f{i}", [1000 + 300 * i + j for j in range(260)], 2, "") for i in range(4)
        ]
        before = hits(engine)
        log = answer(engine, fresh, limit=8)
        assert {r.status for r in log.responses.values()} == {"done"}
        looked, found = (b - a for a, b in zip(before, hits(engine), strict=True))
        assert (looked, found) == (2 * 4 * 260, 0)

    def test_a_shared_prefix_is_found(self, engine: Any) -> None:
        prefix = list(range(20000, 20000 + 256))
        shared = [Request(f"s{i}", [*prefix, 500 + i, 600 + i], 2, "") for i in range(6)]
        before = hits(engine)
        answer(engine, shared)
        looked, found = (b - a for a, b in zip(before, hits(engine), strict=True))
        # Those that begin together cannot find what the others are still computing.
        assert looked == 6 * 258 and 256 <= found <= 5 * 256


class TestReal(Vllm):
    bad_argument = (EAGER | {"attention_speed": 11}, "unexpected keyword argument")

    def test_a_request_that_is_too_long_fails_alone(self, engine: Any) -> None:
        requests = [Request("long", [5] * 8190, 5, ""), Request("short", [5] * 6, 5, "")]
        found = {n: r.status for n, r in answer(engine, requests).responses.items()}
        assert found == {"long": "failed", "short": "done"}

    def test_serving_can_be_broken_off(self, engine: Any) -> None:
        """Whatever ends the thread that serves leaves nothing behind for the next phase."""

        class Gone(Exception):
            pass

        log = Log()
        source = Backlog(Stock([Request("r0", [504, 3575], 2000, "")]), log)

        class Breaking:
            def take(self, room: int, busy: int) -> list[Request] | None:
                if log.tokens > 5:
                    raise Gone
                return source.take(room, busy)

            def due_ns(self) -> int | None:
                return None

        with pytest.raises(Gone):
            engine.serve(Breaking(), log)
        assert engine._engine.get_num_unfinished_requests() == 0
        after = answer(engine, [Request("after", [504, 3575], 4, "")])
        assert {r.status for r in after.responses.values()} == {"done"}

    def test_facts_are_what_vllm_resolved(self, engine: Any) -> None:
        facts = engine.facts()
        expected = {
            **HARDWARE,
            "dtype": "bfloat16",
            "max_model_len": 8192,
            "enforce_eager": True,
            "compile": False,
            "compilation_mode": "none",
            "cudagraph_mode": "none",
            "tensor_parallel_size": 1,
            "pipeline_parallel_size": 1,
            "prefix_caching": True,
            "chunked_prefill": True,
            "workers": 1,
        }
        assert expected.items() <= facts.items()
        blocks, tokens = facts["kv_cache_blocks"], facts["kv_cache_block_tokens"]
        # 30 layers, 3 heads of 64 for keys and for values, 2 bytes.
        if facts["kv_cache_memory_bytes"] is not None or not gpus():
            assert (
                0 <= facts["kv_cache_memory_bytes"] - blocks * tokens * 30 * 3 * 64 * 2 * 2 < 2**22
            )
        assert (blocks - 1) * tokens >= 8192


class TestRealServed(Served, Vllm):
    bad_argument = (EAGER | {"attention_speed": 11}, "unrecognized arguments: --attention-speed")

    def test_facts_are_what_vllm_resolved(self, engine: Any) -> None:
        expected = {
            **HARDWARE,
            "dtype": "bfloat16",
            "max_model_len": 8192,
            "compile": False,
            "workers": 1,
            "client_stamps": "kernel",
        }
        assert expected.items() <= engine.facts().items()

    def test_a_value_that_the_server_refuses_is_refused_while_loading(
        self, model: Path, requests: list[Request], tmp_path: Path
    ) -> None:
        job = make_job(
            "vllm",
            model,
            tmp_path,
            requests,
            args=EAGER,
            generate={"temperature": 0, "top_p": -1},
            arrival=self.arrival,
        )
        (rejection,) = backend().reject(job)
        assert "top_p must be in (0, 1]" in rejection.message


@pytest.mark.parametrize(
    ("engine", "args", "kind", "words"),
    [
        ({"dtype": "float99"}, {}, "bad_argument", "float99"),
        ({"max_model_len": 10**6}, {}, "bad_argument", "max_model_len"),
        ({}, {"gpu_memory_utilization": 7}, "bad_argument", "less than or equal to 1"),
        ({}, {"block_size": "many"}, "bad_argument", "block_size"),
        ({"quantization": "telepathy"}, {}, "bad_argument", "telepathy"),
    ],
)
def test_settings_that_vllm_refuses(
    smollm2_safetensors: Path,
    tmp_path: Path,
    engine: dict[str, Any],
    args: dict[str, Any],
    kind: str,
    words: str,
) -> None:
    job = make_job(
        "vllm",
        smollm2_safetensors,
        tmp_path,
        [Request("r0", [5], 1, "")],
        engine=engine,
        args=EAGER | args,
    )
    (rejection,) = backend().reject(job)
    assert words in rejection.message
