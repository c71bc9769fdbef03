"""How an agent is made to stop: SIGTERM and time-outs become exceptions in the main thread.

An engine deep in native code may not let Python run its signal handler; the host then kills the
agent after its own, longer limit and writes the failure itself.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from lem.errors import RunFailed


class Stop(BaseException):
    """Carries the reason past an engine's ``except Exception``."""

    def __init__(self, reason: RunFailed) -> None:
        super().__init__(str(reason))
        self.reason = reason


@contextmanager
def stoppable() -> Iterator[None]:
    """Within, SIGTERM and SIGINT raise :class:`Stop` with a failure of kind ``interrupted``, once:
    a second one must not keep the first from being written down."""

    def stop(number: int, _: FrameType | None) -> None:
        for s in before:
            signal.signal(s, signal.SIG_IGN)
        raise Stop(RunFailed("interrupted", f"stopped by {signal.Signals(number).name}"))

    before = {s: signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def deadline(seconds: float, what: str) -> Iterator[None]:
    """Within, :class:`Stop` with a failure of kind ``timeout`` is raised after ``seconds``."""

    def expire(_: int, __: FrameType | None) -> None:
        raise Stop(
            RunFailed(
                "timeout",
                f"{what} took longer than {seconds:g} s",
                hint="raise limits.load_s or limits.run_s in the campaign file if this is normal",
            )
        )

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
