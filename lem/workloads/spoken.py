"""The text of an answer while it is generated, for whoever watches: nothing is done for it before
somebody asks."""

from collections.abc import Callable, Sequence

from lem.workloads.load import More

UNFINISHED = "\N{REPLACEMENT CHARACTER}"
"""What tokens decode to at the end that are only part of a character yet."""


def pieces(parts: Sequence[str]) -> More:
    """Of a list of texts that grows."""
    told = 0

    def more() -> str:
        nonlocal told
        new = parts[told:]
        told += len(new)
        return "".join(new)

    return more


def growing(text: Callable[[], str]) -> More:
    """Of a text that becomes longer."""
    told = 0

    def more() -> str:
        nonlocal told
        now = text()
        new, told = now[told:], max(told, len(now))
        return new

    return more


def decoded(ids: Callable[[], Sequence[int]], decode: Callable[[list[int]], str]) -> More:
    """Of tokens that become more. Only the newest are decoded, after those that were told last: by
    themselves they may read otherwise (a space before a word)."""
    begin = told = 0

    def more() -> str:
        nonlocal begin, told
        now = list(ids()[begin:])
        before, text = decode(now[: told - begin]), decode(now)
        if len(now) == told - begin or text.endswith(UNFINISHED):
            return ""
        begin, told = told, begin + len(now)
        return text[len(before) :]

    return more
