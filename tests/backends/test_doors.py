"""What no campaign can say to an engine, however it spells it."""

import argparse
from pathlib import Path
from typing import Any

import pytest

from lem.backends import doors
from lem.backends.llama_cpp import parameters as llama_parameters
from lem.backends.sglang import arguments as sglang_arguments
from lem.backends.tensorrt_llm import arguments as tensorrt_llm_arguments
from lem.backends.transformers import backend as transformers
from lem.backends.vllm import arguments as vllm_arguments
from lem.contract.job import Job
from lem.contract.workload import Concurrency
from lem.errors import RunFailed
from lem.workloads.requests import Request

from .conformance import make_job

FORBIDDEN = frozenset({"host", "trust_remote_code"})
CLOSED = "is not for campaigns to set"


def job(tmp_path: Path, args: dict[str, Any], generate: dict[str, Any] | None = None) -> Job:
    arrival = Concurrency(concurrency=1)
    return make_job(
        "x", tmp_path, tmp_path, [Request("r0", [5], 1, "")], {}, args, generate, arrival
    )


@pytest.mark.parametrize(
    "args",
    [
        {"host": "0.0.0.0"},
        {"trust_remote_code": True},
        {"_private": 1},
        {"config": {"trust_remote_code": True}},
        {"config": {"trust-remote-code": True}},
        {"config": {"deep": [{"auto_map": {"AutoModel": "x.Y"}}]}},
        {"config": '{"cache_dir": "/home/me/.ssh"}'},
        {"config": {"kv_connector_module_path": "x.y", "kv_connector": "z"}},
        {"config": {"kv_port": 1}},
        {"config": {"a": {"b": [[{"c": {"d": {"output_path": 1}}}]]}}},
        {"config": {"a": {"b": '{"c": [{"auto_map": {}}]}'}}},
        {"config": ['{"a": "{\\"trust_remote_code\\": true}"}']},
        {"config": {"inductor_compile_config": {"cpp.cxx": "sh"}}},
        {"config": {"inductor_compile_config": {"aot_inductor.output_path": "/tmp"}}},
        {"config": {"inductor_passes": {"x": "os.system"}}},
    ],
)
def test_doors_stay_closed(args: dict[str, Any]) -> None:
    with pytest.raises(RunFailed, match=CLOSED) as e:
        doors.check(args, FORBIDDEN)
    assert e.value.kind == "bad_argument"


def test_json_that_is_too_deep_to_look_into_stays_outside() -> None:
    """A reader with more patience than this one's might find something there."""
    for levels in (300, 100_000):
        text = '{"a":' * levels + '{"cache_dir": 1}' + "}" * levels
        with pytest.raises(RunFailed, match=r"too deep|not for campaigns") as e:
            doors.check({"config": text}, FORBIDDEN)
        assert e.value.kind == "bad_argument"


@pytest.mark.parametrize(
    "name",
    ["trust-remote-code", "Host", "host=0.0.0.0", "hos t", "trust_remote_code\n", "", "hóst"],
)
def test_a_name_is_spelled_in_one_way(name: str) -> None:
    with pytest.raises(RunFailed, match="small letters, digits and underscores"):
        doors.check({name: True}, FORBIDDEN)


def test_what_measures_something_goes_through() -> None:
    doors.check(
        {
            "max_num_batched_tokens": 2048,
            "compilation_config": {"mode": 3, "cudagraph_mode": "FULL"},
            "speculative_config": {"method": "ngram", "num_speculative_tokens": 3},
            "kv_cache_config": {"enable_block_reuse": True, "host_cache_size": 1},
            "json_text": "{not json",
            "deep": {"pass_config": {"fuse_norm_quant": True, "sizes": [[1, {"x": "[1, 2]"}]]}},
        },
        FORBIDDEN,
    )


def test_a_command_line_takes_the_beginning_of_a_name_so_that_is_refused() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host")
    # Why: this is how Python's command lines read it.
    assert parser.parse_args(["--hos=0.0.0.0"]).host == "0.0.0.0"
    for name in ("h", "hos", "trust_remote_cod"):
        with pytest.raises(RunFailed, match=CLOSED):
            doors.check_abbreviations({name: "0.0.0.0"}, FORBIDDEN, ())
    doors.check_abbreviations({"hos": 1}, FORBIDDEN, ("hos",))
    doors.check_abbreviations({"hosts": 1, "max_num_seqs": 1}, FORBIDDEN, ())


@pytest.mark.parametrize("items", [["--host=0.0.0.0"], ["-h"], [1, "--trust-remote-code"]])
def test_an_item_of_a_list_is_no_option(items: list[Any]) -> None:
    with pytest.raises(RunFailed, match="would be an option"):
        doors.check_words({"sizes": items})
    doors.check_words({"sizes": [-1, "-2", "3", "a-b"], "one": "--is-joined-with-="})


@pytest.mark.parametrize(
    "args",
    [
        {"hos": "0.0.0.0"},
        {"middlewar": "os.system"},
        {"worker_ext": "os.system"},
        {"api_ke": "x"},
        {"trust_remote_c": True},
        {"data_parallel_address": "10.0.0.1"},
        {"kv_events_config": {"publisher": "zmq"}},
        {"logits_processors": ["os:system"]},
        {"compilation_config": {"debug_dump_path": "/home/me"}},
    ],
)
def test_vllm(tmp_path: Path, args: dict[str, Any]) -> None:
    with pytest.raises(RunFailed, match=CLOSED):
        vllm_arguments.arguments(job(tmp_path, args))


def test_vllm_s_list_cannot_smuggle_an_option(tmp_path: Path) -> None:
    arguments = vllm_arguments.arguments(
        job(tmp_path, {"cudagraph_capture_sizes": [1, "--host=0.0.0.0"]})
    )
    with pytest.raises(RunFailed, match="would be an option"):
        vllm_arguments.flags(arguments)
    kept = vllm_arguments.arguments(job(tmp_path, {"reasoning_parser": "qwen3"}))
    assert "--reasoning-parser=qwen3" in vllm_arguments.flags(kept)


@pytest.mark.parametrize(
    "args",
    [
        {"custom_weight_loader": ["os.system"]},
        {"forward_hooks": "[]"},
        {"crash_dump_folder": "/home/me"},
        {"sidecar": "os.system"},
        {"sidecar_args": ["x"]},
        {"modelopt_export_path": "/home/me"},
        {"encoder_urls": ["http://10.0.0.1"]},
        {"enable_http_worker_reuseport": True},
        {"kv_events_config": "{}"},
        {"cuda_graph_config": '{"x": {"dump_path": "/home/me"}}'},
    ],
)
def test_sglang(tmp_path: Path, args: dict[str, Any]) -> None:
    with pytest.raises(RunFailed, match=CLOSED):
        sglang_arguments.server_arguments(job(tmp_path, args))
    with pytest.raises(RunFailed, match=CLOSED):
        sglang_arguments.sampling(job(tmp_path, {}, {"custom_logit_processor": "code"}))


def test_tensorrt_llm(tmp_path: Path) -> None:
    for args in ({"lora_config": {"lora_dir": "/x"}}, {"model_kwargs": {"auto_map": "x.Y"}}):
        with pytest.raises(RunFailed, match=CLOSED):
            tensorrt_llm_arguments.engine_arguments(job(tmp_path, args))


@pytest.mark.parametrize(
    "name", ["offline", "reuse_port", "ui_mcp_proxy", "cors_origins", "lora_adapters", "model"]
)
def test_llama_cpp(tmp_path: Path, name: str) -> None:
    pytest.importorskip("xllamacpp")
    with pytest.raises(RunFailed, match=CLOSED):
        llama_parameters.parameters(job(tmp_path, {name: 1}), 256)


@pytest.mark.parametrize(
    "args",
    [
        {"trust_remote_code": True},
        {"weights_only": False},
        {"use_safetensors": False},
        {"offload_folder": "/home/me"},
        {"quantization_config": {"auto_map": "x.Y"}},
    ],
)
def test_transformers(tmp_path: Path, args: dict[str, Any]) -> None:
    with pytest.raises(RunFailed, match=CLOSED):
        transformers._model_arguments(job(tmp_path, args))


def test_transformers_runs_no_generate_of_a_folder(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    for name in ("custom_generate", "trust_remote_code"):
        with pytest.raises(RunFailed, match=CLOSED):
            transformers._settle_generation(None, job(tmp_path, {}, {name: "/requests"}))
