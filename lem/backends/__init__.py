"""Inference engines, each behind one small adapter."""

NOT_PLUGINS = (
    "checkpoints",
    "gguf_metadata",
    "huggingface",
    "listener",
    "llama_parameters",
    "llama_process",
    "llama_scores",
    "llama_served",
    "llama_server",
    "openai_server",
    "prepared",
    "protocol",
    "served",
    "transformers_continuous",
    "transformers_facts",
)
