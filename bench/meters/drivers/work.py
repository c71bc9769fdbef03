"""A played piece of work: what every driver has its tool measure. The standard library alone.

A line of JSON on stdin describes a trial, a line on stdout answers. For NVML the board idles until
the work begins; then the play file gets the step of power, from 2 ms later on (the board reads it
again because it is ``live``). For RAPL the counters are played by a process elsewhere.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

NEVER = 1e18
LEAD_S = 0.002

Work = Callable[[], None]


class NotRead(Exception):
    """The tool does not read what the trial is about."""


Measure = Callable[[dict[str, Any], Work], tuple[Any, ...]]
"""(trial, work) → energy in J, expanded uncertainty in J or None, what the tool said; and where the
tool tells it, the uncertainty without the gain's part."""


def serve(measure: Measure, **about: str) -> None:
    """Answer trials until stdin ends. ``about``: what the tool is and which version."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    # Tools print; the answers must stand alone.
    os.dup2(2, 1)
    answers.write(json.dumps(about) + "\n")
    for line in sys.stdin:
        answers.write(json.dumps(_trial(json.loads(line), measure)) + "\n")


def _trial(trial: dict[str, Any], measure: Measure) -> dict[str, Any]:
    begun: list[int] = []
    step_s: list[float] = []
    t0_ns = time.monotonic_ns()
    if "nvml" in trial:
        _play(trial, t0_ns, [(NEVER, trial["idle_w"], trial["idle_w"])], {})
        time.sleep(0.3 + trial["phase"] * 0.2)

    def work() -> None:
        begun.append(time.monotonic_ns())
        if "nvml" in trial:
            start_s = (time.monotonic_ns() - t0_ns) / 1e9 + LEAD_S
            step_s.extend((start_s, start_s + trial["seconds"]))
            faults = {k: start_s + after_s for k, after_s in trial["nvml"]["after_s"].items()}
            _play(trial, t0_ns, _step(trial, *step_s), faults)
            _sleep_until(t0_ns + int(step_s[1] * 1e9))
        else:
            # So that the counter begins anew at a chosen moment of the work.
            lap_ns = int(trial["lap_s"] * 1e9)
            into_ns = int(trial["phase"] * trial["seconds"] * 1e9)
            past_ns = (time.monotonic_ns() - trial["wraps_ns"] + into_ns) % lap_ns
            _sleep_until(time.monotonic_ns() + lap_ns - past_ns + int(trial["seconds"] * 1e9))
        begun.append(time.monotonic_ns())

    try:
        energy_j, uncertainty_j, said, *own_j = measure(trial, work)
    except NotRead as e:
        return {"failed": f"not read: {e}"}
    except Exception as e:  # noqa: BLE001 whatever a tool raises is its answer
        if len(begun) < 2:
            return {"failed": f"{type(e).__name__}: {e}"[:200]}
        energy_j, uncertainty_j, said = None, None, [f"{type(e).__name__}: {e}"[:200]]
        own_j = []
    return {
        "t0_ns": t0_ns,
        "start_ns": begun[0],
        "end_ns": begun[1],
        "step_s": step_s,
        "energy_j": energy_j,
        "uncertainty_j": uncertainty_j,
        "own_j": own_j[0] if own_j else None,
        "said": said,
    }


def _step(trial: dict[str, Any], start_s: float, end_s: float) -> list[tuple[float, ...]]:
    idle_w, tail_w = trial["idle_w"], trial["tail_w"]
    return [
        (start_s, idle_w, idle_w),
        (end_s, trial["work_w"], trial["work_w"]),
        (NEVER, idle_w + tail_w, idle_w, trial["tau_s"]),
    ]


def _play(
    trial: dict[str, Any],
    t0_ns: int,
    segments: list[tuple[float, ...]],
    faults: dict[str, float],
) -> None:
    path = Path(os.environ["LEM_PLAYED_NVML"])
    options = trial["nvml"]["options"] | faults
    lines = [f"t0_ns {t0_ns}", "live 1"]
    lines += ["segment " + " ".join(repr(float(v)) for v in s) for s in segments]
    lines += [f"{name} {float(value)!r}" for name, value in options.items()]
    aside = path.with_suffix(".new")
    aside.write_text("\n".join(lines) + "\n")
    aside.replace(path)


def _sleep_until(t_ns: int) -> None:
    while (left_ns := t_ns - time.monotonic_ns()) > 0:
        time.sleep(left_ns / 1e9)


def version(package: str) -> str:
    from importlib.metadata import version as of

    return of(package)
