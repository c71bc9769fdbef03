"""Inference engines, each behind one small adapter."""

NOT_PLUGINS = ("checkpoints", "gguf_chat", "llama_parameters", "prepared", "protocol")
