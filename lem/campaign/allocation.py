"""What a scheduler gave to this job: GPUs, CPUs."""

from collections.abc import Callable, Mapping, Sequence

from lem.contract.record import Allocation, Gpu
from lem.errors import EnvironmentFault

VARIABLES = ("CUDA_VISIBLE_DEVICES", "SLURM_STEP_GPUS", "SLURM_JOB_GPUS", "GPU_DEVICE_ORDINAL")
"""The first that is set counts. Only the first holds for programs in the job, whatever the node
hides from it; the others count the node's boards."""
POD_UID, POD_GPUS, POD_CPUS = "LEM_POD_UID", "LEM_POD_GPUS", "LEM_POD_CPUS"
"""What lem's manifest tells a pod: who it is, and what it asked for."""


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
    if POD_GPUS in environ:
        return _of_pod(environ, here, wanted)
    text = next((v for name in VARIABLES if (v := environ.get(name, "").strip())), "")
    names = [n.strip() for n in text.split(",") if n.strip()]
    by_uuid, by_index = {g.uuid: g for g in here}, {g.index: g for g in here}
    boards = [by_uuid.get(n) or (by_index.get(int(n)) if n.isdecimal() else None) for n in names]
    # A name that comes twice is one board.
    found = list(dict.fromkeys(g.index for g in boards if g is not None))
    # Whole boards that are divided are given by their number, too.
    if any(n.startswith("MIG-") for n in names) or any(by_index[i].mig for i in found[:wanted]):
        raise EnvironmentFault(
            "the job was given parts of a board (MIG); a block takes whole boards on a cluster",
            hint="ask for whole ones in launcher.gres, or use the process launcher in the job",
        )
    if len(found) < wanted:
        given = f"{text!r}, of which it sees {len(found)}" if names else "none"
        raise EnvironmentFault(
            f"a block needs {wanted} GPU{'s' if wanted > 1 else ''}; the job was given {given}",
            hint="see launcher.gres; `srun lem doctor` in such a job shows what the node has",
        )
    return found[:wanted]


def _of_pod(environ: Mapping[str, str], here: Sequence[Gpu], wanted: int) -> list[int]:
    """A pod's programs see the boards that it was given, and no others."""
    if any(g.mig for g in here) or "MIG-" in environ.get("NVIDIA_VISIBLE_DEVICES", ""):
        raise EnvironmentFault(
            "the pod was given parts of a board (MIG), which have no energy of their own",
            hint="ask for whole ones: launcher.gpu_resource, launcher.node_selector",
        )
    given = environ[POD_GPUS]
    if str(len(here)) != given or len(here) < wanted:
        raise EnvironmentFault(
            f"the pod asked for {given} GPUs and sees {len(here)}; a block needs {wanted}",
            hint="with fewer, the node has no NVIDIA container runtime for pods "
            "(launcher.runtime_class: nvidia); with more, it gives containers what they did not "
            "ask for: see the device plugin's deviceListStrategy",
        )
    return sorted(g.index for g in here)[:wanted]


def of_job(environ: Mapping[str, str], node_cpus: int, restarts: int = 0) -> Allocation | None:
    """As the scheduler's variables tell it in a job; None outside of one. ``node_cpus``: of the
    whole machine. ``restarts``: where they do not tell."""
    if POD_UID in environ:
        # Nothing is promised to a pod that asks for no CPUs: the least that there is, so that
        # nobody takes the node for its own.
        asked = environ.get(POD_CPUS, "")
        cpus = int(asked) if asked.isdigit() and int(asked) > 0 else 1
        return Allocation(
            scheduler="kubernetes", cpus=cpus, node_cpus=max(cpus, node_cpus), restarts=restarts
        )
    if "SLURM_JOB_ID" not in environ:
        return None
    given, counted = environ.get("SLURM_CPUS_ON_NODE", ""), environ.get("SLURM_RESTART_COUNT", "")
    # As with pods: where it is not told, the least.
    cpus = int(given) if given.isdigit() and int(given) > 0 else 1
    return Allocation(
        scheduler="slurm",
        cpus=cpus,
        node_cpus=max(cpus, node_cpus),
        restarts=int(counted) if counted.isdigit() else restarts,
    )
