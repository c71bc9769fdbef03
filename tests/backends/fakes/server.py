"""A server of OpenAI's completions that answers as the fake engines do, with what SGLang's and
TensorRT-LLM's servers add: token counts with every chunk, cached prompt tokens with the last."""

import argparse
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.backends.fakes import answers

Check = Callable[[dict[str, Any]], str | None]
"""What is wrong with a request, in the server's words."""


def serve(
    port: int, check: Check, more: dict[str, Callable[[dict[str, Any]], Any]], slots: int
) -> None:
    """Until the process is ended. ``more``: further paths → what they answer. ``slots``: how many
    requests are answered at once; the others wait."""
    cache = answers.Cache()
    free = threading.Semaphore(slots)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            if self.path == "/health":
                self._json(200, {})
            elif self.path in more:
                self._json(200, more[self.path]({}))
            else:
                self._json(404, {"message": "no such path"})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path in more:
                self._json(200, more[self.path](asked))
                return
            wrong = check(asked)
            if self.path != "/v1/completions" or wrong:
                self._json(400, {"object": "error", "message": wrong, "code": 400})
                return
            with free:
                self._stream(asked)

        def _json(self, status: int, what: Any) -> None:
            data = json.dumps(what).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _stream(self, asked: dict[str, Any]) -> None:
            assert asked["stream"] and asked["stream_options"]["continuous_usage_stats"]
            ids, most = asked["prompt"], asked["max_tokens"]
            wanted = most if asked.get("ignore_eos") else min(most, answers.ends_at(ids))
            cached = cache.hit(asked.get("cache_salt"), ids)
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for n in range(1, wanted + 1):
                # So far apart that a busy machine does not read two at once.
                time.sleep(5 * answers.STEP_S)
                choice = {
                    "index": 0,
                    "text": f" {answers.token(ids, n - 1)}",
                    "finish_reason": "length" if n == wanted else None,
                }
                usage = {"prompt_tokens": len(ids), "completion_tokens": n}
                self._event({"choices": [choice], "usage": usage})
            details = {"cached_tokens": cached}
            usage = {"prompt_tokens": len(ids), "completion_tokens": wanted}
            self._event({"choices": [], "usage": {**usage, "prompt_tokens_details": details}})
            self._chunk(b"data: [DONE]\n\n")
            self._chunk(b"")

        def _event(self, event: dict[str, Any]) -> None:
            self._chunk(b"data: " + json.dumps(event).encode() + b"\n\n")

        def _chunk(self, data: bytes) -> None:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


def port_of(words: list[str]) -> int:
    """From a command line, for programs whose other words do not matter here."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--port", type=int)
    known, _ = parser.parse_known_args(words)
    return int(known.port)
