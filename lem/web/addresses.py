"""Where each page lies, in the one place that the live server and the static site both read."""

from collections.abc import Mapping
from typing import Protocol
from urllib.parse import quote, urlencode

from lem.charts.model import Target

PATHS: Mapping[str, str] = {
    "home": "",
    "explore": "explore",
    "attributions": "attribution",
    "attribution": "attribution/{campaign}",
    "configuration": "configurations/{id}",
    "result": "results/{id}",
    "compare": "compare",
    "comparison": "compare/{campaign}",
    "everyday": "everyday",
    "stories": "stories",
    "story": "stories/{name}",
    "method": "method",
    "glossary": "glossary",
    "data": "data",
    "api": "api",
    "privacy": "privacy",
    "terms": "terms",
    "changelog": "changelog",
    # Only on a server: they are of what runs there.
    "build": "build",
    "queue": "queue",
    "live": "live/{id}",
    "account": "account",
    "join": "join",
    "admin": "admin",
}


class Links(Protocol):
    """Makes addresses for one outlet, seen from one page."""

    def page(self, target: Target, suffix: str = "") -> str:
        """``suffix``: empty, ``.json`` or ``.csv``."""
        ...

    def chart(self, page: Target, chart: str, suffix: str) -> str:
        """A chart of a page as a file: ``.svg``, ``.png`` or ``.csv``."""
        ...

    def embed(self, page: Target, chart: str) -> str: ...

    def absolute(self, address: str) -> str:
        """An address with the site's own host, where that is known."""
        ...

    def asset(self, name: str) -> str: ...

    def file(self, name: str) -> str | None:
        """A file at the root of a folder of files; None on a server, which answers in its place."""
        ...

    def api(self, path: str) -> str | None:
        """An address of the HTTP API (``leaderboard?limit=3``); None where there is none."""
        ...


def path_of(target: Target) -> str:
    """``configurations/3f…``; without slashes at its ends."""
    return PATHS[target.page].format(**{k: quote(v, safe="") for k, v in target.params.items()})


class LiveLinks:
    """Addresses from the server's root."""

    def __init__(self, public_url: str | None = None) -> None:
        self._public = (public_url or "").rstrip("/")

    def page(self, target: Target, suffix: str = "") -> str:
        path = path_of(target)
        return f"/{(path or 'index') + suffix if suffix else path}{_asked(target)}"

    def chart(self, page: Target, chart: str, suffix: str) -> str:
        return f"/charts/{path_of(page) or 'index'}/{chart}{suffix}{_asked(page)}"

    def embed(self, page: Target, chart: str) -> str:
        return f"/embed/{path_of(page) or 'index'}/{chart}{_asked(page)}"

    def absolute(self, address: str) -> str:
        return self._public + address

    def asset(self, name: str) -> str:
        return f"/assets/{name}"

    def file(self, name: str) -> str | None:
        return None

    def api(self, path: str) -> str | None:
        return f"/api/v1/{path}"


class StaticLinks:
    """Addresses relative to one page of a folder of files, so that the folder may lie anywhere on a
    host, and opens from a disk."""

    def __init__(self, path: str, base_url: str | None = None) -> None:
        """``path``: of the page that the addresses are seen from."""
        self._path = path
        self._up = "../" * (path.count("/") + 1) if path else "./"
        self._base = None if base_url is None else base_url.rstrip("/") + "/"

    def page(self, target: Target, suffix: str = "") -> str:
        path = path_of(target)
        if suffix:
            return f"{self._up}{path or 'index'}{suffix}"
        return f"{self._up}{path}/{_asked(target)}" if path else self._up + _asked(target)

    def chart(self, page: Target, chart: str, suffix: str) -> str:
        return f"{self._up}charts/{path_of(page) or 'index'}/{chart}{suffix}"

    def embed(self, page: Target, chart: str) -> str:
        return f"{self._up}embed/{path_of(page) or 'index'}/{chart}/"

    def absolute(self, address: str) -> str:
        """As it is, where nobody said where the site will lie: relative to the page."""
        return address if self._base is None else self._base + address.removeprefix(self._up)

    def asset(self, name: str) -> str:
        return f"{self._up}assets/{name}"

    def file(self, name: str) -> str | None:
        return self._up + name

    def api(self, path: str) -> str | None:
        return None


def _asked(target: Target) -> str:
    return f"?{urlencode(target.query)}" if target.query else ""
