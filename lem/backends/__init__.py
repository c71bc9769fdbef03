"""Inference engines, each behind one small adapter."""

NOT_PLUGINS = ("checkpoints", "gguf_metadata", "llama_parameters", "prepared", "protocol")
