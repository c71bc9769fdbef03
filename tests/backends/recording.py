"""Writes what the conformance suite did to a file (``LEM_CONFORMANCE_RECORD``): what
``lem/verified`` holds and ``lem images list`` shows. Runs inside images, so it needs no more of lem
than they have."""

import json
import os
import platform
from pathlib import Path
from typing import Any

import pytest

from lem import __version__, plugins
from lem.agent import environment
from lem.backends.protocol import Backend
from lem.contract.base import utc_now, write_atomic

from .conformance import Conformance, gpus, own_arguments

VARIABLE = "LEM_CONFORMANCE_RECORD"
MODEL = "SmolLM2-135M-Instruct"
AREAS = {
    "nll": ("likelihood", "nll", "scored"),
    "prefill": ("prefill",),
    "arguments": ("argument",),
}
"""What a test is about, by words of its name; beside that each is about the load of its suite."""


def is_real(item: pytest.Item) -> bool:
    """Whether a test is of the suite on a real engine with a real model."""
    kind = getattr(item, "cls", None)
    return (
        kind is not None and issubclass(kind, Conformance) and kind.__name__.startswith("TestReal")
    )


def areas(name: str, load: str) -> list[str]:
    """What a test of that name says something about."""
    return [load, *(a for a, words in AREAS.items() if any(w in name for w in words))]


def record(
    backend: Backend,
    results: dict[tuple[str, str], bool],
    engine: dict[str, Any],
    boards: list[dict[str, Any]],
    software: str = "",
) -> dict[str, Any]:
    """The document. ``results``: (load, test) → whether it passed; ``boards``: what NVML tells of
    the GPUs that were used; ``software``: which server it was, if somebody else's."""
    ran: dict[str, bool] = {}
    for (load, name), passed in sorted(results.items()):
        for area in areas(name, load):
            ran[area] = ran.get(area, True) and passed
    return {
        "schema_version": 1,
        "backend": backend.name,
        "engine_version": version(backend, engine, software),
        "lem_version": __version__,
        "date": utc_now(),
        "place": "container" if environment.in_container() else "bare metal",
        "device": device(boards, engine),
        "python": platform.python_version(),
        "libraries": environment.library_versions(backend.libraries),
        "model": MODEL,
        "arguments": own_arguments(),
        "ran": {a: word(p) for a, p in sorted(ran.items())},
        "tests": {f"{load}: {name}": word(p) for (load, name), p in sorted(results.items())},
    }


def version(backend: Backend, engine: dict[str, Any], software: str) -> str:
    """Of the engine; where it is in no environment of lem's, its name and what it says itself."""
    if backend.distribution:
        return environment.version_of(backend.distribution) or "unknown"
    return f"{software or 'unknown'} {engine.get('engine_version', 'unknown')}"


def device(boards: list[dict[str, Any]], engine: dict[str, Any]) -> dict[str, Any]:
    """GPUs only where the engine says that it used one: being there is not enough."""
    used = bool(boards) and engine.get("device") not in (None, "cpu", "unknown")
    return {
        "kind": "gpu" if used else "cpu",
        "name": boards[0]["name"] if used else environment._cpu_model(Path("/")),
        "count": len(boards) if used else 1,
        "architecture": platform.machine(),
        "driver": boards[0]["driver"] if used else None,
        "cuda": cuda() if used else None,
    }


def cuda() -> str | None:
    try:
        import torch
    except ImportError:
        return None
    return str(torch.version.cuda) if torch.version.cuda else None


def word(passed: bool) -> str:
    return "passed" if passed else "failed"


class Recorder:
    """Collects the results of one session; of one engine, since a record is of one."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.results: dict[tuple[str, str], bool] = {}
        self.backends: set[tuple[str, str]] = set()
        """Each with the server that it drove, if somebody else's."""
        self.engine: dict[str, Any] = {}

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: Any) -> Any:
        outcome = yield
        report = outcome.get_result()
        if not is_real(item) or (report.when != "call" and report.passed):
            return
        kind: Any = item.cls  # type: ignore[attr-defined]
        arrival = getattr(kind, "arrival", None)
        load = "offline" if arrival is None or arrival.kind == "offline" else "served"
        key = (load, item.name.removeprefix("test_"))
        self.results[key] = self.results.get(key, True) and bool(report.passed)
        self.backends.add((kind.name, kind.software))
        told = getattr(item, "funcargs", {}).get("engine")
        if told is not None and report.when == "call" and not self.engine:
            self.engine = dict(told.facts())

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if not self.results:
            return
        if len(self.backends) != 1:
            raise pytest.UsageError(f"a record is of one engine, not of {sorted(self.backends)}")
        ((name, software),) = self.backends
        boards = [g.model_dump() for g in environment.gpus(gpus())]
        backend = plugins.load("backends", name)()
        made = record(backend, self.results, self.engine, boards, software)
        write_atomic(self.file, (json.dumps(made, indent=1) + "\n").encode())


def register(config: pytest.Config) -> None:
    """Record this session where the variable asks for it."""
    file = os.environ.get(VARIABLE)
    if file:
        config.pluginmanager.register(Recorder(Path(file)), "conformance-recorder")
