"""``python -m gpu_check --out DIR``."""

import argparse
import json
import platform
import re
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gpu_check import interpreter

CHECKOUT = Path(__file__).resolve().parent.parent


def main(arguments: list[str] | None = None) -> int:
    """0: every part done; 1: some failed; 3: no GPU, or a package is missing."""
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
    from gpu_check.parts import Report
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
    report = Report(options.seconds)
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    board = _board(options.gpu)
    name = f"gpu-check-{_plain(board['name'])}"
    _parts(report, options, folder, options.out / name)
    document = {
        "schema_version": 1,
        "started_at": started_at,
        "budget_s": options.seconds,
        "took_s": round(options.seconds - report.left_s(), 1),
        "gpu": board,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "parts": report.parts,
    }
    from lem.contract.base import write_atomic

    path = options.out / f"{name}.json"
    write_atomic(path, (json.dumps(document, indent=1, allow_nan=False) + "\n").encode())
    _tell(report.parts, path)
    return 1 if report.failed() else 0


def _parts(report: Any, options: argparse.Namespace, folder: Path, campaign_out: Path) -> None:
    from gpu_check import models, probe

    gpu = options.gpu

    def step(name: str, needs_s: float, work: Any) -> bool:
        print(f"gpu_check: {name} ({report.left_s():.0f} s left)", file=sys.stderr, flush=True)
        return bool(report.part(name, needs_s, work))

    short = options.short
    step("counter_tick", 10, lambda: probe.tick(gpu, 1.0 if short else 5.0))
    step("idle", 15, lambda: probe.idle(gpu, 1.0 if short else 10.0))
    step("idle_with_context", 40, lambda: probe.idle_with_context(gpu, 1.0 if short else 10.0))
    step("same_twice", 60, lambda: probe.same_twice(gpu, pairs=4, seconds=1.0 if short else 2.0))
    if options.no_models:
        report.skip("models", "--no-models was given")
        return

    def run() -> dict[str, Any]:
        python = interpreter.make(folder / "python", CHECKOUT)
        return models.run(python, campaign_out, report.left_s() - 5)

    step("models", 120, run)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gpu_check", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder for results")
    parser.add_argument("--gpu", type=int, default=0, help="index of the GPU")
    parser.add_argument("--seconds", type=float, default=590.0, help="time budget, in all")
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


def _tell(parts: list[dict[str, Any]], path: Path) -> None:
    for part in parts:
        line = f"{part['part']}: {part['status']}"
        if part["status"] == "failed":
            line += f" ({part['failure']['kind']}): {part['failure']['message'].splitlines()[0]}"
        elif part["status"] == "skipped":
            line += f": {part['reason']}"
        print(line)
    print(f"written: {path}")


if __name__ == "__main__":
    sys.exit(main())
