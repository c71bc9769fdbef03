"""The built front end (``make web``): which files a page needs, by Vite's manifest."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from lem.errors import EnvironmentFault

MEDIA_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".woff2": "font/woff2",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True)
class Entry:
    """Files of one entry, as names below the folder of assets."""

    script: str
    styles: tuple[str, ...]
    preload: tuple[str, ...]
    """Fonts that the style needs."""


@cache
def entry(name: str = "src/site.ts") -> Entry:
    """Raises :class:`EnvironmentFault` where nothing was built."""
    manifest = _manifest()
    try:
        about = manifest[name]
    except KeyError:
        raise EnvironmentFault(f"the front end has no entry {name}", hint="make web") from None
    fonts = tuple(a for a in about.get("assets", []) if a.endswith(".woff2"))
    return Entry(about["file"], tuple(about.get("css", [])), fonts)


@cache
def names() -> tuple[str, ...]:
    """All files, as names with ``/``."""
    return tuple(sorted(_walk(_folder(), "")))


def read(name: str) -> bytes:
    """``name`` has to be one of :func:`names`."""
    if name not in names():
        raise KeyError(name)
    found = _folder()
    for part in name.split("/"):
        found = found / part
    return found.read_bytes()


def media_type(name: str) -> str:
    return MEDIA_TYPES.get(name[name.rfind(".") :], "application/octet-stream")


def _folder() -> Traversable:
    return files("lem.web") / "assets"


@cache
def _manifest() -> Mapping[str, dict[str, Any]]:
    try:
        found: dict[str, dict[str, Any]] = json.loads(
            (_folder() / "manifest.json").read_text("utf-8")
        )
    except FileNotFoundError:
        raise EnvironmentFault("the front end was not built", hint="make web") from None
    return found


def _walk(folder: Traversable, above: str) -> list[str]:
    found: list[str] = []
    for child in folder.iterdir():
        if child.is_dir():
            found += _walk(child, f"{above}{child.name}/")
        else:
            found.append(above + child.name)
    return found
