"""``make gpu-check``: what a machine with an NVIDIA GPU says about lem, and lem about it.

It needs a Python with torch, transformers, pydantic and nvidia-ml-py, no network, at most ten
minutes, and changes no setting of the device but in the part ``settings``, which puts it back.
"""
