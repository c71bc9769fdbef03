"""Describes the machine a run was made on: hardware, driver, versions, limits."""

import os
import platform
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from lem import __version__
from lem.backends.protocol import Backend
from lem.contract.base import CONTRACT_VERSION, Scalar
from lem.contract.record import Allocation, Environment, Gpu


def boot_id(root: Path = Path("/")) -> str:
    """The kernel's random id of this boot, so that a block is known not to span two."""
    return _line(root / "proc/sys/kernel/random/boot_id") or "unknown"


def device_set(gpus: Sequence[Gpu]) -> list[str]:
    """What a block runs on: the GPUs' UUIDs, or the CPU."""
    return [g.uuid for g in gpus] or ["cpu"]


OUTSIDE = "outside"
"""The version, as an experiment has it, of an engine in none of the agent's environments."""


def engine_version(backend: Backend) -> str | None:
    """The installed engine's version; None where it is not installed."""
    return version_of(backend.distribution) if backend.distribution else OUTSIDE


def version_of(distribution: str) -> str | None:
    """The installed version, without importing the package."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def library_versions(names: Sequence[str]) -> dict[str, str]:
    """Distribution → version, for those that are installed."""
    return {n: v for n in names if (v := version_of(n)) is not None}


OF_THE_AGENT = ("pydantic", "pydantic-core", "nvidia-ml-py")
C_LIBRARY = "C library"


def versions_around(backend: Backend) -> dict[str, str]:
    """What runs beside the engine's own code → version: its libraries, the agent's, Python and the
    C library. Two places with the same of all these differ only in how they start the agent."""
    names = (backend.distribution, *backend.libraries, *OF_THE_AGENT)
    found = library_versions([n for n in names if n])
    with suppress(ValueError, OSError):
        found[C_LIBRARY] = os.confstr("CS_GNU_LIBC_VERSION") or "unknown"
    return found


_STATUS = {
    "Seccomp": "seccomp",
    "NoNewPrivs": "no_new_privileges",
    "Speculation_Store_Bypass": "speculative_store_bypass",
    "SpeculationIndirectBranch": "indirect_branch_speculation",
}
_SECCOMP = {"0": "off", "1": "strict", "2": "filter"}


def confinement(root: Path = Path("/")) -> dict[str, str]:
    """How the kernel confines this process, as far as that can cost time: the filter of system
    calls, and what it does against speculative execution, which on some kernels comes with the
    filter (proc(5), ``/proc/PID/status``)."""
    found = {}
    for line in (_line(root / "proc/self/status") or "").splitlines():
        name, _, value = line.partition(":")
        if name in _STATUS:
            found[_STATUS[name]] = value.strip()
    if "seccomp" in found:
        found["seccomp"] = _SECCOMP.get(found["seccomp"], found["seccomp"])
    return found


def capture(
    *,
    launcher: str,
    image_digest: str | None,
    engine: str,
    engine_version: str,
    engine_resolved: dict[str, Scalar],
    libraries: dict[str, str],
    gpus: list[Gpu],
    block: tuple[Sequence[str], Sequence[str]] = ((), ()),
    commentary_s: float | None = None,
    allocation: Allocation | None = None,
    root: Path = Path("/"),
) -> Environment:
    """Everything about this machine and process that may change an energy figure. ``block``: UUIDs
    and names of what the run's block runs on; not given: the run's own. ``commentary_s``: how often
    the agent tells what it does."""
    return Environment(
        lem_version=__version__,
        contract_version=CONTRACT_VERSION,
        boot_id=boot_id(root),
        os=_os_name(root),
        kernel=platform.release(),
        python=platform.python_version(),
        cpu_model=_cpu_model(root),
        cpu_count=len(os.sched_getaffinity(0)),
        cpu_governor=_line(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        container=in_container(root),
        launcher=launcher,
        image_digest=image_digest,
        gpus=gpus,
        device_set=list(block[0]) or device_set(gpus),
        device_set_names=list(block[1]),
        engine=engine,
        engine_version=engine_version,
        engine_resolved=engine_resolved,
        libraries=libraries,
        confinement=confinement(root),
        commentary_s=commentary_s,
        allocation=allocation,
    )


def in_container(root: Path = Path("/")) -> bool:
    """Whether this process runs in a container (by the marks that Docker, Podman and the
    Kubernetes runtimes leave; LEM_CONTAINER where a launcher says so itself)."""
    if os.environ.get("LEM_CONTAINER"):
        return True
    return any((root / mark).exists() for mark in (".dockerenv", "run/.containerenv"))


def gpus(indices: Sequence[int] | None) -> list[Gpu]:
    """The NVIDIA GPUs with these indices (None: all); an empty list where there is no driver."""
    if indices is not None and not indices:
        return []
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        wanted = range(pynvml.nvmlDeviceGetCount()) if indices is None else indices
        return [_gpu(i) for i in wanted]
    finally:
        pynvml.nvmlShutdown()


def _gpu(index: int) -> Gpu:
    import pynvml as nvml

    from lem.meters import nvml_board

    handle = nvml.nvmlDeviceGetHandleByIndex(index)

    def ask(name: str, *arguments: int) -> object:
        try:
            return getattr(nvml, name)(handle, *arguments)
        except nvml.NVMLError:
            return None

    limit = ask("nvmlDeviceGetEnforcedPowerLimit")
    temperature = ask("nvmlDeviceGetTemperature", nvml.NVML_TEMPERATURE_GPU)
    memory = ask("nvmlDeviceGetMemoryInfo")
    mig = ask("nvmlDeviceGetMigMode")
    clocks = {
        name: ask("nvmlDeviceGetMaxClockInfo", clock)
        for name, clock in (("sm_max", nvml.NVML_CLOCK_SM), ("memory_max", nvml.NVML_CLOCK_MEM))
    }
    return Gpu(
        index=index,
        name=_text(ask("nvmlDeviceGetName")),
        uuid=_text(ask("nvmlDeviceGetUUID")),
        driver=_text(nvml.nvmlSystemGetDriverVersion()),
        memory_bytes=int(getattr(memory, "total", 0)),
        power_limit_w=float(limit) / 1000 if isinstance(limit, int) else None,
        clocks_mhz={k: v for k, v in clocks.items() if isinstance(v, int)},
        mig=bool(mig[0]) if isinstance(mig, list | tuple) else False,
        partitions=[_profile(name) for name in nvml_board.mig_devices(nvml, handle) or ()],
        temperature_c=float(temperature) if isinstance(temperature, int) else None,
    )


def _profile(name: str) -> str:
    """``1g.10gb`` of ``NVIDIA H100 80GB HBM3 MIG 1g.10gb``, which is what NVML calls a part."""
    return name.rpartition("MIG ")[2].strip()


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "unknown")


def _line(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", "replace").strip() or None
    except OSError:
        return None


def _os_name(root: Path) -> str:
    for line in (_line(root / "etc/os-release") or "").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return platform.system()


def _cpu_model(root: Path) -> str:
    for line in (_line(root / "proc/cpuinfo") or "").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
