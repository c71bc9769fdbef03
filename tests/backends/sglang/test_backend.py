"""SGLang's backend: what of it needs no GPU. ``TestFake`` and all that uses ``fakes`` speak to a
stand-in (tests/backends/fakes); ``TestReal`` needs SGLang and a GPU."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lem import plugins
from lem.backends.sglang import arguments as sglang_arguments
from lem.errors import RunFailed
from lem.workloads.likelihood import Passage
from lem.workloads.requests import Request

from ..conformance import BATCH, answer, make_job
from ..fakes import answers
from ..fakes.use import fakes
from ..on_gpus import OnGpu, OnGpuServed, OnStandIn, OnStandInServed, break_off

REQUEST = Request("r0", [5, 6, 7], 4, "")


def backend() -> Any:
    return plugins.load("backends", "sglang")()


@pytest.fixture
def fake() -> Iterator[Any]:
    with fakes():
        import sglang

        yield sglang


@pytest.fixture
def loaded(fake: Any, tiny: Path, tmp_path: Path) -> Iterator[Any]:
    engine = backend().load(make_job("sglang", tiny, tmp_path, [REQUEST]))
    yield engine
    engine.close()


@pytest.mark.engines
class TestFake(OnStandIn):
    name = "sglang"
    bad_argument = ({"volume": 11}, "Unexpected keyword argument 'volume'")
    bad_generate = ({"temperature": 1, "top_p": -1.0}, "top_p must be in")

    def test_likelihood_is_the_mean_of_what_the_engine_tells(self, engine: Any) -> None:
        ids = [3 + i % 300 for i in range(700)]
        told = [answers.logprob(ids[:512], i) for i in range(1, 512)]
        told += [answers.logprob(ids[512:], i) for i in range(1, 188)]
        assert engine.nll(ids) == pytest.approx(-sum(told) / len(told))

    def test_only_the_likeliest_tokens_are_greedy(self, engine: Any) -> None:
        # The fake's likeliest token is the prompt's own where 7 divides it.
        asked = [Passage([5, 7, 14, 21], 1), Passage([5, 6, 14, 21], 2), Passage([7, 14, 6], 1)]
        found = engine.likelihoods(asked)
        assert [s.greedy for s in found] == [True, True, False]
        assert [s.logprob for s in found] == pytest.approx([-0.75, -0.5, -2.0])


@pytest.mark.engines
class TestFakeServed(OnStandInServed, TestFake):
    pass


@pytest.mark.gpu
@pytest.mark.slow
class TestReal(OnGpu):
    name = "sglang"
    bad_argument = ({"volume": 11}, "volume")
    bad_generate = ({"temperature": 1, "top_p": -1.0}, "top_p")


@pytest.mark.gpu
@pytest.mark.slow
class TestRealServed(OnGpuServed, TestReal):
    pass


@pytest.mark.engines
def test_without_an_accelerator_arguments_are_not_called_wrong(
    fake: Any, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As SGLang 0.5.16 was seen to do: its record of arguments looks for one."""
    from sglang.srt import server_args

    def blind(*_: object, **__: object) -> None:
        raise RuntimeError("No accelerator (CUDA, XPU, ...) or platform plugin is available.")

    monkeypatch.setattr(server_args.ServerArgs, "__init__", blind)
    with pytest.raises(RunFailed, match="only where it sees a GPU") as e:
        backend().reject(make_job("sglang", tiny, tmp_path, [REQUEST]))
    assert e.value.kind == "unsupported"


@pytest.mark.engines
class TestEngine:
    def test_an_end_token_counts(self, loaded: Any) -> None:
        loaded._sampling["ignore_eos"] = False
        response = answer(loaded, [REQUEST._replace(output_tokens=9)]).responses["r0"]
        assert len(response.token_ns) == answers.ends_at(REQUEST.input_ids)
        assert len(response.text.split()) == len(response.token_ns) - 1

    def test_a_second_pass_through_the_list_finds_no_prompt_in_the_cache(self, loaded: Any) -> None:
        twins = [REQUEST, REQUEST._replace(id="r1")]
        answer(loaded, twins, limit=4)
        # r1 found two of three tokens of r0's prompt, r1#2 those of r0#2; the passes share nothing.
        assert loaded._engine.salts == ["lem-1", "lem-1", "lem-2", "lem-2"]
        facts = loaded.facts()
        told = facts["prefix_cache_query_tokens"], facts["prefix_cache_hit_tokens"]
        assert told == (4 * 3, 2 + 2)

    def test_a_request_that_is_too_long_fails_alone(self, loaded: Any) -> None:
        long = Request("long", [5] * 1000, 100, "")
        found = answer(loaded, [long, REQUEST]).responses
        assert found["long"].status == "failed" and "context length" in found["long"].text
        assert found["r0"].status == "done"

    def test_an_answer_that_the_scheduler_gives_up_has_failed(self, fake: Any, loaded: Any) -> None:
        fake.giving_up.add("5 6 7")
        response = answer(loaded, [REQUEST]).responses["r0"]
        assert (response.status, response.text) == ("failed", "out of room")

    def test_what_was_resolved_is_recorded(self, loaded: Any) -> None:
        facts = loaded.facts()
        assert facts["attention"] == "flashinfer" and facts["prefix_cache"] is True
        assert facts["dtype"] == "bfloat16" and facts["kv_cache_tokens"] == 65536
        assert facts["max_batch_size"] == BATCH and facts["tp_size"] == 1

    def test_breaking_off_tells_the_engine(self, loaded: Any) -> None:
        break_off(loaded, REQUEST)
        assert len(loaded._engine.tokenizer_manager.aborted) == 2 * BATCH


@pytest.mark.engines
def test_a_scheduler_that_dies_ends_the_run_with_its_words(
    fake: Any, tiny: Path, tmp_path: Path
) -> None:
    before = signal.getsignal(signal.SIGQUIT)
    fake.deaths.append(6)
    engine = backend().load(make_job("sglang", tiny, tmp_path, [REQUEST]))
    try:
        with pytest.raises(RunFailed, match="illegal memory access") as e:
            answer(engine, [REQUEST._replace(output_tokens=50)])
        assert e.value.kind == "engine_error"
    finally:
        engine.close()
    assert signal.getsignal(signal.SIGQUIT) == before


@pytest.mark.engines
def test_out_of_memory_while_loading_has_its_name(fake: Any, tiny: Path, tmp_path: Path) -> None:
    job = make_job("sglang", tiny, tmp_path, [REQUEST], args={"mem_fraction_static": 0.001})
    with pytest.raises(RunFailed, match="CUDA out of memory") as e:
        backend().load(job)
    assert e.value.kind == "out_of_memory" and e.value.hint


@pytest.mark.engines
@pytest.mark.parametrize(
    ("engine", "args", "generate", "kind", "words"),
    [
        ({"max_batch_size": 2}, {"max_running_requests": 4}, {}, "bad_argument", "twice"),
        ({"tensor_parallel_size": 0}, {}, {}, "bad_argument", "at least 1"),
        ({"dtype": "bf17"}, {}, {}, "bad_argument", "invalid choice: 'bf17'"),
        ({}, {"page_size": "many"}, {}, "bad_argument", "invalid int value: 'many'"),
        ({}, {"host": "0.0.0.0"}, {}, "bad_argument", "not for campaigns"),
        ({}, {"export_metrics_to_file_dir": "/etc"}, {}, "bad_argument", "not for campaigns"),
        ({}, {"model_path": "/etc"}, {}, "bad_argument", "not for campaigns"),
        ({}, {}, {"n": 2}, "unsupported", "one answer"),
        ({}, {}, {"max_new_tokens": 2}, "bad_argument", "not for campaigns"),
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
    job = make_job("sglang", tiny, tmp_path, [REQUEST], engine, args, generate)
    with pytest.raises(RunFailed) as e:
        backend().load(job)
    assert e.value.kind == kind and words in str(e.value)
    assert [words in r.message for r in backend().reject(job)] == [True]


def test_arguments_have_sglang_s_names(tmp_path: Path) -> None:
    job = make_job(
        "sglang",
        Path("/models/m"),
        tmp_path,
        [REQUEST],
        engine={
            "dtype": "bfloat16",
            "max_batch_size": 8,
            "max_model_len": 4096,
            "tensor_parallel_size": 2,
            "quantization": "fp8",
        },
        args={"schedule_policy": "lpm", "log_level": "warning"},
        generate={"temperature": 0.5, "top_p": 0.9},
    )
    found = sglang_arguments.server_arguments(job)
    assert found == {
        "model_path": "/models/m",
        "trust_remote_code": False,
        "random_seed": 1,
        "log_level": "warning",
        "sampling_defaults": "openai",
        "enable_cache_report": True,
        "dtype": "bfloat16",
        "max_running_requests": 8,
        "context_length": 4096,
        "tp_size": 2,
        "quantization": "fp8",
        "schedule_policy": "lpm",
    }
    sampled = sglang_arguments.sampling(job)
    assert (sampled["temperature"], sampled["top_p"], sampled["top_k"]) == (0.5, 0.9, -1)


def test_what_would_be_replicas_by_model_only_is_refused(tmp_path: Path) -> None:
    def named_by(args: dict[str, Any]) -> dict[str, Any]:
        job = make_job("sglang", Path("/models/m"), tmp_path, [REQUEST], args=args)
        return sglang_arguments.server_arguments(job)

    with pytest.raises(RunFailed, match="means replicas or attention groups") as e:
        named_by({"enable_prefill_cp": True, "tp_size": 4, "dp_size": 2})
    assert e.value.kind == "bad_argument" and "attn_dp_size" in str(e.value.hint)
    assert named_by({"enable_prefill_cp": True, "attn_dp_size": 2})["attn_dp_size"] == 2
    assert named_by({"tp_size": 2, "dp_size": 2})["dp_size"] == 2


def test_a_command_line_says_what_the_arguments_do(fake: Any) -> None:
    words = sglang_arguments.command_line(
        {
            "model_path": "/m",
            "tp_size": 2,
            "disable_radix_cache": True,
            "enable_torch_compile": False,
            "enable_fused_qk_norm_rope": False,
            "cuda_graph_bs": [1, 2, 4],
            "preferred_sampling_params": {"top_k": 5, "deep": {"x": [None, True]}},
            "quantization": None,
        }
    )
    assert words == [
        *("--model-path=/m", "--tp-size=2", "--disable-radix-cache"),
        *("--no-enable-fused-qk-norm-rope", "--cuda-graph-bs", "1", "2", "4"),
        '--preferred-sampling-params={"top_k": 5, "deep": {"x": [null, true]}}',
    ]
    with pytest.raises(RunFailed, match="would be an option"):
        sglang_arguments.command_line({"cuda_graph_bs": [1, "--host=0.0.0.0"]})


def test_without_a_gpu_it_says_what_to_do(tmp_path: Path) -> None:
    from lem.backends import workers
    from lem.backends.sglang import backend as sglang

    job = make_job("sglang", tmp_path, tmp_path, [REQUEST])
    with pytest.raises(RunFailed, match="SGLang runs on GPUs") as e:
        workers.need_gpus(job, "SGLang", sglang.NO_GPU)
    assert e.value.kind == "unsupported" and "gpus: auto" in str(e.value.hint)


def test_without_sglang_the_image_is_at_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sglang", None)
    job = make_job("sglang", tmp_path, tmp_path, [REQUEST])
    for call in (backend().load, backend().reject):
        with pytest.raises(RunFailed, match="cannot be imported") as e:
            call(job)
        assert e.value.kind == "image" and "lem images build sglang" in str(e.value.hint)


def test_threads_are_said_to_the_processes_that_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setitem(sys.modules, "sglang", None)
    job = make_job("sglang", tmp_path, tmp_path, [REQUEST], engine={"threads": 3})
    with pytest.raises(RunFailed):
        backend().load(job)
    assert os.environ["OMP_NUM_THREADS"] == "3"
