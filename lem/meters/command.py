"""Runs a command as if nothing stood between it and whoever started it: its input, output, signals
and exit code are its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import NamedTuple

NOT_FOUND = 127
NOT_EXECUTABLE = 126

FORWARDED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGCONT,
    signal.SIGWINCH,
)
_TERMINAL = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGWINCH, signal.SIGCONT)
"""What a terminal sends to the whole foreground process group, so that the command has it too."""


class Ended(NamedTuple):
    """``exit_code`` as a shell says it: 128 + n for a command that signal n ended. Times are
    ``time.monotonic_ns()`` right before it was started and right after it ended."""

    exit_code: int
    start_ns: int
    end_ns: int


class CannotRun(Exception):
    """The command could not be started; ``exit_code`` is 126 or 127."""

    def __init__(self, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def find(arguments: Sequence[str]) -> None:
    """Raises :class:`CannotRun` where it is known beforehand that this cannot be started."""
    name = arguments[0]
    if shutil.which(name) is not None:
        return
    there = os.path.lexists(name) if "/" in name else _unexecutable(name)
    if there:
        raise CannotRun(NOT_EXECUTABLE, f"{name}: may not be executed")
    raise CannotRun(NOT_FOUND, f"{name}: not found")


def _unexecutable(name: str) -> bool:
    return shutil.which(name, mode=os.F_OK) is not None


def run(arguments: Sequence[str]) -> Ended:
    """Start it, forward signals, wait. Raises :class:`CannotRun`."""
    process: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:
        del frame
        if process is None:
            early.append(number)
        elif not (number in _TERMINAL and _in_foreground()):
            with suppress(ProcessLookupError):
                process.send_signal(number)

    # Handled signals are back to normal in the command; ignored ones (nohup) stay ignored.
    former = {s: signal.getsignal(s) for s in FORWARDED}
    taken = [s for s, handler in former.items() if handler != signal.SIG_IGN]
    for s in taken:
        signal.signal(s, forward)
    try:
        start_ns = time.monotonic_ns()
        try:
            # What this process inherited beyond the first three files is the command's too.
            process = subprocess.Popen(list(arguments), close_fds=False)
        except FileNotFoundError as e:
            raise CannotRun(NOT_FOUND, f"{arguments[0]}: not found") from e
        except (OSError, ValueError) as e:
            why = getattr(e, "strerror", None) or str(e)
            raise CannotRun(NOT_EXECUTABLE, f"{arguments[0]}: {why}") from e
        for number in early:
            with suppress(ProcessLookupError):
                process.send_signal(number)
        code = process.wait()
        end_ns = time.monotonic_ns()
    finally:
        for s in taken:
            signal.signal(s, former[s])
    return Ended(code if code >= 0 else 128 - code, start_ns, end_ns)


def _in_foreground() -> bool:
    """Whether this process is in its terminal's foreground group, so that a signal may well have
    come from the keyboard."""
    for file in (sys.stdin, sys.stderr, sys.stdout):
        with suppress(OSError, ValueError, AttributeError):
            if os.tcgetpgrp(file.fileno()) == os.getpgrp():
                return True
    return False
