"""Prompts that an engine has read before: what it found of them, and keeping passes apart."""

from lem.contract.base import Scalar
from lem.workloads.requests import Request
from lem.workloads.sources import cycle


def hit_rate(queries: int, hits: int) -> dict[str, Scalar]:
    """Tokens of prompts looked up in the prefix cache, and found there, since loading."""
    return {
        "prefix_cache_query_tokens": queries,
        "prefix_cache_hit_tokens": hits,
        "prefix_cache_hit_rate": round(hits / queries, 6) if queries else None,
    }


def salt(request: Request) -> str:
    """Keeps a request's prompt from being found in the cache by a later pass through the list
    (``r12#2``); within one pass, prefixes that requests share are found."""
    return f"lem-{cycle(request.id)}"
