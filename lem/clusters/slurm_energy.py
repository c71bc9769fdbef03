"""What Slurm itself says that a job has used: its plugins read RAPL, IPMI or a node's own counters,
where the site has set that up (``AcctGatherEnergyType``)."""

import subprocess
from collections.abc import Mapping

SOURCE = "sstat ConsumedEnergyRaw"
TIMEOUT_S = 20.0
LARGEST_J = 1e12
"""More than any job uses: a counter that Slurm could not read is given as a number near 2⁶⁴."""


def consumed_j(environ: Mapping[str, str]) -> float | None:
    """Energy of this job's batch step so far, in J, of whole nodes, in Slurm's own words; None
    outside of a job, and where Slurm does not account for it."""
    job = environ.get("SLURM_JOB_ID", "")
    if not job.isdigit():
        return None
    command = ["sstat", "--noheader", "--parsable2", "--format=ConsumedEnergyRaw"]
    try:
        done = subprocess.run(
            [*command, f"--jobs={job}.batch"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parsed(done.stdout) if done.returncode == 0 else None


def parsed(said: str) -> float | None:
    """``1234`` → 1234.0; None for 0, which is what it says where no plugin reads anything."""
    word = said.strip().splitlines()[-1].strip() if said.strip() else ""
    if not word.isdigit():
        return None
    joules = float(word)
    return joules if 0 < joules < LARGEST_J else None
