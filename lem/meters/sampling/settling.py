"""Whether a device's power has settled after work, from its counter's ticks."""

from __future__ import annotations

from collections import deque

LEAST_NS = 250_000_000
"""Power is compared between two stretches at least this long, of at least three ticks each."""
LEAST_TICKS = 3
RELATIVE = 0.008


class Settling:
    """Takes (time in ns, counter) of ticks, one after another."""

    def __init__(self) -> None:
        self._ticks: deque[tuple[int, float]] = deque(maxlen=400)
        self._in_row = 0

    def see(self, t_ns: int, value: float) -> None:
        self._ticks.append((t_ns, value))
        self._in_row = self._in_row + 1 if self._even() else 0

    def settled(self) -> bool:
        """Mean power of the last stretch is that of the one before it, twice in a row."""
        return self._in_row >= 2

    def _even(self) -> bool:
        end = len(self._ticks) - 1
        middle = self._before(end)
        first = None if middle is None else self._before(middle)
        if middle is None or first is None:
            return False
        late, early = self._slope(middle, end), self._slope(first, middle)
        return abs(late - early) <= RELATIVE * max(late, early)

    def _before(self, end: int) -> int | None:
        i = end - LEAST_TICKS
        while i >= 0 and self._ticks[end][0] - self._ticks[i][0] < LEAST_NS:
            i -= 1
        return i if i >= 0 else None

    def _slope(self, a: int, b: int) -> float:
        return (self._ticks[b][1] - self._ticks[a][1]) / max(
            1, self._ticks[b][0] - self._ticks[a][0]
        )
