"""Whether windows lie where the protocol puts them: nobody chose them afterwards."""

from collections.abc import Iterator
from typing import NamedTuple

from lem.contract.event import PHASE_CODES
from lem.contract.record import Record
from lem.contract.workload import Constant, Gamma, Poisson, Search
from lem.trust.case import Case, Check, Found
from lem.workloads import schedules

SLACK_S = 0.005
"""Of lengths: a phase sleeps for as long as it is told, and clocks are read one after the other."""
WAIT_S = 4.0
"""An edge waits for the slowest counter's tick (1.25 s), twice if need be, and the engine asks for
work every 50 ms at least."""
REST_S = 15.0
"""Before a static batch the devices are watched at rest: some ticks, whose period may still have to
be learned."""
MARKED_NS, SLOW_MARKED_NS = 500_000_000, 8_000_000_000
"""After an edge every meter is read at once; some take seconds."""
SLOW_METERS = ("ipmi", "external")
CODES = {code: name for name, code in PHASE_CODES.items()}


class Noted(NamedTuple):
    """A phase as it stands in the trace: until the next one begins, or for good."""

    name: str
    start_ns: int
    end_ns: float


def phases(case: Case) -> list[Noted]:
    rows = [s for s in case.samples if s[1:4] == ("agent", "run", "phase")]
    ends: list[float] = [s.t_ns for s in rows[1:]]
    return [
        Noted(CODES.get(int(s.value), "?"), s.t_ns, end)
        for s, end in zip(rows, [*ends, float("inf")], strict=False)
    ]


def expected(record: Record) -> list[str]:
    """The phases of a run of this measurement, in their order, as the agent notes them."""
    m = record.measurement
    arrival = record.experiment.workload.arrival
    searched = isinstance(arrival, Constant | Poisson | Gamma) and isinstance(arrival.rate, Search)
    rest = ["idle"] if m.idle_s > 0 else []
    if rest and m.settle_s > 0:
        rest.insert(0, "settle")
    return [
        *(["cool_down"] if m.cool_down is not None else []),
        "warm_up",
        *(["search"] if searched else []),
        *rest,
        "window",
        *(["prefill"] if m.prefill_window else []),
        *rest,
        *(["accuracy"] if record.answering is not None else []),
    ]


def in_order(case: Case) -> Found:
    noted = [p.name for p in phases(case)]
    wanted = expected(case.record)
    if noted != wanted:
        yield "phases_disordered", f"{' '.join(noted[:12])}; expected {' '.join(wanted)}"


def as_asked(case: Case) -> Found:
    record, m = case.record, case.record.measurement
    if len(record.windows) != m.windows:
        yield "windows_not_as_asked", f"{len(record.windows)} windows of {m.windows}"
    if len(record.idle) != (2 if m.idle_s > 0 else 0):
        yield "windows_not_as_asked", f"{len(record.idle)} idle phases"
    if (record.prefill is not None) != m.prefill_window:
        yield "windows_not_as_asked", "a prefill window that was not asked for, or none"
    for name, stretch, least_s in _lengths(record):
        seconds = (stretch[1] - stretch[0]) / 1e9
        if seconds < least_s - SLACK_S:
            yield "windows_not_as_asked", f"{name}: {seconds:.3f} s of {least_s:g} s"


def _lengths(record: Record) -> Iterator[tuple[str, tuple[int, int], float]]:
    m = record.measurement
    for i, w in enumerate(record.windows):
        yield f"window {i}", (w.start_ns, w.end_ns), m.window_s
    if record.prefill is not None:
        yield "prefill window", (record.prefill.start_ns, record.prefill.end_ns), m.window_s
    for i, idle in enumerate(record.idle):
        yield f"idle phase {i}", (idle.start_ns, idle.end_ns), m.idle_s


def placed(case: Case) -> Found:
    """Each stretch in its phase, and none over another."""
    record = case.record
    noted = phases(case)
    idles = [p for p in noted if p.name == "idle"]
    pairs: list[tuple[str, tuple[int, int], list[Noted]]] = [
        (f"window {i}", (w.start_ns, w.end_ns), [p for p in noted if p.name == "window"])
        for i, w in enumerate(record.windows)
    ]
    pairs += [
        (f"idle phase {i}", (s.start_ns, s.end_ns), idles[i : i + 1])
        for i, s in enumerate(record.idle)
    ]
    for name, stretch in (("prefill", record.prefill), ("accuracy", record.answering)):
        if stretch is not None:
            span = (stretch.start_ns, stretch.end_ns)
            pairs.append((name, span, [p for p in noted if p.name == name]))
    for name, (start_ns, end_ns), own in pairs:
        if not any(p.start_ns <= start_ns and end_ns <= p.end_ns for p in own):
            yield "windows_misplaced", f"{name} is not inside of its phase"
    last_ns = 0
    for w in record.windows:
        if w.start_ns < last_ns:
            yield "windows_misplaced", "windows lie over each other"
        last_ns = w.end_ns


def not_too_long(case: Case) -> Found:
    """A window ends with the turn that is under way, and the first begins when ramp-up is over: how
    long that may take follows from how long the answers took."""
    record = case.record
    longest_s = max(((r.end_ns or r.sent_ns) - r.sent_ns for r in case.responses), default=0) / 1e9
    m = record.measurement
    own = record.whole_batches
    room_s = 3 * longest_s + WAIT_S
    for name, (start_ns, end_ns), least_s in _lengths(record):
        seconds = (end_ns - start_ns) / 1e9
        if seconds > least_s + (room_s if "idle" not in name else WAIT_S):
            yield "window_too_long", f"{name}: {seconds:.2f} s of {least_s:g} s"
    begun = next((p.start_ns for p in phases(case) if p.name == "window"), None)
    if begun is None:
        return
    late_s = (record.windows[0].start_ns - begun) / 1e9
    allowed_s = m.settle_s + REST_S if own else 4 * longest_s + WAIT_S
    if schedules.is_open(record.experiment.workload.arrival):
        turns = getattr(record.experiment.workload.dataset, "turns", None) or 1
        allowed_s += m.window_s / 2 + 3 * turns * longest_s
    if late_s > allowed_s:
        yield "window_late", f"{late_s:.1f} s after its phase began"


def marked(case: Case) -> Found:
    """After an edge that the meters were asked for, all of them were read at once."""
    record = case.record
    full = sorted(
        s.t_ns
        for s in case.samples
        if s.meter == "estimate" and s.quantity in ("host_busy_ns", "cpu_time_ns")
    )
    if not full:
        return
    edges = [
        (f"idle phase {i}", t) for i, s in enumerate(record.idle) for t in (s.start_ns, s.end_ns)
    ]
    if not record.whole_batches:
        every = [*record.windows, *([] if record.prefill is None else [record.prefill])]
        edges += [("window", t) for w in every for t in (w.start_ns, w.end_ns)]
    slow = any(m.meter in SLOW_METERS for m in record.meters)
    reach_ns = SLOW_MARKED_NS if slow else MARKED_NS
    for name, t in edges:
        if not any(t <= read <= t + reach_ns for read in full):
            yield "edge_unmarked", f"{name}: nothing was read within {reach_ns / 1e9:g} s after it"


def whole_batches(case: Case) -> Found:
    """All of an engine's static batches are in some window: what lies between is rest."""
    record = case.record
    if not record.whole_batches:
        return
    begun = next((p for p in phases(case) if p.name == "window"), None)
    if begun is None:
        return
    windows = [(w.start_ns, w.end_ns) for w in record.windows]
    for r in case.responses:
        # A client may have sent it while the devices were watched at rest.
        first_ns, end_ns = (r.token_ns or [r.end_ns or r.sent_ns])[0], r.end_ns or r.sent_ns
        if not begun.start_ns <= first_ns < begun.end_ns:
            continue
        if not any(a <= first_ns and end_ns <= b for a, b in windows):
            yield "work_outside_windows", f"request {r.request.id[:40]}"
            return


CHECKS: tuple[Check, ...] = (in_order, as_asked, placed, not_too_long, marked, whole_batches)
