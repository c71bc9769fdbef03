"""Slurm, by its own commands: ``sbatch``, ``squeue``, ``scancel`` (verified with 22.05)."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Literal

from lem.clusters.protocol import Task, Work
from lem.clusters.slurm_script import script
from lem.config.clusters import SlurmSpec
from lem.contract.base import write_atomic
from lem.errors import EnvironmentFault

TIMEOUT_S = 120.0
OVER = frozenset(
    [
        "BOOT_FAIL",
        "CANCELLED",
        "COMPLETED",
        "DEADLINE",
        "FAILED",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "PREEMPTED",
        "REVOKED",
        "TIMEOUT",
    ]
)
"""States in which a job does nothing any more, unless it is queued again, when it has another."""
RUNS = frozenset({"RUNNING", "COMPLETING", "STAGE_OUT", "SIGNALING", "STOPPED", "SUSPENDED"})
KEPT = (
    *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LD_LIBRARY_PATH", "TZ"),
    *("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT", "KRB5CCNAME", "XDG_RUNTIME_DIR"),
)
"""Of the shell's environment, what Slurm's commands are given: its other variables (``SBATCH_…``,
``SQUEUE_…``) are options that would change what is asked and answered."""
ABOUT = ("partition", "account", "qos", "reservation", "node configuration", "array")


class Slurm:
    kind: Literal["slurm"] = "slurm"

    def __init__(self, spec: SlurmSpec) -> None:
        self._spec = spec

    def check(self) -> None:
        missing = [c for c in ("sbatch", "squeue", "scancel") if shutil.which(c) is None]
        if missing:
            raise EnvironmentFault(
                f"there is no Slurm here: {', '.join(missing)} not found",
                hint="run this on a login node of the cluster, or write the job with "
                "`lem campaign render` and submit it there",
            )

    def render(self, work: Work) -> str:
        return script(work, self._spec)

    def submit(self, work: Work) -> str:
        path = work.folder / "cluster" / f"{work.order.number}.sh"
        write_atomic(path, self.render(work).encode())
        said = _command(["sbatch", "--parsable", str(path)])
        # ID or ID;CLUSTER
        job = said.strip().splitlines()[-1].split(";")[0] if said.strip() else ""
        if not job.isdigit():
            raise EnvironmentFault(f"sbatch answered {said!r}, which names no job")
        return job

    def find(self, name: str) -> str | None:
        said = _command(["squeue", "--noheader", "--me", f"--name={name}", "--format=%F %T"])
        jobs = [line.split() for line in said.splitlines()]
        return next((j[0] for j in jobs if len(j) == 2 and j[1] not in OVER), None)

    def alive(self, jobs: Mapping[str, str]) -> list[Task]:
        if not jobs:
            return []
        try:
            said = _command(
                [
                    *("squeue", "--noheader", "--array", "--states=all"),
                    *(f"--jobs={','.join(sorted(jobs))}", "--format=%F|%K|%T|%N|%j|%r"),
                ]
            )
        except EnvironmentFault as e:
            # Those that ended long ago are forgotten, and where all are, that is an error.
            if "Invalid job id" in e.message:
                return []
            raise
        found = []
        for line in said.splitlines():
            job, index, state, node, name, why = (*line.split("|", 5), "", "", "", "", "")[:6]
            if jobs.get(job) != name or not index.isdigit():
                continue
            if state in OVER and state != "CANCELLED":
                continue
            if state == "CANCELLED":
                found.append(Task(job, int(index), "cancelled", node))
            else:
                how: Literal["running", "waiting"] = "running" if state in RUNS else "waiting"
                found.append(Task(job, int(index), how, node or why))
        return found

    def cancel(self, jobs: Mapping[str, str]) -> None:
        for job, name in sorted(jobs.items()):
            _command(["scancel", "--quiet", "--me", f"--name={name}", job])


def _command(words: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            words,
            env={k: v for k, v in os.environ.items() if k in KEPT},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError as e:
        raise EnvironmentFault(f"{words[0]} is not here", hint="run this on a login node") from e
    except subprocess.TimeoutExpired as e:
        raise EnvironmentFault(
            f"{words[0]} did not answer within {TIMEOUT_S:.0f} s",
            hint="the controller may be away: `scontrol ping` tells; the command goes on later",
        ) from e
    if done.returncode != 0:
        why = done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}"
        raise EnvironmentFault(f"{words[0]}: {why}", hint=_hint(why))
    return done.stdout


def _hint(why: str) -> str | None:
    lower = why.lower()
    if words := [w for w in ABOUT if w in lower]:
        return f"see `launcher` in the campaign file ({', '.join(words)}), and `sinfo`"
    if "socket timed out" in lower or "unable to contact" in lower:
        return "the controller is away: `scontrol ping` tells; the same command goes on later"
    return None


plugin = Slurm
