"""How many requests vLLM needs in its queue where its core works a step ahead of who drives it.

The engine's steps are known here. With twice as many requests as it has slots windows stay right
and it never runs short.
"""

import random
import statistics

from lem.workloads.load import Log, Sink, Source
from lem.workloads.requests import Request
from lem.workloads.sources import Backlog
from lem.workloads.steady import Phase
from lem.workloads.stock import Stock
from tests.workloads.engines import Clock

SLOTS = 8
STEP_S, PREFILL_S = 0.1, 0.25


class StepAhead:
    """Continuous batching whose next step is planned before the last one's tokens are seen."""

    def __init__(self, clock: Clock, room: int) -> None:
        self.clock, self.room = clock, room

    def serve(self, source: Source, sink: Sink) -> None:
        waiting: list[Request] = []
        running: dict[str, int] = {}
        known: set[str] = set()
        unseen: list[list[tuple[str, bool]]] = []
        dry = False
        while not dry or known:
            if not dry:
                taken = source.take(self.room - len(known), len(known))
                dry = taken is None
                waiting += taken or []
                known |= {r.id for r in taken or ()}
            while waiting and len(running) < SLOTS:
                request = waiting.pop(0)
                running[request.id] = request.output_tokens
                self.clock.pass_s(PREFILL_S)
            self.clock.pass_s(STEP_S)
            running = {name: left - 1 for name, left in running.items()}
            unseen.append([(name, left == 0) for name, left in running.items()])
            running = {name: left for name, left in running.items() if left}
            while len(unseen) > (1 if running or waiting else 0):
                for name, ended in unseen.pop(0):
                    sink.token(name)
                    if ended:
                        known.discard(name)
                        sink.done(name, "")


def window(room: int, lengths: tuple[int, int], seed: int) -> tuple[float, float]:
    """Output tokens for each prefill in the window ÷ the true number, and tokens per second."""
    draw = random.Random(seed)
    requests = [Request(f"r{i}", [1] * 100, draw.randint(*lengths), "") for i in range(3000)]
    clock = Clock()
    log = Log(clock=clock)
    phase = Phase(
        Backlog(Stock(requests), log), log, atomic=False, window_s=20, on_edge=clock, clock=clock
    )
    StepAhead(clock, room).serve(phase, log)
    (found,) = phase.windows
    true = statistics.mean(r.output_tokens for r in requests)
    return found.output_tokens / (found.input_tokens / 100) / true, found.tokens_per_s


def test_equal_answers_that_all_end_in_one_step() -> None:
    """Every answer: 8 prefills of 0.25 s and 20 steps of 0.1 s for 160 tokens."""
    share, rate = window(2 * SLOTS, (20, 20), 1)
    assert (share, round(rate, 6)) == (1.0, 160 / (8 * PREFILL_S + 20 * STEP_S))


def test_unequal_answers_leave_no_slot_idle() -> None:
    twice = [window(2 * SLOTS, (5, 35), seed) for seed in range(40)]
    once = [window(SLOTS, (5, 35), seed) for seed in range(40)]
    assert abs(statistics.mean(share for share, _ in twice) - 1) < 0.02
    # A slot that is free for the step in which nobody knows of it yet is lost work.
    assert statistics.mean(r for _, r in twice) > 1.01 * statistics.mean(r for _, r in once)
