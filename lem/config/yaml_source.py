"""YAML text → plain data, and for each key and list item its line and column.

YAML's traps are decided here, once: what a careful person would misread is refused with its line
(``yes``, ``010``, ``1:30``, tabs, duplicate keys, tags, several documents); what they would expect
is done (``1e-3`` is a number, a date is text). The table is in docs/campaign-file.md. Nothing in a
file can run code, expand without bound or nest without bound.
"""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lem.contract.base import Scalar
from lem.errors import BadInput, Problem

KeyPath = tuple[str | int, ...]
Position = tuple[int, int]
"""Line and column, from 1."""

MAX_BYTES = 2**20
MAX_NODES = 50_000
"""Values in a file, aliases counted as often as they are used."""
MAX_DEPTH = 20
MAX_KEY = 200

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FORBIDDEN = re.compile(
    "[^\t\n -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_BOOL_1_1 = frozenset(("yes", "no", "on", "off", "y", "n"))
_OTHER_BASE = re.compile(r"[-+]?(0[0-9_]+|0[oO][0-7_]+|0[xX][0-9a-fA-F_]+|0[bB][01_]+)")
_UNDERSCORED = re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass(frozen=True)
class Source:
    """A file's data, where each part of it stands, and what is already known to be wrong."""

    name: str
    data: dict[str, Any]
    positions: dict[KeyPath, Position]
    problems: tuple[Problem, ...]
    broken: frozenset[KeyPath]
    """Paths whose value could not be read; nothing more should be said about them."""

    def where(self, path: KeyPath) -> Position | None:
        """The place of ``path``, or of the nearest part of the file that would hold it."""
        while path not in self.positions and path:
            path = path[:-1]
        return self.positions.get(path)


def read_text(path: Path) -> str:
    """A campaign file's text. Raises :class:`BadInput` if it is too large or not UTF-8."""
    try:
        with path.open("rb") as f:
            data = f.read(MAX_BYTES + 1)
    except OSError as e:
        raise _fatal(str(path), f"cannot be read: {e.strerror}") from e
    if len(data) > MAX_BYTES:
        raise _fatal(str(path), "is larger than 1 MiB; a campaign file is a page or two")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _fatal(str(path), "is UTF-16; save it as UTF-8", 1, 1)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        before = data[: e.start].split(b"\n")
        message = f"is not UTF-8 text (byte 0x{data[e.start]:02x}); save it as UTF-8"
        raise _fatal(str(path), message, len(before), len(before[-1]) + 1) from e


def scalar(text: str) -> Scalar:
    """What an unquoted YAML value means: null, boolean, number or text.

    Raises ``ValueError`` with the fix for what YAML's versions read differently.
    """
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    if text.lower() in _BOOL_1_1:
        raise ValueError(
            f"'{text}' is a boolean to some YAML readers and text to others; "
            f'write true or false, or quote it: "{text}"'
        )
    if _INT.fullmatch(text):
        if len(text) > 20 or not -(2**63) <= int(text) < 2**63:
            raise ValueError(f"the number {shorten(text)} does not fit in 64 bits")
        return int(text)
    if _OTHER_BASE.fullmatch(text):
        raise ValueError(
            f"'{shorten(text)}' is octal, hexadecimal or decimal depending on who reads it; "
            "write a decimal number without leading zeros, or quote it if it is text"
        )
    if _FLOAT.fullmatch(text):
        value = float(text) if len(text) <= 400 else math.inf
        if math.isinf(value):
            raise ValueError(f"the number {shorten(text)} is too large")
        return value
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"'{text}' is not a number that can be used here")
    if _SEXAGESIMAL.fullmatch(text):
        raise ValueError(
            f"'{shorten(text)}' is a number to base 60 to some YAML readers; "
            "write a duration as 90s, 30m or 2h, or quote it if it is text"
        )
    if "_" in text and _UNDERSCORED.fullmatch(text):
        raise ValueError(f"'{shorten(text)}': write numbers without _, or quote it if it is text")
    return text


def shorten(text: str, longest: int = 60) -> str:
    """At most ``longest`` characters, none of which moves a terminal's cursor."""
    text = text if len(text) <= longest else text[: longest - 1] + "…"
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def read(text: str, name: str) -> Source:
    """Parse one YAML document whose top level is a mapping.

    Problems that leave the rest readable are in the result; raises :class:`BadInput` for those that
    do not. ``name`` stands for the file in messages.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if len(text) > MAX_BYTES:
        raise _fatal(name, "is larger than 1 MiB; a campaign file is a page or two")
    if bad := _FORBIDDEN.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        column = bad.start() - (text.rfind("\n", 0, bad.start()) + 1) + 1
        code = f"U+{ord(bad[0]):04X}"
        raise _fatal(name, f"holds the control character {code}; remove it", line, column)
    reader = _Reader(name, text.split("\n"))
    try:
        root = reader.document(yaml.parse(text, Loader=_LOADER))
    except yaml.YAMLError as e:
        raise BadInput([*reader.problems, reader.syntax_error(e)]) from e
    except _Stop as e:
        raise BadInput([*reader.problems, e.problem]) from e
    if root is None or (root.kind == "scalar" and root.plain and root.text == ""):
        raise _fatal(name, "is empty; `lem campaign init` writes an example to start from", 1, 1)
    if root.kind != "map":
        message = "must be a mapping of keys such as `version: 1`"
        raise BadInput([*reader.problems, reader.problem(message, root)])
    reader.check_tabs()
    data = reader.expand(root, ())
    problems = tuple(dict.fromkeys(reader.problems))
    return Source(name, data, reader.positions, problems, frozenset(reader.broken))


@dataclass(slots=True, eq=False)
class _Node:
    kind: str
    """scalar, list or map"""
    line: int
    column: int
    text: str = ""
    plain: bool = False
    items: list["_Node"] = field(default_factory=list)
    keys: list["_Node"] = field(default_factory=list)
    size: int = 1
    height: int = 1
    whole: bool = True


class _Stop(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class _Reader:
    def __init__(self, name: str, lines: list[str]) -> None:
        self.name = name
        self.lines = lines
        self.problems: list[Problem] = []
        self.positions: dict[KeyPath, Position] = {}
        self.broken: set[KeyPath] = set()
        self.anchors: dict[str, _Node] = {}
        self.quoted_lines: set[int] = set()
        self.nodes = 0

    def document(self, events: Any) -> _Node | None:
        """The tree of the only document, or None if there is none."""
        root: _Node | None = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise self.stop(
                        "a second document begins here; write one campaign a file", event
                    )
            elif isinstance(event, yaml.NodeEvent):
                root = self.node(event, events, 1)
        return root

    def node(self, event: Any, events: Any, depth: int) -> _Node:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self.stop(f"holds more than {MAX_NODES:,} values", event)
        if depth > MAX_DEPTH:
            raise self.stop(f"is nested more than {MAX_DEPTH} levels deep", event)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event)
        mark, end = event.start_mark, event.end_mark
        node = _Node("scalar", mark.line + 1, mark.column + 1)
        if event.tag is not None:
            message = f"the tag {shorten(event.tag)} is refused; campaign files hold plain values"
            self.problems.append(self.problem(message, node))
        if event.anchor is not None:
            if event.anchor in self.anchors:
                self.problems.append(
                    self.problem(f"the anchor &{shorten(event.anchor)} is given twice", node)
                )
            self.anchors[event.anchor] = node
            node.whole = False
        if isinstance(event, yaml.ScalarEvent):
            node.text = event.value
            node.plain = event.style is None or event.style == ""
            if not node.plain:
                self.quoted_lines.update(range(mark.line + 2, end.line + 2))
        elif isinstance(event, yaml.SequenceStartEvent):
            node.kind = "list"
            while not isinstance(e := next(events), yaml.SequenceEndEvent):
                node.items.append(self.child(node, e, events, depth))
        else:
            node.kind = "map"
            while not isinstance(e := next(events), yaml.MappingEndEvent):
                node.keys.append(self.child(node, e, events, depth))
                node.items.append(self.child(node, next(events), events, depth))
        node.whole = True
        return node

    def child(self, parent: _Node, event: Any, events: Any, depth: int) -> _Node:
        child = self.node(event, events, depth + 1)
        parent.size += child.size
        parent.height = max(parent.height, child.height + 1)
        if parent.size > MAX_NODES:
            raise self.stop(f"its aliases expand to more than {MAX_NODES:,} values", event)
        if depth + child.height > MAX_DEPTH:
            raise self.stop(f"is nested more than {MAX_DEPTH} levels deep", event)
        return child

    def alias(self, event: Any) -> _Node:
        target = self.anchors.get(event.anchor)
        if target is None:
            raise self.stop(f"there is no anchor &{shorten(event.anchor)} above", event)
        if not target.whole:
            raise self.stop(f"the anchor &{shorten(event.anchor)} would contain itself", event)
        return target

    def expand(self, node: _Node, path: KeyPath) -> Any:
        """Plain data below ``node``; notes positions and problems on the way."""
        self.positions.setdefault(path, (node.line, node.column))
        if node.kind == "map":
            return self.mapping(node, path)
        if node.kind == "list":
            return [self.expand(item, (*path, i)) for i, item in enumerate(node.items)]
        try:
            value = scalar(node.text) if node.plain else node.text
            if isinstance(value, str) and (bad := _FORBIDDEN.search(value)):
                raise ValueError(f"the text holds the control character U+{ord(bad[0]):04X}")
        except ValueError as e:
            self.broken.add(path)
            self.problems.append(self.problem(str(e), node, path))
            return node.text
        return value

    def mapping(self, node: _Node, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        first: dict[str, int] = {}
        merged: list[_Node] = []
        for key, value in zip(node.keys, node.items, strict=True):
            name = self.key(key, path)
            if name is None:
                continue
            if name in first:
                self.problems.append(
                    self.problem(
                        f"the key '{shorten(name)}' is given twice; first on line {first[name]}",
                        key,
                        (*path, name),
                    )
                )
                continue
            first[name] = key.line
            if name == "<<" and key.plain:
                merged.append(value)
                continue
            self.positions[*path, name] = (key.line, key.column)
            result[name] = self.expand(value, (*path, name))
        for value in merged:
            self.merge(value, path, result)
        return result

    def key(self, key: _Node, path: KeyPath) -> str | None:
        message = None
        if key.kind != "scalar":
            message = "a key must be a single word"
        elif len(key.text) > MAX_KEY:
            message = f"the key '{shorten(key.text)}' is longer than {MAX_KEY} characters"
        elif _FORBIDDEN.search(key.text):
            message = "the key holds a control character"
        elif key.plain and key.text not in ("y", "n"):
            try:
                if not isinstance(scalar(key.text), str):
                    message = f"the key '{shorten(key.text)}' is not text; quote it"
            except ValueError as e:
                message = str(e)
        if message is None:
            return key.text
        self.problems.append(self.problem(message, key, path))
        return None

    def merge(self, value: _Node, path: KeyPath, result: dict[str, Any]) -> None:
        """``<<: *base``: the keys of ``base`` that are not given here."""
        for source in value.items if value.kind == "list" else [value]:
            if source.kind != "map":
                message = "<< takes a mapping or a list of mappings, such as *anchor"
                self.problems.append(self.problem(message, source, path))
                continue
            places: dict[KeyPath, Position] = self.positions
            self.positions = {}
            for name, inherited in self.mapping(source, path).items():
                if name not in result:
                    result[name] = inherited
                    end = (*path, name)
                    places.update(
                        (p, at) for p, at in self.positions.items() if p[: len(end)] == end
                    )
            self.positions = places

    def check_tabs(self) -> None:
        """Tabs in the indentation that the parser let through mean different things elsewhere."""
        for number, line in enumerate(self.lines, 1):
            content = line.lstrip(" \t")
            indent = line[: len(line) - len(content)]
            if "\t" in indent and content and number not in self.quoted_lines:
                self.problems.append(self.tab(number))

    def tab(self, number: int) -> Problem:
        column = self.lines[number - 1].index("\t") + 1
        message = "a tab stands where spaces are needed; indent with spaces"
        return Problem(message, self.name, number, column)

    def syntax_error(self, error: yaml.YAMLError) -> Problem:
        mark: Any = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        if mark is None:
            return Problem(f"is not YAML: {shorten(str(error))}", self.name)
        beginning: Any = getattr(error, "context_mark", None)
        if beginning is not None and not "".join(self.lines[mark.line :]).strip():
            # At the end of the file: what was never closed began earlier.
            mark = beginning
        for number in (mark.line + 1, mark.line, mark.line + 2):
            if 1 <= number <= len(self.lines):
                line = self.lines[number - 1]
                if "\t" in line[: len(line) - len(line.lstrip())]:
                    return self.tab(number)
        if mark.line < len(self.lines) and "\t" in self.lines[mark.line][mark.column :][:1]:
            return self.tab(mark.line + 1)
        message = getattr(error, "problem", None) or str(error)
        hint = next((h for m, h in _SYNTAX_HINTS if m in message), "")
        return Problem(
            f"is not YAML: {shorten(message)}{hint}", self.name, mark.line + 1, mark.column + 1
        )

    def problem(self, message: str, node: _Node, path: KeyPath = ()) -> Problem:
        return Problem(message, self.name, node.line, node.column, ".".join(map(str, path)))

    def stop(self, message: str, event: Any) -> _Stop:
        mark = event.start_mark
        return _Stop(Problem(message, self.name, mark.line + 1, mark.column + 1))


_SYNTAX_HINTS = (
    ("mapping values are not allowed", " (a value that holds ': ' must be quoted)"),
    ("could not find expected ':'", " (is a colon or a space after it missing?)"),
    ("did not find expected key", " (is the indentation right?)"),
    ("expected <block end>", " (is the indentation right?)"),
    ("did not find expected '-'", " (is the indentation right?)"),
    ("cannot start any token", " (quote a value that begins with this character)"),
    ("unexpected end of stream", " (a quote is not closed)"),
    ("expected ',' or", " (a bracket or brace is not closed, or a comma is missing)"),
)


def _fatal(name: str, message: str, line: int | None = None, column: int | None = None) -> BadInput:
    return BadInput([Problem(message, name, line, column)])
