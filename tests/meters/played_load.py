"""A load of which the played board knows: it draws more while the load is on."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from gpu_check.load import Edges, Load
from tests.meters import played

LOW_W, HIGH_W, PRODUCT_S = 90.0, 600.0, 0.001


class PlayedLoad:
    """Fills :class:`gpu_check.load.Load`; each piece of work begins a little after it is asked for,
    so that the board has its new trace before."""

    def __init__(self, begin: Callable[[played.Play], played.Play], options: dict[str, float]):
        self._begin = begin
        self._options = {**options, "live": 1.0}
        self._t0_ns = time.monotonic_ns()
        self._segments: list[tuple[float, float, float]] = []
        self._edges: Edges = []
        self._play()

    def _play(self) -> None:
        trace = [*self._segments, (played.NEVER, LOW_W, LOW_W)]
        self._begin(played.Play(trace, self._options, t0_ns=self._t0_ns))

    def products(self, count: int) -> Edges:
        self.begin_wave([(count * PRODUCT_S, 0.0)])
        return self.edges()

    def begin_wave(self, on_off_s: Sequence[tuple[float, float]]) -> None:
        at = (time.monotonic_ns() - self._t0_ns) / 1e9 + 0.05
        self._edges = []
        self._segments.append((at, LOW_W, LOW_W))
        for on_s, off_s in on_off_s:
            self._edges.append((self._t0_ns + int(at * 1e9), self._t0_ns + int((at + on_s) * 1e9)))
            self._segments.append((at + on_s, HIGH_W, HIGH_W))
            if off_s > 0:
                self._segments.append((at + on_s + off_s, LOW_W, LOW_W))
            at += on_s + off_s
        self._end_ns = self._t0_ns + int(at * 1e9)
        self._play()

    def busy(self) -> bool:
        return time.monotonic_ns() < self._end_ns

    def edges(self) -> Edges:
        time.sleep(max(0.0, (self._end_ns - time.monotonic_ns()) / 1e9))
        return self._edges


def loads(
    begin: Callable[[played.Play], played.Play], options: dict[str, float]
) -> Callable[[int], object]:
    """In place of ``gpu_check.load.loaded`` and ``context``."""

    @contextmanager
    def loaded(gpu: int) -> Iterator[Load]:
        assert gpu == 0
        yield PlayedLoad(begin, options)

    return loaded
