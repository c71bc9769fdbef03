"""Long prompts: exact counts, a question at the end, no two alike."""

import pytest

from lem.contract.workload import Workload
from lem.errors import BadInput
from lem.workloads import datasets
from tests.workloads.datasets.made import Words, made


@pytest.mark.parametrize("tokens", [128, 1000, 8192])
def test_prompts_have_exactly_so_many_tokens_in_the_chat_template(tokens: int) -> None:
    requests = made({"kind": "long_context", "input_tokens": tokens, "output_tokens": 9}, 5)
    assert {len(r.input_ids) for r in requests} == {tokens}
    assert {r.output_tokens for r in requests} == {9}
    for r in requests:
        assert r.input_ids[:2] == [0, 11] and r.input_ids[-1] == 1
        # Nothing special within: the text's own beginning of text, for one.
        assert not Words.special_ids & set(r.input_ids[2:-1])


def test_the_question_comes_last_and_is_about_an_entry_that_is_there() -> None:
    (request,) = made({"kind": "long_context", "input_tokens": 500}, 1)
    question = request.text.split("\n\n")[-1]
    assert question.startswith("Question: according to entry ")
    number = question.split(",")[0].split()[-1]
    ids = Words._ids
    assert request.input_ids[-1 - len(ids(question)) : -1] == ids(question)
    assert ids(f"Entry {number}.") == request.input_ids[2:4]


def test_requests_share_nothing_that_a_cache_of_prompts_could_keep() -> None:
    requests = made({"kind": "long_context", "input_tokens": 300}, 50)
    # Template and the word "Entry" are alike; then comes the entry's number. (This tokenizer gives
    # one id to all orders of the same digits, so look at the whole sentence.)
    assert len({tuple(r.input_ids[:16]) for r in requests}) == 50
    assert len({r.text.split("\n\n")[-1] for r in requests}) == 50


def test_the_list_is_the_same_everywhere_and_another_for_another_seed() -> None:
    dataset = {"kind": "long_context", "input_tokens": 300}
    assert made(dataset, 3) == made(dataset, 5)[:3]
    assert made(dataset, 3) != made(dataset, 3, seed=2)


def test_too_short_for_a_question_is_refused_with_what_is_enough() -> None:
    with pytest.raises(BadInput, match="too short") as e:
        made({"kind": "long_context", "input_tokens": 40}, 1)
    enough = int(str(e.value.hint).split()[2])
    assert len(made({"kind": "long_context", "input_tokens": enough}, 1)[0].input_ids) == enough
    with pytest.raises(BadInput, match="too short"):
        made({"kind": "long_context", "input_tokens": enough - 1}, 1)


class Bytes(Words):
    """A token a byte, as the smallest vocabularies have it."""

    @staticmethod
    def _ids(text: str) -> list[int]:
        return [20 + b for b in text.encode()]


def test_a_tokenizer_of_bytes_gives_exact_counts_too() -> None:
    workload = Workload.model_validate(
        {"requests": 2, "dataset": {"kind": "long_context", "input_tokens": 700}}
    )
    requests = datasets.make(workload, Bytes(), 1)
    assert {len(r.input_ids) for r in requests} == {700}
