"""Inference engines, each behind one small adapter.

A folder is an engine: its ``backend.py`` is the plugin, the rest is its own. The files beside the
folders are what several engines share.
"""
