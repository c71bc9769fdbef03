"""When an answer is correct."""

import pytest

from lem.workloads.scoring import Filter, Task, by_line, by_task, filtered, normalised


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("  Paris. ", "paris"),
        ("“Paris”", "paris"),
        ("The  capital\nof France", "the capital of france"),
        ("ﬁfty", "fifty"),  # NFKC takes ligatures apart
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),  # case folding, not lower()
        ("-3", "-3"),
        ("- 3", "3"),
        (".5", ".5"),
        ("42.", "42"),
        ("3.50", "3.50"),
        ("50%", "50%"),
        ("$50", "$50"),
        ("(a)", "a"),
        ("...", "..."),
        ("", ""),
    ],
)
def test_one_form_for_what_is_the_same(text: str, form: str) -> None:
    assert normalised(text) == form


def test_a_line_takes_any_accepted_answer_whole() -> None:
    assert by_line(" paris!\n", ["Paris", "Lutetia"], None)
    assert by_line("LUTETIA", ["Paris", "Lutetia"], None)
    assert not by_line("The answer is Paris", ["Paris"], None)
    assert not by_line("", ["Paris"], None)


def test_a_pattern_is_searched_for_in_the_answer_as_it_is() -> None:
    assert by_line("The answer is 42.", [], r"\b42\b")
    assert not by_line("The answer is 420.", [], r"\b42\b")
    assert not by_line("the ANSWER", [], "answer")
    assert by_line("forty-two", ["Forty-two"], r"\b42\b")


GSM8K = Task(
    stop=["Question:"],
    filters=[
        Filter(kind="regex", group_select=-1, pattern=r"(-?[$0-9.,]{2,})|(-?[0-9]+)"),
        Filter(kind="take_first"),
    ],
    ignore_case=True,
    regexes_to_ignore=[",", r"\$", "(?s).*#### ", r"\.$"],
)
"""As the task of that name scores its answers in its second way."""


@pytest.mark.parametrize(
    ("text", "correct"),
    [
        ("So it is 1,234 in all.", True),
        ("First 12, then 1234", True),
        ("1234\nQuestion: what is 5?", True),
        ("1234, no: 5", False),
        ("no idea", False),
    ],
)
def test_a_task_filters_then_matches(text: str, correct: bool) -> None:
    assert by_task(GSM8K, text, ["They need 1000 + 234\n#### 1234"]) is correct


def test_filters_one_by_one() -> None:
    def after(text: str, **step: object) -> str:
        return filtered(Task(filters=[Filter.model_validate(step)]), text)

    assert after("a #### -1,5 b", kind="regex") == "-1,5"
    assert after("none", kind="regex") == "[invalid]"
    assert after("none", kind="regex", fallback="?") == "?"
    assert after("7 8", kind="regex", pattern="[0-9]", group_select=5) == "[invalid]"
    assert after(" a ", kind="remove_whitespace") == "a"
    assert after("Aß", kind="uppercase") == "ASS"
    assert after("AB", kind="lowercase") == "ab"
    assert after("x", kind="take_first") == "x"


def test_options_of_exact_match() -> None:
    assert not by_task(Task(), "Paris", ["paris"])
    assert by_task(Task(ignore_case=True), "Paris", ["paris"])
    assert by_task(Task(ignore_punctuation=True), "it's", ["its"])
    assert by_task(Task(ignore_numbers=True), "a1", ["a2"])
    assert by_task(Task(), "b", ["a", "b"])
