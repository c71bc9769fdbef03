"""One request's answer, from bytes to tokens: HTTP, server-sent events, JSON.

No socket and no clock in here: what came is handed over with the time at which it came, and
everything that happened gets that time.

The server counts tokens. Where it says with each chunk how many there are so far, a token's time is
its chunk's. Where it only says at the end how many there were, each chunk with text is taken for
one token until then, and if that was wrong the tokens are spread evenly over the chunks.
"""

import json
from typing import Any, Literal

from lem.workloads.load import Sink
from lem.workloads.requests import Request
from lem.workloads.spoken import pieces
from lem.workloads.wire import Garbled, Wire, error_text, hide, holds_key

Status = Literal["open", "done", "failed", "timed_out"]

MAX_HEAD_BYTES = 2**16
MAX_LINE_BYTES = 2**20
MAX_ANSWER_BYTES = 2**28
MAX_WORDS_BYTES = 2**16
"""Of an answer that is no stream, which is then an error's."""


class Answer:
    """Feed it with :meth:`feed`; it tells ``sink``, once, how the request ended."""

    def __init__(self, request: Request, wire: Wire, sink: Sink) -> None:
        import httptools

        self.request = request
        self.status: Status = "open"
        self.whole = False
        """Whether the HTTP response is complete: the connection can be used again if it should."""
        self.spread = False
        """Whether the server told the number of tokens only at the end, and it was not that of the
        chunks."""
        self.assumed = False
        """Whether the server told no number of tokens at all."""
        self.input_tokens: int | None = None
        """As the server counts them."""
        self.bytes = 0
        self.heard_ns = 0
        """When something last came, or the request went out."""
        self.told = False
        """For its owner: whether its end was passed on."""
        self.why = ""
        """It failed because of this."""
        self._wire = wire
        self._sink = sink
        self._parser: Any = httptools.HttpResponseParser(self)
        self._garbage = httptools.HttpParserError
        self._at_ns = 0
        self._head = True
        self._kept = False
        """Whether the server keeps the connection."""
        self._again = False
        """Whether another response came that nobody asked for."""
        self._http = 0
        self._media = ""
        self._rest = b""
        self._words = b""
        self._text: list[str] = []
        self._finished = False
        self._seen = 0
        self._last: int | None = None
        """The server's latest count."""
        self._chunks_ns: list[int] = []
        """Times of the chunks with text."""
        self._counted = True
        """Whether each chunk with text came with a count."""
        self._end_ns: int | None = None

    def feed(self, data: bytes, at_ns: int) -> None:
        """``data`` came from the socket at ``at_ns`` (monotonic clock)."""
        self._at_ns = self.heard_ns = at_ns
        self.bytes += len(data)
        try:
            self._parser.feed_data(data)
        except self._garbage as e:
            self.fail(f"what the server sends is not HTTP: {_words(e)}", at_ns)
            return
        if self._head and self.bytes > MAX_HEAD_BYTES:
            self.fail("the head of the answer is too long", at_ns)
        elif self.bytes > MAX_ANSWER_BYTES:
            self.fail("the answer is too long", at_ns)

    def closed(self, at_ns: int, why: str = "the server closed the connection") -> None:
        """The connection is gone."""
        if self.status != "open":
            return
        if self._finished and self._is_stream():
            # A server may end its answer by closing the connection.
            self._complete(at_ns)
            return
        self.fail(f"the answer broke off: {why}" if self.bytes else why, at_ns)

    def fail(self, why: str, at_ns: int) -> None:
        if self.status == "open":
            why = hide(why, self._wire.headers)
            self.status, self.why = "failed", why
            self._sink.failed(self.request.id, why, at_ns)

    def time_out(self, why: str, at_ns: int) -> None:
        if self.status == "open":
            self.status, self.why = "timed_out", why
            self._sink.timed_out(self.request.id, why, at_ns)

    @property
    def reusable(self) -> bool:
        """Whether the connection can take another request."""
        return self.whole and self.status == "done" and self._kept and not self._again

    # What httptools calls while it is fed; an exception would be lost in there.

    def on_message_begin(self) -> None:
        self._again = self.whole

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-type":
            self._media = value.decode("latin-1").partition(";")[0].strip().lower()

    def on_headers_complete(self) -> None:
        self._http = self._parser.get_status_code()
        self._head = self._http < 200

    def on_body(self, body: bytes) -> None:
        if self.status != "open":
            return
        if not self._is_stream():
            self._words = (self._words + body)[:MAX_WORDS_BYTES]
            return
        if b"\n" not in body:
            self._rest += body
        else:
            lines = (self._rest + body).split(b"\n")
            self._rest = lines.pop()
            for line in lines:
                self._line(line)
        if len(self._rest) > MAX_LINE_BYTES:
            limit = f"{MAX_LINE_BYTES >> 20} MiB"
            self.fail(f"a line of the stream is longer than {limit}", self._at_ns)

    def on_message_complete(self) -> None:
        if self._http < 200:
            self._media = ""
            return
        self.whole = True
        # The parser knows it only while the message lasts.
        self._kept = bool(self._parser.should_keep_alive())
        if self.status != "open":
            return
        if not self._is_stream():
            self.fail(self._refusal(), self._at_ns)
            return
        if self._rest:
            self._line(self._rest)
        if self._finished:
            self._complete(self._at_ns)
        else:
            self.fail("the answer broke off: the stream ended without a reason", self._at_ns)

    def _is_stream(self) -> bool:
        return self._http == 200 and self._media == "text/event-stream"

    def _refusal(self) -> str:
        try:
            said = json.loads(self._words)
        except (ValueError, RecursionError):
            said = self._words.decode("utf-8", "replace")
        words = error_text(said.get("error", said) if isinstance(said, dict) else said)
        if self._http == 200:
            return f"the server does not stream its answer: {words}"
        return f"HTTP {self._http}: {words}"

    def _line(self, line: bytes) -> None:
        """One line of the stream. OpenAI's streams have a whole event in each ``data:`` line."""
        if self.status != "open" or len(line) < 2:
            return
        name, _, value = line.partition(b":")
        if name not in (b"data", b"error"):
            return
        value = value.strip()
        if value == b"[DONE]":
            self._finished = True
            self._complete(self._at_ns)
            return
        try:
            event = json.loads(value)
            if not isinstance(event, dict):
                raise Garbled("an event is no object")
            piece = self._wire.read(event if name == b"data" else {"error": event})
        except Garbled as e:
            self.fail(f"the stream cannot be read: {_words(e)}", self._at_ns)
            return
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            why = "an event is no JSON that this engine gives"
            self.fail(f"the stream cannot be read: {why}", self._at_ns)
            return
        if piece.error is not None:
            self.fail(piece.error, self._at_ns)
            return
        if piece.finished and self._end_ns is None:
            self._finished, self._end_ns = True, self._at_ns
        if piece.input_tokens is not None:
            self.input_tokens = piece.input_tokens
        if piece.text:
            if not self._text and not holds_key(self._wire.headers):
                self._sink.answering(self.request.id, pieces(self._text))
            self._text.append(piece.text)
        self._count(bool(piece.text), piece.output_tokens)

    def _count(self, has_text: bool, total: int | None) -> None:
        if has_text:
            self._chunks_ns.append(self._at_ns)
            self._counted = self._counted and total is not None
        if total is not None:
            if total < (self._last or 0) or total > 2 * self.request.output_tokens + 1024:
                self.fail(f"the server's count of tokens cannot be: {total}", self._at_ns)
                return
            self._last = total
        if not self._counted:
            self._told(int(has_text))
        elif total is not None:
            self._told(total - self._seen)

    def _told(self, n: int) -> None:
        if n > 0:
            self._seen += n
            self._sink.token(self.request.id, n, self._at_ns)

    def _complete(self, at_ns: int) -> None:
        if self.status != "open":
            return
        if not self._counted:
            self._settle_count()
        self.status = "done"
        self._sink.done(self.request.id, hide("".join(self._text), self._wire.headers), at_ns)

    def _settle_count(self) -> None:
        """The number of tokens is known now, or never."""
        if self._last is None:
            self.assumed = True
        elif self._last != self._seen:
            self.spread = True
            self._sink.retold(self.request.id, self._spread(self._last))

    def _spread(self, total: int) -> list[int]:
        """``total`` times, evenly over those of the chunks. One token more than chunks with text is
        the one that ended the answer, which has none."""
        times = self._chunks_ns or [self._at_ns]
        if self._end_ns is not None and total == len(times) + 1:
            return [*times, self._end_ns]
        if 1 < total < len(times):
            # The first and the last chunk had one: with them the answer begins and ends.
            return [times[i * (len(times) - 1) // (total - 1)] for i in range(total)]
        return [times[i * len(times) // total] for i in range(total)]


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
