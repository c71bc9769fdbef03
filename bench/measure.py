"""How things are timed here: side by side, in turn, so that a busy machine disturbs all alike."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple


class Line(NamedTuple):
    """One line of the report."""

    what: str
    found: str
    beside: str = ""
    goal: str = ""


def in_turn(actions: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each action, ``rounds`` times; every round does each of them once, in an order
    that is turned by one each round."""
    names = list(actions)
    taken: dict[str, list[float]] = {name: [] for name in names}
    for n in range(rounds):
        for i in range(len(names)):
            name = names[(n + i) % len(names)]
            start = time.perf_counter()
            actions[name]()
            taken[name].append(time.perf_counter() - start)
    return taken


def command(arguments: Sequence[str]) -> Callable[[], object]:
    """An action that runs a command, which must succeed."""
    return lambda: subprocess.run(
        arguments, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def in_a_process(code: str, *arguments: str) -> dict[str, Any]:
    """What a fresh Python prints (one JSON object) for ``code``, with ``cpu_s`` and ``peak_mib`` of
    its process."""
    footer = (
        "\nimport json, resource\n"
        "_u = resource.getrusage(resource.RUSAGE_SELF)\n"
        "result |= {'cpu_s': _u.ru_utime + _u.ru_stime, 'peak_mib': _u.ru_maxrss / 1024}\n"
        "print(json.dumps(result))\n"
    )
    header = "import sys, time\nresult = {}\n"
    done = subprocess.run(
        [sys.executable, "-c", header + code + footer, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": "."},
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def median_ms(seconds: Sequence[float]) -> str:
    """Median and range, in milliseconds."""
    low, high = min(seconds) * 1000, max(seconds) * 1000
    return f"{statistics.median(seconds) * 1000:.0f} ms ({low:.0f}–{high:.0f})"


def ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """Median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(one, other, strict=True))
