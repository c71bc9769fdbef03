"""Prompts that an engine has read before: what it found of them, and keeping them apart."""

from collections.abc import Mapping

from lem.contract.base import Scalar
from lem.workloads.requests import Request

QUERIES, HITS = "prefix_cache_query_tokens", "prefix_cache_hit_tokens"


def hit_rate(queries: int, hits: int) -> dict[str, Scalar]:
    """Facts: tokens of prompts looked up in the prefix cache, and found there. An engine tells
    those since loading, a record those of its windows (:func:`since`)."""
    return {
        QUERIES: queries,
        HITS: hits,
        "prefix_cache_hit_rate": round(hits / queries, 6) if queries else None,
    }


def since(before: Mapping[str, Scalar], after: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """What was looked up and found between two times that an engine told its facts; nothing where
    it tells no such numbers."""
    told = [before.get(QUERIES), after.get(QUERIES), before.get(HITS), after.get(HITS)]
    numbers = [n for n in told if isinstance(n, int)]
    if len(numbers) < len(told):
        return {}
    asked, asked_after, found, found_after = numbers
    return hit_rate(asked_after - asked, found_after - found)


def salt(request: Request) -> str:
    """Keeps a prompt that is sent again from being found in the cache; prefixes that different
    prompts share are found."""
    return f"lem-{request.nth}"
