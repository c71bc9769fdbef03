"""A backend that needs no engine: it "generates" tokens by burning a little CPU time.

Also the example of a backend outside lem's own tree. Its arguments (``args`` of the experiment):

- ``static``: whole batches, one after another, instead of requests that come and go
- ``token_ms``: time per step, half of it burnt, half of it slept (default 1)
- ``paced``: steps keep time, so that tokens per second don't depend on how busy the machine is:
  what made one late, the next ones make up
- ``echo``: answer with what stands behind the last ``say `` of the prompt
- ``spoken``: let who watches read answers while they are generated
- ``silent``: tell no likelihoods
- ``forget``: answer with nonsense where this divides the number of the request
- ``hang``: stop answering, deaf to SIGTERM
- ``crash_signal``: kill this process with that signal
- ``eat_memory``: take memory until there is none
- ``raise``: raise a RuntimeError with this message
- ``exit_code``: leave the interpreter at once, without clean-up
- ``print``: say this on standard output
- ``print_variable``: print this environment variable
- ``load_library``: load this library by its name
- ``print_bytes``: print this many bytes, in lines
- ``probe``: print what this process is allowed, as one line of JSON
- ``unknown`` (any other argument): rejected by ``reject``
- ``when``: where the fault strikes: ``load``, or ``serve`` (default)
- ``after_tokens``: for ``serve``: after so many output tokens (default 0)
"""

import ctypes
import json
import math
import os
import resource
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lem.backends.protocol import Load, ScoredBy
from lem.contract.base import Scalar
from lem.contract.job import Job, Rejection
from lem.contract.spec import ModelSpec
from lem.workloads.likelihood import Passage, Scored
from lem.workloads.load import Sink, Source
from lem.workloads.requests import Message, Request, plain_chat
from lem.workloads.spoken import pieces

KNOWN = {
    "static",
    "paced",
    "echo",
    "spoken",
    "silent",
    "forget",
    "token_ms",
    "hang",
    "crash_signal",
    "eat_memory",
    "raise",
    "exit_code",
    "print",
    "load_library",
    "print_variable",
    "print_bytes",
    "probe",
    "when",
    "after_tokens",
}
VOCABULARY = 300


class Bytes:
    """A tokenizer with one token a byte."""

    vocabulary = VOCABULARY
    special_ids = frozenset({256})

    def encode(self, text: str, chat: bool) -> list[int]:
        return ([256] if chat else []) + list(text.encode())

    def chat(self, messages: list[Message]) -> list[int]:
        return self.encode(plain_chat(messages), True)

    def decode(self, ids: list[int]) -> str:
        return bytes(i for i in ids if i < 256).decode(errors="replace")


class TickEngine:
    scored_by: ScoredBy = "forward pass"

    def __init__(self, args: dict[str, Any], batch_size: int) -> None:
        self.args = args
        self.atomic_batches = bool(args.get("static", False))
        self.batch_size = batch_size
        self.due = 0.0
        self.tokens = 0
        self.asked = 0

    def serve(self, source: Source, sink: Sink) -> None:
        if self.atomic_batches:
            self._serve_batches(source, sink)
        else:
            self._serve_slots(source, sink)

    def _serve_batches(self, source: Source, sink: Sink) -> None:
        while (batch := source.take(self.batch_size, 0)) is not None:
            self.asked += sum(len(r.input_ids) for r in batch)
            for step in range(max((r.output_tokens for r in batch), default=0)):
                self._step()
                for request in batch:
                    if step < request.output_tokens:
                        sink.token(request.id)
                        self.tokens += 1
            for request in batch:
                sink.done(request.id, self._text(request))

    def _serve_slots(self, source: Source, sink: Sink) -> None:
        active: dict[str, tuple[Request, int]] = {}
        spoken: dict[str, list[str]] = {}
        open_to_more = True
        while open_to_more or active:
            if open_to_more:
                arrived = source.take(self.batch_size - len(active), len(active))
                if arrived is None:
                    open_to_more = False
                else:
                    active |= {r.id: (r, 0) for r in arrived}
                    if self.args.get("spoken"):
                        for r in arrived:
                            spoken[r.id] = []
                            sink.answering(r.id, pieces(spoken[r.id]))
                    self.asked += sum(len(r.input_ids) for r in arrived)
            if not active:
                time.sleep(0.001)
                continue
            self._step()
            for key, (request, so_far) in list(active.items()):
                if key in spoken:
                    spoken[key].append("tick ")
                sink.token(key)
                self.tokens += 1
                if so_far + 1 < request.output_tokens:
                    active[key] = (request, so_far + 1)
                else:
                    sink.done(key, self._text(request))
                    del active[key]

    def _text(self, request: Request) -> str:
        forget, number = self.args.get("forget"), request.id[1:]
        if forget and number.isdigit() and int(number) % int(forget) == 0:
            return "tock " * request.output_tokens
        if self.args.get("echo"):
            return Bytes().decode(request.input_ids).rpartition("say ")[2]
        return "tick " * request.output_tokens

    def _step(self) -> None:
        if self.args.get("when", "serve") == "serve" and self.tokens >= int(
            self.args.get("after_tokens", 0)
        ):
            fault(self.args)
        half_s = float(self.args.get("token_ms", 1)) / 2000
        if self.args.get("paced"):
            now = time.perf_counter()
            # What is later than two steps was a pause, such as an idle phase.
            self.due = max(self.due, now - 4 * half_s) + 2 * half_s
            time.sleep(max(0.0, self.due - now))
            return
        end = time.perf_counter() + half_s
        while time.perf_counter() < end:
            pass
        time.sleep(half_s)

    def facts(self) -> dict[str, Scalar]:
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return {
            "device": "cpu",
            "dtype": "none",
            "threads": 1,
            "max_model_len": 100_000,
            "prefix_cache_query_tokens": self.asked,
            "prefix_cache_hit_tokens": self.asked // 4,
            "peak_memory_bytes.cpu": used,
        }

    def nll(self, token_ids: list[int]) -> float | None:
        return math.log(VOCABULARY)

    def likelihoods(self, pieces: Sequence[Passage]) -> list[Scored] | None:
        """A nat for each token, a tenth of one where they are what stands behind the last ``say ``
        of the context."""
        if self.args.get("silent"):
            return None
        return [self._scored(p) for p in pieces]

    def _scored(self, piece: Passage) -> Scored:
        self._step()
        text = Bytes().decode(piece.ids[: piece.start]).rpartition("say ")[2]
        expected = Bytes().decode(piece.scored).strip() == text
        return Scored(-len(piece.scored) * (0.1 if expected else 1.0), expected)

    def close(self) -> None:
        pass


class Tick:
    name = "tick"
    distribution = "lem-tick"
    libraries: tuple[str, ...] = ()
    loads: tuple[Load, ...] = ("offline", "served")

    def prepare(self, model: ModelSpec, source: Path | None, target: Path, trust: bool) -> str:
        (target / "tick.json").write_text(json.dumps({"model": model.id}))
        return "tick.json"

    def tokenizer(self, path: Path) -> Bytes:
        json.loads(path.read_text())
        return Bytes()

    def reject(self, job: Job) -> list[Rejection]:
        return [
            Rejection(
                arm_id=job.arm_id,
                argument=f"args.{name}",
                message=f"tick has no argument {name!r}",
            )
            for name in job.experiment.args
            if name not in KNOWN
        ]

    def load(self, job: Job) -> TickEngine:
        json.loads(Path(job.model).read_text())
        args = dict(job.experiment.args)
        speak(args)
        if args.get("when") == "load":
            fault(args)
        size = job.experiment.engine.get("max_batch_size", 8)
        return TickEngine(args, size if isinstance(size, int) else 8)


def speak(args: dict[str, Any]) -> None:
    """Print what the arguments ask for."""
    if "print" in args:
        print(args["print"], flush=True)
    if "load_library" in args:
        ctypes.CDLL(args["load_library"])
        print(f"loaded {args['load_library']}", flush=True)
    if "print_variable" in args:
        print(f"it is {os.environ.get(args['print_variable'])}", flush=True)
    for n in range(int(args.get("print_bytes", 0)) // 100):
        print(f"{n:099d}")
    if args.get("probe"):
        print(json.dumps(probe()), flush=True)


def probe() -> dict[str, Any]:
    """What this process is, sees and may do."""
    status = dict(
        line.split(":\t", 1)
        for line in Path("/proc/self/status").read_text().splitlines()
        if ":\t" in line
    )
    return {
        "uid": os.getuid(),
        "gid": os.getgid(),
        "capabilities": [int(status[k], 16) for k in ("CapEff", "CapPrm", "CapBnd", "CapAmb")],
        "no_new_privileges": status["NoNewPrivs"] == "1",
        "interfaces": sorted(p.name for p in Path("/sys/class/net").iterdir()),
        "connects": connects(),
        "writable": [
            p for p in ("/", "/etc", "/usr", "/models", "/requests", "/source") if writable(p)
        ],
        "environ": dict(os.environ),
        "parent": os.getppid(),
    }


def connects() -> bool:
    """Whether a packet can leave: 192.0.2.0/24 is nobody's, but a route to it is a way out."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect(("192.0.2.1", 9))
            return True
    except OSError:
        return False


def writable(folder: str) -> bool:
    try:
        (Path(folder) / ".probe").write_text("")
        (Path(folder) / ".probe").unlink()
    except OSError:
        return False
    return True


def fault(args: dict[str, Any]) -> None:
    """Do the harm that the arguments ask for, if any."""
    if args.get("hang"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        while True:
            time.sleep(3600)
    if "crash_signal" in args:
        os.kill(os.getpid(), int(args["crash_signal"]))
    if args.get("eat_memory"):
        eaten = []
        while True:
            eaten.append(os.urandom(1) * 2**24)
    if "raise" in args:
        raise RuntimeError(str(args["raise"]))
    if "exit_code" in args:
        os._exit(int(args["exit_code"]))


plugin = Tick
