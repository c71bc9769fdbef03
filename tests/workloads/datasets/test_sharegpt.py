"""Conversations in ShareGPT's format and its variants."""

import json
from pathlib import Path
from typing import Any

import pytest

from lem.errors import BadInput
from lem.workloads.datasets.file import DataFile
from lem.workloads.datasets.sharegpt import Conversation, conversations
from tests.workloads.datasets.made import Words, kept, made


def human(text: str) -> dict[str, str]:
    return {"from": "human", "value": text}


def gpt(text: str) -> dict[str, str]:
    return {"from": "gpt", "value": text}


def parsed(entries: Any) -> list[Conversation]:
    return conversations(DataFile("chats.json", json.dumps(entries).encode()))


TALK = [human("how are you today"), gpt("very well thank you"), human("and why is that"),
        gpt("because the sun shines on us")]  # fmt: skip
TURNS = [("how are you today", "very well thank you"),
         ("and why is that", "because the sun shines on us")]  # fmt: skip


@pytest.mark.parametrize("key", ["conversations", "conversation", "items", "messages"])
def test_every_name_of_the_list_is_known(key: str) -> None:
    assert parsed([{"id": "x", key: TALK}]) == [Conversation(None, TURNS)]


def test_messages_by_role_and_content_and_as_lines() -> None:
    roles = {"human": "user", "gpt": "assistant"}
    talk = [{"role": roles[m["from"]], "content": m["value"]} for m in TALK]
    lines = "".join(json.dumps({"messages": talk}) + "\n" for _ in range(2))
    found = conversations(DataFile("chats.jsonl", lines.encode()))
    assert found == [Conversation(None, TURNS)] * 2


def test_what_of_a_conversation_counts() -> None:
    cases: list[tuple[list[Any], Conversation | None]] = [
        ([gpt("hello"), *TALK], Conversation(None, TURNS)),
        ([{"from": "system", "value": "be kind"}, *TALK], Conversation("be kind", TURNS)),
        ([*TALK, human("and then")], Conversation(None, TURNS)),
        ([*TALK[:3], human("hello"), gpt("hi")], Conversation(None, TURNS[:1])),
        ([*TALK[:2], gpt("more"), *TALK[2:]], Conversation(None, TURNS[:1])),
        ([*TALK[:2], {"from": "tool", "value": "42"}, *TALK[2:]], Conversation(None, TURNS[:1])),
        ([*TALK[:2], human(" "), gpt("hi")], Conversation(None, TURNS[:1])),
        ([*TALK[:2], 3, *TALK[2:]], Conversation(None, TURNS[:1])),
        ([{"from": "Human", "value": TURNS[0][0]}, {"from": "chatgpt", "value": TURNS[0][1]}],
         Conversation(None, TURNS[:1])),
        ([human("hello")], None),
        ([], None),
        ([{"from": ["human"], "value": "x"}, gpt("y")], None),
    ]  # fmt: skip
    entries = [{"conversations": talk} for talk, _ in cases] + [{"id": "none"}]
    assert parsed(entries) == [c for _, c in cases if c is not None]


def test_answers_are_as_long_as_the_files(tmp_path: Path) -> None:
    file = kept(tmp_path, json.dumps([{"conversations": TALK}]), "chats.json")
    (request,) = made({"kind": "sharegpt", **file}, 1, tmp_path)
    assert request.input_ids == Words().encode("how are you today", True)
    assert (request.output_tokens, request.text, request.after) == (4, "how are you today", None)
    (request,) = made({"kind": "sharegpt", "output_tokens": 77, **file}, 1, tmp_path)
    assert request.output_tokens == 77


def test_turns_follow_each_other_on_what_the_file_says_was_answered(tmp_path: Path) -> None:
    entries = [{"conversations": [{"from": "system", "value": "be kind"}, *TALK]} for _ in range(3)]
    file = kept(tmp_path, json.dumps(entries), "chats.json")
    requests = made({"kind": "sharegpt", "turns": 5, **file}, 5, tmp_path)
    assert [r.after for r in requests] == [None, "r0", None, "r2", None]
    said = [{"role": "system", "content": "be kind"}, {"role": "user", "content": TURNS[0][0]}]
    assert requests[0].input_ids == Words().chat(said)
    said += [
        {"role": "assistant", "content": TURNS[0][1]},
        {"role": "user", "content": TURNS[1][0]},
    ]
    assert requests[1].input_ids == Words().chat(said)
    assert [r.output_tokens for r in requests] == [4, 6, 4, 6, 4]


def test_short_and_long_ones_are_left_out(tmp_path: Path) -> None:
    def talk(question: int, answer: int) -> dict[str, Any]:
        return {"conversations": [human("q " * question), gpt("a " * answer)]}

    entries = [talk(3, 9), talk(9, 3), talk(4, 4), talk(20, 4), talk(4, 20), talk(5, 5)]
    file = kept(tmp_path, json.dumps(entries), "chats.json")

    def sizes(n: int, **limits: int) -> list[tuple[int, int]]:
        requests = made({"kind": "sharegpt", **limits, **file}, n, tmp_path)
        # The template adds three tokens.
        return sorted((len(r.input_ids) - 3, r.output_tokens) for r in requests)

    assert sizes(4) == [(4, 4), (4, 20), (5, 5), (20, 4)]
    assert sizes(3, max_input_tokens=22) == [(4, 4), (4, 20), (5, 5)]
    assert sizes(2, max_total_tokens=13) == [(4, 4), (5, 5)]
    assert sizes(5, output_tokens=2) == [(4, 2), (4, 2), (5, 2), (9, 2), (20, 2)]
    with pytest.raises(BadInput, match=r"gives 2 requests \(4 left out"):
        sizes(3, max_total_tokens=13)


def test_the_order_is_shuffled_by_the_seed_and_none_comes_twice(tmp_path: Path) -> None:
    entries = [
        {"conversations": [human(f"question number {i} is"), gpt("a b c d")]} for i in range(40)
    ]
    dataset = {"kind": "sharegpt", **kept(tmp_path, json.dumps(entries))}
    texts = [r.text for r in made(dataset, 40, tmp_path)]
    assert len(set(texts)) == 40 and texts != sorted(texts)
    assert texts == [r.text for r in made(dataset, 40, tmp_path)]
    assert texts != [r.text for r in made(dataset, 40, tmp_path, seed=2)]


BROKEN = [
    ("", "is not JSON"),
    ("3", "neither a JSON list"),
    ("[]", "no conversation with a question and its answer"),
    ("[3]", "conversation 1 is not a JSON object"),
    ('[{"conversations": 3}]', "conversation 1 has no list of messages"),
    ('[{"conversations": "abc"}]', "conversation 1 has no list of messages"),
    ('{"data": []}', "no conversation with a question"),
    ('{"a": 1}\n[', ":2: is not JSON"),
    ("[" * 200_000, "is not JSON"),
    ('[{"conversations": [NaN]}]', "NaN"),
    ("[" + "9" * 5000 + "]", "is not JSON"),
]


@pytest.mark.parametrize(("content", "words"), BROKEN, ids=[w for _, w in BROKEN])
def test_broken_files_are_refused(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(BadInput) as e:
        made({"kind": "sharegpt", **kept(tmp_path, content, "chats.json")}, 1, tmp_path)
    assert words in str(e.value) and str(e.value).startswith("chats.json:")
