"""What an engine found of prompts that it had read before, and keeping passes apart."""

from lem.backends import prefix_cache
from lem.workloads.requests import Request


def test_hit_rate_of_the_prefix_cache() -> None:
    assert prefix_cache.hit_rate(200, 50)["prefix_cache_hit_rate"] == 0.25
    assert prefix_cache.hit_rate(0, 0)["prefix_cache_hit_rate"] is None


def test_each_pass_through_the_list_has_a_salt_of_its_own() -> None:
    salts = [prefix_cache.salt(Request(i, [1], 1, "")) for i in ("r12", "r3", "r12#2", "r3#3")]
    assert salts == ["lem-1", "lem-1", "lem-2", "lem-3"]
