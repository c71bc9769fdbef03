"""Machines, and what they take, in words."""

from lem.contract.queue import Accepts, Hardware
from lem.web.strings import text

GIB = 2**30


def hardware(found: Hardware) -> str:
    """``2 × NVIDIA H100 80GB HBM3, 78 GB memory; AMD EPYC 9354, 32 cores``; its GPUs first."""
    cores = text("queue.cores", cpu=found.cpu, cores=found.cores)
    memory = text("queue.memory", gib=round(found.memory_bytes / GIB))
    return "; ".join([*_devices(found), f"{cores}, {memory}"])


def short(found: Hardware) -> str:
    """What a campaign is measured on: its GPUs, or where it has none its processor."""
    return "; ".join(_devices(found)) or found.cpu


def _devices(found: Hardware) -> list[str]:
    """As the explorer writes them."""
    return [f"{d.count} × {d.model}" if d.count > 1 else d.model for d in found.devices]


def accepts(found: Accepts) -> list[str]:
    """What its owner lets a runner run: each thing in a few words."""
    said = []
    if found.models:
        said.append(text("queue.models", models=", ".join(found.models)))
    if found.backends:
        said.append(text("queue.backends", backends=", ".join(found.backends)))
    if found.max_hours is not None:
        said.append(text("queue.max_hours", hours=f"{found.max_hours:g}"))
    if found.max_energy_kwh is not None:
        said.append(text("queue.max_energy", kwh=f"{found.max_energy_kwh:g}"))
    said.append(found.hours or text("queue.always"))
    return said


def moment(iso: str | None) -> str:
    """``2026-11-27 14:05 UTC``"""
    return "" if iso is None else f"{iso[:10]} {iso[11:16]} UTC"
