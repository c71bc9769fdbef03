"""``python -m bench.live.screen`` from the clone's root: how old a sample is once it is shown.

A real server, a real runner whose agents measure, and Chromium, which watches. The age is from the
moment that an agent says in the sample's event until the first frame that shows it; all of them
share one machine and its clock. The sampler hands its readings on ten times a second, so that what
an agent tells is up to 100 ms old by then.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.browser.chromium import opened
from tests.runner.machine import POLICY, Machine, campaign
from tests.runner.place import Place

AGES = """() => {
    window.ages_ = [];
    const { told } = window.__lem_live;
    let seen = told.at;
    const step = () => {
        if (told.at !== seen) window.ages_.push(Date.now() - told.at);
        seen = told.at;
        requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
}"""
SETTLE_MS = 5000
PATIENCE_S = 90.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.live.screen", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    chosen = parser.parse_args()
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f} at the beginning\n")
    with tempfile.TemporaryDirectory(prefix="lem-bench-") as folder:
        ages = sorted(watched(Path(folder), chosen.seconds))
    shown = ", ".join(f"{ages[int(len(ages) * q)]:.0f}" for q in (0.5, 0.95, 0.99))
    print(
        "| ms from an agent's sample to the screen | p50, p95, p99, most | goal |\n|" + " --- |" * 3
    )
    print(f"| {len(ages)} readings in {chosen.seconds:g} s | {shown}, {ages[-1]:.0f} | 300 |")
    return 0


def watched(folder: Path, seconds: float) -> list[float]:
    place = Place(folder)
    policy = POLICY.replace("static,", "static, spoken,")
    machine = Machine(folder / "machine", place.url, place.runner_token, policy)
    measure = {**campaign()["measure"], "blocks": 2, "window_s": seconds}
    spec = campaign(
        measure=measure,
        backends={"tick": {"args": {"token_ms": 20, "spoken": True}}},
        workload={
            "requests": 200,
            "dataset": {"kind": "random", "input_tokens": 8, "output_tokens": 100},
        },
    )
    try:
        queued = place.queue(spec)
        machine.start()
        with opened() as browser:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"{place.url}/live/{queued}")
            until = time.monotonic() + PATIENCE_S
            while not page.evaluate("window.__lem_live?.told?.at > 0"):
                assert time.monotonic() < until, machine.said()
                page.wait_for_timeout(200)
            page.wait_for_timeout(SETTLE_MS)
            page.evaluate(AGES)
            began = time.monotonic()
            page.wait_for_timeout(1000 * seconds)
            assert time.monotonic() - began < 2 * seconds
            return [float(age) for age in page.evaluate("window.ages_")]
    finally:
        machine.kill()
        place.process.kill()


if __name__ == "__main__":
    sys.exit(main())
