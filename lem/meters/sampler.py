"""The process that reads the meters, and the handle by which the agent talks to it.

``python -m lem.meters.sampler`` takes one line of JSON with its settings on stdin, answers with one
line on what it found, then obeys ``mark`` and ``stop`` lines until stdin ends. It shares nothing
with the engine's process: neither its interpreter lock nor its memory.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from lem.errors import MeterUnavailable
from lem.meters.protocol import MeterSettings

if TYPE_CHECKING:
    from lem.contract.record import MeterInfo

START_TIMEOUT_S = 60.0
"""Loading a driver library on a machine with many sleeping GPUs takes tens of seconds."""
MARK_TIMEOUT_S = 10.0
TELL_S = 0.8
"""How often power is told for live views, where nobody asks for more."""
STALE_S = 3.0
"""Of a sampler that has told nothing for so long, or three times ``tell_s``, no power is shown."""


class PowerRead(NamedTuple):
    """Power of a device, with when it was read on the monotonic clock and how often it is."""

    watts: float
    t_ns: int
    period_ns: int


class Sampler:
    """Runs the sampler for as long as the context lasts. ``mark`` may be called from any thread.

    ``meters`` None: all that work here, but for those that are read on request only. CPU time of
    the run's processes is always sampled. ``tell_s``: how often ``power_now`` has something new;
    what is read and written does not depend on it. Raises :class:`lem.errors.BadInput` for an
    unknown meter's name and :class:`lem.errors.MeterUnavailable` where the process cannot be
    started at all.
    """

    infos: list[MeterInfo]
    """What is read: the devices of the meters that were asked for."""
    unavailable: dict[str, str]
    """Meter → why it cannot be read here, with the fix."""

    def __init__(
        self,
        meters: list[str] | None,
        settings: MeterSettings,
        trace: Path,
        interval_s: float = 0.05,
        tell_s: float = TELL_S,
    ) -> None:
        from lem import plugins

        names = by_default() if meters is None else list(dict.fromkeys(meters))
        self._shown = set(names)
        if "estimate" not in names:
            names.append("estimate")
        process = os.getpid() if settings.process is None else settings.process
        classes = {n: plugins.load("meters", n) for n in names}
        self._orders = {
            "meters": {n: [c.__module__, c.__qualname__] for n, c in classes.items()},
            "settings": {**asdict(settings), "process": process},
            "trace": str(trace.absolute()),
            "interval_s": interval_s,
            "tell_s": tell_s,
        }
        self._lock = threading.Lock()
        self._buffer = b""
        self._power: dict[tuple[str, str], PowerRead] = {}
        self._power_ns = 0
        """When it was told."""
        self._stale_ns = int(max(STALE_S, 3 * tell_s) * 1e9)
        self._resting = False
        self._temperatures: dict[str, float] = {}
        self._periods: dict[str, float] = {}
        self._marks = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.infos = []
        self.unavailable = {}

    def __enter__(self) -> Self:
        from lem.meters.protocol import Device
        from lem.meters.readings import info_of

        # -P: the folder that this is called in, which may be anybody's, is no place to import from.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "lem.meters.sampler"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        try:
            self._send(json.dumps(self._orders, default=str))
            found = self._receive(time.monotonic() + START_TIMEOUT_S, "devices")
            if found is None or "error" in found:
                reason = "it did not answer" if found is None else str(found["error"])
                raise MeterUnavailable(
                    f"the sampler process did not start: {reason}",
                    "see the lines above it in agent.log",
                )
        except BaseException:
            self.stop()
            raise
        self.infos = [info_of(Device(*d)) for d in found["devices"] if d[0] in self._shown]
        self.unavailable = {n: why for n, why in found["unavailable"].items() if n in self._shown}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()

    def mark(self) -> int:
        """An edge: a moment (monotonic ns) at which every meter was read.

        Where counters move in ticks, the edge is the next tick: polled for at ≤ 1 ms for at most
        two of its periods, so this blocks for up to about 0.2 s (the caller's thread only); once
        more where that tick came during a reading that took unusually long. With several GPUs it is
        the last one's tick. Where the sampler has died, the present moment: the trace then does not
        reach it, and readings say so.
        """
        with self._lock:
            self._marks += 1
            order = f"mark {self._marks}"
            self._send(order)
            answer = self._receive(time.monotonic() + MARK_TIMEOUT_S, order)
        return time.monotonic_ns() if answer is None else int(answer[order])

    def rest(self, ticks: int = 3, settle_s: float = 0.0) -> None:
        """The devices idle now: poll densely until every counter that moves in ticks has done so
        ``ticks`` times, and then until its power has settled, for up to ``settle_s`` seconds.

        Called right before and right after a piece of work, whose energy then follows from the
        ticks on both sides (:mod:`lem.meters.energy.isolated`). Blocks for about ``ticks`` + ½
        periods, until a period is known up to (``ticks`` + 1) × 0.25 s; at once where no counter
        ticks. Where the sampler has died it returns, and readings say so.
        """
        with self._lock:
            self._marks += 1
            order = f"rest {self._marks} {ticks} {settle_s!r}"
            self._send(order)
            limit_s = MARK_TIMEOUT_S + settle_s + 2 * ticks
            self._resting = True
            try:
                self._receive(time.monotonic() + limit_s, order)
            finally:
                # What was told before is of the work, and nothing is told of a rest.
                self._power = {}
                self._resting = False

    def periods(self) -> dict[tuple[str, str], float]:
        """(meter, device) → period in s of counters that move in ticks, as far as it was learned
        when ``mark`` or ``rest`` last returned."""
        return {(k.split("/")[0], k.split("/")[1]): p for k, p in self._periods.items()}

    def note(self, device: str, quantity: str, value: float) -> None:
        """Put a row of the agent's own into the trace, with the present time; meter ``agent``."""
        with self._lock:
            self._send(f"note {time.monotonic_ns()} {device} {quantity} {float(value)!r}")

    def temperatures_now(self) -> dict[str, float]:
        """Device → °C, at most about two seconds old. Never waits."""
        self.power_now()
        return dict(self._temperatures)

    def power_now(self) -> dict[tuple[str, str], PowerRead]:
        """(meter, device) → its power, for live views: about ``tell_s`` old at most; without
        devices that could not be read of late; empty in a ``rest`` and until something was read
        after it, and where the sampler has ended or stands still. Never waits."""
        if self._lock.acquire(blocking=False):
            try:
                self._receive(0.0, "")
            finally:
                self._lock.release()
        is_old = time.monotonic_ns() - self._power_ns > self._stale_ns
        return {} if self._resting or is_old else dict(self._power)

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Have the trace written out and closed. Doing it again does nothing."""
        process = self._process
        if process is None:
            return
        with self._lock:
            self._send("stop")
            if process.stdin and not process.stdin.closed:
                process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()

    def _send(self, line: str) -> None:
        assert self._process is not None and self._process.stdin is not None
        # Where it has ended, what asks for an answer finds that out.
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(line.encode() + b"\n")

    def _receive(self, deadline_s: float, wanted: str) -> dict[str, Any] | None:
        """Read what has come. Returns the first message with the key ``wanted``, or None once the
        deadline has passed or the sampler has ended."""
        assert self._process is not None and self._process.stdout is not None
        if self._process.stdout.closed:
            self._power = {}
            return None
        while True:
            while b"\n" in self._buffer:
                line, self._buffer = self._buffer.split(b"\n", 1)
                message: dict[str, Any] = json.loads(line)
                if "power" in message:
                    self._power = {(m, device): PowerRead(*r) for m, device, *r in message["power"]}
                    self._power_ns = message["t_ns"]
                self._temperatures = message.get("temperature", self._temperatures)
                self._periods = message.get("periods", self._periods)
                if wanted in message or (wanted == "devices" and "error" in message):
                    return message
            left_s = max(0.0, deadline_s - time.monotonic())
            if not select.select([self._process.stdout], [], [], left_s)[0]:
                return None
            data = os.read(self._process.stdout.fileno(), 1 << 16)
            if not data:
                self._power = {}
                return None
            self._buffer += data


def by_default() -> list[str]:
    """Names of the meters that are read where nobody names any: not those whose reading costs the
    machine noticeable work (``on_request``)."""
    from lem import plugins

    loaded = {n: plugins.load("meters", n) for n in plugins.names("meters")}
    return [n for n, meter in loaded.items() if not getattr(meter, "on_request", False)]


def main() -> int:
    """The sampler's process."""
    from lem.meters.sampling.rounds import Rounds

    # Nothing here makes reference cycles; looking for them would only cost.
    gc.disable()
    # Ctrl-C reaches the whole process group; the agent decides when this process ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    orders = json.loads(sys.stdin.buffer.readline())
    try:
        rounds = Rounds(orders)
    except OSError as e:
        _say(json.dumps({"error": f"{orders['trace']}: {e.strerror}"}))
        return 3
    try:
        rounds.introduce(_say)
        rounds.run(sys.stdin.fileno(), _say)
    except BrokenPipeError:
        # The agent is gone: there is nobody to tell, and its last words in the log are its own.
        return 3
    except OSError as e:
        print(f"sampler: {e}", file=sys.stderr)
        return 3
    finally:
        rounds.close()
    return 0


def _say(line: str, wait: bool = True) -> None:
    """One line to the agent. With ``wait`` false it is dropped where the pipe is full."""
    out = sys.stdout.fileno()
    if wait or select.select([], [out], [], 0)[1]:
        os.write(out, line.encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
