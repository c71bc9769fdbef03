"""Random requests: exact and drawn lengths, shared prefixes, conversations."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lem.contract.workload import RandomDataset, Workload
from lem.errors import BadInput
from lem.workloads import datasets
from lem.workloads.requests import dump
from tests.workloads.datasets.made import Words, made
from tests.workloads.test_datasets import Words as OldWords

GOLDEN = {
    (200, 7, 3, 1): "756acbb0f95637077c988be5ac345a9959e8600835f2d3af872e24a0b3598a34",
    (20, 512, 128, 42): "105f530245a5b204dbd1d3cc9c6a5eb8df1620ec3e6a9f6c6ed55f6d8c6b7b86",
}
"""Made before lengths could be drawn; experiments all over the world hold such hashes."""


@pytest.mark.parametrize("case", GOLDEN)
def test_lists_of_fixed_lengths_never_change(case: tuple[int, int, int, int]) -> None:
    n, inputs, outputs, seed = case
    workload = Workload(
        requests=n, dataset=RandomDataset(input_tokens=inputs, output_tokens=outputs)
    )
    assert dump(datasets.make(workload, OldWords(), seed))[1] == GOLDEN[case]


def lengths(tokens: dict[str, Any], n: int) -> list[int]:
    return [r.output_tokens for r in made({"kind": "random", "input_tokens": 1, "output_tokens": tokens}, n)]  # fmt: skip  # noqa: E501


def test_uniform_lengths_are_equally_likely_and_reach_both_ends() -> None:
    found = lengths({"distribution": "uniform", "low": 3, "high": 12}, 5000)
    counts = np.bincount(found, minlength=13)[3:]
    assert min(found) == 3 and max(found) == 12
    assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize(
    ("median", "sigma", "low", "high"), [(200, 0.5, 1, 100_000), (50, 1.0, 20, 120), (9, 3.0, 9, 9)]
)
def test_lognormal_lengths_follow_the_truncated_distribution(
    median: int, sigma: float, low: int, high: int
) -> None:
    wanted = {
        "distribution": "lognormal",
        "median": median,
        "sigma": sigma,
        "low": low,
        "high": high,
    }
    found = np.array(lengths(wanted, 4000))
    assert found.min() >= low and found.max() <= high
    normal = stats.lognorm(s=sigma, scale=median)
    below = normal.cdf(low - 0.5)
    inside = normal.cdf(high + 0.5) - below
    for tokens in np.quantile(found, [0.1, 0.5, 0.9]).astype(int):
        truth = (normal.cdf(tokens + 0.5) - below) / inside
        assert np.mean(found <= tokens) == pytest.approx(truth, abs=0.035)


def test_prompts_have_the_lengths_that_were_drawn() -> None:
    wanted = {"distribution": "uniform", "low": 5, "high": 40}
    requests = made({"kind": "random", "input_tokens": wanted, "output_tokens": wanted}, 300)
    assert {len(r.input_ids) for r in requests} == set(range(5, 41))
    assert not {i for r in requests for i in r.input_ids} & Words.special_ids
    assert (
        made({"kind": "random", "input_tokens": wanted, "output_tokens": wanted}, 300) == requests
    )


def test_drawing_lengths_leaves_the_ids_of_fixed_lengths_as_they_are() -> None:
    drawn = {"distribution": "uniform", "low": 7, "high": 7}
    assert made({"kind": "random", "input_tokens": drawn}, 20) == made(
        {"kind": "random", "input_tokens": 7}, 20
    )


def test_prompts_begin_with_one_of_the_prefixes() -> None:
    dataset = {"kind": "random", "input_tokens": 12, "prefix_tokens": 8, "prefixes": 3}
    requests = made(dataset, 60)
    beginnings = [tuple(r.input_ids[:8]) for r in requests]
    assert len(set(beginnings)) == 3 and {len(r.input_ids) for r in requests} == {12}
    assert all(beginnings.count(b) >= 8 for b in set(beginnings))
    assert len({tuple(r.input_ids[8:]) for r in requests}) == 60


def test_a_prefix_alone_is_shared_by_all() -> None:
    requests = made({"kind": "random", "input_tokens": 9, "prefix_tokens": 9}, 5)
    assert len({tuple(r.input_ids) for r in requests}) == 1


def test_a_conversation_grows_by_answer_and_question() -> None:
    dataset = {"kind": "random", "input_tokens": 10, "output_tokens": 4, "turns": 3}
    requests = made(dataset, 8)
    assert [len(r.input_ids) for r in requests] == [10, 24, 38, 10, 24, 38, 10, 24]
    assert [r.after for r in requests] == [None, "r0", "r1", None, "r3", "r4", None, "r6"]
    for earlier, later in pairwise(requests):
        if later.after is not None:
            assert later.after == earlier.id
            assert later.input_ids[: len(earlier.input_ids)] == earlier.input_ids
    assert requests[0].input_ids != requests[3].input_ids[:10]


def test_conversations_share_a_prefix_in_their_first_turn_only() -> None:
    dataset = {
        "kind": "random",
        "input_tokens": 6,
        "output_tokens": 2,
        "turns": 2,
        "prefix_tokens": 4,
    }
    a, b, c, d = made(dataset, 4)
    assert a.input_ids[:4] == c.input_ids[:4] and a.input_ids[4:] != c.input_ids[4:]
    assert [len(r.input_ids) for r in (a, b, c, d)] == [6, 14, 6, 14]


@settings(max_examples=60, deadline=None)
@given(
    low=st.integers(1, 50), span=st.integers(0, 50), outputs=st.integers(1, 20),
    turns=st.none() | st.integers(1, 4), n=st.integers(1, 20), seed=st.integers(0, 2**62),
)  # fmt: skip
def test_whatever_is_asked_for_is_made(
    low: int, span: int, outputs: int, turns: int | None, n: int, seed: int
) -> None:
    wanted = {"distribution": "uniform", "low": low, "high": low + span}
    dataset = {"kind": "random", "input_tokens": wanted, "output_tokens": outputs, "turns": turns,
               "prefix_tokens": low}  # fmt: skip
    requests = made(dataset, n, seed=seed)
    assert [r.id for r in requests] == [f"r{i}" for i in range(n)]
    before: list[int] = []
    for r in requests:
        added = len(r.input_ids) - (len(before) + outputs if r.after else 0)
        assert low <= added <= low + span and r.output_tokens == outputs
        assert r.input_ids[: len(before)] == before or r.after is None
        before = r.input_ids


def test_lists_that_could_not_be_read_again_are_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "MAX_LIST_TOKENS", 1000)
    monkeypatch.setattr(datasets, "MAX_REQUEST_TOKENS", 600)
    assert len(made({"kind": "random", "input_tokens": 500}, 2)) == 2
    with pytest.raises(BadInput, match="more than 1,000 tokens together"):
        made({"kind": "random", "input_tokens": 500}, 3)
    with pytest.raises(BadInput, match="a request has more than 600 tokens"):
        made({"kind": "random", "input_tokens": 601}, 1)
    with pytest.raises(BadInput, match="a request has more than 600 tokens"):
        made({"kind": "random", "input_tokens": 300, "output_tokens": 1, "turns": 2}, 2)


class OnlySpecial(Words):
    special_ids = frozenset(range(1000))


def test_a_vocabulary_of_special_tokens_is_refused() -> None:
    with pytest.raises(BadInput, match="special tokens only"):
        datasets.make(Workload(requests=1), OnlySpecial(), 1)
