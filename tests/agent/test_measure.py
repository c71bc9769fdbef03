"""The order in which a run meets its requests."""

from types import SimpleNamespace
from typing import Any

from lem.agent.measure import shuffled
from lem.workloads.requests import Request


def order(seed: int, block: int) -> list[str]:
    job: Any = SimpleNamespace(seed=seed, block=block)
    return [r.id for r in shuffled(job, [Request(f"r{i}", [1], 1, "") for i in range(50)])]


def test_the_arms_of_a_block_share_an_order_and_blocks_differ() -> None:
    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)
    assert sorted(order(1, 0)) == sorted(f"r{i}" for i in range(50))


def test_every_request_is_first_about_equally_often() -> None:
    first = [order(1, block)[0] for block in range(2000)]
    counts = [first.count(f"r{i}") for i in range(50)]
    # Chi-square with 49 degrees of freedom: 85.35 is its 99.9 % quantile.
    assert sum((c - 40) ** 2 / 40 for c in counts) < 85.35
