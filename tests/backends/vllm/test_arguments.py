"""From a job to vLLM's arguments, flags and environment; none of it needs vLLM."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lem.backends.vllm import arguments as vllm_arguments
from lem.backends.vllm import backend as vllm
from lem.backends.vllm import facts as vllm_facts
from lem.backends.vllm import failures as vllm_failures
from lem.backends.vllm import server as vllm_server
from lem.contract.job import Job
from lem.contract.workload import Concurrency
from lem.errors import RunFailed
from lem.workloads.requests import Request

from ..conformance import make_job

CONFIG = {
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "hidden_size": 576,
    "max_position_embeddings": 8192,
    "dtype": "bfloat16",
}
PER_TOKEN = 2 * 30 * 3 * 64 * 2
"""Bytes: keys and values, layers, heads, their size, bfloat16."""
REQUESTS = [Request("r0", [5] * 40, 16, ""), Request("r1", [5] * 700, 68, "")]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


@pytest.fixture
def job(model: Path, tmp_path: Path) -> Any:
    def make(served: bool = False, gpus: list[int] | None = None, **changes: Any) -> Job:
        made = make_job(
            "vllm",
            model,
            tmp_path,
            REQUESTS,
            changes.get("engine", {}),
            changes.get("args"),
            changes.get("generate"),
            Concurrency(concurrency=2) if served else None,
        )
        return made.model_copy(update={"gpus": gpus or []})

    return make


def test_shared_settings_get_vllm_s_names(job: Any, model: Path) -> None:
    engine = {
        "dtype": "float16",
        "max_batch_size": 4,
        "max_model_len": 1024,
        "tensor_parallel_size": 2,
        "quantization": "fp8",
        "threads": 3,
    }
    found = vllm_arguments.arguments(job(engine=engine, args={"enable_prefix_caching": False}))
    assert found == {
        "dtype": "float16",
        "max_num_seqs": 4,
        "max_model_len": 1024,
        "tensor_parallel_size": 2,
        "quantization": "fp8",
        "enable_prefix_caching": False,
        "model": str(model),
        "trust_remote_code": False,
        "worker_extension_cls": "lem.backends.vllm.worker.WorkerFacts",
        "seed": 1,
        "generation_config": "vllm",
    }


@pytest.mark.parametrize(("name", "own"), sorted(vllm_arguments.SHARED.items()))
def test_nothing_is_said_twice(job: Any, name: str, own: str) -> None:
    with pytest.raises(RunFailed, match="twice") as e:
        vllm_arguments.arguments(job(engine={name: 1}, args={own: 1}))
    assert e.value.kind == "bad_argument"


@pytest.mark.parametrize("name", ["model", "host", "trust_remote_code", "worker_cls", "_private"])
def test_doors_stay_closed(job: Any, name: str) -> None:
    with pytest.raises(RunFailed, match=f"args.{name} is not for campaigns"):
        vllm_arguments.arguments(job(args={name: "x"}))


def test_half_a_name_of_a_size_is_refused(job: Any) -> None:
    """The server would take it, and the GPUs that it asks for would not be counted."""
    for name in ("tensor_parallel", "data_parallel_siz", "prefill_context"):
        with pytest.raises(RunFailed, match=f"args.{name} is not for campaigns"):
            vllm_arguments.arguments(job(args={name: 4}))
    assert vllm_arguments.arguments(job(args={"data_parallel_size": 2}))["data_parallel_size"] == 2


def test_code_of_the_model_runs_only_if_the_job_says_so(job: Any) -> None:
    trusting = job().model_copy(update={"trust_remote_code": True})
    assert vllm_arguments.arguments(trusting)["trust_remote_code"] is True


@pytest.mark.parametrize("name", sorted(vllm_arguments.NOT_GENERATE))
def test_settings_whose_tokens_cannot_be_counted(job: Any, name: str) -> None:
    with pytest.raises(RunFailed, match=f"generate.{name}") as e:
        vllm_arguments.sampling(job(generate={name: 2}))
    assert e.value.kind == "unsupported"


def test_greedy_unless_said_otherwise(job: Any) -> None:
    assert vllm_arguments.sampling(job(generate={"ignore_eos": True})) == {
        "ignore_eos": True,
        "temperature": 0,
    }
    assert vllm_arguments.sampling(job(generate={"temperature": 0.7, "top_p": 0.9})) == {
        "temperature": 0.7,
        "top_p": 0.9,
    }


def test_flags_of_the_server() -> None:
    found = vllm_arguments.flags(
        {
            "max_num_seqs": 4,
            "enable_prefix_caching": False,
            "enforce_eager": True,
            "gpu_memory_utilization": 0.5,
            "cudagraph_capture_sizes": [1, 2],
            "compilation_config": {"mode": 3, "pass_config": {"fuse_norm_quant": True}},
            "lists": [{"a": [1]}],
            "quantization": None,
            "dtype": "float16",
        }
    )
    assert found == [
        *("--max-num-seqs=4", "--no-enable-prefix-caching", "--enforce-eager"),
        *("--gpu-memory-utilization=0.5", "--cudagraph-capture-sizes", "1", "2"),
        '--compilation-config={"mode": 3, "pass_config": {"fuse_norm_quant": true}}',
        *("--lists", '{"a": [1]}', "--dtype=float16"),
    ]


def test_the_server_listens_on_the_loopback_alone(job: Any) -> None:
    one = job(served=True)
    command = vllm_server.command(one, vllm_arguments.arguments(one), 4711, "the key")
    assert {"--host=127.0.0.1", "--port=4711", "--disable-uvicorn-access-log"} <= set(command.argv)
    assert "--no-enable-log-requests" in command.argv
    # Its development mode is for lem alone; the key is where others cannot read it.
    assert "--middleware=lem.backends.vllm.gate.Gate" in command.argv
    assert command.environment["LEM_SERVER_KEY"] == "the key"
    assert not any("the key" in word for word in command.argv)
    assert command.environment["VLLM_NO_USAGE_STATS"] == "1"
    assert command.environment["HF_HUB_OFFLINE"] == "1"


def test_a_request_says_its_ids_and_asks_for_counts() -> None:
    make = vllm_server.body({"temperature": 0, "ignore_eos": True})
    first, again = make(REQUESTS[0]), make(REQUESTS[0]._replace(id="r0#2", nth=2))
    assert first == {
        "model": "model",
        "prompt": [5] * 40,
        "max_tokens": 16,
        "temperature": 0,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True, "continuous_usage_stats": True},
    }
    assert again == first | {"cache_salt": "2"}


@pytest.mark.parametrize(
    ("engine", "tokens"),
    [
        # Four slots of 768 tokens (700 + 68), twice, and one block that vLLM keeps for itself.
        ({"max_batch_size": 4, "max_model_len": 1024}, 2 * 4 * 768 + 128),
        # vLLM insists on room for one request of the model's full length.
        ({"max_batch_size": 1}, 8192 + 128),
        ({"max_batch_size": 2, "max_model_len": 768}, 2 * 2 * 768 + 128),
    ],
)
def test_kv_cache_on_a_cpu(job: Any, engine: dict[str, Any], tokens: int) -> None:
    one = job(engine=engine)
    found = vllm_arguments.with_kv_space(one, vllm_arguments.arguments(one), 2**40)
    assert found["kv_cache_memory_bytes"] == tokens * PER_TOKEN


def test_kv_cache_takes_half_of_the_memory_at_most(job: Any) -> None:
    one = job()
    found = vllm_arguments.with_kv_space(one, vllm_arguments.arguments(one), 2**30)
    assert found["kv_cache_memory_bytes"] == 2**29


def test_what_is_said_of_the_kv_cache_stays(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for one in (
        job(gpus=[0]),
        job(args={"kv_cache_memory_bytes": 5}),
        job(args={"gpu_memory_utilization": 0.5}),
        job(args={"num_gpu_blocks_override": 9}),
    ):
        args = vllm_arguments.arguments(one)
        assert vllm_arguments.with_kv_space(one, args, 2**40) == args
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "3")
    args = vllm_arguments.arguments(job())
    assert vllm_arguments.with_kv_space(job(), args, 2**40) == args


@pytest.mark.parametrize(
    ("config", "dtype", "expected"),
    [
        (CONFIG, "auto", PER_TOKEN),
        (CONFIG, "float32", 2 * PER_TOKEN),
        (CONFIG | {"head_dim": 128}, "auto", 2 * PER_TOKEN),
        ({k: v for k, v in CONFIG.items() if k != "num_key_value_heads"}, "auto", 3 * PER_TOKEN),
        (CONFIG | {"num_hidden_layers": "many"}, "auto", None),
        ({}, "auto", None),
    ],
)
def test_bytes_of_a_token(config: dict[str, Any], dtype: str, expected: int | None) -> None:
    assert vllm_arguments.kv_bytes_per_token(config, dtype) == expected


def test_a_config_that_cannot_be_read_is_vllm_s_to_refuse(tmp_path: Path) -> None:
    assert vllm_arguments.model_config(tmp_path) == {}
    (tmp_path / "config.json").write_text('["no", "object"]')
    assert vllm_arguments.model_config(tmp_path) == {}
    (tmp_path / "config.json").write_text(json.dumps({"text_config": CONFIG}))
    assert vllm_arguments.model_config(tmp_path) == CONFIG


def test_environment_on_a_cpu(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = vllm_arguments.environment(job(engine={"threads": 2}), {})
    assert found["OMP_NUM_THREADS"] == "2"
    assert found["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"
    assert found["VLLM_NO_USAGE_STATS"] == found["DO_NOT_TRACK"] == "1"
    # The user's own word counts more.
    mine = {"VLLM_ENABLE_V1_MULTIPROCESSING": "1"}
    assert vllm_arguments.environment(job(), mine)["VLLM_ENABLE_V1_MULTIPROCESSING"] == "1"
    monkeypatch.setenv("PATH", "")
    eager = vllm_arguments.environment(job(args={"enforce_eager": True}), {})
    assert eager["TORCHDYNAMO_DISABLE"] == "1"


def test_environment_on_gpus_is_the_engine_s_own(job: Any) -> None:
    found = vllm_arguments.environment(job(gpus=[0, 1], engine={"tensor_parallel_size": 2}), {})
    assert not {"VLLM_ENABLE_V1_MULTIPROCESSING", "OMP_NUM_THREADS", "TORCHDYNAMO_DISABLE"} & set(
        found
    )


def test_threads_of_several_cpu_ranks_are_refused(job: Any) -> None:
    with pytest.raises(RunFailed, match="VLLM_CPU_OMP_THREADS_BIND") as e:
        vllm_arguments.environment(job(engine={"threads": 2, "tensor_parallel_size": 2}), {})
    assert e.value.kind == "unsupported"
    with pytest.raises(RunFailed, match="not a whole number"):
        vllm_arguments.environment(job(engine={"threads": "two"}), {})


def test_without_a_compiler_vllm_is_not_made_slower_in_silence(
    job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RunFailed, match="g\\+\\+") as e:
        vllm_arguments.check_compiler(job())
    assert e.value.kind == "unsupported"
    vllm_arguments.check_compiler(job(args={"enforce_eager": True}))
    vllm_arguments.check_compiler(job(gpus=[0]))


def test_memory_that_is_left(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    8000 kB\n")
    assert vllm.available_bytes(tmp_path) == 8000 * 1024
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    assert vllm.available_bytes(tmp_path) == 8000 * 1024
    (group / "memory.max").write_text("4096000\n")
    assert vllm.available_bytes(tmp_path) == 4096000


def test_libraries_that_a_process_began_with(tmp_path: Path) -> None:
    file = tmp_path / "environ"
    file.write_bytes(b"PATH=/bin\0LD_PRELOAD=/opt/lib/a.so.4:/home/me/b.so\0X=y\0")
    assert vllm_arguments.preloaded(file) == "a.so.4 b.so"
    file.write_bytes(b"PATH=/bin\0")
    assert vllm_arguments.preloaded(file) is None
    assert vllm_arguments.preloaded(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        (
            "(EngineCore pid=9) ERROR 11-26 02:00:00 [core.py:1] Traceback (most recent call):\n"
            "(EngineCore pid=9) ERROR 11-26 02:00:00 [core.py:1] ValueError: No available memory "
            "for the cache blocks. Try increasing `gpu_memory_utilization`.\n"
            "RuntimeError: Engine core initialization failed. See root cause above.\n",
            "out_of_memory",
            "No available memory",
        ),
        (
            "ValueError: To serve at least one request with the models's max seq len (8192), "
            "1.2 GiB KV cache is needed, which is larger than the available KV cache memory.\n",
            "out_of_memory",
            "max seq len",
        ),
        (
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.\n",
            "out_of_memory",
            "2.00 GiB",
        ),
        (
            "api_server.py: error: argument --block-size: invalid int value: 'many'\n",
            "bad_argument",
            "argument --block-size",
        ),
        ("something went wrong\n", "engine_error", "the server ended"),
    ],
)
def test_what_a_dead_process_printed(text: str, kind: str, words: str) -> None:
    failure = vllm_failures.from_log(text, "the server ended")
    assert failure.kind == kind and words in failure.message
    assert (failure.hint is not None) == (kind == "out_of_memory")


def test_the_root_cause_is_found_above() -> None:
    heard = SimpleNamespace(text="(Worker) ERROR [x.py:1] ValueError: rope scaling is odd\n")
    with (
        pytest.raises(RunFailed, match="rope scaling is odd") as e,
        vllm_failures.typed("bad_argument", heard),  # type: ignore[arg-type]
    ):
        raise RuntimeError("Engine core initialization failed. See root cause above.")
    assert e.value.kind == "bad_argument"


def test_facts_are_read_alike_from_objects_and_from_json() -> None:
    from enum import IntEnum

    class Mode(IntEnum):
        DYNAMO_TRACE_ONCE = 2

    class Graphs(IntEnum):
        FULL_AND_PIECEWISE = 7

    config = SimpleNamespace(
        model_config=SimpleNamespace(dtype="torch.bfloat16", max_model_len=1024),
        scheduler_config=SimpleNamespace(max_num_seqs=4),
        parallel_config=SimpleNamespace(tensor_parallel_size=2, pipeline_parallel_size=1),
        compilation_config=SimpleNamespace(
            mode=Mode.DYNAMO_TRACE_ONCE, backend="inductor", cudagraph_mode=Graphs(7)
        ),
        device_config=SimpleNamespace(device_type="cuda"),
    )
    facts = vllm_facts.resolved(config, {"VLLM_CPU_OMP_THREADS_BIND": "0-3", "HF_TOKEN": "secret"})
    assert facts["dtype"] == "bfloat16" and facts["max_batch_size"] == 4
    assert (facts["compile"], facts["compilation_mode"]) == (True, "dynamo_trace_once")
    assert facts["cudagraph_mode"] == "full_and_piecewise"
    assert facts["VLLM_CPU_OMP_THREADS_BIND"] == "0-3" and "HF_TOKEN" not in facts
    told = vllm_facts.resolved(
        {"model_config": {"dtype": "torch.bfloat16"}, "scheduler_config": {"max_num_seqs": 4}}, {}
    )
    assert told["dtype"] == "bfloat16" and told["max_batch_size"] == 4


def test_workers_of_one_model_are_put_together() -> None:
    one = {"pid": 1, "attention": "FLASH_ATTN", "gpu_peak_bytes": 10, "cpu_peak_bytes": 5}
    two = {"pid": 2, "attention": "FLASH_ATTN", "gpu_peak_bytes": 30, "cpu_peak_bytes": 7}
    facts = vllm_facts.of_workers([one, two, None])
    assert facts["attention"] == "FLASH_ATTN" and facts["workers"] == 2
    assert facts["peak_memory_bytes.gpu"] == 40
    assert vllm_facts.workers_peak_bytes([one, two], besides=1) == 7


def test_prefix_cache_counters_of_all_engines_add_up() -> None:
    text = (
        "# TYPE vllm:prefix_cache_queries_total counter\n"
        'vllm:prefix_cache_queries_total{engine="0",model_name="model"} 55.0\n'
        'vllm:prefix_cache_queries_total{engine="1",model_name="model"} 5.0\n'
        'vllm:prefix_cache_queries_created{engine="0"} 1.7e9\n'
    )
    assert vllm_server.counter(text, vllm_server.QUERIES) == 60
    assert vllm_server.counter(text, vllm_server.HITS) == 0
