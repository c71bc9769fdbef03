"""Engines that are asked through coroutines: one event loop in a thread of its own, one coroutine
for each request.

The thread that serves may be held up for some milliseconds. The loop is not, so every token gets
its own time.
"""

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from lem.backends.huggingface import named
from lem.errors import RunFailed
from lem.workloads.load import Sink, Source
from lem.workloads.requests import Request

Answer = Callable[[Request, Sink], Awaitable[str]]
"""Tells the sink of the tokens of one request as they come and returns the whole text. Raises
:class:`Refused` where only this request failed; whatever else it raises ends the run."""

ASK_EVERY_S = 0.05
"""How often the source is asked while nothing ends: windows begin and end in that call."""
IN_FLIGHT = 2
"""Requests for each slot of an engine whose scheduler works in a process of its own, a step ahead
of whoever drives it: its queue does not run dry even when all slots end in the same step."""
FAILURES_IN_A_ROW = 32
STOP_S = 30.0
WORDS = 500


class Streams:
    """The loop and what runs on it. ``loop``: the engine's own, not running yet."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop or asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="streams", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def wait(self, work: Coroutine[Any, Any, Any], timeout_s: float | None = None) -> Any:
        """The result of one coroutine. Raises what it raises."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    def together(self, work: Sequence[Callable[[], Awaitable[Any]]], slots: int) -> list[Any]:
        """The results of all, in their order, at most ``slots`` of them under way. Raises what the
        first that fails raises, after the others were ended."""

        async def all_of_it() -> list[Any]:
            room = asyncio.Semaphore(slots)

            async def one(begin: Callable[[], Awaitable[Any]]) -> Any:
                async with room:
                    return await begin()

            tasks = [asyncio.ensure_future(one(begin)) for begin in work]
            try:
                return await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()

        return list(self.wait(all_of_it()))

    def serve(
        self,
        source: Source,
        sink: Sink,
        slots: int,
        answer: Answer,
        healthy: Callable[[], bool] = lambda: True,
    ) -> None:
        """Fill :meth:`lem.backends.protocol.Engine.serve` with ``slots`` requests at a time.

        ``healthy`` is asked when nothing has ended for a while, and ends the run where it is
        false.
        """
        ended: queue.SimpleQueue[bool | RunFailed] = queue.SimpleQueue()
        going: set[Future[None]] = set()
        busy, failures, dry = 0, 0, False
        try:
            while True:
                if not dry:
                    taken = source.take(slots - busy, busy)
                    dry = taken is None
                    for request in taken or ():
                        busy += 1
                        work = self._answer(request, sink, answer, ended)
                        future = asyncio.run_coroutine_threadsafe(work, self._loop)
                        going.add(future)
                        future.add_done_callback(going.discard)
                if dry and not busy:
                    return
                try:
                    end = ended.get(timeout=ASK_EVERY_S)
                except queue.Empty:
                    if not healthy():
                        raise RunFailed(
                            "engine_error", "the engine says it is not healthy"
                        ) from None
                    continue
                if isinstance(end, RunFailed):
                    raise end
                busy -= 1
                failures = 0 if end else failures + 1
                if failures >= FAILURES_IN_A_ROW:
                    raise RunFailed("engine_error", f"{failures} requests in a row failed")
        finally:
            self._break_off(going)

    def _break_off(self, going: set[Future[None]]) -> None:
        """End what is still being answered, and wait until the engine was told."""
        left = list(going)
        for future in left:
            future.cancel()
        if left:
            # The cancellations were handed to the loop before this is.
            self.wait(asyncio.sleep(0.01), STOP_S)

    async def _answer(
        self,
        request: Request,
        sink: Sink,
        answer: Answer,
        ended: "queue.SimpleQueue[bool | RunFailed]",
    ) -> None:
        try:
            text = await answer(request, sink)
        except asyncio.CancelledError:
            sink.failed(request.id, "broken off")
            raise
        except Refused as e:
            sink.failed(request.id, e.why)
            ended.put(False)
        except Exception as e:  # noqa: BLE001 - raised again, typed, in the thread that serves
            failure = _typed(e)
            sink.failed(request.id, failure.message[:WORDS])
            ended.put(failure)
        else:
            sink.done(request.id, text)
            ended.put(True)

    def close(self) -> None:
        """Stop the loop; what still runs on it is cancelled."""
        if self._loop.is_closed():
            return
        with suppress(TimeoutError):
            self.wait(_cancel_all(), STOP_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_S)
        if not self._thread.is_alive():
            self._loop.close()


async def _cancel_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class Refused(Exception):
    """One request that the engine will not or cannot answer; the engine goes on."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = " ".join(why.split())[:WORDS]


def whole_answer(request: Request, tokens: int, ignore_eos: bool) -> None:
    """Raises :class:`Refused` for an answer that is shorter than it had to be, or longer."""
    if tokens > request.output_tokens or (ignore_eos and tokens != request.output_tokens):
        raise Refused(f"{tokens} tokens came out, not {request.output_tokens}")


def _typed(error: Exception) -> RunFailed:
    try:
        with named("engine_error"):
            raise error
    except RunFailed as e:
        return e
