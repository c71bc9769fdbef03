"""A story: Markdown with charts that are drawn from the archive when the story is read.

No figure of a story is typed by hand. A chart is a fenced block with typed keys; a figure in a
sentence is ``{{ headline.ratio }}``. A paragraph whose figure the archive does not have is left
out, so that what is left stays true whatever the archive holds. ``docs/stories.md`` is for whoever
writes one.
"""

import datetime
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Literal, get_args
from urllib.parse import parse_qsl

from markdown_it.token import Token

from lem.errors import BadInput, Problem
from lem.web.markdown import parser
from lem.web.prose import problems_of

ChartKind = Literal["headline", "ratios", "scatter", "leaderboard", "attribution"]

REFERENCES = (
    "headline.how",
    "headline.ratio",
    "headline.first",
    "headline.second",
    "headline.first_energy",
    "headline.second_energy",
    "headline.model",
    "headline.device",
    "headline.workload",
    "archive.configurations",
    "archive.runs",
    "archive.campaigns",
    "archive.models",
)
"""What ``{{ … }}`` can be: of the campaign that the first page shows, and counts of the archive."""

FRONT = ("title", "summary", "date", "authors")
LONGEST_CAPTION = 400

_REFERENCE = re.compile(r"\{\{([^{}]*)\}\}")
_STORY_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


@dataclass(frozen=True)
class Prose:
    """A paragraph, heading, list or table: what stays or goes together."""

    markdown: str
    references: tuple[str, ...] = ()

    def filled(self, known: Mapping[str, str]) -> str | None:
        """With its figures in their places, each as plain text whatever is in it; None where one is
        not known."""
        if any(name not in known for name in self.references):
            return None
        return _REFERENCE.sub(lambda m: escaped(known[m[1].strip()]), self.markdown)


@dataclass(frozen=True)
class ChartBlock:
    id: str
    kind: ChartKind
    caption: str = ""
    campaign: str = ""
    """Empty: one that the archive chooses."""
    query: tuple[tuple[str, str], ...] = ()
    """As in an address of the explore page."""
    x: str = ""
    y: str = ""
    metric: str = ""
    limit: int = 10


@dataclass(frozen=True)
class Story:
    name: str
    title: str
    summary: str
    date: str
    authors: tuple[str, ...]
    parts: tuple[Prose | ChartBlock, ...] = field(repr=False)


@cache
def names() -> tuple[str, ...]:
    """All stories that come with lem, by name."""
    found = (files("lem.web") / "stories").iterdir()
    return tuple(sorted(f.name.removesuffix(".md") for f in found if f.name.endswith(".md")))


@cache
def story(name: str) -> Story | None:
    """None where there is none of that name. Raises :class:`BadInput` where it is wrong."""
    if name not in names():
        return None
    source = (files("lem.web") / "stories" / f"{name}.md").read_text("utf-8")
    return parsed(name, source)


def parsed(name: str, source: str) -> Story:
    """The story of this source. Raises :class:`BadInput` with every problem and its line."""
    file = f"{name}.md"
    problems: list[Problem] = []
    if _STORY_NAME.fullmatch(name) is None:
        problems.append(Problem("a story's name is small letters, digits and hyphens", file))
    front, body, first_line = _front(source, file, problems)
    problems += problems_of(body, file, first_line)
    parts = tuple(_parts(body, file, first_line, problems))
    if problems:
        raise BadInput(sorted(problems, key=lambda p: p.line or 0))
    return Story(
        name=name,
        title=front["title"],
        summary=front["summary"],
        date=front["date"],
        authors=tuple(a.strip() for a in front["authors"].split(",")),
        parts=parts,
    )


def escaped(text: str) -> str:
    """``text`` as Markdown that means nothing but itself."""
    return _PUNCTUATION.sub(r"\\\1", text.replace("\n", " "))


def _front(source: str, file: str, problems: list[Problem]) -> tuple[dict[str, str], str, int]:
    """What stands above the text, the text, and the number of its first line."""
    lines = source.split("\n")
    end = next((i for i, line in enumerate(lines) if i > 0 and line == "---"), None)
    if lines[0] != "---" or end is None:
        problems.append(
            Problem("must begin with title, summary, date, authors between ---", file, 1)
        )
        return dict.fromkeys(FRONT, ""), source, 1
    front = _keys(lines[1:end], FRONT, file, 2, problems)
    for missing in [key for key in FRONT if not front.get(key)]:
        problems.append(Problem(f"'{missing}' is missing", file, 1))
    if front.get("date"):
        try:
            datetime.date.fromisoformat(front["date"])
        except ValueError:
            problems.append(Problem("'date' must be a day such as 2026-11-26", file, 1))
    return {key: front.get(key, "") for key in FRONT}, "\n".join(lines[end + 1 :]), end + 2


def _keys(
    lines: list[str], known: tuple[str, ...], file: str, first_line: int, problems: list[Problem]
) -> dict[str, str]:
    """``key: value`` lines; blank ones count for nothing."""
    found: dict[str, str] = {}
    for number, line in enumerate(lines, first_line):
        key, colon, value = (part.strip() for part in line.partition(":"))
        if not line.strip():
            continue
        if not colon or not value:
            problems.append(Problem("must be 'key: value'", file, number))
        elif key not in known:
            words = ", ".join(known)
            problems.append(Problem(f"unknown key '{key}'; known are {words}", file, number))
        elif key in found:
            problems.append(Problem(f"'{key}' stands there twice", file, number))
        else:
            found[key] = value
    return found


def _parts(
    body: str, file: str, first_line: int, problems: list[Problem]
) -> Iterator[Prose | ChartBlock]:
    lines = body.split("\n")
    charts = 0
    for token in _blocks(body):
        assert token.map is not None
        start, end = token.map
        if token.type == "fence" and token.info.strip() == "chart":
            charts += 1
            block = _chart(token, f"chart-{charts}", file, first_line + start, problems)
            if block is not None:
                yield block
            continue
        markdown = "\n".join(lines[start:end])
        yield Prose(markdown, tuple(_references(markdown, file, first_line + start, problems)))


def _blocks(body: str) -> Iterator[Token]:
    """The blocks that stand by themselves, in their order; each begins with this token."""
    for token in parser().parse(body):
        if token.level == 0 and token.nesting >= 0 and token.map is not None:
            yield token


def _references(
    markdown: str, file: str, first_line: int, problems: list[Problem]
) -> Iterator[str]:
    for number, line in enumerate(markdown.split("\n"), first_line):
        rest = _REFERENCE.sub("", line)
        if "{{" in rest or "}}" in rest:
            problems.append(Problem("a figure is {{ name }}, on one line", file, number))
        for match in _REFERENCE.finditer(line):
            name = match[1].strip()
            if name not in REFERENCES:
                words = ", ".join(REFERENCES)
                problems.append(
                    Problem(f"unknown figure '{name}'; known are {words}", file, number)
                )
            else:
                yield name


KEYS: dict[str, tuple[str, ...]] = {
    "headline": ("campaign",),
    "ratios": ("campaign", "metric"),
    "scatter": ("query", "x", "y"),
    "leaderboard": ("query", "metric", "limit"),
    "attribution": ("campaign", "metric"),
}
"""What each kind of chart can be told, beside ``kind`` and ``caption``."""


def _chart(
    token: Token, id: str, file: str, line: int, problems: list[Problem]
) -> ChartBlock | None:
    before = len(problems)
    lines = token.content.rstrip("\n").split("\n")
    every = tuple(dict.fromkeys(key for keys in KEYS.values() for key in keys))
    found = _keys(lines, ("kind", "caption", *every), file, line + 1, problems)
    kind = found.pop("kind", "")
    if kind not in get_args(ChartKind):
        words = ", ".join(get_args(ChartKind))
        problems.append(Problem(f"'kind' must be one of {words}", file, line))
        return None
    values: dict[str, object] = {}
    for key, value in found.items():
        if key != "caption" and key not in KEYS[kind]:
            problems.append(Problem(f"a chart of kind '{kind}' has no '{key}'", file, line))
            continue
        try:
            values[key] = _READ[key](value)
        except ValueError as e:
            problems.append(Problem(f"'{key}' {e}", file, line))
    if len(problems) > before:
        return None
    return ChartBlock(id=id, kind=kind, **values)  # type: ignore[arg-type]


def _caption(value: str) -> str:
    if len(value) > LONGEST_CAPTION:
        raise ValueError(f"is longer than {LONGEST_CAPTION} characters")
    return value


def _campaign(value: str) -> str:
    if re.fullmatch(r"[0-9a-f]{64}-[0-9]{1,12}", value) is None:
        raise ValueError("must be a campaign's id, as in its address")
    return value


def _query(value: str) -> tuple[tuple[str, str], ...]:
    try:
        pairs = parse_qsl(value, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        raise ValueError("must be as in an address: model=…&backend=…") from None
    return tuple(pairs)


def _metric(value: str) -> str:
    if re.fullmatch(r"[a-z][a-z0-9_]{1,60}", value) is None:
        raise ValueError("must be the name of a metric, such as energy_per_output_token_j")
    return value


def _limit(value: str) -> int:
    if re.fullmatch(r"[0-9]{1,2}", value) is None or not 1 <= int(value) <= 50:
        raise ValueError("must be a whole number from 1 to 50")
    return int(value)


_READ: dict[str, Callable[[str], object]] = {
    "caption": _caption,
    "campaign": _campaign,
    "query": _query,
    "x": _metric,
    "y": _metric,
    "metric": _metric,
    "limit": _limit,
}
