"""What an engine found of prompts that it had read before, and keeping passes apart."""

from lem.backends import prefix_cache
from lem.workloads.requests import Request


def test_hit_rate_of_the_prefix_cache() -> None:
    assert prefix_cache.hit_rate(200, 50)["prefix_cache_hit_rate"] == 0.25
    assert prefix_cache.hit_rate(0, 0)["prefix_cache_hit_rate"] is None


def test_what_was_found_between_two_times() -> None:
    found = prefix_cache.since(prefix_cache.hit_rate(200, 150), prefix_cache.hit_rate(600, 170))
    assert found == prefix_cache.hit_rate(400, 20)
    assert prefix_cache.since(prefix_cache.hit_rate(5, 1), prefix_cache.hit_rate(5, 1)) == (
        prefix_cache.hit_rate(0, 0)
    )
    assert prefix_cache.since({}, prefix_cache.hit_rate(600, 170)) == {}


def test_each_sending_of_a_prompt_has_a_salt_of_its_own() -> None:
    salts = [prefix_cache.salt(Request("r", [1], 1, "", nth=n)) for n in (1, 1, 2, 3)]
    assert salts == ["lem-1", "lem-1", "lem-2", "lem-3"]
