"""What a scheduler gave to this job: GPUs, CPUs."""

from collections.abc import Callable, Mapping, Sequence

from lem.contract.record import Allocation, Gpu
from lem.errors import EnvironmentFault

VARIABLES = ("CUDA_VISIBLE_DEVICES", "SLURM_STEP_GPUS", "SLURM_JOB_GPUS", "GPU_DEVICE_ORDINAL")
"""The first that is set counts. Only the first holds for programs in the job, whatever the node
hides from it; the others count the node's boards."""


def allocated(
    environ: Mapping[str, str], seen: Callable[[Sequence[int] | None], list[Gpu]], wanted: int
) -> list[int]:
    """The indices, as NVML counts in this job, of the first ``wanted`` GPUs that it was given.
    ``seen``: :func:`lem.agent.environment.gpus`.

    Raises :class:`EnvironmentFault` where there are fewer, or where they are parts of boards.
    """
    if not wanted:
        return []
    here = seen(None)
    text = next((v for name in VARIABLES if (v := environ.get(name, "").strip())), "")
    names = [n.strip() for n in text.split(",") if n.strip()]
    if any(n.startswith("MIG-") for n in names):
        raise EnvironmentFault(
            "the job was given parts of a board (MIG); a block takes whole boards on a cluster",
            hint="ask for whole ones in launcher.gres, or use the process launcher in the job",
        )
    by_uuid, indices = {g.uuid: g.index for g in here}, {g.index for g in here}
    found = []
    for name in names:
        if name.isdigit() and int(name) in indices:
            found.append(int(name))
        elif name in by_uuid:
            found.append(by_uuid[name])
    if len(found) < wanted:
        given = f"{text!r}, of which it sees {len(found)}" if names else "none"
        raise EnvironmentFault(
            f"a block needs {wanted} GPUs; the job was given {given}",
            hint="see launcher.gres; `srun lem doctor` in such a job shows what the node has",
        )
    return found[:wanted]


def of_job(environ: Mapping[str, str], node_cpus: int) -> Allocation | None:
    """As the scheduler's variables tell it in a job; None outside of one. ``node_cpus``: of the
    whole machine."""
    if "SLURM_JOB_ID" not in environ:
        return None
    given, restarts = environ.get("SLURM_CPUS_ON_NODE", ""), environ.get("SLURM_RESTART_COUNT", "")
    cpus = int(given) if given.isdigit() and int(given) > 0 else node_cpus
    return Allocation(
        scheduler="slurm",
        cpus=cpus,
        node_cpus=max(cpus, node_cpus),
        restarts=int(restarts) if restarts.isdigit() else 0,
    )
