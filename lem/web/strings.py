"""The catalogue: every sentence that a page or an island shows, by a dotted key."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files


class NoSuchString(KeyError):
    """A template asks for a key that the catalogue does not have: a mistake of ours."""


@cache
def catalogue() -> Mapping[str, str]:
    """Dotted key → text, in English: of every file of ``catalogue/``."""
    found: dict[str, str] = {}
    for file in sorted((files("lem.web") / "catalogue").iterdir(), key=lambda f: f.name):
        one: dict[str, str] = {}
        _flatten(tomllib.loads(file.read_text("utf-8")), "", one)
        if twice := found.keys() & one.keys():
            raise ValueError(f"{file.name}: {min(twice)} is in another file too")
        found |= one
    return found


def _flatten(table: Mapping[str, object], above: str, found: dict[str, str]) -> None:
    for key, value in table.items():
        if isinstance(value, dict):
            _flatten(value, f"{above}{key}.", found)
        else:
            found[above + key] = str(value)


def text(key: str, /, **values: object) -> str:
    """The text with its ``{placeholders}`` filled. Raises :class:`NoSuchString`."""
    try:
        found = catalogue()[key]
    except KeyError:
        raise NoSuchString(key) from None
    return found.format_map(values) if values else found


def texts(section: str) -> dict[str, str]:
    """All texts of a section, by what follows its name."""
    return {
        k.removeprefix(f"{section}."): v
        for k, v in catalogue().items()
        if k.startswith(f"{section}.")
    }
