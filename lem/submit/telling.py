"""Whether a text tells whose machine it is from: paths, addresses, ids, secrets."""

import re
from collections.abc import Iterator
from typing import Any

MAX_TEXT = 4096

_START = r"(?:^|(?<=[\s=:,;\"'(\[{|]))"
_WORD = r"(?<![a-z0-9+.-])"
"""Where one begins: none is gone through again from each of its letters."""
_LOOKS = tuple(
    (re.compile(pattern, re.IGNORECASE | re.ASCII), what)
    for pattern, what in (
        (
            _WORD + r"(?=[a-z0-9+.-]+://(?!(?:localhost|127(?:\.\d+){3}|\[::1\])(?:[:/?#]|$)))"
            r"(?:(?<!_)[a-z]|[a-z0-9+.-]*?[+.-][a-z])",
            "the address of a server or file",
        ),
        (_START + r"/(?!/)[^/\s]", "an absolute path"),
        (_START + r"~[a-z0-9._-]*(?:/|$)", "a path below a home"),
        (r"(?:^|[^a-z])[a-z]:\\|\\\\[a-z0-9]", "a path of Windows"),
        (r"(?:^|[/\s=:,])\.\.(?:/|$)", "a path that leads out of its folder"),
        (r"\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b", "the address of a network card"),
        (r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", "a universally unique id"),
        (
            r"(?<![\d.])(?!127\.|0\.0\.0\.0)(?:\d{1,3}\.){3}\d{1,3}(?![\d.])",
            "an address of the internet",
        ),
        (
            r"(?<![0-9a-z:])(?:[0-9a-f]{1,4}:){3,}:?[0-9a-f]{0,4}|(?<![0-9a-z:])fe80::",
            "an address of the internet",
        ),
        (r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}\b", "an e-mail address"),
        (
            r"\b(?:hf|sk|ghp|gho|ghs|github_pat|glpat|xox[abprs]|nvapi)[_-][a-z0-9_-]{16,}"
            r"|\bAKIA[0-9A-Z]{16}\b",
            "a secret",
        ),
    )
)
_SECRET_KEY = re.compile(
    r"(?:^|_)(?:password|passwd|secret|credentials|api_?key|(?:auth|access|hf|bearer)_token)$",
    re.IGNORECASE,
)


def looks_like(text: str) -> str | None:
    """What a text looks like that should not be told; None where it looks like nothing."""
    if len(text) > MAX_TEXT:
        return f"a text of more than {MAX_TEXT} characters"
    if any(ord(c) < 32 and c not in "\t\n\r" for c in text):
        return "a text with control characters"
    return next((what for pattern, what in _LOOKS if pattern.search(text)), None)


def private_in(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """(path, what it looks like) of every text in a JSON value that should not be told."""
    if isinstance(value, dict):
        for key, inner in value.items():
            here = f"{path}.{key}" if path else str(key)
            if (what := looks_like(str(key))) is not None:
                yield here, what
            if isinstance(inner, str) and inner and _SECRET_KEY.search(str(key)):
                yield here, "a secret"
            else:
                yield from private_in(inner, here)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from private_in(inner, f"{path}.{i}")
    elif isinstance(value, str) and (what := looks_like(value)) is not None:
        yield path, what
