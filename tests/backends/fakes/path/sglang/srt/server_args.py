"""A fake of SGLang 0.5.23's ``ServerArgs``: a part of its fields, with their defaults, and its
command line (``add_cli_args``), with the same names, types and choices."""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

CHOICES = {
    "dtype": ["auto", "half", "float16", "bfloat16", "float", "float32"],
    "quantization": ["awq", "fp8", "gptq", "w8a8_int8", "modelopt_fp8"],
    "sampling_defaults": ["openai", "model"],
    "attention_backend": ["triton", "torch_native", "flashinfer", "fa3"],
}
NO_COMMAND_LINE = ("custom_sigquit_handler",)


@dataclass
class _Fields:
    model_path: str
    tokenizer_path: str | None = None
    trust_remote_code: bool = False
    device: str | None = None
    dtype: str = "auto"
    quantization: str | None = None
    kv_cache_dtype: str = "auto"
    context_length: int | None = None
    mem_fraction_static: float | None = None
    max_running_requests: int | None = None
    chunked_prefill_size: int | None = None
    schedule_policy: str = "fcfs"
    page_size: int | None = None
    tp_size: int = 1
    dp_size: int = 1
    pp_size: int = 1
    ep_size: int = 1
    random_seed: int | None = None
    log_level: str = "info"
    host: str = "127.0.0.1"
    port: int = 30000
    sampling_defaults: str = "model"
    enable_cache_report: bool = False
    stream_interval: int = 1
    incremental_streaming_output: bool = False
    attention_backend: str | None = None
    sampling_backend: str | None = None
    disable_radix_cache: bool = False
    enable_torch_compile: bool = False
    cuda_graph_bs: list[int] | None = None
    preferred_sampling_params: dict[str, Any] | None = None
    enable_fused_qk_norm_rope: bool | None = None
    custom_sigquit_handler: Callable[..., Any] | None = None


class ServerArgs(_Fields):
    def __init__(self, **kwargs: Any) -> None:
        for name in kwargs:
            if name not in {f.name for f in fields(_Fields)}:
                # msgspec's words.
                raise TypeError(f"Unexpected keyword argument {name!r}")
        super().__init__(**kwargs)

    def resolved_dict(self) -> dict[str, Any]:
        found = asdict(self)
        found["device"] = found["device"] or "cuda"
        found["attention_backend"] = found["attention_backend"] or "flashinfer"
        return found

    @staticmethod
    def add_cli_args(parser: argparse.ArgumentParser) -> None:
        for field in fields(_Fields):
            if field.name in NO_COMMAND_LINE:
                continue
            option = "--" + field.name.replace("_", "-")
            kind = str(field.type)
            if field.name == "enable_fused_qk_norm_rope":
                parser.add_argument(option, action=argparse.BooleanOptionalAction, default=None)
            elif kind.startswith("<class 'bool"):
                parser.add_argument(option, action="store_true")
            elif "list" in kind:
                parser.add_argument(option, type=int, nargs="+")
            else:
                number = int if "int" in kind else float if "float" in kind else str
                parser.add_argument(
                    option,
                    *(["--tensor-parallel-size"] if field.name == "tp_size" else []),
                    type=json.loads if "dict" in kind else number,
                    choices=CHOICES.get(field.name),
                )
