"""``python -m bench.live_view`` from the clone's root: the live view in headless Chromium.

Prints a Markdown table: times between frames while ten samples a second of each device arrive, the
heap of a page that sees hours go by, and how long a large recording takes to be opened and to be
gone to anywhere. Browser, server and whoever makes the events share the machine.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page

from bench.live_view.feeder import shape
from bench.measure import Line
from tests.browser.chromium import opened
from tests.browser.live_stage import Stage

MIB = 2**20
FRAMES = """() => {
    window.frames_ = [];
    window.long_.length = 0;
    let last = performance.now();
    const step = (now) => {
        window.frames_.push(now - last);
        last = now;
        requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
}"""
LONG = """window.long_ = []; new PerformanceObserver(list => {
    for (const e of list.getEntries()) window.long_.push(e.duration);
}).observe({type: "longtask", buffered: true});"""
SHOWN = """() => new Promise(done => {
    const slider = document.querySelector(".scrubber");
    const times = [];
    let n = 0;
    const shown = () => window.__lem_live.screen.frame.peek();
    const go = () => {
        if (n === 40) return done(times);
        slider.value = String(Math.round(Number(slider.max) * ((n * 17) % 40) / 40));
        const began = performance.now();
        slider.dispatchEvent(new Event("input", {bubbles: true}));
        const before = shown();
        const seen = () => {
            if (shown() === before) return requestAnimationFrame(seen);
            times.push(performance.now() - began);
            n += 1;
            setTimeout(go, 20);
        };
        requestAnimationFrame(seen);
    };
    go();
})"""


class Feeder:
    """``bench.live_view.feeder`` at work."""

    def __init__(self, speed: float, minutes: float, devices: int) -> None:
        arguments = [str(speed), str(minutes), str(devices)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.live_view.feeder", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.address = self.line()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def until(self, line: str) -> None:
        while (found := self.line()) != line:
            assert found, "the feeder has died"


@contextmanager
def feeding(speed: float, minutes: float, devices: int) -> Iterator[Feeder]:
    feeder = Feeder(speed, minutes, devices)
    try:
        yield feeder
    finally:
        feeder.process.kill()
        feeder.process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.live_view", description=__doc__)
    parser.add_argument("--devices", type=int, nargs="+", default=[2, 9])
    parser.add_argument("--seconds", type=float, default=30.0, help="of watching frames")
    parser.add_argument("--minutes", type=float, default=96.0, help="of a campaign")
    parser.add_argument("--speed", type=float, default=40.0, help="at which they go by")
    parser.add_argument("--slower", type=float, default=1.0, help="the browser's processor")
    chosen = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} CPUs, load {load:.1f} at the beginning, CPU ×1/{chosen.slower:g}\n")
    print("| what | found | beside | goal |\n| --- | --- | --- | --- |")
    with opened() as browser:
        for devices in chosen.devices:
            tell(frames(browser, devices, chosen.seconds, chosen.slower))
        tell(heap(browser, max(chosen.devices), chosen.minutes, chosen.speed))
        tell(*recording(browser, max(chosen.devices), chosen.minutes, chosen.slower))
    return 0


def tell(*lines: Line) -> None:
    for line in lines:
        print(f"| {' | '.join(line)} |", flush=True)


def frames(browser: Browser, devices: int, seconds: float, slower: float) -> Line:
    """While it goes on at its own pace."""
    with feeding(1, 4, devices) as feeder, visited(browser, feeder.address, slower) as (page, _):
        feeder.go_on()
        page.wait_for_timeout(8000)
        page.evaluate(FRAMES)
        page.wait_for_timeout(1000 * seconds)
        found = sorted(page.evaluate("window.frames_"))
        long = page.evaluate("window.long_")
        points = page.evaluate("window.__lem_live.told.points")
    share = [found[int(len(found) * q)] for q in (0.5, 0.95, 0.99)]
    said = ", ".join(f"{ms:.1f}" for ms in (*share, found[-1]))
    return Line(
        f"ms between frames, {devices} devices (p50, p95, p99, most)",
        f"{said}; {len(found) / seconds:.1f} frames/s",
        f"{len(long)} tasks over 50 ms in {seconds:g} s; {points} points so far",
        "60 frames/s",
    )


def heap(browser: Browser, devices: int, minutes: float, speed: float) -> Line:
    """Of scripts, after a full collection, early and late in a campaign."""
    with (
        feeding(speed, minutes, devices) as feeder,
        visited(browser, feeder.address, 1) as (page, cdp),
    ):
        feeder.go_on()
        sizes = []
        for minute in (int(minutes / 8), int(minutes / 2), int(minutes) - 2):
            feeder.until(f"minute {minute}")
            sizes.append(f"{minute} min: {used_mib(cdp):.1f}")
        points = page.evaluate("window.__lem_live.told.points")
    return Line(
        f"MiB of heap, {devices} devices, {speed:g} times as fast",
        ", ".join(sizes),
        f"{points} points",
        "flat",
    )


def recording(browser: Browser, devices: int, minutes: float, slower: float) -> Iterator[Line]:
    """Of a finished campaign of so many minutes, from a real server."""
    with tempfile.TemporaryDirectory(prefix="lem-bench-") as folder:
        stage = Stage(Path(folder) / "data")
        try:
            queued = stage.recorded(shape(minutes, devices, 0.25))
            size = (stage.folder / "live" / f"{queued}.ndjson").stat().st_size / MIB
            stage.serve()
            with visited(browser, f"{stage.url}/live/{queued}", slower) as (page, cdp):
                while page.evaluate("!document.querySelector('.player')"):
                    page.wait_for_timeout(50)
                took = page.evaluate("performance.now()")
                page.wait_for_timeout(500)
                long = [*page.evaluate("window.long_"), 0.0]
                gone = sorted(page.evaluate(SHOWN))
                heap_mib = used_mib(cdp)
        finally:
            stage.close()
    about = f"{size:.1f} MiB, {minutes:g} min, {devices} devices"
    yield Line(f"s until a recording is open ({about})", f"{took / 1000:.1f}")
    yield Line("longest task meanwhile, ms", f"{max(long):.0f}", "", "no freeze")
    yield Line("ms to anywhere in it (p50, most)", f"{gone[20]:.0f}, {gone[-1]:.0f}")
    yield Line("MiB of heap with it", f"{heap_mib:.0f}", "its bytes lie beside the heap")


@contextmanager
def visited(browser: Browser, address: str, slower: float) -> Iterator[tuple[Page, CDPSession]]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    cdp = context.new_cdp_session(page)
    cdp.send("Performance.enable")
    cdp.send("Emulation.setCPUThrottlingRate", {"rate": slower})
    page.add_init_script(LONG)
    page.goto(address)
    page.wait_for_selector("[data-mounted]")
    try:
        yield page, cdp
    finally:
        context.close()


def used_mib(cdp: Any) -> float:
    cdp.send("HeapProfiler.collectGarbage")
    metrics = {m["name"]: m["value"] for m in cdp.send("Performance.getMetrics")["metrics"]}
    return float(metrics["JSHeapUsedSize"]) / MIB


if __name__ == "__main__":
    sys.exit(main())
