"""What has run on which hardware: the records of conformance runs that come with lem.

Each file here was written by the conformance suite (``tests/backends``) on the machine that it
names. Nothing else counts as having run.
"""

import re
from functools import cache
from importlib import resources
from typing import Any, Literal

from pydantic import Field

from lem.contract.base import MAX_DOCUMENT_BYTES, Part, Timestamp
from lem.errors import BadInput, Problem

DeviceClass = Literal["cpu", "gpu"]
Result = Literal["passed", "failed"]
NEVER = "never run on hardware"
"""Of an engine version, on hardware of the kind that it is asked about: a CPU or GPUs."""
RAN = "ran on "


class Device(Part):
    """The hardware that did the work."""

    kind: DeviceClass
    name: str
    """Of the GPU, or of the processor where none was used."""
    count: int = 1
    architecture: str
    """Of the machine: x86_64, aarch64."""
    driver: str | None = None
    cuda: str | None = None
    """The version that the engine's PyTorch was built for."""


class Conformance(Part):
    """One conformance run."""

    schema_version: Literal[1] = 1
    backend: str
    engine_version: str
    lem_version: str
    date: Timestamp
    place: Literal["container", "bare metal"]
    device: Device
    python: str
    libraries: dict[str, str]
    model: str
    arguments: dict[str, Any] = {}
    """``args`` that this machine needed and other machines would not."""
    ran: dict[str, Result] = Field(min_length=1)
    """What was tried (offline, served, nll, prefill, arguments) → how it went."""
    tests: dict[str, Result] = Field(min_length=1)

    @property
    def passed(self) -> bool:
        return all(r == "passed" for r in self.tests.values())


def parse(data: bytes, source: str = "") -> Conformance:
    """A record from its bytes. Raises :class:`BadInput`."""
    try:
        if len(data) > MAX_DOCUMENT_BYTES:
            raise ValueError("larger than 64 MiB")
        return Conformance.model_validate_json(data)
    except (ValueError, RecursionError) as e:
        raise BadInput([Problem(f"is no conformance record: {e}", file=source)]) from e


@cache
def records() -> tuple[Conformance, ...]:
    """All that come with lem, the newest last."""
    found = [
        parse(file.read_bytes(), file.name)
        for file in resources.files(__package__).iterdir()
        if file.name.endswith(".json")
    ]
    return tuple(sorted(found, key=lambda r: (r.date, r.backend)))


def runs(backend: str, kind: DeviceClass, version: str | None = None) -> list[Conformance]:
    """Records of a backend on such hardware in which all passed; ``version``: of this engine
    version only, whatever it was built for (``2.1+cu128`` is ``2.1``)."""
    return [
        r
        for r in records()
        if (r.backend, r.device.kind) == (backend, kind)
        and r.passed
        and (version is None or public(r.engine_version) == public(version))
    ]


def public(version: str) -> str:
    """Without the part that names a build."""
    return version.partition("+")[0]


def standing(backend: str, kind: DeviceClass, version: str) -> str:
    """In words: where this engine version has run, or that it has not."""
    found = runs(backend, kind, version)
    if found:
        return RAN + places(found)
    others = runs(backend, kind)
    if others:
        return f"{NEVER} (version {others[-1].engine_version} was)"
    return NEVER


def places(found: list[Conformance]) -> str:
    """The hardware of some records, each once."""
    return ", ".join(dict.fromkeys(place(r.device) for r in found))


def place(device: Device) -> str:
    """Short: a GPU by its model, a processor by its architecture."""
    return device.name if device.kind == "gpu" else f"CPU ({device.architecture})"


def name(record: Conformance) -> str:
    """How the file of a record is called, without its ending."""
    where = (
        record.device.name if record.device.kind == "gpu" else f"cpu-{record.device.architecture}"
    )
    words = f"{record.backend}-{public(record.engine_version)}-{where}"
    return re.sub(r"[^a-z0-9._]+", "-", words.lower()).strip("-")
