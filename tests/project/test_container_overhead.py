"""The page about the container's cost is written from a folder of results."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from lem.meters.protocol import Sample
from lem.meters.sampling.trace import TraceWriter
from tests import records

ID = "e" * 64
ARMS = {name: f"{ID}-{name}" for name in ("process", "docker")}


def results(folder: Path) -> None:
    """Docker takes 1 % more CPU time and gives half a per cent less throughput."""
    arms = [
        {
            "arm_id": arm_id,
            "experiment_id": ID,
            "label": f"launcher {name}",
            "settings": {"launcher": name},
            "experiment": records.experiment(),
            "launcher": name,
        }
        for name, arm_id in ARMS.items()
    ]
    records.lock(arms, blocks=4).write(folder / "campaign.lock.json")
    for block, drift in enumerate((1.0, 1.002, 0.998, 1.0)):
        for name, arm_id in ARMS.items():
            slower = drift * (1.01 if name == "docker" else 1.0)
            scatter = 1 + 0.0005 * (-1) ** block if name == "docker" else 1.0
            made = records.record(
                arm_id=arm_id,
                experiment_id=ID,
                block=block,
                started=records.START + timedelta(minutes=[*ARMS].index(name)),
                cpu_time_s=0.01 * slower * scatter,
                throughput=100 / drift / (1.005 if name == "docker" else 1.0) / scatter,
            )
            python = "3.11.7" if name == "process" else "3.11.2"
            around = made.environment.model_copy(update={"launcher": name, "python": python})
            at = records.place(folder, made.model_copy(update={"environment": around}))
            (at / "job.json").write_text("{}")
            window = made.windows[0]
            trace_of(at, window.start_ns, window.end_ns, 0.25 if name == "docker" else 0.1)


def trace_of(folder: Path, start_ns: int, end_ns: int, others: float) -> None:
    """The run keeps one processor busy, the sampler a hundredth of one, and others so many."""
    writer = TraceWriter(folder / "trace.csv.gz")
    moments = [start_ns, (start_ns + end_ns) // 2, end_ns]
    for rate, meter, device, quantity in (
        (1.0, "estimate", "processes", "cpu_time_ns"),
        (1.0 + 0.01 + others, "estimate", "processes", "host_busy_ns"),
        (0.01, "sampler", "self", "cpu_time_ns"),
    ):
        writer.add(Sample(t, meter, device, quantity, 7e9 + rate * (t - start_ns)) for t in moments)
    writer.close()


def script(root: Path, *arguments: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(root / "scripts/container_overhead_table.py")]
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_the_table_says_both_ratios_as_cost(root: Path, tmp_path: Path) -> None:
    results(tmp_path / "r")
    done = script(root, tmp_path / "r")
    assert done.returncode == 0, done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines() if "per output token" in line]
    cpu, time = (r for r in rows if len(r) == 6)
    assert cpu[0] == "| CPU time per output token"
    assert [cpu[1], cpu[2], cpu[3]] == ["10.00 ms", "10.10 ms", "1.0100"]
    low, high = (float(x) for x in cpu[4].split(" to "))
    assert low < 1.01 < high < 1.012
    assert time[3] == "1.0050"
    assert float(time[4].split(" to ")[0]) > 1.003
    assert "python: 3.11.7 (process), 3.11.2 (docker)" in done.stdout
    assert "Not counted: no run." in done.stdout
    assert "0.100 (median; at most 0.10) beside the process" in done.stdout
    assert "0.250 (median; at most 0.25) beside the container" in done.stdout


def test_the_page_keeps_what_is_around_the_marks(root: Path, tmp_path: Path) -> None:
    results(tmp_path / "r")
    page = tmp_path / "page.md"
    page.write_text((root / "docs/container-overhead.md").read_text())
    assert script(root, tmp_path / "r", page).returncode == 0
    once = page.read_text()
    assert "No result is published here yet." not in once
    assert once.startswith("# What a container costs") and "## Repeat it" in once
    assert script(root, tmp_path / "r", page).returncode == 0
    assert page.read_text() == once
    page.write_text("# Something else")
    assert script(root, tmp_path / "r", page).returncode == 2
