"""An engine's own server, started on the loopback of the agent's machine or container and driven
by the one client that all backends share (:mod:`lem.workloads.client`).

A backend says how its server is started (:class:`ServerCommand`) and how its requests look
(:class:`lem.workloads.client.Wire`); the rest is the same for all.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from lem.backends.listener import listens
from lem.backends.peak_memory import resident_bytes
from lem.backends.protocol import ScoredBy
from lem.contract.base import Scalar
from lem.errors import FailureKind, RunFailed
from lem.meters.process_tree import ProcessTree, parse_stat
from lem.workloads.client import Client
from lem.workloads.likelihood import Passage, Score, Scored
from lem.workloads.load import Sink, Source

LOOPBACK = "127.0.0.1"
TAIL_LINES = 200
LINE_BYTES = 2000
SAID_LINES = 12
"""Of the server's last words, in a failure."""
READY_EVERY_S = 0.1
TERM_S = 10.0
KILL_S = 10.0
ASK_S = 60.0
MAX_ANSWER_BYTES = 2**26
OUT_OF_MEMORY: FailureKind = "out_of_memory"
LESS_MEMORY = "lower engine.max_batch_size or engine.max_model_len, or use a smaller dtype"
MEMORY_WORDS = ("out of memory", "bad_alloc", "failed to allocate", "can't allocate memory")
ARGUMENT_WORDS = ("unrecognized arguments", "invalid choice", "error: argument", "validation error")


@dataclass(frozen=True)
class ServerCommand:
    """How to start a server. No secret belongs in ``argv``: others on the machine can read it."""

    argv: list[str]
    port: int
    """On 127.0.0.1 (:func:`free_port`)."""
    environment: dict[str, str] = field(default_factory=dict)
    """On top of the agent's own."""
    ready: str = "/health"
    """Answers 200 once the model is loaded."""


def free_port() -> int:
    """A port of the loopback that nobody listens at now. Another program may take it before the
    server does; the server then says so and ends."""
    with socket.socket() as s:
        s.bind((LOOPBACK, 0))
        return int(s.getsockname()[1])


def ask(
    address: tuple[str, int],
    path: str,
    what: dict[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = ASK_S,
) -> tuple[int, Mapping[str, str], Any]:
    """The server's answer to a GET, or to a POST of ``what`` as JSON: status, headers, and the
    JSON of its body (text where it is none). Goes to the loopback directly, past any proxy.

    Raises :class:`OSError` where nobody answers.
    """
    connection = http.client.HTTPConnection(*address, timeout=timeout_s)
    try:
        body = None if what is None else json.dumps(what)
        kind = {} if what is None else {"Content-Type": "application/json"}
        connection.request(
            "GET" if what is None else "POST", path, body, {**kind, **(headers or {})}
        )
        answer = connection.getresponse()
        data = answer.read(MAX_ANSWER_BYTES + 1)
        if len(data) > MAX_ANSWER_BYTES:
            raise OSError(f"the answer to {path} is larger than {MAX_ANSWER_BYTES >> 20} MiB")
        told = {k.lower(): v for k, v in answer.getheaders()}
        try:
            return answer.status, told, json.loads(data)
        except (ValueError, RecursionError):
            return answer.status, told, data.decode("utf-8", "replace")
    except http.client.HTTPException as e:
        raise OSError(f"{type(e).__name__}: {e}") from e
    finally:
        connection.close()


class Server:
    """A server process, from start to end; nothing of it is left after :meth:`stop`.

    It leads a session of its own. What it prints goes on to the agent's log, and its last lines are
    kept for a failure.
    """

    def __init__(self, command: ServerCommand) -> None:
        self.address = (LOOPBACK, command.port)
        self._ready = command.ready
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._stopped = False
        try:
            self._process = subprocess.Popen(
                command.argv,
                env={**os.environ, **command.environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as e:
            raise RunFailed("image", f"{command.argv[0]} cannot be started: {e}") from e
        self.pid = self._process.pid
        self._tree = ProcessTree(self.pid, Path("/proc"))
        assert self._process.stdout is not None
        self._reader = threading.Thread(
            target=self._read, args=(self._process.stdout,), name="server output", daemon=True
        )
        self._reader.start()

    def wait_ready(self) -> None:
        """Return once it answers. Raises :class:`RunFailed` if it ends before, or another program
        answers in its place; how long that may take is the caller's to say (the agent's load
        limit)."""
        while True:
            if (how := self.died()) is not None:
                raise RunFailed(self.failure_kind(), how)
            with suppress(OSError):
                if ask(self.address, self._ready, timeout_s=5.0)[0] == 200:
                    self._check_listener()
                    return
            time.sleep(READY_EVERY_S)

    def _check_listener(self) -> None:
        """The port was free when it was chosen, but held by nobody since."""
        if not listens(self.members(), self.address[1]):
            raise RunFailed(
                "engine_error",
                f"another program answers on port {self.address[1]}, which was to be the engine's "
                "server's",
                hint="run again: another port will be chosen",
            )

    def failure_kind(self) -> FailureKind:
        """What its last words sound like."""
        said = "\n".join(self._tail).lower()
        if any(w in said for w in MEMORY_WORDS):
            return OUT_OF_MEMORY
        return "bad_argument" if any(w in said for w in ARGUMENT_WORDS) else "engine_error"

    def died(self) -> str | None:
        """How it ended and what it said last; None while it runs."""
        status = self._process.poll()
        if status is None or self._stopped:
            return None
        # What it printed last may still be on its way.
        self._reader.join(1.0)
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        said = "\n".join(["", *list(self._tail)[-SAID_LINES:]]).rstrip()
        return f"the engine's server ended ({how}){':' if said else ''}{said}"

    def last_lines(self) -> list[str]:
        return list(self._tail)

    def members(self) -> frozenset[int]:
        """The server and all its descendants that still run."""
        self._tree.cpu_time_ns()
        return self._tree.members()

    def stop(self) -> None:
        """End it and all its descendants: SIGTERM, and SIGKILL for those who don't obey. Doing it
        again does nothing."""
        if self._stopped:
            return
        started = {pid: start for pid in self.members() if (start := _start(pid)) is not None}
        self._stopped = True
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(TERM_S)
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        for pid, start in started.items():
            # Also those that left its group. A number may be another process's by now.
            if pid != self.pid and _start(pid) == start:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
        limit = time.monotonic() + KILL_S
        while time.monotonic() < limit and any(_start(p) == s for p, s in started.items()):
            time.sleep(0.01)
        self._reader.join(2.0)

    def _read(self, pipe: IO[bytes]) -> None:
        """Keep the last lines and pass everything on. A line without end is cut."""
        with pipe, suppress(OSError, ValueError):
            while line := pipe.readline(LINE_BYTES):
                self._tail.append(line.decode("utf-8", "replace").rstrip())
                with suppress(OSError, ValueError):
                    sys.stderr.buffer.write(line)
                    sys.stderr.buffer.flush()


def _start(pid: int) -> int | None:
    """When a process began; None where it is gone, or dead and only waiting to be collected."""
    with suppress(OSError):
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        if text[text.rfind(")") + 1 :].split()[:1] == ["Z"]:
            return None
        times = parse_stat(text, os.sysconf("SC_CLK_TCK"))
        return None if times is None else times.start
    return None


def unable(pieces: Sequence[Passage]) -> list[Scored] | None:
    """The likelihoods of an engine that tells none."""
    return None


class ServedEngine:
    """An engine behind its own server; fills :class:`lem.backends.protocol.Apart`.

    ``facts``, ``nll`` and ``likelihoods`` are the engine's own; ``server`` is None where somebody
    else started it, and then ``process`` says which process it is.
    """

    atomic_batches = False

    def __init__(
        self,
        client: Client,
        *,
        server: Server | None,
        facts: Callable[[], dict[str, Scalar]],
        nll: Callable[[list[int]], float | None],
        process: int | None = None,
        likelihoods: Score = unable,
        scored_by: ScoredBy = "prompt log-probabilities",
    ) -> None:
        if server is None and process is None:
            raise ValueError("whose CPU time counts must be known")
        self._client = client
        self._server = server
        self._facts = facts
        self._nll = nll
        self._likelihoods = likelihoods
        self.scored_by: ScoredBy = scored_by
        self.process: int = server.pid if server is not None else int(process or 0)
        self._others = None if server is not None else ProcessTree(self.process, Path("/proc"))

    def serve(self, source: Source, sink: Sink) -> None:
        try:
            self._client.serve(source, sink)
        except RunFailed as e:
            dead = self._server is not None and self._server.died() is not None
            if dead and self._server is not None and self._server.failure_kind() == OUT_OF_MEMORY:
                raise RunFailed(OUT_OF_MEMORY, e.message, hint=LESS_MEMORY) from e
            raise

    def flags(self) -> set[str]:
        return set(self._client.flags)

    def facts(self) -> dict[str, Scalar]:
        found = {**self._facts(), **self._client.facts()}
        if "peak_memory_bytes.cpu" not in found and (peak := self._peak()) is not None:
            found["peak_memory_bytes.cpu"] = peak
        return found

    def nll(self, token_ids: list[int]) -> float | None:
        return self._nll(token_ids)

    def likelihoods(self, pieces: Sequence[Passage]) -> list[Scored] | None:
        return self._likelihoods(pieces)

    def close(self) -> None:
        if self._server is not None:
            self._server.stop()

    def _peak(self) -> int | None:
        if self._server is not None:
            return resident_bytes(self._server.members())
        assert self._others is not None
        self._others.cpu_time_ns()
        return resident_bytes(self._others.members())


def start(
    command: ServerCommand,
    make: Callable[[Server], ServedEngine],
) -> ServedEngine:
    """Start the server, wait until it is ready and make the engine of it. If anything goes wrong,
    or the agent is stopped meanwhile, nothing of the server is left."""
    server = Server(command)
    try:
        server.wait_ready()
        return make(server)
    except BaseException:
        server.stop()
        raise
