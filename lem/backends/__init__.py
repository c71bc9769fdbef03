"""Inference engines, each behind one small adapter."""

NOT_PLUGINS = ("protocol",)
