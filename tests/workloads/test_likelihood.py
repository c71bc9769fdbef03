"""How texts are split into what is read and what is scored, and which answer is chosen."""

from typing import Any

import pytest

from lem.errors import BadInput
from lem.workloads.choices import Given, Rule, aggregated, chosen, figures
from lem.workloads.likelihood import Passage, Scored, mean_nll, split


class Words:
    """A tokenizer whose tokens are words with the blank before them, as byte-pair ones have it; one
    for the beginning of a text comes first."""

    vocabulary = 1000
    special_ids = frozenset({0})
    prefix_id: int | None = 0

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def bare(self, text: str) -> list[int]:
        parts = text.replace(" ", "| ").split("|")
        return [self.known.setdefault(p, len(self.known) + 1) for p in parts if p]

    def encode(self, text: str, chat: bool) -> list[int]:
        assert not chat
        return [0, *self.bare(text)]

    def chat(self, messages: Any) -> list[int]:
        raise NotImplementedError

    def decode(self, ids: list[int]) -> str:
        raise NotImplementedError


def test_blanks_between_belong_to_the_answer() -> None:
    words = Words()
    plain = split(words, "a b", " c d")
    assert plain == Passage([0, 1, 2, 3, 4], 3) and plain.scored == [3, 4]
    assert split(words, "a b ", "c d") == plain


def test_after_nothing_comes_the_beginning_of_a_text() -> None:
    words = Words()
    assert split(words, "", "a b") == Passage([0, 1, 2], 1)
    # An answer that begins with it by itself keeps one of them.
    words.bare = lambda text: [0, 7]  # type: ignore[method-assign]
    assert split(words, "", "x") == Passage([0, 7], 1)
    words.prefix_id = None
    with pytest.raises(BadInput, match="beginning of a text"):
        split(words, "", "a")


def test_an_answer_without_a_token_is_refused() -> None:
    with pytest.raises(BadInput, match="continuation has no token"):
        split(Words(), "a b", "")


def test_mean_nll_is_of_pieces_of_512_tokens_without_their_first() -> None:
    calls: list[int] = []

    def score(passages: Any) -> list[Scored]:
        calls.append(len(passages))
        return [Scored(-2.0 * len(p.scored), False) for p in passages]

    assert mean_nll(score, list(range(1025))) == 2.0
    assert calls == [1, 1]  # the last token alone scores nothing
    assert mean_nll(score, list(range(1100)), together=True) == 2.0 and calls[-1] == 3
    assert mean_nll(score, [1]) is None
    assert mean_nll(lambda passages: None, [1, 2]) is None


def rule(**changes: Any) -> Rule:
    names = ["ab", "abcd", "é"]
    raw: dict[str, Any] = {
        "kind": "multiple_choice",
        "given": [Given(text=f" {n}", name=n) for n in names],
        "accepted": [1],
        "metric": "acc",
        "metrics": ["acc", "acc_norm", "acc_bytes", "exact_match"],
    }
    return Rule.model_validate(raw | changes)


def test_lengths_are_of_characters_and_of_bytes() -> None:
    told = [Scored(-4.0, False), Scored(-6.0, False), Scored(-2.9, False)]
    # Per character −2, −1.5, −2.9; per byte −2, −1.5, −1.45.
    assert [chosen(rule(), told, m) for m in ("acc", "acc_norm", "acc_bytes")] == [2, 1, 2]
    assert figures(rule(), told) == {
        "acc": 0.0,
        "acc_norm": 1.0,
        "acc_bytes": 0.0,
        "exact_match": 0.0,
    }
    assert chosen(rule(), told, "exact_match") is None
    # The first of equal ones, as numpy.argmax has it.
    assert chosen(rule(), [Scored(-1.0, False)] * 3, "acc") == 0


def test_a_mean_over_questions_counts_those_without_an_answer() -> None:
    assert aggregated([{"acc": 1.0}, None, {"acc": 0.0}, {"acc": 1.0}]) == {"acc": 0.5}
    assert aggregated([None]) == {}
    assert aggregated([{"perplexity": -2000.0}]) == pytest.approx({"perplexity": 1.0142320547e304})


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"metric": "exact_match", "metrics": ["acc"]}, "none of the metrics"),
        ({"accepted": [3]}, "none of the given"),
        ({"metrics": ["acc", "perplexity"]}, "perplexity is of"),
        ({"kind": "loglikelihood"}, "has one answer"),
        ({"given": [Given(text=" ", name="")], "accepted": []}, "no length"),
    ],
)
def test_rules_that_mean_nothing_are_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        rule(**changes)
