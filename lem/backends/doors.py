"""Which of a campaign's ``args`` no engine gets, however they are spelled.

A campaign's arguments go to its engine untouched, so what must not come from a campaign (code that
nobody said to trust, places to listen at, places to write to) is refused here by name. The lists
are each backend's own; how names are compared is the same for all. See ``docs/security.md``.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lem.errors import RunFailed

NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
INSIDE = frozenset({"trust_remote_code", "auto_map", "code_revision", "inductor_passes"})
"""Refused at any depth of a nested setting: it would run a model's own code, or functions that are
only named."""
INSIDE_WORDS = frozenset(
    {"dir", "path", "folder", "port", "ip", "url", "uri", "addr", "address", "endpoint", "cxx"}
)
"""No nested setting with one of these words in its name is a campaign's: it names a place to read
code or data from, to write to, or to listen at, or a program to start."""


def check(args: Mapping[str, Any], forbidden: Iterable[str], words: Iterable[str] = ()) -> None:
    """Raise :class:`RunFailed` (``bad_argument``) for an argument in ``forbidden``, or with one of
    ``words`` in its name, or with a setting inside that is no campaign's to set."""
    barred, parts = frozenset(forbidden), frozenset(words)
    for name, value in args.items():
        if name.startswith("_") or name in barred or parts & set(name.split("_")):
            raise _closed(name)
        # A dash or a blank would make it another name to a command line than to these lists.
        if NAME.fullmatch(name) is None:
            raise RunFailed(
                "bad_argument",
                f"args.{name}: a name has small letters, digits and underscores alone",
            )
        for inner in _keys(value, name):
            plain = inner.replace("-", "_").lower()
            if plain in INSIDE or INSIDE_WORDS & set(re.split(r"[._]", plain)):
                raise _closed(f"{name}.{inner}")


def check_abbreviations(
    args: Mapping[str, Any], forbidden: Iterable[str], known: Iterable[str]
) -> None:
    """Raise :class:`RunFailed` for the beginning of a forbidden name: Python's command lines take
    ``--hos`` for ``--host``. ``known`` are whole options that happen to be such a beginning."""
    allowed = frozenset(known)
    for name in args:
        if name not in allowed and any(f.startswith(name) for f in forbidden):
            raise _closed(name)


def check_words(args: Mapping[str, Any]) -> None:
    """Raise :class:`RunFailed` where an item of a list would be an option of its own on a command
    line."""
    for name, value in args.items():
        for item in value if isinstance(value, list) else ():
            if isinstance(item, str) and item.startswith("-") and not _is_number(item):
                raise RunFailed(
                    "bad_argument", f"args.{name}: {item!r} would be an option, not a value of it"
                )


def _keys(value: Any, name: str) -> Iterator[str]:
    """All keys of a nested setting at any depth, also of what is written there as JSON. Raises
    :class:`RunFailed` for JSON that is too deep to look into."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, str) and one.lstrip()[:1] in ("{", "["):
            try:
                one = json.loads(one)
            except ValueError:
                continue
            except RecursionError as e:
                raise RunFailed("bad_argument", f"args.{name} is nested too deep") from e
        if isinstance(one, dict):
            yield from map(str, one)
            left += one.values()
        elif isinstance(one, list):
            left += one


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _closed(name: str) -> RunFailed:
    return RunFailed("bad_argument", f"args.{name} is not for campaigns to set")
