"""What every request passes: limits, headers, hosts, CORS; the same for whatever answers."""

import asyncio
import dataclasses
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from server.conftest import UNLIMITED, Serve, Served

from lem.server.rates import client_group
from lem.server.settings import Bounds, Rates

VERSIONS = {"lem-schema-version": "1", "lem-metric-semantics-version": "4"}
SECURE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'",
}
ANYTHING = [
    ("GET", "/api/v1/archive", 200),
    ("GET", "/healthz", 200),
    ("GET", "/api/v1/none", 404),
    ("DELETE", "/api/v1/archive", 405),
    ("GET", "/api/v1/admin/keys", 401),
    ("GET", "/api/v1/leaderboard?limit=0", 422),
    ("POST", "/api/v1/submissions", 415),
    ("OPTIONS", "/api/v1/archive", 405),
]


def is_problem(answer: Any, status: int, reason: str | None = None) -> bool:
    """Whether this is a whole problem document that says the same as the status line."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["type"] == f"urn:lem:problem:{body['reason']}"
    assert body["schema_version"] == 1 and body["metric_semantics_version"] == 4
    assert body["request_id"] == answer.headers["x-request-id"]
    return reason is None or body["reason"] == reason


@pytest.mark.parametrize(("method", "path", "status"), ANYTHING)
def test_every_answer_has_versions_and_security_headers(
    lite: Served, method: str, path: str, status: int
) -> None:
    answer = lite.client.request(method, path)
    assert answer.status_code == status
    assert {k: answer.headers[k] for k in (VERSIONS | SECURE)} == VERSIONS | SECURE
    assert "server" not in answer.headers and "set-cookie" not in answer.headers
    if status >= 400:
        assert is_problem(answer, status)


def test_a_problem_of_an_unforeseen_error_says_nothing_of_it(
    lite: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("the password is swordfish")

    monkeypatch.setattr("lem.server.routes.log.entries", broken)
    with caplog.at_level(logging.INFO, "lem.server"):
        answer = lite.client.get("/api/v1/log")
    assert is_problem(answer, 500, "internal_error")
    assert "swordfish" not in answer.text
    assert any(r.getMessage() == "internal error" for r in caplog.records)


def test_a_database_that_is_away_is_no_internal_error(
    lite: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.exc import OperationalError

    def away(*_: Any) -> Any:
        raise OperationalError("SELECT secret", {}, Exception("no route to 10.0.0.5"))

    monkeypatch.setattr("lem.server.routes.log.entries", away)
    answer = lite.client.get("/api/v1/log")
    assert is_problem(answer, 503, "database_unreachable")
    assert answer.headers["retry-after"] == "5"
    assert "10.0.0.5" not in answer.text and "secret" not in answer.text


def test_head_is_get_without_a_body(lite: Served) -> None:
    head, get = lite.client.head("/api/v1/archive"), lite.client.get("/api/v1/archive")
    assert head.status_code == 200 and head.content == b""
    assert head.headers["etag"] == get.headers["etag"]
    assert head.headers["content-length"] == get.headers["content-length"]
    assert lite.client.head("/api/v1/none").status_code == 404


def test_pages_from_elsewhere_may_read_and_nothing_else(lite: Served) -> None:
    elsewhere = {"Origin": "https://elsewhere.example"}
    read = lite.client.get("/api/v1/archive", headers=elsewhere)
    assert read.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in read.headers
    wanted = {**elsewhere, "Access-Control-Request-Headers": "if-none-match"}
    preflight = lite.client.options(
        "/api/v1/archive", headers={**wanted, "Access-Control-Request-Method": "GET"}
    )
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-methods"] == "GET, HEAD"
    for method in ("POST", "PUT", "DELETE"):
        refused = lite.client.options(
            "/api/v1/keys", headers={**wanted, "Access-Control-Request-Method": method}
        )
        assert refused.status_code == 405
        assert "access-control-allow-origin" not in refused.headers
    post = lite.client.post("/api/v1/nonces", json={"key": "0" * 64}, headers=elsewhere)
    assert "access-control-allow-origin" not in post.headers
    for path in ("/api/v1/admin/keys", "/metrics", "/readyz"):
        closed = lite.client.get(path, headers=elsewhere)
        assert "access-control-allow-origin" not in closed.headers


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", ""]
)
def test_another_host_is_refused_on_loopback(lite: Served, host: str) -> None:
    assert is_problem(lite.client.get("/api/v1/archive", headers={"Host": host}), 421)


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "LOCALHOST"])
def test_this_machines_own_names_are_known(lite: Served, host: str) -> None:
    assert lite.client.get("/api/v1/archive", headers={"Host": host}).status_code == 200


def test_a_public_server_goes_by_its_own_name(serve: Serve) -> None:
    served = serve(host="0.0.0.0", public_url="https://lem.example.org")
    named = {"Host": "lem.example.org"}
    assert served.client.get("/api/v1/archive", headers=named).status_code == 200
    assert served.client.get("/api/v1/archive", headers={"Host": "x.org"}).status_code == 421
    anyone = serve(host="0.0.0.0")
    assert anyone.client.get("/api/v1/archive", headers={"Host": "x.org"}).status_code == 200


class TestProxies:
    """The log shows whom a request is taken to be from."""

    def address(
        self, served: Served, caplog: pytest.LogCaptureFixture, headers: dict[str, str]
    ) -> Any:
        caplog.clear()
        with caplog.at_level(logging.INFO, "lem.server"):
            served.client.get("/api/v1/archive", headers=headers)
        return next(r.fields["client"] for r in caplog.records if r.getMessage() == "request")

    def test_nobody_is_believed_unasked(
        self, serve: Serve, caplog: pytest.LogCaptureFixture
    ) -> None:
        served = serve(address="192.0.2.9", log_addresses="full")
        assert self.address(served, caplog, {"X-Forwarded-For": "203.0.113.5"}) == "192.0.2.9"

    def test_a_trusted_proxy_is_believed_for_the_last_hop(
        self, serve: Serve, caplog: pytest.LogCaptureFixture
    ) -> None:
        served = serve(address="10.0.0.2", log_addresses="full", trusted_proxies=("10.0.0.0/8",))
        forged = {"X-Forwarded-For": "198.51.100.1, 203.0.113.5, 10.0.0.7"}
        assert self.address(served, caplog, forged) == "203.0.113.5"
        assert self.address(served, caplog, {"X-Forwarded-For": "junk\t<x>"}) == "10.0.0.2"
        assert self.address(served, caplog, {}) == "10.0.0.2"

    def test_tls_is_told_by_a_trusted_proxy_only(self, serve: Serve) -> None:
        claimed = {"X-Forwarded-Proto": "https"}
        told = serve(address="10.0.0.2", trusted_proxies=("10.0.0.2",))
        assert "strict-transport-security" in told.client.get("/healthz", headers=claimed).headers
        untold = serve(address="192.0.2.9")
        header = untold.client.get("/healthz", headers=claimed).headers
        assert "strict-transport-security" not in header

    @pytest.mark.parametrize(("how", "shown"), [("shortened", "203.0.113.0/24"), ("none", None)])
    def test_addresses_in_the_log(
        self, serve: Serve, caplog: pytest.LogCaptureFixture, how: str, shown: str | None
    ) -> None:
        served = serve(address="203.0.113.77", log_addresses=how)
        assert self.address(served, caplog, {}) == shown


class TestBodies:
    def test_a_large_body_is_refused_before_it_is_read(self, serve: Serve) -> None:
        served = serve(bounds=Bounds(body_bytes=1000, submission_bytes=5000))
        answer = served.client.post("/api/v1/nonces", content=b" " * 1001)
        assert is_problem(answer, 413, "too_large")
        tar = {"Content-Type": "application/x-tar"}
        answer = served.client.post("/api/v1/submissions", content=b" " * 5001, headers=tar)
        assert is_problem(answer, 413, "too_large")
        answer = served.client.post("/api/v1/submissions", content=b" " * 5000, headers=tar)
        assert is_problem(answer, 422, "bad_submission")

    @pytest.mark.parametrize(
        ("path", "most"),
        [
            ("/nonces", 2**14),
            ("/accounts", 2**14),
            ("/runners/claim", 2**14),
            ("/runners/register", 2**17),
            ("/campaigns/retract", 2**14),
            ("/campaigns", 2**20),
            ("/runners/events", 2**20),
        ],
    )
    def test_each_has_its_own_bound(self, lite: Served, path: str, most: int) -> None:
        """What may be large is what has a reason to be: before a token is looked at, its body is
        read."""
        answer = lite.client.post(f"/api/v1{path}", content=b" " * (most + 1))
        assert is_problem(answer, 413, "too_large")
        assert f"{most} bytes" in answer.json()["detail"]
        assert lite.client.post(f"/api/v1{path}", content=b" " * most).status_code != 413

    def test_so_is_one_that_does_not_say_how_large_it_is(self, serve: Serve) -> None:
        served = serve(bounds=Bounds(body_bytes=1000, submission_bytes=5000))

        def pieces() -> Iterator[bytes]:
            for _ in range(100):
                yield b" " * 100

        answer = served.client.post("/api/v1/nonces", content=pieces())
        assert is_problem(answer, 413, "too_large")
        tar = {"Content-Type": "application/x-tar"}
        answer = served.client.post("/api/v1/submissions", content=pieces(), headers=tar)
        assert is_problem(answer, 413, "too_large")
        assert list(served.service.spool.iterdir()) == []

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 9000])
    def test_what_is_no_document_is_a_problem(self, lite: Served, body: bytes) -> None:
        headers = {"Content-Type": "application/json"}
        answer = lite.client.post("/api/v1/nonces", content=body, headers=headers)
        assert answer.status_code in (400, 422)
        assert is_problem(answer, answer.status_code)

    def test_unknown_fields_and_wrong_types_are_named(self, lite: Served) -> None:
        answer = lite.client.post("/api/v1/nonces", json={"key": 7, "tier": 3})
        assert is_problem(answer, 422, "bad_request")
        assert {e["where"] for e in answer.json()["errors"]} == {"body.key", "body.tier"}


def test_an_address_that_is_too_long_is_refused(lite: Served) -> None:
    assert is_problem(lite.client.get("/api/v1/leaderboard?q=" + "x" * 9000), 414)


class TestRates:
    def test_the_clock_gives_back_what_it_took(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = Clock(monkeypatch)
        served = serve(rates=Rates(reading="3/minute"))
        statuses = [served.client.get("/api/v1/archive").status_code for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        refused = served.client.get("/api/v1/archive")
        assert is_problem(refused, 429, "too_many_requests")
        wait_s = int(refused.headers["retry-after"])
        assert 1 <= wait_s <= 60
        assert served.client.get("/healthz").status_code == 200
        clock.now += 120
        assert served.client.get("/api/v1/archive").status_code == 200

    def test_writing_is_counted_apart(self, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
        Clock(monkeypatch)
        served = serve(rates=Rates(writing="1/minute"))
        body = {"key": "0" * 64}
        assert served.client.post("/api/v1/nonces", json=body).status_code == 403
        assert served.client.post("/api/v1/nonces", json=body).status_code == 429
        assert served.client.get("/api/v1/archive").status_code == 200

    def test_one_key_from_one_address_and_nobody_locks_it_out_from_another(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Clock(monkeypatch)
        served = serve(
            address="10.0.0.2", trusted_proxies=("10.0.0.2",), rates=Rates(key="2/minute")
        )
        found = [
            served.client.post(
                "/api/v1/nonces",
                json={"key": "0" * 64},
                headers={"X-Forwarded-For": f"203.0.113.{n}"},
            ).status_code
            for n in (1, 1, 1, 2)
        ]
        assert found == [403, 403, 429, 403]

    @pytest.mark.parametrize(
        ("address", "group"),
        [
            ("203.0.113.7", "203.0.113.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("nonsense", "unknown"),
        ],
    )
    def test_whom_an_address_counts_for(self, address: str, group: str) -> None:
        assert client_group(address) == group


class Clock:
    """In place of the time that ``limits`` reads."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import time as real

        self.now = float(int(real.time()) // 60 * 60)
        for module in ("limits.storage.memory", "limits.strategies", "lem.server.rates"):
            monkeypatch.setattr(f"{module}.time", self, raising=False)

    def time(self) -> float:
        return self.now


def test_too_many_at_once_are_told_to_come_again(serve: Serve) -> None:
    served = serve(bounds=Bounds(concurrent_requests=0), rates=UNLIMITED)
    answer = served.client.get("/api/v1/archive")
    assert is_problem(answer, 503, "busy")
    assert answer.headers["retry-after"] == "1"
    assert served.client.get("/healthz").status_code == 200


def test_one_that_takes_too_long_is_answered_for(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    served = serve(bounds=Bounds(request_s=0.2))
    release = threading.Event()

    def slow(*_: Any) -> Any:
        release.wait(20)
        raise RuntimeError("unheard")

    monkeypatch.setattr("lem.server.routes.log.entries", slow)
    try:
        answer = served.client.get("/api/v1/log")
        assert is_problem(answer, 503, "took_too_long")
    finally:
        release.set()


HOSTILE = [
    "'; DROP TABLE run; --",
    '" OR 1=1 --',
    "%' UNION SELECT hash FROM token --",
    "\x00",
    "\r\nSet-Cookie: a=b",
    "../../etc/passwd",
    "{{7*7}}",
    "\ud7ff\U0001f600",
    "1e308",
    "-1",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_in_questions_is_only_text(
    served: Served, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    paths = ["results", "campaigns", "external", "log", "admin/keys"]
    with caplog.at_level(logging.INFO, "lem.server"):
        for name in ("model", "q", "since", "cursor", "limit", "after", "state", "class"):
            for path in paths:
                answer = served.client.get(f"/api/v1/{path}", params={name: text})
                assert answer.status_code in (200, 400, 401, 422), answer.text
                assert "set-cookie" not in answer.headers
    tables = served.client.get("/api/v1/archive")
    assert tables.status_code == 200
    assert not any("\n" in r.getMessage() or text in r.getMessage() for r in caplog.records)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/results/..%2f..%2fetc%2fpasswd",
        "/api/v1/submissions/../../../etc/passwd",
        "/api/v1/submissions/%2e%2e%2f%2e%2e%2fdata%2farchive.db",
        "/api/v1/results/" + "0" * 64 + "-1/files/..%2ftrace",
        "/api/v1/results/" + "0" * 64 + "-1/files/lock",
        "/api/v1/configurations/%00",
        "//etc/passwd",
        "/api/v1/campaigns/" + "0" * 64 + "-1%0d%0aX-Y:%20z",
    ],
)
def test_paths_lead_nowhere_else(lite: Served, path: str) -> None:
    answer = lite.client.get(path)
    assert answer.status_code in (404, 422)
    assert is_problem(answer, answer.status_code)
    assert "root:" not in answer.text and "x-y" not in answer.headers


def test_log_lines_hold_what_was_sent_as_data(
    lite: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    from lem.server.logs import JsonLines, TextLines

    record = logging.LogRecord("lem.server", logging.INFO, "", 0, "request", (), None)
    record.fields = {"who": "a\n2026 error forged\x1b[31m\u2028"}
    for form in (JsonLines(), TextLines()):
        line = form.format(record)
        assert line.isprintable() and len(line.splitlines()) == 1
    assert json.loads(JsonLines().format(record))["who"] == record.fields["who"]


def test_concurrent_requests_share_one_server(served: Served) -> None:
    import httpx

    async def many() -> list[int]:
        transport = httpx.ASGITransport(app=served.client.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            answers = await asyncio.gather(*(client.get("/api/v1/log") for _ in range(40)))
        return [a.status_code for a in answers]

    assert asyncio.run(many()) == [200] * 40


def test_charts_as_png_are_counted_among_what_is_heavy(serve: Serve) -> None:
    """Each takes a processor for a third of a second, and there is no end of widths and dates."""
    served = serve(rates=dataclasses.replace(UNLIMITED, heavy="2/minute"))
    answers = [
        served.client.get(f"/charts/explore/scatter.png?width={width}").status_code
        for width in (400, 401, 402)
    ]
    assert answers == [200, 200, 429]
    assert served.client.get("/charts/explore/scatter.svg").status_code == 200


@pytest.mark.parametrize("address", ["/results?format=csv", "/results?limit=9&f%6Frmat=csv"])
def test_a_file_of_results_is_asked_for_as_rarely_as_an_export(serve: Serve, address: str) -> None:
    rates = dataclasses.replace(UNLIMITED, heavy="1/minute")
    client = serve(rates=rates).client
    assert client.get(f"/api/v1{address}").status_code == 200
    assert is_problem(client.get(f"/api/v1{address}"), 429, "too_many_requests")
    assert client.get("/api/v1/results?limit=9").status_code == 200
