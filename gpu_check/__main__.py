"""``python -m gpu_check --out DIR``."""

import argparse
import json
import platform
import re
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gpu_check import interpreter

CHECKOUT = Path(__file__).resolve().parent.parent


def main(arguments: list[str] | None = None) -> int:
    """0: no part failed; 1: some did; 3: no GPU, or a package is missing."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="lem-gpu-check-") as folder:
        interpreter.unpack(options.wheels, Path(folder) / "brought")
        missing = [name for name in ("pydantic", "pynvml") if not _importable(name)]
        if missing:
            print(f"gpu_check: not installed here: {', '.join(missing)}", file=sys.stderr)
            print("  fix: pip install -r gpu_check/requirements.txt", file=sys.stderr)
            return 3
        return _check(options, Path(folder))


def _check(options: argparse.Namespace, folder: Path) -> int:
    from gpu_check import summary
    from gpu_check.parts import Report
    from lem import __version__
    from lem.contract.base import write_atomic
    from lem.errors import MeterUnavailable
    from lem.meters.nvml import Nvml
    from lem.meters.protocol import MeterSettings

    meter = Nvml()
    try:
        meter.open(MeterSettings(gpus=(options.gpu,)))
    except MeterUnavailable as e:
        print(f"gpu_check: no GPU to check: {e}", file=sys.stderr)
        return 3
    finally:
        meter.close()
    board = _board(options.gpu)
    name = f"gpu-check-{_plain(board['name'])}"
    path = options.out / f"{name}.json"
    document: dict[str, Any] = {
        "schema_version": 2,
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "lem_version": __version__,
        "gpu": board,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "parts": [],
    }
    before = [] if options.again else _before(path, document)
    report = Report(options.seconds)

    def write() -> None:
        # After each part: a command that is killed loses no part that was done.
        document["parts"] = _merged(before, report.parts)
        text = json.dumps(document, indent=1, allow_nan=False) + "\n"
        write_atomic(path, text.encode())
        write_atomic(path.with_suffix(".md"), summary.markdown(document).encode())

    done = {p["part"] for p in before if p["status"] == "done" and not _unfinished(p)}
    wanted = options.parts or [n for n in PARTS if n not in done]
    for part in wanted:
        print(f"gpu_check: {part} ({report.left_s():.0f} s left)", file=sys.stderr, flush=True)
        work, needs_s = _work(part, options, folder, options.out / name, report)
        if work is None:
            report.skip(part, "--no-models was given")
        else:
            report.part(part, needs_s, work)
        write()
    write()
    print("\n".join(summary.table_of(document["parts"])))
    print(f"written: {path} and {path.with_suffix('.md').name}")
    left = [p["part"] for p in document["parts"] if p["status"] == "skipped"]
    if left and not options.no_models:
        print(f"not done yet: {', '.join(left)}; the same command again goes on with them")
    return 1 if report.failed() else 0


PARTS = (
    "meters",
    "counter_tick",
    "power_readings",
    "settings",
    "idle",
    "idle_with_context",
    "sampler_overhead",
    "sampler_beside_load",
    "step_response",
    "counter_against_power",
    "part_time_sampling",
    "same_twice",
    "models",
    "conformance",
)


def _work(
    part: str, options: argparse.Namespace, folder: Path, campaign_out: Path, report: Any
) -> tuple[Callable[[], dict[str, Any]] | None, float]:
    """What a part does, and how many seconds it has to have. ``--short`` is for tests."""
    from gpu_check import conformance, models, probe, repeat, settings, waves

    gpu = options.gpu

    def a(short: float, long: float) -> float:
        return short if options.short else long

    def campaign() -> dict[str, Any]:
        python = interpreter.make(folder / "python", CHECKOUT)
        return models.run(python, campaign_out, report.left_s() - 5)

    def suites() -> dict[str, Any]:
        python = interpreter.make(folder / "python", CHECKOUT)
        gguf = conformance.model(folder / "brought")
        out = campaign_out.with_name(f"{campaign_out.name}-conformance")
        left_s = report.left_s() - 5
        return conformance.run(python, out, gpu, left_s, gguf, conformance.importable())

    def part_time() -> dict[str, Any]:
        period_s = probe.tick(gpu, 1.5)["tick_ms"]["median"] / 1e3
        return waves.part_time_sampling(gpu, period_s, a(1, 8))

    def again() -> dict[str, Any]:
        # As many pairs as fit, up to sixty; a window takes its ticks and its rest too.
        pairs = int(min(60.0, (report.left_s() - 40) / (2 * 3.0)))
        return repeat.same_twice(gpu, int(a(4, max(4, pairs))), a(0.5, 2))

    table: dict[str, tuple[Callable[[], dict[str, Any]] | None, float]] = {
        "meters": (lambda: probe.meters(gpu), 10),
        "counter_tick": (lambda: probe.tick(gpu, a(1, 5)), 10),
        "power_readings": (lambda: probe.power_readings(gpu, a(0.5, 4)), 20),
        "settings": (lambda: settings.settings(gpu), 20),
        "idle": (lambda: probe.idle(gpu, a(1, 10)), 15),
        "idle_with_context": (lambda: probe.idle_with_context(gpu, a(1, 10)), 40),
        "sampler_overhead": (lambda: probe.sampler_overhead(gpu, a(2, 15)), 40),
        "sampler_beside_load": (
            lambda: probe.sampler_beside_load(gpu, int(a(2, 6)), a(0.5, 2)),
            80,
        ),
        "step_response": (lambda: waves.step_response(gpu, int(a(3, 6)), a(1, 3), a(1, 3)), 70),
        "counter_against_power": (lambda: waves.counter_against_power(gpu, a(1, 12)), 90),
        "part_time_sampling": (part_time, 100),
        "same_twice": (again, 70),
        "models": (None if options.no_models else campaign, 120),
        "conformance": (None if options.no_models else suites, 120),
    }
    return table[part]


def _before(path: Path, now: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts of an earlier command on the same board, driver and version of lem."""
    try:
        earlier = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return []
    same = (
        isinstance(earlier, dict)
        and earlier.get("schema_version") == now["schema_version"]
        and earlier.get("lem_version") == now["lem_version"]
        and all(earlier["gpu"].get(k) == now["gpu"][k] for k in ("name", "driver", "index"))
    )
    if not same:
        return []
    now["started_at"] = earlier["started_at"]
    parts: list[dict[str, Any]] = earlier["parts"]
    return parts


def _unfinished(part: dict[str, Any]) -> bool:
    """A campaign that ran out of time goes on where it was."""
    return bool(part["result"].get("out_of_time") or part["result"].get("skipped_for_time"))


def _merged(before: list[dict[str, Any]], fresh: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """In the parts' order. A part that could not be done now does not take the place of a result
    that is there."""
    found = {p["part"]: p for p in before}
    for part in fresh:
        if part["status"] == "done" or found.get(part["part"], {}).get("status") != "done":
            found[part["part"]] = part
    for name in PARTS:
        found.setdefault(name, {"part": name, "status": "skipped", "reason": "not asked for yet"})
    return [found[name] for name in PARTS]


def _names(text: str) -> list[str]:
    names = [n.strip() for n in text.split(",") if n.strip()]
    unknown = [n for n in names if n not in PARTS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(
            f"no part {', '.join(unknown) or 'given'}; there are {', '.join(PARTS)}"
        )
    return [n for n in PARTS if n in names]


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gpu_check", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder for results")
    parser.add_argument("--gpu", type=int, default=0, help="index of the GPU")
    parser.add_argument("--seconds", type=float, default=590.0, help="time budget, in all")
    parser.add_argument(
        "--parts",
        type=_names,
        help=f"only these, joined by commas; not given: those not done yet, of {', '.join(PARTS)}",
    )
    parser.add_argument("--again", action="store_true", help="forget what was done before")
    parser.add_argument(
        "--wheels", type=Path, default=CHECKOUT / ".wheels", help="wheels that were brought along"
    )
    parser.add_argument("--no-models", action="store_true", help="only the meter's own parts")
    parser.add_argument("--short", action="store_true", help="a second for each part (for tests)")
    return parser.parse_args(arguments)


def _importable(name: str) -> bool:
    try:
        __import__(name)
    except ImportError:
        return False
    return True


def _board(index: int) -> dict[str, Any]:
    """What the board is and how it is set, without what tells one board from another."""
    from lem.agent.environment import gpus

    return gpus((index,))[0].model_dump(exclude={"uuid"})


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "gpu"


if __name__ == "__main__":
    # The sampler is a process of its own, and lem need not be installed here.
    interpreter.show(CHECKOUT)
    sys.exit(main())
