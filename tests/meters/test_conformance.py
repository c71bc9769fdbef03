"""The conformance suite over every meter that comes with lem."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lem import plugins
from tests.meters import conformance, rigs, slow_rigs
from tests.meters.rigs import Rig

RIGS = rigs.RIGS | slow_rigs.RIGS


@pytest.fixture(params=sorted(RIGS))
def rig(
    request: pytest.FixtureRequest,
    nvml_library: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Rig]:
    with RIGS[request.param](nvml_library, tmp_path) as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


def test_every_meter_has_a_rig() -> None:
    assert set(RIGS) == set(plugins.names("meters"))


def test_describes_its_devices(rig: Rig) -> None:
    conformance.describes_its_devices(rig)


def test_reads_named_and_timed_samples(rig: Rig, tmp_path: Path) -> None:
    conformance.reads_named_and_timed_samples(rig, tmp_path)


def test_measures_what_is_true(rig: Rig, tmp_path: Path) -> None:
    conformance.measures_what_is_true(rig, tmp_path)


def test_says_where_it_saw_nothing(rig: Rig) -> None:
    conformance.says_where_it_saw_nothing(rig)


def test_never_reports_a_counter_that_went_back(rig: Rig) -> None:
    conformance.never_reports_a_counter_that_went_back(rig)


def test_imports_without_vendor_libraries_or_pydantic() -> None:
    """The sampler's process is small because neither is loaded with the meters."""
    code = (
        "import sys\n"
        "for name in ('pynvml', 'amdsmi', 'torch', 'pydantic'): sys.modules[name] = None\n"
        "import importlib, lem.meters.sampler, lem.meters.sampling.rounds\n"
        f"for name in {sorted(RIGS)}: importlib.import_module('lem.meters.' + name)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
