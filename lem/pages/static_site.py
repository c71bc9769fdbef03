"""The public face as files: for any web host, without a server behind it (docs/site.md)."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from lem.archive.database import Database
from lem.archive.demo import is_demo
from lem.archive.queries.answer import Packs
from lem.charts.data import data
from lem.charts.model import AnyChart, Target
from lem.charts.png import png
from lem.charts.svg import svg
from lem.charts.table import table
from lem.errors import BadInput
from lem.pages.compare import comparisons
from lem.pages.page import Kind, Page, Params, Reader
from lem.pages.registry import kinds
from lem.pages.static_index import index
from lem.web import assets, rendering
from lem.web.addresses import StaticLinks, path_of
from lem.web.rendering import Site

MARK = ".lem-site"
"""A file that says that the folder is one of these sites, and may be written over."""
THEMES = ("auto", "light", "dark")
Progress = Callable[[int, int], None]


class Written(NamedTuple):
    folder: Path
    pages: int
    files: int
    bytes: int


class _Folder:
    """Writes files aside first, counts them, and knows which it wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.demo = False
        """Whether made-up records may be in it."""
        self.written: set[Path] = set()
        self.bytes = 0

    def write(self, name: str, content: bytes | str) -> None:
        data = content.encode() if isinstance(content, str) else content
        file = self.folder / name
        self.written.add(file)
        self.bytes += len(data)
        if file.is_file() and file.read_bytes() == data:
            return  # hosts and git see only what changed
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(dir=file.parent, prefix=".writing-")
        with os.fdopen(handle, "wb") as out:
            out.write(data)
        Path(aside).chmod(0o644)
        Path(aside).replace(file)

    def unlink(self) -> None:
        """Remove links to elsewhere, through which files would be written there."""
        for file in self._there():
            if file.is_symlink():
                file.unlink()

    def sweep(self) -> None:
        """Remove what an earlier site had and this one has not."""
        for file in self._there():
            if file.is_dir() and not file.is_symlink():
                if not any(file.iterdir()):
                    file.rmdir()
            elif file not in self.written:
                file.unlink()

    def _there(self) -> list[Path]:
        """What lies in it, each folder after its content; nothing of what git keeps there."""
        return sorted(
            (p for p in self.folder.rglob("*") if not _of_git(p, self.folder)), reverse=True
        )


def _of_git(file: Path, folder: Path) -> bool:
    """A site may lie in a clone: what its history is stays."""
    return file.relative_to(folder).parts[0] == ".git"


def write(
    database: Database,
    packs: Packs,
    folder: Path,
    base_url: str | None = None,
    progress: Progress = lambda done, of: None,
) -> Written:
    """The whole site of the archive's present state into ``folder``, which is new, empty, or an
    earlier site of this kind: what is not of the new one is removed there.

    Raises :class:`BadInput` for any other folder.
    """
    _check(folder)
    folder.mkdir(parents=True, exist_ok=True)
    out = _Folder(folder)
    out.unlink()
    out.write(MARK, "Written by lem archive site; everything here is written over.\n")
    out.write(".nojekyll", "")
    for name in assets.names():
        out.write(f"assets/{name}", assets.read(name))
    with database.reading() as connection:
        out.demo = is_demo(connection)
        reader = Reader(connection, packs)
        wanted = list(_instances(reader))
        for done, (kind, params) in enumerate(wanted):
            _page(out, kind, params, reader, base_url)
            progress(done + 1, len(wanted))
        out.write("explore-index.json", index(reader))
        out.write("comparisons.json", _comparisons(reader))
    _error_page(out, base_url)
    out.sweep()
    return Written(folder, len(wanted), len(out.written), out.bytes)


def _check(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{folder} is no folder")
    there = [p for p in folder.iterdir() if not _of_git(p, folder)] if folder.is_dir() else []
    if there and not (folder / MARK).is_file():
        raise BadInput(
            f"{folder} holds something else than a site of lem",
            hint="name a new folder, or empty this one",
        )


def _instances(reader: Reader) -> Iterator[tuple[Kind, Params]]:
    for kind in kinds().values():
        for params in kind.instances(reader):
            yield kind, params


def _page(out: _Folder, kind: Kind, params: Params, reader: Reader, base_url: str | None) -> None:
    target = Target(kind.name, dict(params))
    path = path_of(target)
    page = kind.build(reader, params, ())
    links = StaticLinks(path, base_url)
    shown = page.shown(target)
    site = Site(links, static=True, demo=out.demo)
    out.write(_below(path, "index.html"), rendering.page(shown, site))
    named = path or "index"
    answer = page.data()
    if answer is not None:
        out.write(f"{named}.json", answer.model_dump_json(by_alias=True))
    if page.table is not None:
        out.write(f"{named}.csv", page.table.csv())
    for name, file in page.files.items():
        out.write(_below(path, name), file())
    for chart in page.charts.values():
        _chart(out, page, chart, target, base_url)


def _chart(out: _Folder, page: Page, chart: AnyChart, target: Target, base_url: str | None) -> None:
    named = path_of(target) or "index"
    drawn = svg(chart, href=None, standalone=True)
    place = f"charts/{named}/{chart.id}"
    out.write(f"{place}.svg", drawn)
    out.write(f"{place}.png", png(drawn))
    out.write(f"{place}.csv", table(chart).csv())
    out.write(f"{place}.json", json.dumps(data(chart), separators=(",", ":")))
    shown = page.shown(target)
    for theme in THEMES:
        path = f"embed/{named}/{chart.id}" + ("" if theme == "auto" else f"/{theme}")
        site = Site(StaticLinks(path, base_url), static=True, demo=out.demo)
        out.write(f"{path}/index.html", rendering.embedded(shown, chart, site, theme))


def _comparisons(reader: Reader) -> bytes:
    """Campaign → the configurations whose comparisons lie beside its page, one file for each of
    them as the baseline."""
    found = {campaign.id: [i for _, i in first] for campaign, first in comparisons(reader)}
    return json.dumps({"schema_version": 1, "campaigns": found}, separators=(",", ":")).encode()


def _error_page(out: _Folder, base_url: str | None) -> None:
    from lem.web.strings import text

    site = Site(StaticLinks("", base_url), static=True, demo=out.demo)
    words = text("error.not_found_text")
    out.write("404.html", rendering.error(site, 404, text("error.not_found"), words, []))


def _below(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name
