"""Rigs of the meters that move a few times a second: trees of files, a tool, a meter's web page."""

import json
import math
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from lem.meters import machine
from lem.meters.protocol import MeterSettings
from tests.meters import played_amd
from tests.meters.rigs import Rig, clockwork, put

Truth = Callable[[str, int, int], tuple[float, float]]


class Wave:
    """Power of one device: ``mean`` W ± ``swing`` W, a sine of ten seconds."""

    def __init__(self, mean_w: float, swing_w: float) -> None:
        self.mean_w = mean_w
        self.swing_w = swing_w
        self._rate = 2 * math.pi / 10

    def power_w(self, t_s: float) -> float:
        return self.mean_w + self.swing_w * math.sin(self._rate * t_s)

    def energy_j(self, t_s: float) -> float:
        return self.mean_w * t_s + self.swing_w / self._rate * (1 - math.cos(self._rate * t_s))


def truth_of(waves: dict[str, Wave], t0_ns: int, late_s: Callable[[], float]) -> Truth:
    """``late_s``: how much later than it should the rig may have shown a value, at either edge."""

    def truth(device: str, start_ns: int, end_ns: int) -> tuple[float, float]:
        wave = waves[device]
        energy_j = wave.energy_j((end_ns - t0_ns) / 1e9) - wave.energy_j((start_ns - t0_ns) / 1e9)
        return energy_j, 2 * (wave.mean_w + wave.swing_w) * late_s()

    return truth


@contextmanager
def pm_counters(library: Path, folder: Path) -> Iterator[Rig]:
    """A node with two accelerators, brought up to date ten times a second, in whole joules."""
    waves = {
        "node": Wave(1500, 400),
        "cpu": Wave(220, 40),
        "memory": Wave(60, 5),
        "accel0": Wave(400, 150),
        "accel1": Wave(350, 120),
    }
    root = folder / "pm_counters"
    t0_ns = time.monotonic_ns()
    count = 0
    put(root / "raw_scan_hz", "10")
    put(root / "generation", "17")
    put(root / "startup", "1434567")

    def update(t_s: float) -> None:
        nonlocal count
        count += 1
        for device, wave in waves.items():
            name = "energy" if device == "node" else f"{device}_energy"
            put(root / name, f"{100_000 + int(wave.energy_j(t_s))} J {1_700_000_000 + count} us")
        put(root / "freshness", str(count))

    with clockwork(update, 0.1, t0_ns) as stalest_s:
        yield Rig(
            "pm_counters",
            MeterSettings(pm_counters_root=root),
            set(waves),
            # 0.1 s of it is the meter's own business.
            truth_of(waves, t0_ns, lambda: max(0.0, stalest_s() - 0.1)),
            work=lambda: time.sleep(3),
        )


@contextmanager
def hwmon(library: Path, folder: Path) -> Iterator[Rig]:
    """The machine's ACPI power meter, two CPU packages' counters, and a sensor of nobody knows
    what."""
    waves = {
        "hwmon0-power_meter-power1": Wave(300, 60),
        "hwmon1-amd_energy-Esocket0": Wave(90, 20),
        "hwmon1-amd_energy-Esocket1": Wave(70, 10),
        "hwmon1-amd_energy-Ecore000": Wave(9, 1),
        "hwmon10-ina226-power1": Wave(12, 2),
    }
    files = dict(
        zip(
            waves,
            (
                "hwmon0/power1_average",
                "hwmon1/energy2_input",
                "hwmon1/energy3_input",
                "hwmon1/energy1_input",
                "hwmon10/power1_input",
            ),
            strict=True,
        )
    )
    root = folder / "hwmon"
    for name, text in (
        ("hwmon0/name", "power_meter"),
        ("hwmon0/power1_average_interval", "100"),
        ("hwmon1/name", "amd_energy"),
        ("hwmon1/update_interval", "10"),
        ("hwmon1/energy1_label", "Ecore000"),
        ("hwmon1/energy2_label", "Esocket0"),
        ("hwmon1/energy3_label", "Esocket1"),
        ("hwmon10/name", "ina226"),
    ):
        put(root / name, text)
    t0_ns = time.monotonic_ns()

    def update(t_s: float) -> None:
        for device, file in files.items():
            wave = waves[device]
            value = wave.energy_j(t_s) if "energy" in file else wave.power_w(t_s)
            put(root / file, str(int(value * 1e6)))

    with clockwork(update, 0.01, t0_ns) as stalest_s:
        yield Rig(
            "hwmon",
            MeterSettings(hwmon_root=root),
            set(waves),
            truth_of(waves, t0_ns, stalest_s),
            # The sensor that nobody knows is read once a second: four times in either half.
            work=lambda: time.sleep(8.5),
            uncounted={"hwmon1-amd_energy-Ecore000", "hwmon10-ina226-power1"},
            flags={"power_integrated", "uncertainty_unstated"},
        )


DCMI = """

    Instantaneous power reading:              {watts:8d} Watts
    Minimum during sampling period:                  2 Watts
    Maximum during sampling period:                870 Watts
    Average power reading over sample period:      266 Watts
    IPMI timestamp:                           11/24/26 15:13:23 UTC    Sampling period:          00000001 Seconds.
    Power reading state is:                   activated

"""  # noqa: E501 - as the tool prints it


def tool(folder: Path, says: Path) -> tuple[str, ...]:
    """An ipmitool that prints a file."""
    script = folder / "ipmitool"
    lines = ("#!/bin/sh", '[ "$*" = "dcmi power reading" ] || exit 1', f'cat "{says}"', "")
    script.write_text("\n".join(lines))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return (str(script), "dcmi", "power", "reading")


@contextmanager
def ipmi(library: Path, folder: Path) -> Iterator[Rig]:
    """A tool that tells the power of now, in whole watts."""
    wave = Wave(420, 90)
    says = folder / "reading"
    t0_ns = time.monotonic_ns()

    def update(t_s: float) -> None:
        aside = says.with_suffix(".new")
        aside.write_text(DCMI.format(watts=round(wave.power_w(t_s))))
        aside.replace(says)

    with clockwork(update, 0.02, t0_ns) as stalest_s:
        yield Rig(
            "ipmi",
            MeterSettings(ipmi=tool(folder, says)),
            {"node"},
            truth_of({"node": wave}, t0_ns, stalest_s),
            # Both halves of it have to hold four updates of the meter.
            work=lambda: time.sleep(8.5),
            flags={"power_integrated"},
        )


class Pages(ThreadingHTTPServer):
    """Serves whatever ``page`` gives for a path, as (status, text)."""

    daemon_threads = True

    def __init__(self, page: Callable[[str], tuple[int, str]]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, text = page(self.path)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serving(page: Callable[[str], tuple[int, str]]) -> Iterator[str]:
    """The address of a server of such pages."""
    server = Pages(page)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.address
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def external(library: Path, folder: Path) -> Iterator[Rig]:
    """Power by a command, power by Prometheus, and a counter in Wh by a plug's JSON page, whose
    owner states nothing."""
    waves = {"wall": Wave(600, 100), "pdu": Wave(500, 80), "plug": Wave(40_000, 9000)}
    says = folder / "watts"
    t0_ns = time.monotonic_ns()

    def update(t_s: float) -> None:
        aside = says.with_suffix(".new")
        aside.write_text(f"{waves['wall'].power_w(t_s):.3f}\n")
        aside.replace(says)

    def page(path: str) -> tuple[int, str]:
        t_s = (time.monotonic_ns() - t0_ns) / 1e9
        if path == "/status":
            wh = math.floor(waves["plug"].energy_j(t_s) / 3.6) / 1e3
            return 200, json.dumps({"meters": [{"total": wh}]})
        if path == "/api/v1/query?query=pdu_watts%7Boutlet%3D%223%22%7D":
            value = [1e9, f"{waves['pdu'].power_w(t_s):.2f}"]
            result = [{"metric": {"outlet": "3"}, "value": value}]
            return 200, json.dumps(
                {"status": "success", "data": {"resultType": "vector", "result": result}}
            )
        return 404, ""

    with clockwork(update, 0.02, t0_ns) as stalest_s, serving(page) as address:
        meters = [
            {"name": "wall", "command": ["cat", str(says)], "unit": "W", "uncertainty": 0.02},
            {"name": "pdu", "url": address, "query": 'pdu_watts{outlet="3"}', "unit": "W"},
            {"name": "plug", "url": f"{address}/status", "field": "meters.0.total", "unit": "Wh"},
        ]
        for one in meters:
            one["period_s"] = 0.2
        settings = MeterSettings(**machine.checked({"external": meters}, "meters.toml"))
        yield Rig(
            "external",
            settings,
            set(waves),
            truth_of(waves, t0_ns, stalest_s),
            work=lambda: time.sleep(3),
            flags={"power_integrated", "uncertainty_unstated"},
        )


@contextmanager
def amd(library: Path, folder: Path) -> Iterator[Rig]:
    """Two boards under a bursty load, through the real Python package."""
    played = played_amd.build_library(folder / "amd")
    played_amd.preload(played)
    play = played_amd.Play(90, 410, 0.73, 0.6, {"devices": 2, "device_step": 0.25})
    config = play.write(folder / "played_amd.txt")
    yield Rig(
        "amd",
        MeterSettings(),
        {"gpu0", "gpu1"},
        # The counter moves every millisecond.
        lambda device, a, b: (play.energy_j(a, b, int(device[3:])), 2 * 520 * 0.001),
        environment=played_amd.environment(played, config),
    )


RIGS: dict[str, Callable[[Path, Path], AbstractContextManager[Rig]]] = {
    "amd": amd,
    "external": external,
    "hwmon": hwmon,
    "ipmi": ipmi,
    "pm_counters": pm_counters,
}
