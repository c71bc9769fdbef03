"""What a run has come to so far, by what its agent tells: energy and tokens, of all of it and of
its measured windows alone.

Everything is counted by the agent's monotonic clock. Edges of windows become known some tenths of
a second after their time, so what came lately is kept.
"""

from collections import deque
from typing import Any

from lem.contract.live import LiveEvent, Power, Tokens, Window

MOST = 1e15
MOST_TOKENS = 10**8
MAX_DEVICES = 32
MAX_EDGES = 2000
ESTIMATED = "estimated"
GAP_NS = 1_500_000_000
"""Where nothing was read for longer, or for two of the meter's periods, nothing is known: a device
at rest is not told of."""
LONGEST_PERIOD_S = 60.0
KEPT = 64
"""Of the latest readings: some seconds of them."""


class Joules:
    """Of one device: its power, integrated by the trapezoidal rule."""

    def __init__(self, period_s: float = 0.0) -> None:
        self._gap_ns = max(GAP_NS, int(2 * min(period_s, LONGEST_PERIOD_S) * 1e9))
        self.total = 0.0
        """Since the first reading; without gaps, in which nothing was read."""
        self.windows = 0.0
        self.is_whole = True
        """Whether all of the windows until now was read: tokens of what was not go on to count."""
        self._before = 0.0
        """In the windows that have ended."""
        self._begin_ns: int | None = None
        """Of the window that goes on."""
        self._read_ns = 0
        """When its meter was read last; power is told more often than that."""
        self._kept: deque[tuple[int, float, float]] = deque(maxlen=KEPT)
        """Readings: time, power, and the energy in windows until then."""

    def read(self, t_ns: int, watts: float) -> None:
        """A reading that is later than those before."""
        if self._kept:
            then_ns, before, _ = self._kept[-1]
            if 0 < t_ns - then_ns <= self._gap_ns:
                self.total = min(MOST, self.total + (before + watts) / 2 * (t_ns - then_ns) / 1e9)
        self._keep(t_ns, watts)

    def _keep(self, t_ns: int, watts: float) -> None:
        if self._begin_ns is not None and t_ns > self._begin_ns:
            then_ns, before = self._begin_ns, watts
            if self._kept and self._kept[-1][0] >= self._begin_ns:
                then_ns, before, _ = self._kept[-1]
            joules = (before + watts) / 2 * max(0, t_ns - then_ns) / 1e9
            if t_ns - then_ns <= self._gap_ns:
                self.windows = min(MOST, self.windows + joules)
            else:
                self.is_whole = False
        self._kept.append((t_ns, watts, self.windows))

    def looked(self, t_ns: int, read_ns: int) -> bool:
        """Somebody looked, and what was read last is of then. Whether that is recent; if not, part
        of the window that goes on was not read, however often it is told."""
        before_ns, self._read_ns = self._read_ns, max(self._read_ns, read_ns)
        if self._begin_ns is not None:
            since_ns = max(before_ns, self._begin_ns)
            if max(t_ns - max(self._read_ns, since_ns), self._read_ns - since_ns) > self._gap_ns:
                self.is_whole = False
        return t_ns - self._read_ns <= self._gap_ns

    def begin(self, at_ns: int) -> None:
        """A window begins, or has begun before the latest readings."""
        self._begin_ns = at_ns
        later = []
        while self._kept and self._kept[-1][0] > at_ns:
            later.append(self._kept.pop())
        for t_ns, watts, _ in reversed(later):
            self._keep(t_ns, watts)

    def end(self, at_ns: int) -> None:
        """The window ends, or has ended before the latest readings. From its last reading to its
        end power is taken to have been the same: then it may have come to rest at once. Not over
        a gap."""
        begin_ns, self._begin_ns = self._begin_ns, None
        if begin_ns is None:
            return
        later = []
        while self._kept and self._kept[-1][0] > at_ns:
            later.append(self._kept.pop())
        self.windows = self._before
        if self._kept and self._kept[-1][0] > begin_ns:
            then_ns, watts, joules = self._kept[-1]
            held_ns = at_ns - then_ns
            if held_ns > self._gap_ns:
                self.is_whole = False
                held_ns = 0
            self.windows = min(MOST, joules + watts * held_ns / 1e9)
        elif later or self._kept:
            # A window between two readings.
            then_ns, watts, _ = (later or self._kept)[-1]
            if max(then_ns - begin_ns, at_ns - then_ns) <= self._gap_ns:
                self.windows = min(MOST, self._before + watts * max(0, at_ns - begin_ns) / 1e9)
            else:
                self.is_whole = False
        else:
            self.is_whole = False
        self._before = self.windows
        self._kept.extend((t_ns, watts, self.windows) for t_ns, watts, _ in reversed(later))


class RunSoFar:
    """``began`` is when it began in ms since the epoch, ``began_ns`` by the agent's clock."""

    def __init__(self, began: int, began_ns: int) -> None:
        self.began = began
        self.began_ns = began_ns
        self.phases = 0
        self._edges = 0
        self._windows = 0
        """That have ended."""
        self._begin_ns: int | None = None
        self._devices: dict[str, Joules] = {}
        self._told_ns: dict[str, int] = {}
        self._counted: deque[tuple[int, int]] = deque(maxlen=KEPT)
        """The latest of what was told of tokens: time and number."""
        self._tokens = 0
        """In the windows that have ended."""
        self._tokens_at_begin = 0

    def power(self, data: dict[str, Any], t_ns: int, at: int) -> list[LiveEvent]:
        device, watts = str(data.get("device", ""))[:40], amount(data.get("power_w"))
        if watts is None or not device:
            return []
        period_s = amount(data.get("period_s")) or 0.0
        joules = self._devices.get(device)
        if joules is None:
            if len(self._devices) >= MAX_DEVICES:
                return []
            joules = self._devices[device] = Joules(period_s)
            joules.is_whole = self._windows == 0
            if self._begin_ns is not None:
                joules.begin(self._begin_ns)
        read_ns = min(t_ns, max(self.began_ns, time_of(data.get("read_ns"), t_ns)))
        is_recent = joules.looked(t_ns, read_ns)
        if is_recent and t_ns > self._told_ns.get(device, -1):
            self._told_ns[device] = t_ns
            joules.read(t_ns, watts)
        device_class = class_of(data.get("class"), device)
        return [
            Power(
                at=at,
                device=device,
                device_class=device_class,
                estimated=device_class == ESTIMATED,
                w=round(watts, 3),
                j=round(joules.total, 3),
                window_j=round(joules.windows, 3) if self._edges and joules.is_whole else None,
            )
        ]

    def tokens(self, data: dict[str, Any], t_ns: int, at: int) -> list[LiveEvent]:
        n, per_s = whole(data.get("output_tokens")), amount(data.get("tokens_per_s"))
        if n is None or per_s is None:
            return []
        if not self._counted or t_ns > self._counted[-1][0]:
            self._counted.append((t_ns, n))
        in_windows = self._tokens
        if self._begin_ns is not None:
            in_windows += max(0, n - self._tokens_at_begin)
        window_n = min(MOST_TOKENS, in_windows) if self._edges else None
        return [Tokens(at=at, n=n, per_s=per_s, window_n=window_n)]

    def window(self, data: dict[str, Any], t_ns: int, at: int) -> list[LiveEvent]:
        begins, tokens = data.get("begins"), whole(data.get("output_tokens"))
        is_next = begins is (self._begin_ns is None)
        if not isinstance(begins, bool) or tokens is None or not is_next:
            return []
        if self._edges >= MAX_EDGES:
            return []
        self._edges += 1
        number = min(MOST_TOKENS, self._windows)
        if begins:
            self._begin_ns = t_ns
            self._tokens_at_begin = self._tokens_at(t_ns)
            for joules in self._devices.values():
                joules.begin(t_ns)
        else:
            # As the agent counted them by their own times.
            self._begin_ns = None
            self._windows += 1
            self._tokens = min(MOST_TOKENS, self._tokens + tokens)
            for joules in self._devices.values():
                joules.end(t_ns)
        return [Window(at=at, n=number, begins=begins, tokens=self._tokens)]

    def _tokens_at(self, t_ns: int) -> int:
        """How many there were then, by what was told about that time."""
        before, after = None, None
        for t, n in self._counted:
            if t <= t_ns:
                before = (t, n)
            elif after is None:
                after = (t, n)
        if before is None:
            return 0
        if after is None:
            return before[1]
        share = (t_ns - before[0]) / (after[0] - before[0])
        return round(before[1] + share * (after[1] - before[1]))


def amount(value: object) -> float | None:
    """A figure that can be shown: an agent may say anything."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= MOST else None


def whole(value: object) -> int | None:
    """A number of tokens that can be."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= MOST_TOKENS else None


def time_of(value: object, otherwise: int) -> int:
    """A time in ns, if it is one."""
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


def class_of(told: object, device: str) -> str:
    """The class that a device is said to be of, or what its name looks like."""
    if isinstance(told, str) and is_class(told):
        return told
    name = device.rstrip("0123456789").rstrip("_-").lower()
    return name if is_class(name) else "unknown"


def is_class(name: str) -> bool:
    return (
        0 < len(name) <= 20
        and name[0] in "abcdefghijklmnopqrstuvwxyz"
        and all(c in "abcdefghijklmnopqrstuvwxyz_" for c in name)
    )
