"""Pydantic's errors in the words of a campaign file, with the place and a suggestion."""

import difflib
import re
import types
from collections import defaultdict
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from lem.config.objectives import SLO_PRESETS
from lem.config.yaml_source import KeyPath, Source, shorten
from lem.errors import Problem


def suggest(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?``, or the list of what is known where nothing comes near."""
    known = sorted(set(known))
    near = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean '{near[0]}'?"
    shown = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
    return f"; known here: {shown}" if known else ""


def explain(
    error: ValidationError, model: Any, data: Any, at: KeyPath = ()
) -> list[tuple[KeyPath, str]]:
    """Each error as (path in the file, message). ``data``, found at ``at``, is what was checked."""
    placed = []
    kinds: dict[KeyPath, set[str]] = defaultdict(set)
    within: dict[KeyPath, set[str]] = defaultdict(set)
    for e in error.errors(include_url=False):
        path, label = _file_path(e["loc"], data, e["type"] == "missing")
        placed.append((path, label, e))
        kinds[path].add(e["type"])
        for length in range(len(path) + 1):
            within[path[:length]].add(e["type"])
    return [
        ((*at, *path), _message(e, model, label))
        for path, label, e in placed
        if not _is_of_the_other_kind(e, kinds[path], within[path])
    ]


def _is_of_the_other_kind(e: Any, here: set[str], within: set[str]) -> bool:
    """Whether the error only says that a number is no mapping, or the reverse, where both may stand
    and another error says what is wrong with what does. ``here``, ``within``: the kinds of all
    errors at its path, and at or below it."""
    if e["type"] in _NO_MAPPING:
        return bool(here - set(_NO_MAPPING))
    if e["type"] in _NO_NUMBER and isinstance(e.get("input"), dict):
        return bool(within - set(_NO_NUMBER))
    return False


_NO_MAPPING = ("dict_type", "model_type", "model_attributes_type")
_NO_NUMBER = ("int_type", "float_type")


def place(source: Source, path: KeyPath, message: str) -> Problem:
    """The problem with its line and column, the path's name in front of the message."""
    line, column = source.where(path) or (None, None)
    dotted = ".".join(map(str, path))
    text = f"{shorten(dotted)}: {message}" if dotted else message
    return Problem(shorten(text, 1000), source.name, line, column, dotted)


def known_keys(model: Any, path: Iterable[str | int]) -> list[str]:
    """The keys that ``model`` has below ``path`` (with pydantic's labels of unions in it)."""
    here = [model]
    for step in path:
        nearer: list[Any] = [k for k in here if isinstance(k, type) and step == _tag_of(k)]
        for kind in [] if nearer else here:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                if step in kind.model_fields:
                    nearer += choices_of(kind.model_fields[str(step)].annotation)
            elif get_origin(kind) is (list if isinstance(step, int) else dict):
                nearer += choices_of(get_args(kind)[-1])
        here = nearer or here
    return [
        name
        for kind in here
        if isinstance(kind, type) and issubclass(kind, BaseModel)
        for name in kind.model_fields
    ]


def choices_of(annotation: Any) -> list[Any]:
    """The types that an annotation allows."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return choices_of(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [c for a in get_args(annotation) for c in choices_of(a)]
    return [annotation]


def _tag_of(model: type) -> str | None:
    if not issubclass(model, BaseModel):
        return None
    kind = model.model_fields.get("kind")
    if kind is not None and get_origin(kind.annotation) is Literal:
        return str(get_args(kind.annotation)[0])
    return None


def _file_path(
    location: tuple[int | str, ...], data: Any, missing: bool
) -> tuple[KeyPath, str | None]:
    """The location without pydantic's labels of unions, and the last label left out."""
    path: list[int | str] = []
    label: str | None = None
    for i, step in enumerate(location):
        in_list = isinstance(data, list) and isinstance(step, int) and step < len(data)
        if in_list or (isinstance(data, dict) and step in data):
            data = data[step]
        elif not (missing and i == len(location) - 1):
            label = str(step)
            continue
        path.append(step)
    return tuple(path), label


def _message(e: Any, model: Any, label: str | None) -> str:
    kind, value, location = e["type"], e.get("input"), e["loc"]
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return _unknown_key(str(location[-1]), location[:-1], model, label)
    if kind == "literal_error":
        choices = re.findall(r"'([^']*)'", e["ctx"]["expected"])
        if not choices:
            return f"must be {e['ctx']['expected']}, not {said(value)}"
        listed = " or ".join(choices) if len(choices) < 3 else "one of " + ", ".join(choices)
        near = difflib.get_close_matches(str(value).lower(), choices, n=1, cutoff=0.5)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        return f"must be {listed}, not {said(value)}{hint}"
    if kind == "union_tag_invalid":
        given = value.get("kind") if isinstance(value, dict) else value
        choices = re.findall(r"'([^']*)'", e["ctx"]["expected_tags"])
        if "uniform" in choices:
            given, choices = value["distribution"], [c for c in choices if c != "fixed"]
            return f"no distribution {said(given)}{suggest(str(given), choices)}"
        return f"no {location[-1]} kind {said(given)}{suggest(str(given), choices)}"
    if kind in ("string_type", "string_sub_type"):
        quote = ": quote it" if isinstance(value, int | float) else ""
        return f"must be text, not {said(value)}{quote}"
    if kind in ("int_type", "int_from_float"):
        return f"must be a whole number, not {said(value)}"
    if kind == "float_type":
        return f"must be a number, not {said(value)}"
    if kind == "bool_type":
        return f"must be true or false, not {said(value)}"
    if kind in _NO_MAPPING:
        if location[-1] == "slo" and isinstance(value, str):
            return f"no objectives are named {said(value)}{suggest(value, SLO_PRESETS)}"
        return f"must be a mapping of keys, not {said(value)}"
    if kind == "list_type":
        return f"must be a list, not {said(value)}"
    if kind == "string_pattern_mismatch":
        return f"{said(value)} {_PATTERNS.get(e['ctx']['pattern'], 'has the wrong form')}"
    if kind == "too_short":
        return "must not be empty"
    text = e["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if kind == "lem":
        return str(text)
    percent = f"; {value:g} % is {value / 100:g}" if _is_share_in_percent(kind, e, value) else ""
    return f"{text}, not {said(value)}{percent}"


def _is_share_in_percent(kind: str, e: Any, value: Any) -> bool:
    """Whether a share, which is below 1, was written as a percentage."""
    return (
        kind == "less_than"
        and e["ctx"]["lt"] == 1
        and isinstance(value, int | float)
        and value < 100
    )


_PATTERNS = {
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$": (
        "must be 1 to 80 letters, digits, '.', '_' or '-', beginning with a letter or digit"
    ),
    r"^[0-9a-f]{64}$": "must be a SHA-256: 64 digits 0-9 and a-f",
}


def said(value: Any) -> str:
    """A value as an error may show it: short, on one line, its kind recognisable."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {shorten(str(value))}"
    if isinstance(value, str):
        return f"'{shorten(value)}'"
    return "a list" if isinstance(value, list) else "a mapping"


def _unknown_key(key: str, parents: KeyPath, model: Any, label: str | None) -> str:
    known = known_keys(model, parents)
    if label is not None and "kind" in known:
        owners = [
            str(_tag_of(c))
            for c in _union_at(model, parents)
            if key in c.model_fields and _tag_of(c) != label
        ]
        if owners:
            return f"is not a key of kind {label}; it belongs to kind {' or '.join(owners)}"
    return f"unknown key{suggest(key, known)}"


def _union_at(model: Any, path: KeyPath) -> list[type[BaseModel]]:
    here = [model]
    for step in path:
        here = [
            c
            for kind in here
            if isinstance(kind, type) and issubclass(kind, BaseModel) and step in kind.model_fields
            for c in choices_of(kind.model_fields[str(step)].annotation)
        ] or here
    return [c for c in here if isinstance(c, type) and issubclass(c, BaseModel)]
