"""Answers from bytes: every token's time and number are those of the bytes fed in."""

import json
from typing import Any

import pytest

from lem.workloads.answer import Answer
from lem.workloads.load import Log, More, Response
from lem.workloads.requests import Request
from lem.workloads.wire import Garbled, Piece, Wire, read_event

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
DONE = b"data: [DONE]\n\n"
REQUEST = Request("r0", [1, 2, 3], 100, "")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(text: str, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "text": text, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice], **more}).encode() + b"\n\n"


def usage(n: int) -> dict[str, Any]:
    return {"usage": {"completion_tokens": n, "prompt_tokens": 3}}


def only(n: int) -> bytes:
    """The event with the whole answer's usage, which has no choice."""
    return b"data: " + json.dumps({"choices": [], **usage(n)}).encode() + b"\n\n"


def fed(*pieces: bytes) -> tuple[Answer, Response]:
    """Each piece comes 10 ns after the one before; the first one at 10."""
    log = Log(clock=lambda: 0)
    log.sent([REQUEST])
    answer = Answer(REQUEST, Wire("/", lambda r: {}), log)
    for i, piece in enumerate(pieces, 1):
        answer.feed(piece, 10 * i)
    assert log.tokens == len(log.responses["r0"].token_ns)
    return answer, log.responses["r0"]


@pytest.mark.parametrize(("headers", "read"), [({}, "abcd"), ({"Authorization": "Bearer k"}, None)])
def test_who_watches_reads_it_as_it_comes_unless_a_key_may_be_in_it(
    headers: dict[str, str], read: str | None
) -> None:
    told: dict[str, More] = {}
    log = Log(clock=lambda: 0, follow=told.__setitem__)
    log.sent([REQUEST])
    answer = Answer(REQUEST, Wire("/", lambda r: {}, headers=headers), log)
    answer.feed(HEAD, 10)
    assert told == {}
    answer.feed(chunk(event("ab")) + chunk(event("cd")), 20)
    assert (told["r0"]() if told else None) == read
    answer.feed(chunk(event("e", "length", **usage(3))) + chunk(DONE), 30)
    assert (told["r0"]() if told else None) == (None if read is None else "e")
    assert log.responses["r0"].text == "abcde"


def streamed(*events: bytes) -> tuple[Answer, Response]:
    """Every event in a chunk and a piece of its own, the head before."""
    return fed(HEAD, *(chunk(e) for e in events), chunk(DONE) + chunk(b""))


def test_tokens_are_counted_where_the_server_counts_each() -> None:
    answer, response = streamed(
        event("a", **usage(1)), event("bcd", **usage(4)), event("e", "length", **usage(5)), only(5)
    )
    assert response.token_ns == [20, 30, 30, 30, 40]
    assert (response.status, response.text, response.end_ns) == ("done", "abcde", 60)
    assert answer.reusable and not answer.spread and not answer.assumed and answer.input_tokens == 3


def test_a_token_without_text_is_a_token() -> None:
    """Half a character, and the one that ends the answer."""
    _, response = streamed(
        event("a", **usage(1)), event("", **usage(2)), event("é", **usage(3)),
        event("", "stop", **usage(4)),
    )  # fmt: skip
    assert response.token_ns == [20, 30, 40, 50] and response.text == "aé"


def test_llama_cpp_counts_in_its_timings() -> None:
    _, response = streamed(
        event("a", timings={"predicted_n": 1}),
        event("bc", timings={"predicted_n": 3}),
        event("", "length", timings={"predicted_n": 3}, **usage(3)),
    )
    assert response.token_ns == [20, 30, 30]


@pytest.mark.parametrize(
    ("total", "times", "spread"),
    [
        (3, [20, 30, 40], False),
        # The one that ended the answer.
        (4, [20, 30, 40, 50], True),
        (6, [20, 20, 30, 30, 40, 40], True),
        (5, [20, 20, 30, 30, 40], True),
        (2, [20, 40], True),
        (0, [], True),
    ],
)
def test_tokens_told_at_the_end_are_spread(total: int, times: list[int], spread: bool) -> None:
    answer, response = streamed(event("a"), event("b"), event("c"), event("", "stop"), only(total))
    assert (response.token_ns, answer.spread) == (times, spread)


def test_no_count_at_all_is_said() -> None:
    answer, response = streamed(event("a"), event("b", "stop"))
    assert response.token_ns == [20, 30] and answer.assumed and answer.status == "done"


def test_bytes_may_be_cut_anywhere() -> None:
    whole = HEAD + chunk(event("añb", **usage(1))) + chunk(event("c", "stop", **usage(2)))
    whole += chunk(DONE) + chunk(b"")
    answer, response = fed(*(whole[i : i + 1] for i in range(len(whole))))
    assert (response.status, response.text) == ("done", "añbc") and len(response.token_ns) == 2
    assert answer.reusable


def test_lines_may_end_in_carriage_returns_and_comments_are_skipped() -> None:
    _, response = fed(
        HEAD,
        chunk(b": ping\r\n\r\nevent: message\r\nid: 7\r\n"),
        chunk(event("a", "stop", **usage(1)).replace(b"\n", b"\r\n")),
        chunk(b"data: [DONE]\r\n\r\n"),
    )
    assert (response.status, response.text, response.token_ns) == ("done", "a", [30])


def test_an_answer_may_end_with_its_connection() -> None:
    head = HEAD.replace(b"Transfer-Encoding: chunked", b"Connection: close")
    answer, response = fed(head, event("a", "stop", **usage(1)))
    assert response.status == "open"
    answer.closed(70)
    assert (response.status, response.end_ns, answer.reusable) == ("done", 70, False)


def test_a_complete_answer_is_done_though_its_frame_is_not() -> None:
    answer, response = fed(HEAD, chunk(event("a", "stop", **usage(1))), chunk(DONE))
    assert response.status == "done" and response.end_ns == 30 and not answer.reusable
    answer.feed(chunk(b""), 40)
    assert answer.reusable and response.end_ns == 30


def test_a_server_that_closes_is_not_used_again() -> None:
    head = HEAD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    answer, _ = fed(head, chunk(event("a", "stop", **usage(1))), chunk(DONE) + chunk(b""))
    assert answer.status == "done" and answer.whole and not answer.reusable


def test_what_comes_after_an_answer_is_not_trusted() -> None:
    answer, response = fed(
        HEAD, chunk(event("a", "stop", **usage(1))), chunk(DONE) + chunk(b"") + HEAD
    )
    assert response.status == "done" and not answer.reusable


def test_an_error_that_is_an_event_of_its_own_kind() -> None:
    _, response = fed(HEAD, chunk(b'error: {"message": "no slot", "code": 503}\n\n'))
    assert (response.status, response.text) == ("failed", "no slot")


def test_an_interim_response_is_passed_over() -> None:
    _, response = fed(
        b"HTTP/1.1 100 Continue\r\n\r\n", HEAD, chunk(event("a", "stop", **usage(1))), chunk(DONE)
    )
    assert (response.status, response.token_ns) == ("done", [30])


def test_each_end_is_told_once() -> None:
    answer, response = fed(HEAD, chunk(b"data: nonsense\n\n"), chunk(DONE) + chunk(b""))
    answer.closed(99)
    answer.fail("again", 99)
    answer.time_out("again", 99)
    assert response.status == "failed" and response.end_ns == 20 and not answer.reusable


@pytest.mark.parametrize(
    ("event", "piece"),
    [
        (
            {"choices": [{"delta": {"content": "hi"}, "finish_reason": None}]},
            Piece("hi"),
        ),
        ({"choices": [{"delta": {"role": "assistant", "content": None}}]}, Piece("")),
        (
            {"choices": [{"delta": {"reasoning_content": "hm"}, "finish_reason": "stop"}]},
            Piece("hm", finished=True),
        ),
        ({"choices": [{"text": "x"}], "usage": None}, Piece("x")),
        ({"error": {"message": "bad"}}, Piece(error="bad")),
        ({"error": "plain"}, Piece(error="plain")),
    ],
)
def test_events_of_chat_and_completions(event: dict[str, Any], piece: Piece) -> None:
    assert read_event(event) == piece


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"choices": {}},
        {"choices": ["x"]},
        {"choices": [{"text": 5}]},
        {"choices": [{"text": "x"}], "usage": {"completion_tokens": -1}},
        {"choices": [{"text": "x"}], "usage": {"completion_tokens": True}},
        {"choices": [{"text": "x"}], "usage": {"completion_tokens": "7"}},
        {"choices": [{"text": "x"}], "usage": {"completion_tokens": 10**12}},
        {"choices": [{"delta": {"content": ["x"]}}]},
    ],
)
def test_garbled_events_are_refused(event: dict[str, Any]) -> None:
    with pytest.raises(Garbled):
        read_event(event)
