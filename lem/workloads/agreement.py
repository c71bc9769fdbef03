"""The prompts whose greedy answers are compared between runs.

They are the same for every campaign and model: the first 32 of those that come with lem, in the
order of their SHA-256, so that all kinds of them are among them. Each is answered in at most 64
tokens.
"""

import hashlib

from lem.workloads.datasets import prompts
from lem.workloads.requests import Request, Tokenizer

PROMPTS = 32
OUTPUT_TOKENS = 64
SHA256 = "331a61347e889a8a756b349f5a03da65f766ff5b1b6c5be395c3a3a913f94beb"
"""Of the prompts and the number of tokens; answers to others are never compared with these."""


def chosen() -> list[str]:
    """The prompts. Raises AssertionError where the shipped ones were changed."""
    texts = sorted((p["prompt"] for p in prompts()), key=lambda t: _sha256(t.encode()))[:PROMPTS]
    if _sha256("\0".join([*texts, str(OUTPUT_TOKENS)]).encode()) != SHA256:
        raise AssertionError("lem/workloads/data/prompts.jsonl was changed: answers would differ")
    return texts


def requests(tokenizer: Tokenizer) -> list[Request]:
    """The prompts as the model's own tokenizer and chat template have them: ``a0``, ``a1``, …"""
    return [
        Request(f"a{i}", tokenizer.encode(text, chat=True), OUTPUT_TOKENS, text)
        for i, text in enumerate(chosen())
    ]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
