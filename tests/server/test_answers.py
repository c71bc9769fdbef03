"""ETags, the cache of encoded answers, compression."""

import gzip
import json
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from server.conftest import Served
from server.signing import enrolled

from lem.archive.database import raise_data_version
from lem.archive.schema import KEY, LOG, SETTING
from lem.server.cache import Cache, Encoded
from lem.server.negotiation import is_known, takes_gzip


def bump(served: Served) -> None:
    with served.service.database.writing() as connection:
        raise_data_version(connection)


def test_nothing_is_sent_again_until_the_archive_changes(served: Served) -> None:
    first = served.client.get("/api/v1/archive")
    etag = {"If-None-Match": first.headers["etag"]}
    again = served.client.get("/api/v1/archive", headers=etag)
    assert again.status_code == 304 and again.content == b""
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["cache-control"] == "public, no-cache"
    bump(served)
    changed = served.client.get("/api/v1/archive", headers=etag)
    assert changed.status_code == 200
    assert changed.json()["data_version"] == first.json()["data_version"] + 1
    assert changed.headers["lem-data-version"] == str(changed.json()["data_version"])


def test_the_versions_of_an_older_database_that_was_restored_are_others(served: Served) -> None:
    """It gets to the same version again with other data, and clients still have the lost one's."""
    paths = ["/api/v1/archive", "/api/v1/leaderboard", "/api/v1/log/head"]
    with served.service.database.reading() as c:
        before = c.execute(sa.select(SETTING.c.name, SETTING.c.value)).all()
    enrolled(served.client, 1)
    bump(served)
    lost = [served.client.get(path) for path in paths]
    with served.service.database.writing() as c:
        for table in (LOG, KEY):
            c.execute(table.delete())
        for name, value in before:
            c.execute(SETTING.update().where(SETTING.c.name == name).values(value=value))
    enrolled(served.client, 2)
    bump(served)
    for path, old in zip(paths, lost, strict=True):
        found = served.client.get(path, headers={"If-None-Match": old.headers["etag"]})
        assert found.status_code == 200
        assert found.headers["lem-data-version"] == old.headers["lem-data-version"]
    assert found.json()["hash"] != old.json()["hash"]


def test_an_archive_whose_settings_changed_is_told_anew(served: Served) -> None:
    first = served.client.get("/api/v1/archive")
    was = served.service.settings
    served.service.settings = replace(was, enrolment="invitation")
    etag = {"If-None-Match": first.headers["etag"]}
    assert was.enrolment == "open"
    assert served.client.get("/api/v1/archive", headers=etag).json()["enrolment"] == "invitation"


def test_other_questions_have_other_etags(lite: Served) -> None:
    paths = ["/api/v1/log", "/api/v1/log?after=1", "/api/v1/log?limit=2", "/api/v1/log/head"]
    tags = [lite.client.get(p).headers["etag"] for p in paths]
    assert len(set(tags)) == len(paths)
    assert tags[0] == lite.client.get("/api/v1/log?limit=1000&after=0").headers["etag"]


def test_a_new_key_shows_in_the_log_at_once(served: Served) -> None:
    before = served.client.get("/api/v1/log")
    assert before.json()["entries"] == []
    enrolled(served.client)
    etag = {"If-None-Match": before.headers["etag"]}
    assert len(served.client.get("/api/v1/log", headers=etag).json()["entries"]) == 1
    assert served.client.get("/api/v1/log/head").json()["seq"] == 1


def test_the_same_is_asked_of_the_database_once(
    lite: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lem.server.routes import log

    asked: list[Any] = []
    real = log.entries
    monkeypatch.setattr(log, "entries", lambda *a: asked.append(a) or real(*a))
    bodies = {lite.client.get("/api/v1/log?after=0&limit=9").content for _ in range(3)}
    lite.client.get("/api/v1/log?limit=9")
    assert len(bodies) == len(asked) == 1
    bump(lite)
    lite.client.get("/api/v1/log?limit=9")
    assert len(asked) == 2


def test_large_answers_are_compressed_for_who_takes_it(lite: Served) -> None:
    plain = lite.client.get("/api/v1/openapi.json", headers={"Accept-Encoding": "identity"})
    for seed in range(1, 9):
        enrolled(lite.client, seed)
    raw = lite.client.get("/api/v1/log", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in raw.headers
    with lite.client.stream("GET", "/api/v1/log", headers={"Accept-Encoding": "gzip"}) as packed:
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.headers["vary"] == "Accept-Encoding"
        body = b"".join(packed.iter_raw())
    assert len(body) < len(raw.content) and gzip.decompress(body) == raw.content
    assert json.loads(raw.content)["entries"][7]["seq"] == 8
    assert plain.status_code == 200


@pytest.mark.parametrize(
    ("accepted", "takes"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5", True),
        ("x-gzip", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("identity", False),
        ("", False),
        ("gzipped", False),
    ],
)
def test_who_takes_gzip(accepted: str, takes: bool) -> None:
    assert takes_gzip(accepted) is takes


@pytest.mark.parametrize(
    ("header", "known"),
    [('W/"1-a"', True), ('"1-a"', True), ('"x", W/"1-a"', True), ("*", True), ('"1-b"', False)],
)
def test_if_none_match(header: str, known: bool) -> None:
    assert is_known(header, 'W/"1-a"') is known


class TestCache:
    def test_another_version_forgets_the_last(self) -> None:
        cache = Cache(1000)
        cache.put(1, "q", Encoded(b"one", None, "text/plain"))
        assert cache.get(1, "q") == Encoded(b"one", None, "text/plain")
        assert cache.get(2, "q") is None
        cache.put(2, "q", Encoded(b"two", None, "text/plain"))
        assert cache.get(1, "q") is None and cache.bytes == 3
        cache.put(1, "q", Encoded(b"late", None, "text/plain"))
        assert cache.get(2, "q") == Encoded(b"two", None, "text/plain")

    def test_it_holds_so_many_bytes_and_the_newest_used(self) -> None:
        cache = Cache(80)
        for name in "abcdefgh":
            cache.put(1, name, Encoded(b"x" * 5, b"y" * 5, "text/plain"))
        cache.get(1, "a")
        cache.put(1, "i", Encoded(b"x" * 10, None, "text/plain"))
        assert cache.bytes == 80
        assert cache.get(1, "a") is not None and cache.get(1, "b") is None
        cache.put(1, "large", Encoded(b"x" * 11, None, "text/plain"))
        assert cache.get(1, "large") is None
