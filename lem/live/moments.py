"""What happens in a campaign, told to whoever watches it: moments become live events.

Whatever an agent says of itself is believed for the eye alone, and only within bounds: so many
events, so much text, and figures that can be.
"""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

from lem.analysis.results import Campaign as Results
from lem.campaign.execute import Moment
from lem.campaign.plan import Run
from lem.contract.base import Scalar
from lem.contract.event import Event
from lem.contract.event import Phase as PhaseName
from lem.contract.failure import Failure
from lem.contract.flags import FLAGS, worst
from lem.contract.live import (
    MAX_TEXT,
    Begin,
    Campaign,
    End,
    Flag,
    Interval,
    LiveEvent,
    PhaseBegins,
    Plan,
    ShownArm,
    Text,
)
from lem.contract.lock import Arm, Lock
from lem.contract.record import Record, Value
from lem.errors import LemError
from lem.live.allowance import Allowance
from lem.live.so_far import RunSoFar, amount, is_class
from lem.live.tables import tables, with_uncertainty
from lem.stores.counted import ended_by_itself
from lem.stores.hardware import hardware

LOCK = "campaign.lock.json"
PHASES: tuple[PhaseName, ...] = get_args(PhaseName)
MAX_ARMS = 1000
MAX_SETTINGS = 50
MAX_ARMS_BYTES = 300 * 1024
"""Of all arms together; beyond it their settings are left out."""
MAX_FLAGS = 50
MAX_CLASSES = 8
MAX_METERS = 100
"""Characters of the names of a class's meters."""
EVENTS_PER_S, EVENTS_AT_ONCE = 300.0, 600.0
TEXT_PER_S, TEXT_AT_ONCE = 20_000.0, 40_000.0
"""Characters of answers."""
PHASES_OF_A_RUN = 200
ENERGY = "energy_per_output_token_j"
THROUGHPUT = "output_throughput_tokens_per_s"
LONG_NS, TABLE_SHARE = 2 * 10**9, 50
"""A table that takes longer is worked out anew only once so many times that time has passed."""


class Translator:
    """Of one campaign folder. May be called from several threads; raises nothing for what an agent
    says, however wrong it is.

    ``wall_ns``: nanoseconds since the epoch. ``monotonic_ns``: the clock of an agent's events.
    """

    def __init__(
        self,
        folder: Path,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._folder = folder
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._lock = threading.Lock()
        self._places: dict[str, int] = {}
        """Arm → its number."""
        self._grows = False
        self._run = RunSoFar(0, 0)
        self._events = Allowance(EVENTS_PER_S, EVENTS_AT_ONCE)
        self._text = Allowance(TEXT_PER_S, TEXT_AT_ONCE)
        self._block: int | None = None
        """Of the last run that ended."""
        self._new = True
        """Whether something ended since the last table; runs from before count."""
        self._first = True
        """Whether no plan was told yet."""
        self._table_next_ns = 0

    def events(self, moment: Moment) -> list[LiveEvent]:
        """What viewers are told of this moment, in order; nothing where it is of no interest."""
        with self._lock:
            at = self._now()
            told = self._arms_told(moment, at)
            if moment.kind == "plan" or (moment.kind == "over" and self._grows):
                told += self._plan(moment, at)
            elif moment.kind == "begin":
                told += self._begin(moment, at)
            elif moment.kind == "event" and moment.event is not None:
                told += self._event(moment.event, at)
            elif moment.kind == "end":
                told += self._end(moment, at)
            return told

    def standing(self) -> list[LiveEvent]:
        """How a campaign stands of which no run is made any more: what there was to run, and the
        comparison. Empty where it was not begun."""
        with self._lock:
            at = self._now()
            arms = self._read_arms(at)
            return [*arms, *tables(self._folder, self._places, at, over=True)] if arms else []

    def _now(self) -> int:
        return self._wall_ns() // 10**6

    def _arms_told(self, moment: Moment, at: int) -> list[LiveEvent]:
        """The campaign, where it was not told yet or has grown."""
        unknown = moment.arm is not None and moment.arm.arm_id not in self._places
        grown = self._grows and moment.kind == "plan"
        return self._read_arms(at) if not self._places or unknown or grown else []

    def _read_arms(self, at: int) -> list[LiveEvent]:
        try:
            lock = Lock.read(self._folder / LOCK)
        except LemError:
            return []
        arms = lock.arms[:MAX_ARMS]
        if len(arms) == len(self._places):
            return []
        self._places = {a.arm_id: i for i, a in enumerate(arms)}
        self._grows = lock.adaptive is not None
        told = Campaign(
            at=at,
            name=_short(lock.name),
            arms=[shown(a) for a in arms],
            baseline=self._places.get(lock.baseline, 0),
        )
        if len(told.model_dump_json()) > MAX_ARMS_BYTES:
            bare = [a.model_copy(update={"settings": {}}) for a in told.arms]
            told = told.model_copy(update={"arms": bare})
        return [told]

    def _plan(self, moment: Moment, at: int) -> list[LiveEvent]:
        todo = moment.plan
        told: list[LiveEvent] = []
        # Where experiments are chosen as it goes, more may come once all of these are made.
        is_over = not todo.runs and (not self._grows or moment.kind == "over")
        is_new = self._new and (not todo.runs or todo.runs[0].block != self._block)
        if is_new or moment.kind == "over":
            told += self._tables(at, is_over)
        plan = Plan(
            at=at,
            blocks=min(todo.blocks, 10**8),
            pilot=not todo.decision.final or (self._grows and not is_over),
            reason=todo.decision.reason[:MAX_TEXT],
            left=len(todo.runs),
            block=todo.runs[0].block if todo.runs else None,
        )
        stands = self._begun_before(todo.runs, at) if self._first else []
        self._first = False
        return [plan, *stands, *told]

    def _begun_before(self, missing: Sequence[Run], at: int) -> list[LiveEvent]:
        """How the runs of the first block that is not whole came out that were made before this
        one began: whoever watched another runner of it does not know which of them count."""
        if not missing:
            return []
        block, block_pass = missing[0].block, missing[0].block_pass
        awaited = {r.arm_id for r in missing if r.block == block}
        told: dict[str, LiveEvent] = {}
        try:
            results = Results(self._folder)
            for o in results.outcomes():
                known = o.arm_id in self._places and o.arm_id not in awaited
                if known and (o.block, o.block_pass) == (block, block_pass) and ended_by_itself(o):
                    entry = results.entry(o.path)
                    if (result := entry.record or entry.failure) is not None:
                        run = Run(o.arm_id, o.block, o.block_pass, o.attempt)
                        told[o.arm_id] = _ended(run, self._places[o.arm_id], result, at)
        except LemError:
            return []
        return list(told.values())

    def _tables(self, at: int, is_over: bool) -> list[LiveEvent]:
        began_ns = self._monotonic_ns()
        if began_ns < self._table_next_ns and not is_over:
            return []
        try:
            found = tables(self._folder, self._places, at, is_over)
        except LemError:
            return []
        took_ns = self._monotonic_ns() - began_ns
        self._table_next_ns = began_ns + (TABLE_SHARE * took_ns if took_ns > LONG_NS else 0)
        self._new = False
        return list(found)

    def _begin(self, moment: Moment, at: int) -> list[LiveEvent]:
        run, arm = moment.run, moment.arm
        if run is None or arm is None or arm.arm_id not in self._places:
            return []
        self._run = RunSoFar(at, self._monotonic_ns())
        arm_n = self._places[arm.arm_id]
        return [Begin(at=at, arm=arm_n, block=run.block, attempt=run.attempt)]

    def _end(self, moment: Moment, at: int) -> list[LiveEvent]:
        run, arm, result = moment.run, moment.arm, moment.result
        if run is None or arm is None or arm.arm_id not in self._places or result is None:
            return []
        self._block, self._new = run.block, True
        ended = _ended(run, self._places[arm.arm_id], result, at)
        return [*_flags(result, at), ended] if isinstance(result, Record) else [ended]

    def _event(self, event: Event, now: int) -> list[LiveEvent]:
        monotonic_ns = self._monotonic_ns()
        t_ns = min(monotonic_ns, max(self._run.began_ns, event.t_ns))
        at = min(now, max(self._run.began, now - (monotonic_ns - t_ns) // 10**6))
        if event.kind == "phase":
            name = _phase(event.data.get("phase"))
            self._run.phases += 1
            if name is None or self._run.phases > PHASES_OF_A_RUN:
                return []
            return [PhaseBegins(at=at, phase=name)]
        if event.kind == "window":
            return self._run.window(event.data, t_ns, at)
        seconds = monotonic_ns / 1e9
        if event.kind == "log" or not self._events.take(1, seconds):
            return []
        if event.kind == "sample":
            return self._run.power(event.data, t_ns, at)
        if event.kind == "progress":
            return self._run.tokens(event.data, t_ns, at)
        if event.kind == "text":
            text = str(event.data.get("text", ""))[:MAX_TEXT]
            if not self._text.take(len(text), seconds):
                return []
            ends = event.data.get("end", True) is not False
            request = str(event.data.get("request", ""))[:80]
            return [Text(at=at, request=request, text=text, end=ends)]
        message = str(event.data.get("message", ""))[:MAX_TEXT]
        return [Flag(at=at, flag=_short(str(event.data.get("flag", ""))), message=message)]


def shown(arm: Arm) -> ShownArm:
    """An arm as viewers see it."""
    settings: dict[str, Scalar] = {}
    for path, value in list(arm.settings.items())[:MAX_SETTINGS]:
        settings[_short(path)] = _short(value) if isinstance(value, str) else value
    return ShownArm(
        arm_id=arm.arm_id,
        experiment_id=arm.experiment_id[:64],
        label=_short(arm.label),
        backend=_short(arm.experiment.backend),
        model=_short(arm.experiment.model.id),
        settings=settings,
        requests=arm.experiment.requests_sha256[:80],
    )


def _ended(run: Run, arm: int, result: Record | Failure, at: int) -> End:
    block, attempt = run.block, run.attempt
    if isinstance(result, Failure):
        hint = f" ({result.hint})" if result.hint else ""
        return End(
            at=at,
            arm=arm,
            block=block,
            attempt=attempt,
            outcome="failure",
            failure=result.kind,
            message=f"{result.message}{hint}"[:MAX_TEXT],
        )
    return End(
        at=at,
        arm=arm,
        block=block,
        attempt=attempt,
        outcome="record",
        consequence=worst(result.flags),
        energy_per_output_token_j=_energies(result),
        output_tokens=min(sum(w.output_tokens for w in result.windows), 10**8),
        output_throughput_tokens_per_s=_throughput(result),
        hardware=_made_on(result),
        meters=_meters(result),
    )


def _made_on(record: Record) -> str:
    """In words that differ where runs should not be held against each other: a board under another
    power limit, which the experiment does not ask for, is another board."""
    limits = sorted({g.power_limit_w for g in record.environment.gpus if g.power_limit_w})
    said = hardware(record)
    if limits and record.experiment.device.power_limit_w is None:
        said += f" · limited to {' and '.join(f'{w:.0f}' for w in limits)} W"
    return _short(said)


def _flags(record: Record, at: int) -> list[LiveEvent]:
    return [
        Flag(at=at, flag=_short(f), message=FLAGS[f].meaning if f in FLAGS else "")
        for f in record.flags[:MAX_FLAGS]
    ]


def _energies(record: Record) -> dict[str, Interval]:
    found = record.metrics.get(ENERGY)
    if not isinstance(found, dict):
        return {}
    energies = {}
    for name, value in list(found.items())[:10]:
        interval = with_uncertainty(value.value, value.uncertainty)
        if interval is not None and is_class(name):
            energies[name] = interval
    return energies


def _meters(record: Record) -> dict[str, str]:
    """Device class → meters whose readings its windows' energy is of."""
    found: dict[str, set[str]] = {}
    for reading in (r for w in record.windows for r in w.energy):
        if reading.energy_j is not None and is_class(reading.device_class):
            found.setdefault(reading.device_class, set()).add(reading.meter)
    names = {c: ", ".join(sorted(meters))[:MAX_METERS] for c, meters in sorted(found.items())}
    return dict(list(names.items())[:MAX_CLASSES])


def _throughput(record: Record) -> float | None:
    found = record.metrics.get(THROUGHPUT)
    return amount(found.value) if isinstance(found, Value) else None


def _phase(name: object) -> PhaseName | None:
    return next((p for p in PHASES if p == name), None)


def _short(text: str) -> str:
    return text[:200]
