"""Answers while they are generated."""

from hypothesis import given
from hypothesis import strategies as st

from lem.workloads.spoken import UNFINISHED, decoded, growing, pieces


def of_bytes(ids: list[int]) -> str:
    """A token a byte, as byte-level tokenizers fall back to."""
    return bytes(ids).decode(errors="replace")


def with_spaces(ids: list[int]) -> str:
    """As of SentencePiece: a word's space is not told where the text begins with it."""
    return "".join(f" w{i}" for i in ids).removeprefix(" ")


@given(text=st.text(max_size=30), cuts=st.lists(st.integers(0, 120)))
def test_bytes_become_text_and_no_half_characters(text: str, cuts: list[int]) -> None:
    data = list(text.replace(UNFINISHED, "?").encode())
    shown: list[int] = []
    more, read = decoded(lambda: shown, of_bytes), ""
    for cut in sorted(c for c in cuts if c <= len(data)):
        shown = data[:cut]
        read += more()
        assert UNFINISHED not in read
        assert text.replace(UNFINISHED, "?").startswith(read)
    shown = data
    assert read + more() == text.replace(UNFINISHED, "?")
    assert more() == ""


@given(ids=st.lists(st.integers(0, 9), max_size=20), cuts=st.lists(st.integers(0, 20)))
def test_a_word_keeps_its_space_wherever_the_pieces_begin(ids: list[int], cuts: list[int]) -> None:
    shown: list[int] = []
    more, read = decoded(lambda: shown, with_spaces), ""
    for cut in [*sorted(c for c in cuts if c <= len(ids)), len(ids)]:
        shown = ids[:cut]
        read += more()
    assert read == with_spaces(ids)


@given(parts=st.lists(st.text(max_size=4)), looks=st.lists(st.integers(0, 10)))
def test_pieces_and_texts_that_grow_are_read_once(parts: list[str], looks: list[int]) -> None:
    shown: list[str] = []
    more, grown = pieces(shown), growing(lambda: "".join(shown))
    read = read_grown = ""
    for n in looks:
        shown += parts[len(shown) : len(shown) + n]
        read, read_grown = read + more(), read_grown + grown()
        assert read == read_grown == "".join(shown)
    assert more() == grown() == ""


def test_a_text_that_becomes_shorter_is_not_told_again() -> None:
    text = "abc"
    more = growing(lambda: text)
    assert more() == "abc"
    text = "a"
    assert more() == ""
    text = "abcd"
    assert more() == "d"
