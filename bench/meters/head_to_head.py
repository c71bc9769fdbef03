"""Reported against true joules: lem and other tools on the same played traces, in real time.

    python -m bench.meters.head_to_head PEERS_PYTHON OUT.csv [--repeats 20] [--scenario NAME]...

Every tool runs in a process of its own (bench/meters/drivers) and measures the same pieces of work,
each of them with the same random power and phase, on a board of its own that plays the same. They
run side by side. The truth is the area under the played power between the moments right before and
right after the work, which the driver takes.
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.meters import played
from tests.meters.played_powercap import Powercap, Zone, playing
from tests.meters.power_trace import NEVER, energy_until

DRIVERS = Path(__file__).parent / "drivers"
SEED = 20261124

HOPPER: dict[str, float] = {
    "tick_ms": 100,
    "power_average_ms": 1000,
    "power_update_ms": 100,
    "power_noise_w": 2,
    "fields": 3,
}
"""A board of today: an energy counter, power averaged over 1 s, present power from 25 of 100 ms.
Power readings scatter by 2 W from one to the next, as real ones do."""
PASCAL: dict[str, float] = {
    "architecture": 4,
    "no_energy": 1,
    "fields": 2,
    "power_average_ms": 100,
    "power_update_ms": 100,
    "instant_window_ms": 100,
    "power_noise_w": 2,
}
"""A board without an energy counter: present power, ten times a second."""
TAIL_W = (40.0, 150.0)


@dataclass(frozen=True)
class Scenario:
    name: str
    seconds: float = 1.0
    options: dict[str, float] = field(default_factory=lambda: HOPPER)
    after_s: dict[str, float] = field(default_factory=dict)
    """Faults: when, in seconds after the work's beginning."""
    tail: bool = False
    rapl: bool = False
    sound: bool = True
    """Whether a right figure can be had at all."""


SCENARIOS = [
    Scenario("0.3 s of work", 0.3),
    Scenario("1 s of work", 1.0),
    Scenario("10 s of work", 10.0),
    Scenario("1 s, power decays afterwards", 1.0, tail=True),
    Scenario("3 s, no energy counter", 3.0, PASCAL),
    Scenario("1 s, RAPL counter wraps", 1.0, rapl=True),
    Scenario("2 s, counter freezes after 0.6 s", 2.0, after_s={"freeze_s": 0.6}, sound=False),
    Scenario(
        "2 s, counter falls by 1 kJ after 1 s", 2.0, after_s={"backwards_s": 1.0}, sound=False
    ),
    Scenario("2 s, GPU lost after 1 s", 2.0, after_s={"lost_s": 1.0}, sound=False),
]

TOOLS = {
    "lem": ("with_lem.py",),
    "zeus": ("with_zeus.py",),
    "codecarbon": ("with_codecarbon.py",),
    "llenergymeasure-nvml": ("with_llenergymeasure.py", "nvml"),
    "llenergymeasure-auto": ("with_llenergymeasure.py", "auto"),
    "aiperf": ("with_aiperf.py",),
}

COLUMNS = (
    "scenario",
    "tool",
    "version",
    "trial",
    "true_j",
    "reported_j",
    "uncertainty_j",
    "own_j",
    "said",
)

RAPL_W = 120.0
LAP_S = 3.7
RAPL_ZONE = "intel-rapl/intel-rapl:0"


class Driver:
    """One tool's process."""

    def __init__(self, tool: str, python: str, library: Path, folder: Path) -> None:
        home = folder / tool
        home.mkdir()
        self.tool = tool
        self._log = (home / "log").open("w")
        script, *arguments = TOOLS[tool]
        environment = played.environment(library, home / "play.txt")
        # A machine with an NVIDIA driver has this command; CodeCarbon asks for it.
        smi = home / "nvidia-smi"
        smi.write_text("#!/bin/sh\nexit 0\n")
        smi.chmod(0o755)
        self.process = subprocess.Popen(
            [python, str(DRIVERS / script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=home,
            env=os.environ
            | environment
            | {
                "HOME": str(home),
                "XDG_CACHE_HOME": str(home),
                "PATH": f"{home}:{os.environ['PATH']}",
            },
        )
        self.about: dict[str, str] = self._answer()

    def ask(self, trial: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(trial) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.tool} ended; see {self._log.name}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._log.close()


def trials(scenario: Scenario, repeats: int) -> Iterator[dict[str, Any]]:
    """The same for every tool."""
    rng = random.Random(f"{SEED} {scenario.name}")
    for i in range(repeats):
        idle_w, work_w = rng.uniform(40, 120), rng.uniform(250, 650)
        tick_ms = scenario.options.get("tick_ms", 100.0)
        yield {
            "idle_w": idle_w,
            "work_w": work_w,
            "tail_w": rng.uniform(*TAIL_W) if scenario.tail else 0.0,
            "tau_s": rng.uniform(0.1, 0.6) if scenario.tail else 0.0,
            "seconds": scenario.seconds,
            "phase": (i + rng.random()) / repeats,
            "options": {**scenario.options, "phase_ms": rng.uniform(0, tick_ms)},
        }


def measure(
    driver: Driver, scenario: Scenario, repeats: int, rapl: tuple[Path, Powercap] | None
) -> Iterator[dict[str, Any]]:
    for i, trial in enumerate(trials(scenario, repeats)):
        options = trial.pop("options")
        if scenario.rapl and rapl is not None:
            folder, what = rapl
            zone = what.zones[RAPL_ZONE]
            first_s = (zone.span_uj - zone.start_uj) / 1e6 / RAPL_W
            trial["rapl"] = str(folder / "intel-rapl")
            trial["lap_s"] = LAP_S
            trial["wraps_ns"] = what.t0_ns + int(first_s * 1e9)
        else:
            trial["nvml"] = {"options": options, "after_s": scenario.after_s}
        answer = driver.ask(trial)
        said = answer.get("failed") or "; ".join(answer.get("said") or [])
        yield {
            "scenario": scenario.name,
            "tool": driver.about["name"],
            "version": driver.about["version"],
            "trial": i,
            "true_j": truth_j(trial, answer, rapl),
            "reported_j": answer.get("energy_j"),
            "uncertainty_j": answer.get("uncertainty_j"),
            "own_j": answer.get("own_j"),
            "said": said,
        }


def truth_j(
    trial: dict[str, Any], answer: dict[str, Any], rapl: tuple[Path, Powercap] | None
) -> float | None:
    if "failed" in answer:
        return None
    start_ns, end_ns = answer["start_ns"], answer["end_ns"]
    if "rapl" in trial and rapl is not None:
        return rapl[1].energy_j(RAPL_ZONE, start_ns, end_ns)
    (a, b), idle_w = answer["step_s"], trial["idle_w"]
    segments = [
        (a, idle_w, idle_w),
        (b, trial["work_w"], trial["work_w"]),
        (NEVER, idle_w + trial["tail_w"], idle_w, trial["tau_s"]),
    ]
    at = [energy_until(segments, (t - answer["t0_ns"]) / 1e9) for t in (start_ns, end_ns)]
    return at[1] - at[0]


@contextmanager
def drivers(peers_python: str, library: Path, folder: Path) -> Iterator[list[Driver]]:
    folder.mkdir()
    made: list[Driver] = []
    try:
        for tool in TOOLS:
            python = sys.executable if tool == "lem" else peers_python
            made.append(Driver(tool, python, library, folder))
        yield made
    finally:
        for driver in made:
            driver.close()


def run(
    peers_python: str, scenarios: Sequence[Scenario], repeats: int, folder: Path
) -> list[dict[str, Any]]:
    """All tools side by side; in each scenario every tool measures each piece of work once."""
    rows: list[dict[str, Any]] = []
    lock = threading.Lock()
    lap_uj = int(RAPL_W * LAP_S * 1e6)
    powercap = Powercap(
        {RAPL_ZONE: Zone(segments=((NEVER, RAPL_W, RAPL_W),), start_uj=1_000_000, span_uj=lap_uj)}
    )
    library = played.build_library(folder)
    with playing(powercap, folder / "powercap"):
        for number, scenario in enumerate(scenarios):
            began = time.monotonic()
            # Anew each time: some tools keep what they once found out about a board.
            with drivers(peers_python, library, folder / str(number)) as made:

                def one(driver: Driver, scenario: Scenario = scenario) -> None:
                    for row in measure(driver, scenario, repeats, (folder / "powercap", powercap)):
                        with lock:
                            rows.append(row)

                with ThreadPoolExecutor(len(made)) as pool:
                    list(pool.map(one, made))
                tools = [d.about["name"] for d in made]
            print(f"{scenario.name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    order = {s.name: i for i, s in enumerate(scenarios)}
    return sorted(rows, key=lambda r: (order[r["scenario"]], tools.index(r["tool"]), r["trial"]))


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.meters.head_to_head", description=__doc__
    )
    parser.add_argument("peers_python", help="interpreter of the environment with the other tools")
    parser.add_argument("out", type=Path)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--scenario", action="append", help="only those whose name contains this")
    options = parser.parse_args(arguments)
    chosen = [
        s
        for s in SCENARIOS
        if not options.scenario or any(part in s.name for part in options.scenario)
    ]
    with tempfile.TemporaryDirectory(prefix="lem-head-to-head-") as folder:
        rows = run(options.peers_python, chosen, options.repeats, Path(folder))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("w", newline="") as f:
        writer = csv.DictWriter(f, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: _short(v) for k, v in row.items()})
    return 0


def _short(value: object) -> object:
    return f"{value:.4f}" if isinstance(value, float) else value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
