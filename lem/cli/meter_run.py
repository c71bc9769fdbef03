"""``lem meter run``: the energy of any command, as JSON or as a table."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lem.cli import output
from lem.errors import LemError

if TYPE_CHECKING:
    from lem.contract.record import EnergyReading
    from lem.meters.command import Ended
    from lem.meters.session import Meter

OWN_FAILURE = 125
SCHEMA_VERSION = 1


class OwnFailures(click.Command):
    """Ends with 125 where the command line is wrong: 2 may be the measured command's own."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        try:
            return super().make_context(*args, **kwargs)
        except click.UsageError as e:
            e.show(sys.stderr)
            sys.exit(OWN_FAILURE)


def measure(
    arguments: tuple[str, ...], meters: tuple[str, ...], as_json: bool, file: Path | None
) -> int:
    """Measure a command and tell; the exit code."""
    from lem.meters import command
    from lem.meters.session import Meter

    meter = Meter(list(dict.fromkeys(meters)) or None)
    try:
        command.find(arguments)
        if file is not None:
            # Found out now, not after the work.
            file.open("a").close()
        meter.open()
    except command.CannotRun as e:
        return _fail(str(e), e.exit_code)
    except LemError as e:
        output.note(output.complaint(e))
        return OWN_FAILURE
    except OSError as e:
        return _fail(f"{e.filename or ''}: {e.strerror or e}")
    try:
        ended = command.run(arguments)
    except command.CannotRun as e:
        meter.close()
        return _fail(str(e), e.exit_code)
    except BaseException:
        meter.close()
        raise
    meter.start_ns, meter.end_ns = ended.start_ns, ended.end_ns
    try:
        meter.finish()
        _tell(arguments, meter, ended, as_json, file)
    except LemError as e:
        # The command has run; what is lost is the measurement.
        output.note(output.complaint(e))
    except BrokenPipeError:
        sys.stderr.flush()
    except OSError as e:
        output.note(f"lem: {e.filename or 'output'}: {e.strerror or e}")
    return ended.exit_code


def _fail(message: str, code: int = OWN_FAILURE) -> int:
    output.note(f"lem: {message}")
    return code


def _tell(
    arguments: tuple[str, ...], meter: "Meter", ended: "Ended", as_json: bool, file: Path | None
) -> None:
    document = {
        "schema_version": SCHEMA_VERSION,
        "command": list(arguments),
        "exit_code": ended.exit_code,
        "start_ns": ended.start_ns,
        "end_ns": ended.end_ns,
        "duration_s": meter.duration_s,
        "readings": [_reading(r, meter.duration_s) for r in meter.readings],
        "unavailable": meter.unavailable,
        "flags": sorted(meter.run_flags),
    }
    text = json.dumps(document, ensure_ascii=True, allow_nan=False)
    if file is not None:
        file.write_text(text + "\n")
    if as_json:
        if file is None:
            # One line of its own, after everything that the command has written.
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
    else:
        _table(meter)


def _reading(r: "EnergyReading", seconds: float) -> dict[str, Any]:
    mean = None if r.energy_j is None or seconds <= 0 else r.energy_j / seconds
    told = r.model_dump(mode="json", exclude_none=False)
    order = ("meter", "device", "device_class", "energy_j", "uncertainty_j")
    first = {name: told.pop(name) for name in order}
    return {**first, "mean_power_w": mean, **told}


def _table(meter: "Meter") -> None:
    """To stderr: stdout is the command's."""
    from lem.contract.flags import FLAGS

    rows = [_row(r, meter.duration_s) for r in meter.readings]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        output.note("  ".join(cells).rstrip())
    for flag in sorted({f for r in meter.readings for f in r.flags} | set(meter.run_flags)):
        output.note(f"{flag}: {FLAGS[flag].meaning if flag in FLAGS else 'not described'}")
    if any("estimated" in r.flags for r in meter.readings):
        output.note("CPU time of this command only: no idle power, memory or GPU")
    output.note(f"in {meter.duration_s:.3f} s; ± is the expanded uncertainty (k = 2)")


def _row(r: "EnergyReading", seconds: float) -> list[str]:
    from lem.analysis.words import two_digits

    flags = f"[{', '.join(r.flags)}]" if r.flags else ""
    if r.energy_j is None:
        return [r.device_class, r.device, r.meter, "no figure", "", "", flags]
    spread = "± not stated"
    if r.uncertainty_j is not None:
        share = 100 * r.uncertainty_j / r.energy_j if r.energy_j > 0 else None
        relative = "" if share is None else f" ({two_digits(share)} %)"
        spread = f"± {two_digits(r.uncertainty_j)} J{relative}"
    energy = f"{'about ' if 'estimated' in r.flags else ''}{_rounded(r)} J"
    mean = f"mean {_mean_power(r, max(seconds, 1e-9))} W"
    return [r.device_class, r.device, r.meter, energy, spread, mean, flags]


def _mean_power(r: "EnergyReading", seconds: float) -> str:
    """With the digits that the energy has: its uncertainty is the energy's."""
    from lem.analysis.words import places

    assert r.energy_j is not None
    if not r.uncertainty_j:
        return f"{r.energy_j / seconds:.4g}"
    return f"{r.energy_j / seconds:.{places(r.uncertainty_j / seconds)}f}"


def _rounded(r: "EnergyReading") -> str:
    """To the second digit of its uncertainty, as GUM 7.2.6 has it."""
    from lem.analysis.words import places

    assert r.energy_j is not None
    if not r.uncertainty_j:
        return f"{r.energy_j:.5g}"
    return f"{r.energy_j:.{places(r.uncertainty_j)}f}"
