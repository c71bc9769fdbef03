"""That a demonstration says what it is: on every page, chart in a frame, and file of a site."""

from pathlib import Path
from typing import Any

import pytest
from server.conftest import Serve, postgres, serve

from lem.archive.synthetic.fill import fill
from lem.pages.static_site import write
from lem.web.strings import text

__all__ = ["postgres", "serve"]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_every_page_of_a_demonstration_says_so(serve: Serve, kind: str, tmp_path: Path) -> None:
    demo, plain = serve(kind, demo=True), serve(kind)
    fill(demo.service.database, 40, 4)
    board = demo.client.get("/api/v1/leaderboard?limit=1").json()["rows"]
    for path in ("/", "/explore", "/method", f"/configurations/{board[0]['configuration']['id']}"):
        assert says_so(demo.client.get(path).text), path
    for path in ("/", "/explore", "/method"):
        assert not says_so(plain.client.get(path).text), path
    for served, made_up in ((demo, True), (plain, False)):
        folder = tmp_path / f"site-{made_up}"
        write(served.service.database, served.service.packs, folder)
        pages = list(folder.rglob("*.html"))
        assert pages and all(says_so(p.read_text()) is made_up for p in pages)


def test_an_archive_that_becomes_one_while_it_is_served_says_so(serve: Serve) -> None:
    served = serve()
    assert not says_so(served.client.get("/explore").text)
    fill(served.service.database, 40, 4)
    board = served.client.get("/api/v1/leaderboard?limit=1").json()["rows"]
    for path in ("/explore", f"/configurations/{board[0]['configuration']['id']}"):
        assert says_so(served.client.get(path).text), path
    assert says_so(served.client.get("/embed/explore/scatter").text)


def says_so(html: Any) -> bool:
    return text("site.demo.title") in html
