"""Request lists: the same everywhere, exact lengths, real prompts with their source."""

import hashlib
import json

import pytest

from lem.contract.workload import PromptsDataset, RandomDataset, Workload
from lem.errors import BadInput
from lem.workloads import datasets
from lem.workloads.requests import Request, dump


class Words:
    """A tokenizer of 100 ids that counts words; chat adds two ids around."""

    vocabulary = 100
    special_ids = frozenset({0, 1, 99})

    def encode(self, text: str, chat: bool) -> list[int]:
        ids = [2 + len(w) % 90 for w in text.split()]
        return [0, *ids, 1] if chat else ids

    def decode(self, ids: list[int]) -> str:
        return " ".join(map(str, ids))


def random_workload(n: int) -> Workload:
    return Workload(requests=n, dataset=RandomDataset(input_tokens=7, output_tokens=3))


def test_random_lists_have_exact_lengths_and_plain_ids() -> None:
    made = datasets.make(random_workload(200), Words(), 1)
    assert [r.id for r in made] == [f"r{i}" for i in range(200)]
    assert {len(r.input_ids) for r in made} == {7} and {r.output_tokens for r in made} == {3}
    seen = {i for r in made for i in r.input_ids}
    assert seen == set(range(100)) - Words.special_ids
    assert made[0].text == Words().decode(made[0].input_ids)


def test_random_lists_are_the_same_on_every_machine() -> None:
    # random.Random(1).random() begins 0.134364, 0.847433, 0.763774 in every version of CPython
    # (docs of random: the sequence of random() for a seed does not change); times 97 plain ids.
    made = datasets.make(random_workload(1), Words(), 1)
    plain = [i for i in range(100) if i not in Words.special_ids]
    assert made[0].input_ids[:3] == [plain[13], plain[82], plain[74]]
    assert made != datasets.make(random_workload(1), Words(), 2)


def test_prompts_come_through_the_chat_template_and_none_twice_before_all() -> None:
    n = len(datasets.prompts())
    made = datasets.make(Workload(requests=n + 1, dataset=PromptsDataset()), Words(), 1)
    assert all(r.input_ids[0] == 0 and r.input_ids[-1] == 1 for r in made)
    assert len({r.text for r in made[:n]}) == n
    assert made == datasets.make(Workload(requests=n + 1, dataset=PromptsDataset()), Words(), 1)


def test_the_order_of_prompts_never_changes_by_accident() -> None:
    made = datasets.make(Workload(requests=50, dataset=PromptsDataset()), Words(), 7)
    assert dump(made)[1] == GOLDEN_PROMPTS


GOLDEN_PROMPTS = "50c4f627d486032e6f7fd02dbc74a928dbf47a6ae1d0a1e5ae9063b08cd9789c"


def test_long_prompts_can_be_left_out() -> None:
    workload = Workload(requests=30, dataset=PromptsDataset(max_input_tokens=25))
    assert max(len(r.input_ids) for r in datasets.make(workload, Words(), 1)) <= 25


def test_a_limit_below_every_prompt_is_refused_with_the_shortest() -> None:
    workload = Workload(requests=3, dataset=PromptsDataset(max_input_tokens=3))
    with pytest.raises(BadInput, match="max_input_tokens"):
        datasets.make(workload, Words(), 1)


def test_the_shipped_prompts_are_a_few_hundred_with_task_and_source() -> None:
    shipped = datasets.prompts()
    assert len(shipped) >= 300
    assert len({p["prompt"] for p in shipped}) == len(shipped)
    assert len({p["task"] for p in shipped}) >= 8
    assert all(set(p) == {"prompt", "task", "source"} and p["source"] for p in shipped)


def test_every_source_is_older_than_1929() -> None:
    import re

    for p in datasets.prompts():
        years = [int(y) for y in re.findall(r"\b(1[5-9]\d\d)\b", p["source"])]
        assert years and max(years) < 1929, p["source"]


def test_the_quality_text_is_the_pinned_one() -> None:
    text = datasets.nll_text()
    assert 1300 < len(text.split()) < 1700
    assert hashlib.sha256(text.encode()).hexdigest() == datasets.NLL_SHA256


def test_chunks_are_of_512_tokens_and_lose_nothing() -> None:
    ids = list(range(1100))
    assert [len(c) for c in datasets.chunks(ids)] == [512, 512, 76]
    assert [i for c in datasets.chunks(ids) for i in c] == ids
    # A single token left over has nothing before it to be predicted from.
    assert [len(c) for c in datasets.chunks(list(range(513)))] == [512]


def test_dumped_lists_are_json_lines() -> None:
    data, sha256 = dump([Request("r0", [1, 2], 3, "é")])
    line = '{"id": "r0", "input_ids": [1, 2], "output_tokens": 3, "text": "é"}\n'
    assert sha256 == hashlib.sha256(line.encode()).hexdigest()
    assert json.loads(line)["text"] == "é" and data[:2] == b"\x1f\x8b"
