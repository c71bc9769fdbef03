"""Lines of prompts and messages from a file."""

import json
from pathlib import Path
from typing import Any

import pytest

from lem.errors import BadInput
from tests.workloads.datasets.made import Words, kept, made


def lines(*values: Any) -> str:
    return "".join(json.dumps(v) + "\n" for v in values)


def test_prompts_and_messages_go_through_the_chat_template(tmp_path: Path) -> None:
    system = {"role": "system", "content": "be short"}
    messages = [system, {"role": "user", "content": "a b"}, {"role": "assistant", "content": "c"},
                {"role": "user", "content": "d"}]  # fmt: skip
    file = lines(
        {"prompt": "one two", "output_tokens": 5, "id": 7},
        {"messages": [{"role": "user", "content": "one two"}]},
        {"messages": messages},
    )
    requests = made({"kind": "jsonl", "output_tokens": 9, **kept(tmp_path, file)}, 3, tmp_path)
    assert [r.output_tokens for r in requests] == [5, 9, 9]
    assert requests[0].input_ids == Words().encode("one two", True) == requests[1].input_ids
    assert requests[2].input_ids == Words().chat(messages)
    assert requests[0].text == "one two"
    assert requests[2].text == "system: be short\n\nuser: a b\n\nassistant: c\n\nuser: d"


def test_lines_come_in_the_files_order_and_long_ones_are_left_out(tmp_path: Path) -> None:
    file = "\ufeff" + lines(*({"prompt": "x " * i} for i in (5, 50, 6, 7))) + "\n\n"
    dataset = {"kind": "jsonl", "output_tokens": 1, "max_input_tokens": 10, **kept(tmp_path, file)}
    assert [len(r.input_ids) for r in made(dataset, 3, tmp_path)] == [8, 9, 10]


def test_a_file_with_fewer_lines_than_requests_is_refused_with_how_many(tmp_path: Path) -> None:
    file = lines({"prompt": "a"}, {"prompt": "a b c d e"})
    dataset = {"kind": "jsonl", "output_tokens": 1, **kept(tmp_path, file)}
    with pytest.raises(BadInput, match=r"gives 2 requests, and workload.requests asks for 3") as e:
        made(dataset, 3, tmp_path)
    assert e.value.hint == "workload.requests: 2"
    with pytest.raises(BadInput, match=r"gives 1 requests \(1 left out"):
        made({**dataset, "max_input_tokens": 5}, 2, tmp_path)
    assert len(made(dataset, 2, tmp_path)) == 2


BROKEN: list[tuple[str | bytes, str]] = [
    (b'{"prompt": "a"}\n{"prompt": "\xff"}', "data.jsonl:2: is not UTF-8"),
    ('{"prompt": "a"}\nnot json', "data.jsonl:2: is not JSON"),
    ("[1]", "data.jsonl:1: is not a JSON object"),
    ('{"prompt": NaN}', "NaN is not a number"),
    ('{"prompt": "a", "output_tokens": Infinity}', "Infinity is not a number"),
    ('{"prompt": "a", "output_tokens": 1e400}', "output_tokens must be a whole number"),
    ('{"prompt": "a", "output_tokens": 1.5}', "output_tokens must be a whole number"),
    ('{"prompt": "a", "output_tokens": true}', "output_tokens must be a whole number"),
    ('{"prompt": "a", "output_tokens": "9"}', "output_tokens must be a whole number"),
    ('{"prompt": "a", "output_tokens": 0}', "output_tokens must be from 1 to 16,777,216"),
    ('{"prompt": "a", "output_tokens": 99999999}', "output_tokens must be from 1 to 16,777,216"),
    ('{"prompt": "a", "output_tokens": ' + "9" * 5000 + "}", "is not JSON"),
    ('{"prompt": "a", "messages": []}', "either a prompt or messages"),
    ("{}", "either a prompt or messages"),
    ('{"prompt": 3}', "prompt must be a text"),
    ('{"prompt": "  "}', "prompt must be a text that is not empty"),
    ('{"messages": []}', "messages must be a list of 1 to"),
    ('{"messages": {"role": "user"}}', "messages must be a list of 1 to"),
    ('{"messages": [3]}', "messages.0 must have the role"),
    ('{"messages": [{"role": "tool", "content": "x"}]}', "messages.0 must have the role"),
    ('{"messages": [{"role": ["user"], "content": "x"}]}', "messages.0 must have the role"),
    ('{"messages": [{"role": "user", "content": [{"type": "image"}]}]}', "messages.0.content must"),
    ('{"messages": [{"role": "assistant", "content": "x"}]}', "the last message must be the user"),
    ('{"prompt": ' + "[" * 100_000 + "}", "is not JSON"),
    ('{"prompt": "' + "a" * 2**24 + '"}', "longer than 16 MiB"),
]


@pytest.mark.parametrize(("content", "words"), BROKEN, ids=[w for _, w in BROKEN])
def test_broken_lines_are_refused_with_their_place(
    tmp_path: Path, content: str | bytes, words: str
) -> None:
    dataset = {"kind": "jsonl", "output_tokens": 3, **kept(tmp_path, content)}
    with pytest.raises(BadInput) as e:
        made(dataset, 2, tmp_path)
    assert words in str(e.value) and str(e.value).startswith("data.jsonl:")


def test_an_answer_without_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="has no output_tokens"):
        made({"kind": "jsonl", **kept(tmp_path, '{"prompt": "a"}')}, 1, tmp_path)


def test_halves_of_characters_do_not_reach_the_tokenizer(tmp_path: Path) -> None:
    file = kept(tmp_path, '{"prompt": "a \\ud800 b"}')
    assert made({"kind": "jsonl", "output_tokens": 3, **file}, 1, tmp_path)[0].text == "a ? b"


def test_what_the_models_template_refuses_is_said_with_the_line(tmp_path: Path) -> None:
    messages = [{"role": "system", "content": "fail"}, {"role": "user", "content": "x"}]
    file = kept(tmp_path, lines({"prompt": "a"}, {"messages": messages}))
    with pytest.raises(BadInput, match=r"data.jsonl:2: .*System role not supported"):
        made({"kind": "jsonl", "output_tokens": 3, **file}, 2, tmp_path)
