"""``lem doctor``: what works on this machine and what doesn't, each with its fix.

Looks only: nothing is built, started, imported or changed; but for ``--restore``, which puts back
what a killed run left set on a GPU.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from lem.cli import output

if TYPE_CHECKING:
    from lem.boards.journal import Journal

CONTAINERS = ("docker", "apptainer", "charliecloud")
LITTLE_ROOM_BYTES = 20 * 10**9


@dataclass(frozen=True)
class Finding:
    """``missing`` is not an error: it says what cannot be done here, and ``fix`` how to get it.
    ``absent``: this machine has no such hardware, so there is nothing to mend."""

    subject: str
    state: Literal["ok", "missing", "absent", "note"]
    what: str
    fix: str | None = None


@click.command(name="doctor")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, on stdout.")
@click.option("--restore", is_flag=True, help="First put back what a killed run left set on a GPU.")
def command(as_json: bool, restore: bool) -> None:
    """What works on this machine and what doesn't, each with its fix.

    Exits with 3 where no experiment could be run in any way.
    """
    if restore:
        from lem import boards

        boards.put_back(output.note)
    findings = [f for check in CHECKS for f in check()]
    able = can_run(findings)
    if as_json:
        output.emit({"can_run": able, "findings": [asdict(f) for f in findings]})
    else:
        show(findings)
        output.out().print(summary(findings))
    if not able:
        raise SystemExit(3)


def can_run(findings: list[Finding]) -> bool:
    """Whether any launcher has what it needs: an engine of containers, or one of inference."""
    return any(
        f.state == "ok" and (f.subject in CONTAINERS or f.subject.startswith("process/"))
        for f in findings
    )


def summary(findings: list[Finding]) -> str:
    """In one line: how experiments can be run here, and whether their energy is measured."""
    ready = {f.subject for f in findings if f.state == "ok"}
    ways = [c for c in CONTAINERS if c in ready]
    if any(s.startswith("process/") for s in ready):
        ways.append("process")
    meters = sorted({s.partition("/")[2] for s in ready if s.startswith("meter/")} - {"estimate"})
    if not ways:
        return "Nothing can be run here: neither containers nor an installed engine."
    energy = (
        f"energy is measured ({', '.join(meters)})"
        if meters
        else "no meter measures energy: it is estimated from CPU time"
    )
    return f"Experiments can be run here (launcher {' or '.join(ways)}); {energy}."


def show(findings: list[Finding]) -> None:
    """As lines, the fix below what is missing."""
    signs = {"ok": "ok     ", "missing": "missing", "absent": "absent ", "note": "note   "}
    width = max(len(f.subject) for f in findings)
    for f in findings:
        # What drivers, engines and plugins say of themselves is in it.
        output.out().print(output.visible(f"{signs[f.state]}  {f.subject:<{width}}  {f.what}"))
        if f.fix is not None:
            output.out().print(output.visible(f"{'':<{width + 11}}fix: {f.fix}"))


def python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("python", "ok", f"{version} ({sys.executable})")


def docker() -> Iterator[Finding]:
    from lem import containers, verified
    from lem.contract.base import CONTRACT_VERSION
    from lem.errors import EnvironmentFault
    from lem.launchers import image

    try:
        with containers.connect() as engine:
            facts = engine.facts
            images = engine.images(image.BACKEND)
    except EnvironmentFault as e:
        yield Finding("docker", "missing", e.message, e.hint)
        return
    how = ", rootless" if facts.rootless else ""
    yield Finding("docker", "ok", f"engine {facts.version}, API {facts.api_version}{how}")
    if facts.nvidia:
        yield Finding("docker/gpu", "ok", "containers can be given NVIDIA GPUs")
    elif has_nvidia_gpu():
        yield Finding(
            "docker/gpu",
            "missing",
            "this machine has an NVIDIA GPU, but Docker cannot give it to a container",
            "install the NVIDIA Container Toolkit, then sudo nvidia-ctk runtime configure "
            "--runtime=docker and sudo systemctl restart docker",
        )
    for backend in image.buildable():
        usable = [
            i
            for i in images
            if i.labels.get(image.BACKEND) == backend
            and i.labels.get(image.CONTRACT) == str(CONTRACT_VERSION)
        ]
        if usable:
            name = usable[0].tags[0] if usable[0].tags else usable[0].id
            engine_version = usable[0].labels.get(image.ENGINE_VERSION, "unknown")
            kind: verified.DeviceClass = (
                "gpu" if usable[0].labels.get(image.VARIANT) == "cuda" else "cpu"
            )
            stands = verified.standing(backend, kind, engine_version)
            what = f"{name}, engine {engine_version}; conformance suite: {stands}"
            yield Finding(f"image/{backend}", "ok", what)
        elif not facts.nvidia and "cpu" not in image.variants(backend):
            pinned = image.pinned_engine(backend) or "unknown"
            stands = verified.standing(backend, "gpu", pinned)
            what = f"only for NVIDIA GPUs; engine {pinned}; conformance suite: {stands}"
            yield Finding(f"image/{backend}", "absent", what)
        else:
            fix = f"lem images build {backend} (a campaign that needs it builds it too)"
            yield Finding(f"image/{backend}", "missing", "not built", fix)


def engines() -> Iterator[Finding]:
    """Engines in this interpreter, for the process launcher; not imported, only looked up."""
    from lem import plugins, verified
    from lem.launchers import install

    gpu = has_nvidia_gpu()
    for name in plugins.names("backends"):
        try:
            distribution = plugins.load("backends", name)().distribution
        except ImportError as e:
            why = f"the plugin cannot be imported: {e}"
            yield Finding(f"process/{name}", "missing", why, "reinstall the plugin, or remove it")
            continue
        if not distribution:
            # A server that somebody else started: nothing of it is to be seen from here.
            continue
        try:
            version = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            what = f"{distribution} is not installed in this environment"
            if not gpu and not install.on_cpu(name):
                yield Finding(f"process/{name}", "absent", f"only for NVIDIA GPUs; {what}")
            else:
                yield Finding(f"process/{name}", "missing", what, install.hint(name, gpu))
        else:
            stands = verified.standing(name, "gpu" if gpu else "cpu", version)
            what = f"{distribution} {version}; conformance suite: {stands}"
            yield Finding(f"process/{name}", "ok", what)


def meters(root: Path = Path("/")) -> Iterator[Finding]:
    from lem.meters import machine, readings
    from lem.meters.protocol import MeterSettings

    infos, unavailable = readings.probe(MeterSettings(**machine.settings()))
    for i in infos:
        uncertainty = readings.stated_uncertainty(i)
        accuracy = f", {uncertainty}" if uncertainty else ""
        what = f"{i.device}: {i.description}{accuracy}"
        if i.device_class == "sensor":
            yield Finding(f"meter/{i.meter}", "note", f"{what} (shown, in no figure)")
        else:
            yield Finding(f"meter/{i.meter}", "ok", what)
    for name, e in sorted(unavailable.items()):
        if name in ABSENT and ABSENT[name](root):
            yield Finding(f"meter/{name}", "absent", f"not on this machine: {e.message}")
        else:
            yield Finding(f"meter/{name}", "missing", e.message, e.hint)


def device_settings() -> Iterator[Finding]:
    """Whether power limits and clocks can be set here, and what a killed run left set."""
    from lem import boards
    from lem.errors import SettingRefused

    for found in boards.left():
        if found.in_use is False and found.same_boot:
            yield Finding(
                "gpu settings",
                "missing",
                f"left by a run that was killed: {found.words}",
                "lem doctor --restore, as the user who ran it; or " + by_hand(found.journal),
            )
        elif found.in_use is not False:
            yield Finding("gpu settings", "note", f"in use: {found.words}")
    try:
        able = boards.look()
    except SettingRefused:
        return
    for board in able:
        subject = f"gpu settings/{board.gpu}"
        limits = (
            f"power limit {board.least_w:g} to {board.most_w:g} W"
            if board.least_w is not None and board.most_w is not None
            else "no power limit to set"
        )
        clocks = (
            f"SM clock {board.clocks_mhz[0]} to {board.clocks_mhz[1]} MHz"
            if board.clocks_mhz
            else "no SM clock to lock"
        )
        what = f"{board.name}: {limits}, {clocks}"
        if board.partitioned:
            yield Finding(subject, "note", f"{board.name}: divided by MIG, so nothing can be set")
        elif not boards.privileged():
            fix = "run the campaign as root (docs/gpu.md says what that means)"
            yield Finding(subject, "missing", f"{what}; this user may set neither", fix)
        else:
            yield Finding(subject, "ok", what)


def by_hand(note: "Journal") -> str:
    """The commands that undo what a note says."""
    commands = []
    if note.limit_before_mw is not None:
        commands.append(f"sudo nvidia-smi -i {note.uuid} -pl {note.limit_before_mw / 1e3:g}")
    if note.clock_locked_mhz is not None:
        commands.append(f"sudo nvidia-smi -i {note.uuid} -rgc")
    return "; ".join(commands)


def _no_board(vendor: str, *traces: str) -> Callable[[Path], bool]:
    """Whether no graphics board or accelerator (PCI classes 03 and 12) of the vendor is there, nor
    anything that its driver leaves. False where PCI devices cannot be seen."""

    def absent(root: Path) -> bool:
        devices = list(root.glob("sys/bus/pci/devices/*"))
        boards = [
            d
            for d in devices
            if _text(d / "vendor") == vendor and _text(d / "class").startswith(("0x03", "0x12"))
        ]
        return bool(devices) and not boards and not any((root / t).exists() for t in traces)

    return absent


def _virtual_without(pattern: str) -> Callable[[Path], bool]:
    """Whether this is a virtual machine, which hands no such thing on."""

    def absent(root: Path) -> bool:
        words = _text(root / "proc/cpuinfo").split()
        return "hypervisor" in words and not any(root.glob(pattern))

    return absent


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


ABSENT: dict[str, Callable[[Path], bool]] = {
    # A board in WSL is no PCI device: /dev/dxg stands for it.
    "nvml": _no_board("0x10de", "proc/driver/nvidia", "dev/nvidiactl", "dev/dxg"),
    "amd": _no_board("0x1002", "dev/kfd", "dev/dxg"),
    "pm_counters": lambda root: not (root / "sys/cray").exists(),
    "rapl": _virtual_without("sys/class/powercap/intel-rapl*"),
    "hwmon": _virtual_without("sys/class/hwmon/*"),
    "ipmi": _virtual_without("dev/ipmi*"),
}
"""Meter → whether its hardware is known not to be in the machine below a root folder."""


def disk() -> Iterator[Finding]:
    from lem.launchers.cache import cache_root

    folder = cache_root()
    place = folder
    while not place.exists():
        place = place.parent
    if not os.access(place, os.W_OK):
        yield Finding(
            "disk",
            "missing",
            f"{folder} cannot be written to",
            "set LEM_CACHE to another folder, or change its owner",
        )
        return
    free = shutil.disk_usage(place).free
    what = f"{free / 1e9:.0f} GB free for models in {folder}"
    if free < LITTLE_ROOM_BYTES:
        yield Finding("disk", "note", what, "set LEM_CACHE to a folder with more room")
    else:
        yield Finding("disk", "ok", what)


def governor(root: Path = Path("/sys/devices/system/cpu")) -> Iterator[Finding]:
    found: set[str] = set()
    for path in root.glob("cpu*/cpufreq/scaling_governor"):
        try:
            found.add(path.read_text().strip())
        except OSError:
            continue
    if not found:
        yield Finding("cpu", "note", "no frequency governor to be seen (a virtual machine?)")
    elif found == {"performance"}:
        yield Finding("cpu", "ok", "frequency governor: performance")
    else:
        yield Finding(
            "cpu",
            "note",
            f"frequency governor: {', '.join(sorted(found))}; frequencies will vary in a run",
            "sudo cpupower frequency-set -g performance",
        )


def secrets(environ: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    if environ.get("HF_TOKEN"):
        yield Finding("hub", "ok", "HF_TOKEN is set, for gated models")
    else:
        yield Finding(
            "hub",
            "note",
            "HF_TOKEN is not set: gated models cannot be fetched",
            "create a token at https://huggingface.co/settings/tokens, then export HF_TOKEN=…",
        )


def archives() -> Iterator[Finding]:
    from lem.cli import doctor_archive

    yield Finding("archive/serve", *doctor_archive.serving(dict(os.environ)))
    yield Finding("archive/submit", *doctor_archive.submitting())


def cluster() -> Iterator[Finding]:
    from lem.cli import doctor_cluster

    for subject, said in doctor_cluster.findings():
        yield Finding(subject, *said)


def has_nvidia_gpu(proc: Path = Path("/proc")) -> bool:
    """Whether the NVIDIA driver has found a GPU."""
    return any(proc.glob("driver/nvidia/gpus/*"))


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    python,
    docker,
    cluster,
    engines,
    meters,
    device_settings,
    disk,
    governor,
    secrets,
    archives,
)
