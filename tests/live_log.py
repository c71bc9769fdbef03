"""A made-up campaign as those who watch it are told of it: events in batches, by code."""

import math
import random
from collections.abc import Iterator
from typing import NamedTuple

from lem.contract.live import (
    Begin,
    Campaign,
    End,
    Interval,
    LiveEvent,
    PhaseBegins,
    Plan,
    Power,
    Row,
    ShownArm,
    State,
    Table,
    Text,
    Tokens,
    Window,
)

BEGAN = 1_764_252_000_000
"""Milliseconds since the epoch."""
SENTENCES = (
    "The energy of an answer depends on how many are written at once.",
    "A batch of sixteen reads the model's weights once for sixteen tokens.",
    "So the same words can cost a fraction of the energy.",
    "Each token is drawn from what the model holds to be likely next.",
    "Measured over a window, power becomes energy; divided by tokens, a price.",
    "Nothing here is promised: the intervals say how sure the figures are.",
)
HOSTILE = (
    "<script>window.hit = 1</script><img src=x onerror='window.hit = 1'>",
    "[a link](javascript:window.hit=1) **bold** https://example.invalid/ &lt;b&gt;",
    "safe \u202egnp.exe\u2066 \u200bzero\u0007width\u001b[31mred",
    "Z\u0301\u0302\u0303\u0304\u0305\u0306\u0307algo",
    "two\nlines\r\nthree",
    "</script></textarea><svg onload='window.hit = 1'>",
)


class Shape(NamedTuple):
    """What a made-up campaign is like. Times in seconds."""

    arms: int = 4
    blocks: int = 3
    gpus: int = 2
    rate: float = 10.0
    """Samples of each device a second."""
    load_s: float = 3.0
    warm_up_s: float = 4.0
    idle_s: float = 3.0
    window_s: float = 12.0
    batch_s: float = 0.5
    """How much time there is in one batch."""
    faults: bool = True
    """Whether a run fails, one is void and one does not count."""
    hostile: bool = False
    """Whether answers try something."""
    estimated: bool = False
    name: str = "batching, small models"
    seed: int = 7


PLAIN = Shape()


def events(shape: Shape = PLAIN) -> Iterator[LiveEvent]:
    """All that a runner says, in the order of time."""
    return _Made(shape).events()


def batches(shape: Shape = PLAIN) -> Iterator[list[LiveEvent]]:
    """The same, in pieces of so much time."""
    piece: list[LiveEvent] = []
    until = BEGAN + 1000 * shape.batch_s
    for event in events(shape):
        if event.at >= until and piece:
            yield piece
            piece = []
            until = event.at + 1000 * shape.batch_s
        piece.append(event)
    if piece:
        yield piece


def log(shape: Shape = PLAIN, *, done: bool = True) -> Iterator[tuple[int, int, list[LiveEvent]]]:
    """As a server keeps it: fence, number, events. ``done``: whether it is told that it ended."""
    yield 0, 0, [_state("queued", BEGAN - 8000)]
    yield 0, 1, [_state("claimed", BEGAN - 3000, "by bench-1")]
    last = BEGAN
    for number, piece in enumerate(batches(shape)):
        last = piece[-1].at
        yield 1, number, piece
    if done:
        yield 0, 2, [_state("done", last + 500)]


def batch_of(arm: int) -> int:
    return 4**arm


class _Made:
    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.chance = random.Random(shape.seed)
        self.now = float(BEGAN)
        self.found: dict[int, list[float]] = {}
        self.request = 0

    @property
    def at(self) -> int:
        return round(self.now)

    def events(self) -> Iterator[LiveEvent]:
        s = self.shape
        yield _state("staging", self.at, "resolving the model")
        self.now += 2000
        yield Campaign(at=self.at, name=s.name, arms=[_arm(i) for i in range(s.arms)], baseline=0)
        yield _state("running", self.at)
        for block in range(s.blocks):
            yield self.plan(block)
            order = list(range(s.arms))
            self.chance.shuffle(order)
            for arm in order:
                yield from self.attempts(arm, block)
            yield self.table(provisional=True)
        self.now += 200
        yield self.plan(s.blocks)
        yield self.table(provisional=False)

    def plan(self, block: int) -> Plan:
        s = self.shape
        return Plan(
            at=self.at,
            blocks=s.blocks,
            pilot=block == 0,
            reason="three blocks bring the interval of the ratio below the wish",
            left=s.arms * (s.blocks - block),
            block=block if block < s.blocks else None,
        )

    def attempts(self, arm: int, block: int) -> Iterator[LiveEvent]:
        faults = self.shape.faults
        if faults and (arm, block) == (1, 1):
            yield from self.run(arm, block, 0, "void")
            yield from self.run(arm, block, 1, "info")
        elif faults and (arm, block) == (self.shape.arms - 1, 1):
            yield from self.run(arm, block, 0, "failure")
        elif faults and (arm, block) == (0, 2):
            yield from self.run(arm, block, 0, "exclude")
        else:
            yield from self.run(arm, block, 0, "info")

    def run(self, arm: int, block: int, attempt: int, outcome: str) -> Iterator[LiveEvent]:
        s = self.shape
        self.now += 300
        meter = _Meter(s, self.chance, arm)
        answers = _Answers(s, self.chance, arm, self.request)
        yield Begin(at=self.at, arm=arm, block=block, attempt=attempt)
        phases = [("load", s.load_s), ("warm_up", s.warm_up_s), ("idle", s.idle_s)]
        phases += [("window", s.window_s), ("quality", 1.0)]
        for phase, seconds in phases:
            yield PhaseBegins.model_validate({"at": self.at, "phase": phase})
            measured = phase == "window"
            if measured:
                yield Window(at=self.at, n=0, begins=True, tokens=0)
            if phase == "load":
                self.now += 1000 * seconds
                continue
            for _ in range(round(seconds * s.rate)):
                self.now += 1000 / s.rate
                yield from meter.sample(self.at, phase)
                yield from answers.go_on(self.at, phase, 1 / s.rate)
            if measured:
                yield Window(at=self.at, n=0, begins=False, tokens=answers.window_tokens)
                answers.measured = True
            if outcome == "failure" and phase == "warm_up":
                yield _failed(self.at, arm, block, attempt)
                return
        self.request = answers.request
        yield self.ended(arm, block, attempt, outcome, meter, answers)

    def ended(
        self, arm: int, block: int, attempt: int, outcome: str, meter: "_Meter", said: "_Answers"
    ) -> End:
        name = "estimated" if self.shape.estimated else "gpu"
        each = sum(meter.window_j[d] for d in meter.classed(name)) / max(1, said.window_tokens)
        if outcome == "info":
            self.found.setdefault(arm, []).append(each)
        return End.model_validate(
            {
                "at": self.at,
                "arm": arm,
                "block": block,
                "attempt": attempt,
                "outcome": "record",
                "consequence": outcome,
                "message": "" if outcome == "info" else "throttled: a board slowed itself down",
                "energy_per_output_token_j": {name: _interval(each, 0.02 * each).model_dump()},
                "output_tokens": said.window_tokens,
                "output_throughput_tokens_per_s": said.window_tokens / self.shape.window_s,
            }
        )

    def table(self, *, provisional: bool) -> Table:
        means = {arm: sum(f) / len(f) for arm, f in self.found.items()}
        rows = []
        for arm in range(self.shape.arms):
            found = self.found.get(arm)
            if not found:
                row = Row(arm=arm, blocks=0, energy_per_output_token_j=None, ratio=None)
            else:
                width = 0.12 / len(found) ** 1.5 + 0.01
                value = _interval(means[arm], width * means[arm] if len(found) > 1 else None)
                ratio = means[arm] / means[0] if arm and 0 in means else None
                both = None if ratio is None else _interval(ratio, width * ratio)
                row = Row(arm=arm, blocks=len(found), energy_per_output_token_j=value, ratio=both)
            rows.append(row)
        return Table(
            at=self.at,
            provisional=provisional,
            device_class="estimated" if self.shape.estimated else "gpu",
            estimated=self.shape.estimated,
            level=0.95,
            rows=rows,
        )


class _Meter:
    """Power as of a board: little at rest, more with more at once, and never quite the same."""

    def __init__(self, shape: Shape, chance: random.Random, arm: int) -> None:
        self.shape, self.chance, self.arm = shape, chance, arm
        names = ["process"] if shape.estimated else [f"gpu{i}" for i in range(shape.gpus)]
        self.devices = names if shape.estimated else [*names, "cpu0"]
        self.j = dict.fromkeys(self.devices, 0.0)
        self.window_j = dict.fromkeys(self.devices, 0.0)
        self.begun = False
        self.measured = False

    def classed(self, name: str) -> list[str]:
        return [d for d in self.devices if name == "estimated" or d.startswith(name)]

    def sample(self, at: int, phase: str) -> Iterator[Power]:
        for i, device in enumerate(self.devices):
            w = self.power(device, phase, at + 700 * i)
            more = w / self.shape.rate if self.begun else 0.0
            self.measured = self.measured or phase == "window"
            self.j[device] += more
            if phase == "window":
                self.window_j[device] += more
            yield Power(
                at=at,
                device=device,
                device_class="estimated" if self.shape.estimated else device.rstrip("0123456789"),
                estimated=self.shape.estimated,
                w=round(w, 3),
                j=round(self.j[device], 3),
                window_j=round(self.window_j[device], 3) if self.measured else None,
            )
        self.begun = True

    def power(self, device: str, phase: str, t: int) -> float:
        if device.startswith("cpu") or self.shape.estimated:
            base = 48.0 if phase != "idle" else 21.0
            return base + self.chance.gauss(0, 1.2)
        if phase == "idle":
            return 68 + self.chance.gauss(0, 0.8)
        wave = 9 * math.sin(t / 900) + 5 * math.sin(t / 217)
        return min(690.0, 210 + 95 * self.arm + wave + self.chance.gauss(0, 4))


class _Answers:
    """Several answers at once, a few words at a time."""

    def __init__(self, shape: Shape, chance: random.Random, arm: int, request: int) -> None:
        self.shape, self.chance, self.arm, self.request = shape, chance, arm, request
        self.open: dict[str, list[str]] = {}
        self.tokens = 0.0
        self.window_tokens = 0
        self.measured = False
        self.since = 0.0

    def go_on(self, at: int, phase: str, seconds: float) -> Iterator[LiveEvent]:
        if phase not in ("warm_up", "window"):
            return
        per_s = 38 * batch_of(self.arm) ** 0.82
        before = int(self.tokens)
        self.tokens += per_s * seconds
        if phase == "window":
            self.window_tokens += int(self.tokens) - before
        self.since += seconds
        if self.since < 0.5:
            return
        self.since = 0.0
        so_far = self.window_tokens if self.measured or phase == "window" else None
        yield Tokens(at=at, n=int(self.tokens), per_s=round(per_s, 1), window_n=so_far)
        while len(self.open) < min(3, batch_of(self.arm)):
            self.open[f"r{self.request}"] = self.words()
            self.request += 1
        for request, words in list(self.open.items()):
            piece, rest = words[:8], words[8:]
            yield Text(at=at, request=request, text="".join(piece), end=not rest)
            if rest:
                self.open[request] = rest
            else:
                del self.open[request]

    def words(self) -> list[str]:
        """Of one answer: without its pieces' ends it is one text."""
        if self.shape.hostile:
            return [f"{HOSTILE[self.request % len(HOSTILE)]} "]
        chosen = self.chance.sample(SENTENCES, 4)
        return [f"{word} " for word in " ".join(chosen).split()]


def _arm(i: int) -> ShownArm:
    size = batch_of(i)
    return ShownArm(
        arm_id=f"{i:064x}",
        experiment_id=f"{i:064x}",
        label=f"engine.max_batch_size={size}",
        backend="vllm",
        model="Qwen/Qwen3-0.6B",
        settings={"engine.max_batch_size": size},
        requests="5" * 64,
    )


def _failed(at: int, arm: int, block: int, attempt: int) -> End:
    return End(
        at=at,
        arm=arm,
        block=block,
        attempt=attempt,
        outcome="failure",
        failure="out_of_memory",
        message="the engine ran out of GPU memory",
    )


def _interval(value: float, u: float | None) -> Interval:
    if u is None:
        return Interval(value=value)
    return Interval(value=value, low=max(0.0, value - u), high=value + u)


def _state(state: str, at: int, message: str = "") -> State:
    return State.model_validate({"at": at, "state": state, "message": message})


__all__ = ["BEGAN", "HOSTILE", "Shape", "batch_of", "batches", "events", "log"]
