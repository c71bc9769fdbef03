"""What holds for every page, on the archive of the queries' tests."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from lem.charts.model import Axis, Intervals, Target
from lem.pages.page import Reader
from lem.pages.registry import kinds
from lem.web import rendering
from lem.web.addresses import PATHS, LiveLinks, StaticLinks, path_of
from lem.web.rendering import Shown, Site
from tests.archive.conftest import archive, new_archive, postgres
from tests.archive_queries import filled

__all__ = ["archive", "new_archive", "postgres"]


class Read(HTMLParser):
    """Elements with their attributes, and ids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def all(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (a for t, a in self.elements if t == tag)


@pytest.fixture
def pages(archive: Any) -> dict[str, str]:
    """Address → HTML of every page that the archive has, at most three of a kind."""
    filled(archive, 12)
    found: dict[str, str] = {}
    with archive.database.reading() as connection:
        reader = Reader(connection, archive.packs)
        for kind in kinds().values():
            for params in list(kind.instances(reader))[:3]:
                target = Target(kind.name, dict(params))
                shown = kind.build(reader, params, ()).shown(target)
                found[path_of(target)] = rendering.page(shown, Site(LiveLinks()))
    return found


def test_no_page_has_anything_inline_or_from_elsewhere(pages: dict[str, str]) -> None:
    for path, text in pages.items():
        for tag, attributes in Read(text).elements:
            where = f"/{path}: <{tag} {attributes}>"
            assert "style" not in attributes, where
            assert not [a for a in attributes if a.startswith("on")], where
            assert tag != "style", where
            for name in ("src", "href", "action"):
                value = attributes.get(name) or ""
                if tag in ("script", "link", "img", "form", "iframe") and value:
                    assert value.startswith("/") and not value.startswith("//"), where
            if tag == "script":
                assert attributes.get("src") or attributes.get("type") == "application/json", where


def test_every_page_has_one_heading_a_title_and_a_description(pages: dict[str, str]) -> None:
    titles = set()
    for path, text in pages.items():
        read = Read(text)
        assert len(list(read.all("h1"))) == 1, path
        assert [m for m in read.all("meta") if m.get("name") == "description" and m["content"]], (
            path
        )
        title = re.search("<title>(.*?)</title>", text)
        assert title and title[1], path
        titles.add(title[1])
    assert len(titles) == len(pages)


def test_what_is_pasted_to_embed_a_chart_is_a_frame_and_nothing_else() -> None:
    title = '"><img src=x onerror=alert(1)>'
    chart = Intervals(id="ratios", title=title, subtitle="", axis=Axis("x", "J"), rows=())
    shown = Shown(Target("home"), "home.html", "", "", {}, {"ratios": chart})
    frame = rendering._frame(shown, Site(LiveLinks("https://example.org")))
    made = rendering._environment().get_template("parts/chart.html").make_module(frame)
    fields = [a["value"] or "" for a in Read(str(made.tools(chart))).all("input")]  # type: ignore[attr-defined]
    (pasted,) = [v for v in fields if v.startswith("<iframe")]
    ((tag, attributes),) = Read(pasted).elements
    assert (tag, attributes["title"]) == ("iframe", title)
    assert attributes["src"] == "https://example.org/embed/index/ratios"


def test_ids_of_a_page_are_of_one_element_each(pages: dict[str, str]) -> None:
    for path, text in pages.items():
        ids = [a["id"] for _, a in Read(text).elements if a.get("id")]
        assert len(ids) == len(set(ids)), path


def test_every_field_has_a_label(pages: dict[str, str]) -> None:
    for path, text in pages.items():
        depth = 0
        for tag, attributes in re.findall(r"<(/?label|input|select|textarea)\b([^>]*)>", text):
            depth += {"label": 1, "/label": -1}.get(tag, 0)
            named = depth or "aria-label" in attributes or 'type="hidden"' in attributes
            assert tag in ("label", "/label") or named, (path, tag, attributes)


@pytest.mark.parametrize("name", PATHS)
def test_relative_addresses_lead_where_those_from_the_root_do(name: str) -> None:
    from urllib.parse import urljoin

    params = {"campaign": "c" * 64 + "-1", "id": "a" * 16, "name": "story"}
    for here in ("", "explore", "configurations/abc", "embed/configurations/abc/energy/dark"):
        base = f"https://host/below/{here}/" if here else "https://host/below/"
        target = Target(name, params)
        live, static = LiveLinks(), StaticLinks(here)
        want = "https://host/below" + live.page(target).rstrip("/") + "/"
        assert urljoin(base, static.page(target)) == want
        for suffix in (".json", ".csv"):
            want = "https://host/below" + live.page(target, suffix)
            assert urljoin(base, static.page(target, suffix)) == want
        want = "https://host/below" + live.chart(target, "scatter", ".svg")
        assert urljoin(base, static.chart(target, "scatter", ".svg")) == want
