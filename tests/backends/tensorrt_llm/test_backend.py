"""TensorRT-LLM's backend: what of it needs no GPU. ``TestFake`` and all that uses ``fakes`` speak
to a stand-in (tests/backends/fakes); ``TestReal`` needs TensorRT-LLM and a GPU."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lem import plugins
from lem.backends.tensorrt_llm import arguments as tensorrt_llm_arguments
from lem.errors import RunFailed
from lem.workloads.requests import Request

from ..conformance import BATCH, answer, make_job
from ..fakes import answers
from ..fakes.use import fakes
from ..on_gpus import OnGpu, OnGpuServed, OnStandIn, OnStandInServed, break_off

REQUEST = Request("r0", [5, 6, 7], 4, "")


def backend() -> Any:
    return plugins.load("backends", "tensorrt_llm")()


@pytest.fixture
def fake() -> Iterator[Any]:
    with fakes():
        import tensorrt_llm

        yield tensorrt_llm


@pytest.fixture
def loaded(fake: Any, tiny: Path, tmp_path: Path) -> Iterator[Any]:
    engine = backend().load(make_job("tensorrt_llm", tiny, tmp_path, [REQUEST]))
    yield engine
    engine.close()


@pytest.mark.engines
class TestFake(OnStandIn):
    name = "tensorrt_llm"
    bad_argument = ({"volume": 11}, "invalid argument: volume")
    bad_generate = ({"temperature": 1, "top_p": -1.0}, "require 0 <= top_p <= 1")

    def test_likelihood_is_the_mean_of_what_the_logits_say(self, engine: Any) -> None:
        ids = [3 + i % 300 for i in range(700)]
        told = [answers.logprob(ids[:512], i) for i in range(1, 512)]
        told += [answers.logprob(ids[512:], i) for i in range(1, 188)]
        assert engine.nll(ids) == pytest.approx(-sum(told) / len(told), rel=1e-5)


@pytest.mark.engines
class TestFakeServed(OnStandInServed, TestFake):
    def test_likelihood_is_the_mean_of_what_the_logits_say(self, engine: Any) -> None:
        # The server gives no likelihood.
        assert engine.nll(list(range(3, 300))) is None


@pytest.mark.gpu
@pytest.mark.slow
class TestReal(OnGpu):
    name = "tensorrt_llm"
    bad_argument = ({"volume": 11}, "volume")
    bad_generate = ({"temperature": 1, "top_p": -1.0}, "top_p")


@pytest.mark.gpu
@pytest.mark.slow
class TestRealServed(OnGpuServed, TestReal):
    def test_likelihood_of_english_is_higher_than_of_noise(
        self, engine: Any, tokenizer: Any
    ) -> None:
        # The server gives no likelihood.
        assert engine.nll(list(range(3, 300))) is None


@pytest.mark.engines
class TestEngine:
    def test_an_end_token_counts(self, loaded: Any) -> None:
        loaded._sampling["ignore_eos"] = False
        response = answer(loaded, [REQUEST._replace(output_tokens=9)]).responses["r0"]
        assert len(response.token_ns) == answers.ends_at(REQUEST.input_ids)
        assert len(response.text.split()) == len(response.token_ns) - 1

    def test_a_second_pass_through_the_list_finds_no_prompt_in_the_cache(self, loaded: Any) -> None:
        answer(loaded, [REQUEST, REQUEST._replace(id="r1")], limit=4)
        assert loaded._llm.salts == ["lem-1", "lem-1", "lem-2", "lem-2"]
        facts = loaded.facts()
        told = facts["prefix_cache_query_tokens"], facts["prefix_cache_hit_tokens"]
        assert told == (4 * 3, 2 + 2)

    def test_requests_that_the_engine_refuses_fail_alone(
        self, fake: Any, tiny: Path, tmp_path: Path
    ) -> None:
        job = make_job("tensorrt_llm", tiny, tmp_path, [REQUEST], args={"max_num_tokens": 8})
        engine = backend().load(job)
        requests = [
            Request("long", [5] * 9, 2, ""),
            Request("refused", [7, 7, 7], 2, ""),
            Request("good", [5, 6], 2, ""),
        ]
        found = answer(engine, requests).responses
        engine.close()
        assert {n: r.status for n, r in found.items()} == {
            "long": "failed",
            "refused": "failed",
            "good": "done",
        }
        assert "max_num_tokens (8)" in found["long"].text
        assert "error when enqueueing" in found["refused"].text

    def test_what_the_engine_uses_is_recorded(self, loaded: Any) -> None:
        facts = loaded.facts()
        assert facts["attention"] == "TRTLLM" and facts["prefix_cache"] is True
        assert facts["cuda_graph"] is True and facts["compile"] is False
        assert facts["max_batch_size"] == BATCH and facts["backend"] == "pytorch"
        # auto: as the checkpoint says, which for this one is the tests' own.
        assert facts["dtype"] in ("float32", "bfloat16") and facts["max_model_len"] == 1024

    def test_breaking_off_tells_the_engine(self, loaded: Any) -> None:
        break_off(loaded, REQUEST)
        assert len(loaded._llm.aborted) == 2 * BATCH

    def test_an_executor_that_is_not_healthy_ends_the_run(
        self, fake: Any, loaded: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fake, "sick", {loaded._llm.args.model})
        with pytest.raises(RunFailed, match="not healthy") as e:
            answer(loaded, [REQUEST])
        assert e.value.kind == "engine_error"


@pytest.mark.engines
def test_out_of_memory_while_loading_has_its_name(fake: Any, tiny: Path, tmp_path: Path) -> None:
    job = make_job("tensorrt_llm", tiny, tmp_path, [REQUEST], args={"max_num_tokens": 1})
    with pytest.raises(RunFailed, match="CUDA out of memory") as e:
        backend().load(job)
    assert e.value.kind == "out_of_memory" and e.value.hint


@pytest.mark.engines
@pytest.mark.parametrize(
    ("engine", "args", "generate", "kind", "words"),
    [
        ({"max_model_len": 64}, {"max_seq_len": 64}, {}, "bad_argument", "twice"),
        ({"max_batch_size": True}, {}, {}, "bad_argument", "not a whole number"),
        ({"quantization": "FP8"}, {}, {}, "bad_argument", "not quantised"),
        ({}, {"kv_cache_config": {"size": 3}}, {}, "bad_argument", "Extra inputs"),
        ({}, {"max_num_tokens": "many"}, {}, "bad_argument", "valid integer"),
        ({}, {"backend": "tensorrt"}, {}, "bad_argument", "not for campaigns"),
        ({}, {"otlp_traces_endpoint": "http://x"}, {}, "bad_argument", "not for campaigns"),
        ({}, {}, {"use_beam_search": True}, "unsupported", "one answer"),
        ({}, {}, {"temperature": "hot"}, "bad_argument", "not a number"),
        ({}, {}, {"loudness": 11}, "bad_argument", "loudness"),
    ],
)
def test_settings_that_cannot_be(
    fake: Any,
    tiny: Path,
    tmp_path: Path,
    engine: dict[str, Any],
    args: dict[str, Any],
    generate: dict[str, Any],
    kind: str,
    words: str,
) -> None:
    job = make_job("tensorrt_llm", tiny, tmp_path, [REQUEST], engine, args, generate)
    with pytest.raises(RunFailed) as e:
        backend().load(job)
    assert e.value.kind == kind and words in str(e.value)
    assert [words in r.message for r in backend().reject(job)] == [True]


def test_arguments_have_tensorrt_llm_s_names(tmp_path: Path) -> None:
    job = make_job(
        "tensorrt_llm",
        tmp_path,
        tmp_path,
        [REQUEST],
        engine={
            "dtype": "bfloat16",
            "max_batch_size": 8,
            "max_model_len": 4096,
            "tensor_parallel_size": 2,
        },
        args={"kv_cache_config": {"free_gpu_memory_fraction": 0.5}},
        generate={"temperature": 0.5, "top_p": 0.9},
    )
    assert tensorrt_llm_arguments.engine_arguments(job) == {
        "model": str(tmp_path),
        "trust_remote_code": False,
        "dtype": "bfloat16",
        "max_batch_size": 8,
        "max_seq_len": 4096,
        "tensor_parallel_size": 2,
        "kv_cache_config": {"free_gpu_memory_fraction": 0.5},
    }
    assert tensorrt_llm_arguments.sampling(job) == {
        "top_k": 0,
        "top_p": 0.9,
        "seed": 1,
        "temperature": 0.5,
        "ignore_eos": False,
    }


def test_greedy_is_the_one_most_likely_token(tmp_path: Path) -> None:
    job = make_job("tensorrt_llm", tmp_path, tmp_path, [REQUEST])
    assert tensorrt_llm_arguments.sampling(job) == {"top_k": 1, "ignore_eos": True}


@pytest.mark.parametrize(
    ("file", "content", "found"),
    [
        ("hf_quant_config.json", {"quantization": {"quant_algo": "FP8"}}, "FP8"),
        ("config.json", {"quantization_config": {"quant_method": "fp8"}}, "fp8"),
        ("config.json", {"quantization_config": {"quant_algo": "NVFP4"}}, "NVFP4"),
        ("config.json", {"hidden_size": 8}, None),
        ("config.json", [1], None),
    ],
)
def test_a_checkpoint_says_how_it_is_quantised(
    tmp_path: Path, file: str, content: Any, found: str | None
) -> None:
    (tmp_path / file).write_text(json.dumps(content))
    assert tensorrt_llm_arguments.checkpoint_quantization(tmp_path) == found
    job = make_job("tensorrt_llm", tmp_path, tmp_path, [REQUEST], engine={"quantization": "fp8"})
    if found in ("FP8", "fp8"):
        tensorrt_llm_arguments.check_quantization(job)
    else:
        with pytest.raises(RunFailed, match="quantization is fp8"):
            tensorrt_llm_arguments.check_quantization(job)


@pytest.mark.engines
def test_without_a_gpu_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    from lem.backends import workers
    from lem.backends.tensorrt_llm import backend as tensorrt_llm

    job = make_job("tensorrt_llm", tmp_path, tmp_path, [REQUEST])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for gpus, words in (([], "this run has none"), ([0], "sees none")):
        with pytest.raises(RunFailed, match=words) as e:
            workers.need_gpus(
                job.model_copy(update={"gpus": gpus}), "TensorRT-LLM", tensorrt_llm.NO_GPU
            )
        assert e.value.kind == "unsupported" and e.value.hint


def test_without_tensorrt_llm_the_image_is_at_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt_llm", None)
    job = make_job("tensorrt_llm", tmp_path, tmp_path, [REQUEST])
    for call in (backend().load, backend().reject):
        with pytest.raises(RunFailed, match="cannot be imported") as e:
            call(job)
        assert e.value.kind == "image" and "lem images build tensorrt_llm" in str(e.value.hint)
