"""Files and lists of questions, and the prompts of agreement."""

import hashlib
import json
from pathlib import Path

import pytest

from lem.errors import BadInput, RunFailed
from lem.workloads import agreement, questions
from lem.workloads.questions import Question


class Letters:
    """A token a letter; the template puts one before and one behind."""

    vocabulary = 400
    special_ids = frozenset({300, 301})

    def encode(self, text: str, chat: bool) -> list[int]:
        ids = list(text.encode())
        return [300, *ids, 301] if chat else ids

    def decode(self, ids: list[int]) -> str:
        return bytes(i for i in ids if i < 256).decode()


def problems(text: str | bytes) -> list[tuple[int | None, str]]:
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(BadInput) as e:
        questions.parse(data, "q.jsonl")
    assert {p.file for p in e.value.problems} == {"q.jsonl"}
    return [(p.line, p.message) for p in e.value.problems]


def test_a_file_is_read_line_by_line() -> None:
    text = (
        '{"question": "2 + 2?", "answer": "4"}\n\n'
        '{"question": "A city?", "answer": ["Rome", "Paris"], "output_tokens": 3, "chat": false}\n'
        '{"question": "Which?", "pattern": "\\\\b(a|b)\\\\b"}\n'
    )
    first, second, third = questions.parse(("\ufeff" + text).encode(), "q.jsonl")
    assert (first.accepted, first.chat, first.output_tokens) == (["4"], True, None)
    assert (second.accepted, second.chat, second.output_tokens) == (["Rome", "Paris"], False, 3)
    assert third.correct("it is b") and not third.correct("it is c")
    assert first.correct("4.") and not first.correct("5")


def test_all_problems_have_their_line() -> None:
    found = problems(
        '{"question": "x"}\n{"question": "", "answer": "y"}\nnonsense\n'
        '{"question": "x", "pattern": "("}\n{"question": "x", "answer": "y", "extra": 1}\n'
        '{"question": "x", "answer": []}\n'
    )
    assert {line for line, _ in found} == {1, 2, 3, 4, 5, 6}
    said = dict(found)
    assert said[1] == "needs an answer, a list of them, or a pattern"
    assert said[4].startswith("pattern: is no regular expression")
    assert said[5].startswith("extra")


@pytest.mark.parametrize("pattern", ["(" * 5000 + ")" * 5000, "a{" + "9" * 30 + "}"])
@pytest.mark.parametrize(
    "place",
    [
        '{"question": "x", "pattern": "@"}',
        '{"question": "x", "answer": "y", "task":'
        ' {"filters": [{"kind": "regex", "pattern": "@"}]}}',
        '{"question": "x", "answer": "y", "task": {"regexes_to_ignore": ["@"]}}',
    ],
)
def test_patterns_that_python_cannot_take_are_problems_of_their_line(
    pattern: str, place: str
) -> None:
    """It refuses some with other errors than ``re.error``."""
    ((line, said),) = problems(place.replace("@", pattern))
    assert line == 1 and "is no regular expression" in said


def test_what_is_no_file_of_questions() -> None:
    assert problems("\n \n") == [(None, "has no question in it")]
    assert problems(b"\xff\xfe{") == [(None, "is not UTF-8 text")]
    assert len(problems("{}\n" * 1000)) == questions.MAX_PROBLEMS


def test_a_list_comes_back_as_it_was_written(tmp_path: Path) -> None:
    asked = questions.ask(
        [
            Question(question="ab", answer="x"),
            Question(question="c", pattern="y", output_tokens=7, chat=False),
        ],
        Letters(),
        5,
    )
    assert [(a.request.id, a.request.output_tokens) for a in asked] == [("q0", 5), ("q1", 7)]
    data, sha256 = questions.dump(asked)
    path = tmp_path / "list.jsonl.gz"
    path.write_bytes(data)
    assert questions.read(path, sha256) == asked
    assert questions.dump(asked) == (data, sha256)
    with pytest.raises(RunFailed, match="not the one"):
        questions.read(path, "0" * 64)
    with pytest.raises(RunFailed, match="cannot be read"):
        questions.read(tmp_path / "none", sha256)


def test_the_digest_is_of_what_is_asked_and_accepted() -> None:
    one = Question(question="2 + 2?", answer="4")
    expected = hashlib.sha256(b'[{"answer":"4","chat":true,"question":"2 + 2?"}]').hexdigest()
    assert questions.digest([one]) == expected
    assert questions.digest([one, one]) != expected


def test_the_agreement_prompts_are_these_and_no_others() -> None:
    shipped = [
        json.loads(line)["prompt"]
        for line in (Path(questions.__file__).parent / "data" / "prompts.jsonl")
        .read_text()
        .splitlines()
    ]
    ranked = sorted(shipped, key=lambda t: hashlib.sha256(t.encode()).hexdigest())
    assert agreement.chosen() == ranked[:32]
    listed = agreement.requests(Letters())
    assert [r.id for r in listed] == [f"a{i}" for i in range(32)]
    assert {r.output_tokens for r in listed} == {64}
