"""Energy per request is said to be of unlike answers where the windows' differ in length."""

import shutil
from pathlib import Path

import pytest

from lem.analysis.lengths import of_answers
from lem.analysis.results import open_results
from lem.stores.outcomes import Outcome
from lem.stores.rows import Figure, Row

H100 = Path(__file__).parents[2] / "results/h100-smollm2"
PER_REQUEST = "energy_per_request_j"
NAMES = {"a": "one at a time", "b": "many"}


def row(tokens: float | None, per_token_j: float = 0.01) -> Row:
    """A run whose requests had so many output tokens on average; None: it has no such figures."""
    outcome = Outcome("a", 0, 0, 0, "record", None, "info", "", "", "", (), "")
    figures = {} if tokens is None else {PER_REQUEST: tokens, "energy_per_output_token_j": 1.0}
    metrics = {m: {"gpu": Figure(per_token_j * v, None)} for m, v in figures.items()}
    return Row(outcome, "r", "e", "c", 4, "h", {}, (), "", metrics)


def said(a: list[float | None], b: list[float | None], metric: str | None = PER_REQUEST) -> str:
    arms = {"a": dict(enumerate(map(row, a))), "b": dict(enumerate(map(row, b)))}
    return " ".join(of_answers(arms, NAMES, metric))


def test_unlike_lengths_are_said() -> None:
    assert "request: many 52.2, one at a time 45. " in said([41, 49], [52.25])


@pytest.mark.parametrize(
    ("a", "b", "metric"),
    [
        ([51.5], [52.0], PER_REQUEST),
        ([45.0], [52.0], "energy_per_output_token_j"),
        ([45.0], [52.0], None),
        ([45.0], [None], PER_REQUEST),
        ([], [], PER_REQUEST),
    ],
)
def test_nothing_is_said_where_it_does_not_matter(
    a: list[float | None], b: list[float | None], metric: str | None
) -> None:
    assert said(a, b, metric) == ""


def test_the_records_of_an_h100_have_it_said(tmp_path: Path) -> None:
    """Real ones: answering one request at a time, a window held seven answers."""
    folder = shutil.copytree(H100, tmp_path / "campaign")
    notes = " ".join(open_results(folder).compare(metric=PER_REQUEST).notes)
    assert "transformers with batch size 1 45.2, " in notes
    assert "vllm 50.1. " in notes
    assert "differ in length" not in " ".join(open_results(folder).compare().notes)
