"""A fake of TensorRT-LLM 1.2's ``TorchLlmArgs``: a part of its fields, with their defaults, as
strict as the original (``extra="forbid"``)."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class RequestError(RuntimeError):
    pass


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class KvCacheConfig(Strict):
    enable_block_reuse: bool = True
    max_tokens: int | None = None
    free_gpu_memory_fraction: float | None = 0.9
    dtype: str = "auto"
    tokens_per_block: int = 32


class CudaGraphConfig(Strict):
    batch_sizes: list[int] | None = None
    max_batch_size: int = 0
    enable_padding: bool = False


class TorchLlmArgs(Strict):
    model: str
    trust_remote_code: bool = False
    backend: Literal["pytorch"] = "pytorch"
    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    dtype: str = "auto"
    max_batch_size: int | None = 2048
    max_seq_len: int | None = None
    max_num_tokens: int = 8192
    kv_cache_config: KvCacheConfig = Field(default_factory=KvCacheConfig)
    cuda_graph_config: CudaGraphConfig | None = Field(default_factory=CudaGraphConfig)
    attn_backend: str = "TRTLLM"
    disable_overlap_scheduler: bool = False
    enable_chunked_prefill: bool = False
    stream_interval: int = 1
