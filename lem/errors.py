"""Every error a user can meet: what went wrong, how to mend it, and the exit code it ends with.

Exit codes: 0 all done; 1 some experiments failed or a gate did; 2 bad input; 3 environment;
130 interrupted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

FailureKind = Literal[
    "bad_argument",
    "out_of_memory",
    "timeout",
    "engine_error",
    "agent_lost",
    "interrupted",
    "image",
    "contract",
    "disk",
    "meter",
    "unsupported",
    "device_setting",
]


class LemError(Exception):
    """Base of all errors that are shown without a traceback."""

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  fix: {self.hint}"


@dataclass(frozen=True)
class Problem:
    """One thing wrong with an input file, with its place (line and column count from 1)."""

    message: str
    file: str = ""
    line: int | None = None
    column: int | None = None
    path: str = ""

    def __str__(self) -> str:
        place = ":".join(str(p) for p in (self.file, self.line, self.column) if p)
        return f"{place}: {self.message}" if place else self.message


class BadInput(LemError):
    """The input cannot be used. Carries every problem found, not only the first."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem] | str, hint: str | None = None) -> None:
        if isinstance(problems, str):
            problems = [Problem(problems)]
        self.problems = tuple(problems)
        super().__init__("\n".join(str(p) for p in self.problems), hint)


class EnvironmentFault(LemError):
    """Something this machine lacks: no Docker, no image, no meter, no room on the disk."""

    exit_code = 3

    def __init__(
        self, message: str, hint: str | None = None, kind: FailureKind = "unsupported"
    ) -> None:
        super().__init__(message, hint)
        self.kind: FailureKind = kind


class Interrupted(LemError):
    """The user pressed Ctrl-C (or sent SIGTERM); the state is kept."""

    exit_code = 130


class RunFailed(LemError):
    """One run failed in a way that has a name; becomes that run's failure.json."""

    def __init__(self, kind: FailureKind, message: str, hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.kind: FailureKind = kind


class MeterUnavailable(LemError):
    """A meter cannot be used here. ``message`` says why, ``hint`` how to mend it."""

    exit_code = 3


class SettingRefused(LemError):
    """A power limit or clock cannot be set on this machine. The experiments that ask for it are not
    run; they never run at another setting instead."""

    exit_code = 3
