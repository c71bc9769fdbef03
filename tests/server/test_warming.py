"""What is made beforehand of a new state."""

import gc
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from server.conftest import Serve

from lem.archive.database import raise_data_version
from lem.errors import BadInput
from lem.pages import attribution, headline, registry
from lem.pages.compare import METRICS
from lem.pages.kept import kept
from lem.pages.page import Kind, Reader
from lem.server.cache import Cache
from lem.server.routes.pages import make_beforehand
from lem.server.service import Service
from lem.server.warming import PAGES, Warming
from tests.archive.conftest import Archive, archive, new_archive, postgres
from tests.pages.campaigns import campaign

__all__ = ["archive", "new_archive", "postgres"]


@pytest.fixture
def warming(archive: Any) -> Iterator[Warming]:
    made = Warming(archive.database, archive.packs, _build, looks_s=0.02)
    yield made
    made.stop()
    gc.unfreeze()


def _build(reader: Reader, kind: Kind, params: Any) -> None:
    kind.build(reader, params, ())


def _change(archive: Any) -> None:
    with archive.database.writing() as c:
        raise_data_version(c)


def test_once_for_each_state(archive: Any, warming: Warming) -> None:
    campaign(archive, {1: 1.0, 2: 0.6})
    assert warming.look()
    assert not warming.look()
    with archive.database.reading() as c:
        reader = Reader(c, archive.packs)

        def never() -> Any:
            raise AssertionError("it was made already")

        found = kept(reader, ("headline", None), never)
        assert found is not None and found == headline.headline(reader)
        assert kept(reader, ("story", "the-same-answer"), never).charts
    _change(archive)
    assert warming.look()


def test_newest_campaigns_are_looked_at_once(
    archive: Any, warming: Warming, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    own = registry.kinds()["attribution"]

    def build(reader: Reader, params: Any, query: Any) -> Any:
        made.append(params["campaign"])
        return own.build(reader, params, query)

    others = {n: k for n, k in registry.kinds().items() if n != "attribution"}
    kinds = {**others, "attribution": Kind("attribution", build, own.instances)}
    monkeypatch.setattr("lem.server.warming.kinds", lambda: kinds)
    assert warming.look()
    assert made == []
    campaign(archive, {1: 1.0, 2: 0.6})
    campaign(archive, {1: 1.0, 2: 0.7}, submitter=1)
    assert warming.look()
    with archive.database.reading() as c:
        newest = attribution.newest(c)
    assert made == [newest[0]] * len(METRICS) + [newest[1]]
    _change(archive)
    assert warming.look()
    assert len(made) == len(METRICS) + 1
    campaign(archive, {1: 1.0, 2: 0.8}, submitter=2)
    assert warming.look()
    with archive.database.reading() as c:
        assert made[len(METRICS) + 1 :] == attribution.newest(c)[:1]


def test_it_looks_by_itself_and_goes_on_after_a_fault(
    archive: Any, warming: Warming, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    plain = Warming.look

    def look(self: Warming) -> bool:
        looked.append(len(looked))
        if len(looked) == 1:
            raise OSError("gone")
        return plain(self)

    monkeypatch.setattr(Warming, "look", look)
    gc.unfreeze()
    warming.start()
    until = time.monotonic() + 10
    while len(looked) < 3 and time.monotonic() < until:
        time.sleep(0.01)
    assert len(looked) >= 3
    assert gc.get_freeze_count() > 0
    warming.stop()
    count = len(looked)
    time.sleep(0.1)
    assert len(looked) == count


def test_its_pages_are_pages() -> None:
    assert set(PAGES) <= set(registry.kinds())


@pytest.mark.parametrize("error", [BadInput("a manifest that is none"), KeyError("no such arm")])
def test_a_campaign_that_cannot_be_shown_keeps_no_other_from_being_prepared(
    archive: Any, warming: Warming, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    made: list[str] = []
    own = registry.kinds()["attribution"]
    campaign(archive, {1: 1.0, 2: 0.6})
    campaign(archive, {1: 1.0, 2: 0.7}, submitter=1)
    with archive.database.reading() as c:
        newest = attribution.newest(c)

    def build(reader: Reader, params: Any, query: Any) -> Any:
        if params["campaign"] == newest[0]:
            raise error
        made.append(params["campaign"])
        return own.build(reader, params, query)

    kinds = registry.kinds() | {"attribution": Kind("attribution", build, own.instances)}
    monkeypatch.setattr("lem.server.warming.kinds", lambda: kinds)
    warming.start()
    deadline = time.monotonic() + 60
    while not made and time.monotonic() < deadline:
        time.sleep(0.05)
        _change(archive)
    assert made[:1] == [newest[1]]


def test_pages_that_visits_begin_with_are_there_before_anyone_asks(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The server's own would make them at any moment of this test.
    monkeypatch.setattr(Warming, "start", lambda self: None)
    served = serve("sqlite")
    service = served.service
    campaign(Archive(service.database, service.packs, ""), {1: 1.0, 2: 0.6})
    Warming(service.database, service.packs, partial(make_beforehand, service)).look()
    paths = ["/", "/explore", "/everyday", "/stories/the-same-answer"]
    before = _made(service)
    there = [served.client.get(path) for path in paths]
    assert _made(service) == before
    assert [r.status_code for r in there] == [200] * len(paths)
    service.cache = Cache(64 * 2**20)
    again = [served.client.get(path) for path in paths]
    assert _made(service) == before + len(paths)
    assert [r.text for r in there] == [r.text for r in again]
    assert [r.headers["etag"] for r in there] == [r.headers["etag"] for r in again]


def _made(service: Service) -> float:
    return service.metrics.cached.labels("made")._value.get()
