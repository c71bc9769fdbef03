"""What ``lem doctor`` says where a scheduler gives out machines: on a login node, and in a job
(``srun lem doctor``)."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from lem.cli.doctor_archive import Said
from lem.errors import EnvironmentFault

LITTLE_SCRATCH_BYTES = 5 * 10**9


def findings(environ: Mapping[str, str] = os.environ) -> Iterator[tuple[str, Said]]:
    """Subject and what is said of it."""
    yield from containers()
    in_job = "SLURM_JOB_ID" in environ
    if shutil.which("sbatch") is not None:
        yield "slurm", scheduler()
    if in_job:
        yield from job(environ)


def containers() -> Iterator[tuple[str, Said]]:
    """Engines of containers that need no daemon, and what images lem has made for them."""
    from lem.launchers import charliecloud
    from lem.launchers.cache import cache_root
    from lem.launchers.converted import kept

    for name, command, form in (
        ("apptainer", "apptainer", "sif"),
        ("charliecloud", "ch-run", "rootfs"),
    ):
        path = shutil.which(command)
        if path is None:
            yield name, Said("absent", f"{command} is not here (clusters have it: docs/hpc.md)")
            continue
        images = kept(form, cache_root())
        if not images:
            fix = "lem campaign stage FILE (or run) makes them, where the network is"
            yield name, Said("missing", f"{path}; no image is made for it yet", fix)
        else:
            yield name, Said("ok", f"{path}; images made: {', '.join(images)}")
        if name == "charliecloud" and not charliecloud.set_apart():
            what = "this kernel gives users no namespaces: agents keep the network"
            yield f"{name}/apart", Said("note", what, "sysctl user.max_user_namespaces (root)")


def scheduler() -> Said:
    version = _said("sbatch", "--version")
    if version is None:
        return Said("missing", "sbatch cannot be run", "see its message: sbatch --version")
    nodes = _said("sinfo", "--noheader", "--format=%R: %D nodes, %l, %G")
    if nodes is None:
        why = f"{version}; its controller does not answer"
        return Said("missing", why, "scontrol ping; SLURM_CONF says which cluster")
    return Said("ok", f"{version}; " + "; ".join(nodes.splitlines()[:8]))


def job(environ: Mapping[str, str]) -> Iterator[tuple[str, Said]]:
    """What this job has been given."""
    from lem.agent.environment import gpus
    from lem.campaign.allocation import allocated, of_job

    given = of_job(environ, os.cpu_count() or 1)
    assert given is not None
    if given.cpus < given.node_cpus:
        what = f"{given.cpus} of the node's {given.node_cpus} CPUs: others may run beside"
        yield (
            "job/node",
            Said("note", what, "launcher.exclusive: true, where CPU or node energy is of interest"),
        )
    else:
        yield "job/node", Said("ok", f"all {given.cpus} CPUs of the node")
    count = int(environ.get("SLURM_GPUS_ON_NODE") or 0)
    here = gpus(None)
    if not count:
        seen = f"; the node shows {len(here)} to it" if here else ""
        yield "job/gpus", Said("note", f"the job was given no GPU{seen}", "launcher.gres: gpu:1")
    else:
        try:
            found = allocated(environ, gpus, count)
        except EnvironmentFault as e:
            fix = "see launcher.gres, and whether `srun nvidia-smi -L` shows them"
            yield "job/gpus", Said("missing", e.message, fix)
        else:
            names = {g.index: g.name for g in here}
            each = ", ".join(f"{i}: {names[i]}" for i in found)
            others = len(here) - len(found)
            beside = f"; {others} more of the node are seen, and not metered" if others > 0 else ""
            yield "job/gpus", Said("ok", each + beside)
    yield "job/scratch", scratch(Path(tempfile.gettempdir()))
    energy = _said("scontrol", "show", "config")
    kind = next(
        (
            line.partition("=")[2].strip()
            for line in (energy or "").splitlines()
            if line.startswith("AcctGatherEnergyType")
        ),
        "",
    )
    if kind and not kind.endswith("/none") and kind != "(null)":
        yield "job/energy", Said("ok", f"Slurm accounts for energy too ({kind}): kept beside lem's")
    else:
        yield "job/energy", Said("note", "Slurm does not account for energy here; lem's meters do")


def scratch(folder: Path) -> Said:
    """Whether there is room for what a run writes aside."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as e:
        return Said("missing", f"{folder}: {e.strerror}", "set TMPDIR in launcher.setup")
    what = f"{free / 1e9:.0f} GB free in {folder}"
    if free < LITTLE_SCRATCH_BYTES:
        return Said("note", what, "set TMPDIR in launcher.setup to a place with more room")
    return Said("ok", what)


def _said(*words: str) -> str | None:
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
