"""Speaking to an archive: what it answers is hostile until it is parsed."""

import httpx
import pytest

from lem.contract.submission import ArchiveInfo
from lem.errors import BadInput
from lem.submit import client as c
from lem.submit.client import ArchiveClient, Declined, Unreachable
from tests.submit import given, standin


def test_an_archive_tells_what_it_is(archive: standin.Archive) -> None:
    with ArchiveClient(archive.url) as client:
        assert client.info().archive == standin.ARCHIVE
        assert client.get("/archive", {"x": None})["board_salt"] == "0123456789abcdef" * 2


@pytest.mark.parametrize(
    "url", ["http://archive.example.org", "http://10.0.0.1:8000", "http://1.1"]
)
def test_another_machine_is_not_spoken_to_in_the_clear(url: str) -> None:
    with pytest.raises(BadInput, match="without encryption"):
        ArchiveClient(url)
    ArchiveClient(url, plain_http=True).close()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "[::1]", "a.localhost"])
def test_this_machine_is(host: str) -> None:
    ArchiveClient(f"http://{host}:1").close()


def answering(answer: httpx.Response) -> ArchiveClient:
    return ArchiveClient("http://localhost", transport=httpx.MockTransport(lambda _: answer))


def test_an_archive_that_is_away() -> None:
    with ArchiveClient("http://127.0.0.1:1") as client, pytest.raises(Unreachable) as e:
        client.info()
    assert e.value.exit_code == 3


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, content=b"[]"),
        httpx.Response(200, json={"archive": "x"}),
        httpx.Response(200, content=b"[" * 200_000),
        httpx.Response(200, content=b"x", headers={"Content-Encoding": "gzip"}),
    ],
)
def test_strange_answers_are_no_archives(answer: httpx.Response) -> None:
    with pytest.raises(Unreachable, match="does not answer as an archive"):
        answering(answer).info()


def test_an_answer_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c, "MAX_ANSWER_BYTES", 1000)
    with pytest.raises(Unreachable):
        answering(httpx.Response(200, content=b" " * 1001)).info()


def test_a_redirect_is_not_followed(archive: standin.Archive) -> None:
    archive.trouble = [standin.refuse(308, "moved", to="http://evil.example/x")]
    with ArchiveClient(archive.url) as client, pytest.raises(Declined, match="sends elsewhere"):
        client.info()
    assert len(archive.asked) == 1


def test_the_archives_words_are_on_one_line_and_short() -> None:
    answer = httpx.Response(
        422, json={"detail": "a\nb\r\n" + "x" * 10_000, "reason": "bad_record", "title": 5}
    )
    with pytest.raises(Declined) as e:
        answering(answer).info()
    assert (e.value.reason, e.value.status, e.value.exit_code) == ("bad_record", 422, 2)
    assert "\n" not in e.value.message and len(e.value.message) < 700
    assert "a b xxx" in e.value.message


@pytest.mark.parametrize("content", [b"", b"oops", b"[1]", b'{"reason": 1, "detail": {}}'])
def test_a_refusal_without_a_problem_document(content: bytes) -> None:
    with pytest.raises(Declined) as e:
        answering(httpx.Response(400, content=content)).info()
    assert e.value.reason == "http_400"


@pytest.mark.parametrize(
    ("status", "header", "wait_s"),
    [(503, "7", 7), (429, "999999", 3600), (500, None, None), (429, "soon", None), (408, "", None)],
)  # fmt: skip
def test_trouble_is_tried_again_later(
    status: int, header: str | None, wait_s: float | None
) -> None:
    headers = {} if header is None else {"Retry-After": header}
    with pytest.raises(Unreachable) as e:
        answering(httpx.Response(status, json={}, headers=headers)).info()
    assert e.value.wait_s == wait_s


def test_time_runs_out(archive: standin.Archive) -> None:
    with ArchiveClient(archive.url, within_s=0.0) as client, pytest.raises(Unreachable):
        client.info()
    assert archive.asked == []


def test_a_nonce_is_asked_for(archive: standin.Archive) -> None:
    archive.keys["1" * 64] = b""
    with ArchiveClient(archive.url) as client:
        assert client.nonce("1" * 64) in archive.nonces
        with pytest.raises(Declined, match="key_unknown"):
            client.nonce("2" * 64)
    with pytest.raises(Unreachable, match="no nonce"):
        answering(httpx.Response(200, json={"nonce": 5})).nonce("1" * 64)


def test_paths_cannot_leave_the_api() -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(200, json={})

    client = ArchiveClient("http://localhost", transport=httpx.MockTransport(answer))
    client.get("/results/a?b#c d")
    assert seen == ["http://localhost/api/v1/results/a%3Fb%23c%20d"]


def test_tokens_go_into_a_header() -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("authorization"))
        return httpx.Response(200, json={})

    ArchiveClient("http://localhost", token="t", transport=httpx.MockTransport(answer)).get("/x")
    assert seen == ["Bearer t"]


def test_a_document_is_told_with_token_and_headers() -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=given.info().model_dump_json())

    with ArchiveClient(
        "http://localhost",
        token="a-token",
        headers={"Lem-Fence": "3"},
        transport=httpx.MockTransport(answer),
    ) as client:
        assert client.tell(ArchiveInfo, "/somewhere", given.info()) == given.info()
    (request,) = seen
    assert request.headers["authorization"] == "Bearer a-token"
    assert request.headers["lem-fence"] == "3"
    assert ArchiveInfo.parse(request.content) == given.info()


def test_an_answer_may_be_nothing() -> None:
    with answering(httpx.Response(204)) as client:
        assert client.tell(ArchiveInfo, "/somewhere", given.info()) is None
