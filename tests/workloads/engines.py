"""Engines without a model, whose every step is known: what the real ones must look like."""

from dataclasses import dataclass

from lem.workloads.load import Sink, Source
from lem.workloads.requests import Request


@dataclass
class Clock:
    """A clock that moves only when it is told to. Nanoseconds."""

    now: int = 0

    def __call__(self) -> int:
        return self.now

    def pass_s(self, seconds: float) -> None:
        self.now += round(seconds * 1e9)


class StaticEngine:
    """Whole batches: ``prefill_s``, then a token for every row each ``step_s``."""

    atomic_batches = True

    def __init__(self, clock: Clock, batch: int, prefill_s: float = 1.0, step_s: float = 0.1):
        self.clock, self.batch, self.prefill_s, self.step_s = clock, batch, prefill_s, step_s

    def serve(self, source: Source, sink: Sink) -> None:
        while (taken := source.take(self.batch, 0)) is not None:
            self.clock.pass_s(self.prefill_s)
            for step in range(max((r.output_tokens for r in taken), default=0)):
                self.clock.pass_s(self.step_s)
                for r in taken:
                    if step < r.output_tokens:
                        sink.token(r.id)
            for r in taken:
                sink.done(r.id, "")


class SlotEngine:
    """Continuous batching: a joining request costs ``prefill_s`` before the next step, and every
    step is one token for every slot. Asks the source at each step."""

    atomic_batches = False

    def __init__(self, clock: Clock, slots: int, prefill_s: float = 0.25, step_s: float = 0.1):
        self.clock, self.slots, self.prefill_s, self.step_s = clock, slots, prefill_s, step_s

    def serve(self, source: Source, sink: Sink) -> None:
        left: dict[str, int] = {}
        dry = False
        while True:
            taken: list[Request] | None = None
            if not dry:
                taken = source.take(self.slots - len(left), len(left))
                dry = taken is None
            for r in taken or ():
                left[r.id] = r.output_tokens
                self.clock.pass_s(self.prefill_s)
            if not left:
                if dry:
                    return
                continue
            self.clock.pass_s(self.step_s)
            for name in list(left):
                sink.token(name)
                left[name] -= 1
                if not left[name]:
                    del left[name]
                    sink.done(name, "")
