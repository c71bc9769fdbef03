"""What servers of OpenAI's completions have in common beside :mod:`lem.backends.served`: the prompt
tokens that they found in their prefix cache, and GPU memory."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from lem.backends import workers
from lem.backends.prefix_cache import hit_rate
from lem.backends.served import ServedEngine, Server, ServerCommand, unable
from lem.contract.base import Scalar
from lem.contract.job import Job
from lem.workloads.client import Client
from lem.workloads.likelihood import Passage, Scored
from lem.workloads.requests import Request
from lem.workloads.wire import Piece, Wire, read_event

PATH = "/v1/completions"


class Cached:
    """Reads events as :func:`read_event` does, and sums what the last one of each answer says of
    the prefix cache (``usage.prompt_tokens_details.cached_tokens``)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._told = False
        self._queries = self._hits = 0

    def read(self, event: dict[str, Any]) -> Piece:
        piece = read_event(event)
        usage = event.get("usage")
        if event.get("choices") == [] and isinstance(usage, dict):
            details = usage.get("prompt_tokens_details")
            cached = details.get("cached_tokens") if isinstance(details, dict) else 0
            with self._lock:
                self._told = self._told or isinstance(details, dict)
                self._queries += piece.input_tokens or 0
                self._hits += cached if isinstance(cached, int) else 0
        return piece

    def facts(self) -> dict[str, Scalar]:
        """Empty where the server has said nothing of it."""
        with self._lock:
            return hit_rate(self._queries, self._hits) if self._told else {}


def start(
    job: Job,
    command: ServerCommand,
    body: Callable[[Request], dict[str, Any]],
    facts: Callable[[tuple[str, int]], dict[str, Scalar]],
    nll: Callable[[tuple[str, int], list[int]], float | None],
    likelihoods: Callable[[tuple[str, int], Sequence[Passage]], list[Scored] | None] | None = None,
) -> ServedEngine:
    """The running server as an engine. ``facts``, ``nll`` and ``likelihoods`` are given its
    address; the first is asked once, when it is ready. Raises :class:`lem.errors.RunFailed`."""
    before = workers.gpu_used_bytes(job.gpus)
    server = Server(command)
    try:
        server.wait_ready()
        resolved = facts(server.address)
        cached = Cached()

        def now() -> dict[str, Scalar]:
            found = {**resolved, **cached.facts()}
            used = workers.gpu_used_bytes(job.gpus)
            if job.gpus and used is not None and before is not None:
                found["peak_memory_bytes.gpu"] = used - before
            return found

        client = Client(server.address, Wire(PATH, body, read=cached.read), died=server.died)
        return ServedEngine(
            client,
            server=server,
            facts=now,
            nll=lambda ids: nll(server.address, ids),
            likelihoods=unable
            if likelihoods is None
            else lambda pieces: likelihoods(server.address, pieces),
        )
    except BaseException:
        server.stop()
        raise
