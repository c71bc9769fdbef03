"""Runs the campaign over the 8B-shaped model with lem itself, and says what of it was done."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

from lem.errors import RunFailed

CAMPAIGN = Path(__file__).with_name("campaign.yaml")
GRACE_S = 25.0
"""How long lem gets to end what runs and keep its state."""


def run(python: Path, out: Path, seconds: float, campaign: Path = CAMPAIGN) -> dict[str, Any]:
    """Run ``campaign`` into ``out`` for at most ``seconds``; what was done, failed and left over.

    Raises :class:`RunFailed` where no record came of it.
    """
    command = [str(python), "-m", "lem.cli.main", "campaign", "run", str(campaign)]
    log = out.with_name(f"{out.name}.log")
    out.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as f:
        process = subprocess.Popen(
            [*command, "--out", str(out), "--launcher", "process", "--blocks", "2"],
            stdin=subprocess.DEVNULL,
            stdout=f,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(max(1.0, seconds - GRACE_S))
        except subprocess.TimeoutExpired:
            status = _interrupt(process)
        except BaseException:
            _interrupt(process)
            raise
    found = {
        "campaign": str(out),
        "exit_status": status,
        "out_of_time": status == 130,
        **outcomes(out),
        "last_lines": log.read_text(errors="replace").splitlines()[-15:],
    }
    if not found["records"] and found["failures"]:
        first = found["failures"][0]
        raise RunFailed(
            first["kind"],
            f"no record; {len(found['failures'])} runs failed, the first: {first['message']}",
            first["hint"],
        )
    if not found["records"]:
        raise RunFailed("engine_error", "no record:\n" + "\n".join(found["last_lines"]))
    return found


def outcomes(out: Path) -> dict[str, Any]:
    """Records, typed failures and the arms that have neither, from the folder's documents."""
    records, failures, seen = [], [], set()
    for job in sorted(out.glob("blocks/*/*/*/job.json")):
        folder = job.parent
        place = str(folder.relative_to(out))
        if (folder / "record.json").is_file():
            records.append(place)
            seen.add(folder.parent.name)
        elif (folder / "failure.json").is_file():
            failure = json.loads((folder / "failure.json").read_bytes())
            said = {k: failure.get(k) for k in ("kind", "phase", "message", "hint")}
            failures.append({"run": place, **said})
            seen.add(folder.parent.name)
    lock = out / "campaign.lock.json"
    arms = json.loads(lock.read_bytes())["arms"] if lock.is_file() else []
    missing = [a["arm_id"] for a in arms if a["arm_id"] not in seen]
    return {"records": records, "failures": failures, "skipped_for_time": missing}


def _interrupt(process: subprocess.Popen[bytes]) -> int:
    """As Ctrl-C does: lem ends what runs and keeps its state. Killed where it does not."""
    process.send_signal(signal.SIGINT)
    try:
        return process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
