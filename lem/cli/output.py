"""Where output goes: results to stdout, progress and notes to stderr, JSON to stdout alone."""

import errno
import json
import sys
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Any

from lem.errors import BadInput, LemError

if TYPE_CHECKING:
    from rich.console import Console


@cache
def out() -> "Console":
    """The console for results. Plain where it is not a terminal or NO_COLOR is set."""
    from rich.console import Console

    class Output(Console):
        def on_broken_pipe(self) -> None:
            # rich would call it a failure; lem.cli.main knows that it is none.
            raise BrokenPipeError(errno.EPIPE, "the reader has gone")

    return Output(highlight=False, markup=False, soft_wrap=not sys.stdout.isatty())


@cache
def err() -> "Console":
    """The console for progress and notes."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, soft_wrap=not sys.stderr.isatty())


def note(message: str) -> None:
    """One line to stderr."""
    err().print(visible(message))


def complaint(error: LemError) -> str:
    """``lem: what is wrong``. Problems in a file begin with their place instead, every line of
    them, as editors and compilers have it."""
    placed = isinstance(error, BadInput) and any(p.file for p in error.problems)
    return str(error) if placed else f"lem: {error}"


def visible(text: str) -> str:
    """Messages may quote files from elsewhere: control characters but line feeds and tabs, and
    characters that reorder text, become visible escapes."""
    return "".join(
        c.encode("unicode_escape").decode()
        if c not in "\n\t" and unicodedata.category(c) in ("Cc", "Cf", "Cs")
        else c
        for c in text
    )


def emit(data: Any) -> None:
    """One JSON document to stdout."""
    json.dump(data, sys.stdout, indent=1, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")
