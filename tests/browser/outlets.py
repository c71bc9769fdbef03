"""Where the pages are: a server, or files on any host; and which pages are there."""

import http.server
import itertools
import re
import threading
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urldefrag, urljoin, urlsplit

import httpx

from lem.web.addresses import PATHS

OF_A_KIND = 3
"""Pages of one kind that are looked at."""
_NUMBERS = itertools.count(1)


def somebody() -> dict[str, str]:
    """Headers of a client that the server has not seen yet. It counts requests by address."""
    n = next(_NUMBERS)
    return {"X-Forwarded-For": f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"}


class Found(NamedTuple):
    url: str
    kind: str
    """Name of its kind of page; ``embed`` of a chart in a frame."""


@dataclass
class Outlet:
    name: str
    url: str
    """With a slash at its end."""
    pages: list[Found] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    """Every other address of this outlet that a page names → the page that does."""
    archive: Any = None

    @property
    def live(self) -> bool:
        return self.name != "files"

    def page(self, kind: str, query: str = "") -> str:
        """The first one of a kind."""
        return next(p.url for p in self.pages if p.kind == kind) + query

    def walk(self) -> "Outlet":
        """Fill ``pages``, breadth first, from the first page on."""
        seen: Counter[tuple[str, bool]] = Counter()
        known = {self.url}
        queue = deque([(self.url, self.url)])
        with httpx.Client(headers=somebody(), follow_redirects=True, timeout=60) as client:
            while queue:
                url, named_by = queue.popleft()
                kind = self.kind(url)
                form = (kind or "", bool(urlsplit(url).query))
                if kind is None or seen[form] >= OF_A_KIND:
                    self.links.setdefault(url, named_by)
                    continue
                answer = client.get(url)
                if answer.status_code != 200:
                    self.links.setdefault(url, named_by)  # which a test then tells
                    continue
                seen[form] += 1
                self.pages.append(Found(url, kind))
                for link in links(answer.text):
                    to = urldefrag(urljoin(url, link)).url
                    if to.startswith(self.url) and to not in known:
                        known.add(to)
                        queue.append((to, url))
        return self

    def kind(self, url: str) -> str | None:
        path = urlsplit(url).path.removeprefix(urlsplit(self.url).path).strip("/")
        if path.startswith("embed/"):
            return "embed"
        if path.endswith((".json", ".csv", ".svg", ".png")):
            return None
        for kind, pattern in PATHS.items():
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path):
                return kind
        return None


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = dict(attrs)
        if tag in ("a", "link") and of.get("href"):
            self.found.append(of["href"] or "")
        if tag in ("script", "img", "iframe") and of.get("src"):
            self.found.append(of["src"] or "")
        if tag == "input" and "<iframe" in (of.get("value") or ""):
            self.found += links(of["value"] or "")


def links(page: str) -> list[str]:
    """What a page leads to, its charts' frames too, in the order of the page."""
    read = _Links()
    read.feed(page)
    return read.found


def query_of(url: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(url).query, keep_blank_values=True)


@contextmanager
def file_server(folder: Path) -> Iterator[str]:
    """The address of a plain server of files: no headers of its own, nothing but GET."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None: ...

    handler = partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
