"""Texts that tell whose machine they are from: found as before, in a time that grows as they do."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lem.submit.telling import MAX_TEXT, looks_like

SIMPLE = {
    "the address of a server or file": r"\b[a-z][a-z0-9+.-]*://"
    r"(?!(?:localhost|127(?:\.\d+){3}|\[::1\])(?:[:/?#]|$))",
    "an e-mail address": r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}\b",
}
"""What is looked for, said plainly."""


@pytest.mark.parametrize("what", SIMPLE)
@given(
    text=st.lists(
        st.sampled_from(["a", "Z", "9", "_", "-", ".", "+", "@", "://", ":", "/", " ", "localhost",
                         "127.0.0.1", "x.de", "[::1]"]),
        max_size=12,
    ).map("".join)
)  # fmt: skip
def test_the_same_texts_are_found_as_by_a_plain_pattern(what: str, text: str) -> None:
    plain = re.search(SIMPLE[what], text, re.IGNORECASE | re.ASCII) is not None
    found = looks_like(text)
    assert found == what if plain and found in (None, *SIMPLE) and not _both(text) else True
    assert plain or found != what


def _both(text: str) -> bool:
    return all(re.search(p, text, re.IGNORECASE | re.ASCII) for p in SIMPLE.values())


@pytest.mark.parametrize("piece", ["a", "a.", "a-", "a@", "a.b@", "@a.", "a@1.", "+.", "a_", ":a"])
def test_no_text_takes_long(piece: str) -> None:
    text = (piece * MAX_TEXT)[:MAX_TEXT]
    began = time.process_time()
    for _ in range(20):
        looks_like(text)
    assert time.process_time() - began < 0.4
