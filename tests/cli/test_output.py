"""Where output goes, and what may stand in it."""

import json

import pytest

from lem.cli.output import emit, note, out, visible

Shown = pytest.CaptureFixture[str]


def test_results_go_to_stdout_and_notes_to_stderr(capsys: Shown) -> None:
    out().print("a result")
    note("a note")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("a result\n", "a note\n")


def test_brackets_are_no_markup(capsys: Shown) -> None:
    note("[bold]x[/bold] [1, 2]")
    assert capsys.readouterr().err == "[bold]x[/bold] [1, 2]\n"


def test_long_lines_are_not_broken_where_nobody_looks(capsys: Shown) -> None:
    note("x" * 500 + " " + "y" * 500)
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 𝄞 \t\n", "plain é 𝄞 \t\n"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("bell\x07 back\x08 return\r", "bell\\x07 back\\x08 return\\r"),
        ("\x9b31m", "\\x9b31m"),
        ("right\u202eleft", "right\\u202eleft"),
        ("half\ud800", "half\\ud800"),
    ],
)
def test_what_would_act_on_a_terminal_is_made_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_json_is_one_document(capsys: Shown) -> None:
    emit({"a": [1, 2.5, None, "é"]})
    text = capsys.readouterr().out
    assert json.loads(text) == {"a": [1, 2.5, None, "é"]}
    assert text.endswith("}\n")


def test_json_has_no_nan() -> None:
    with pytest.raises(ValueError):
        emit({"a": float("nan")})
