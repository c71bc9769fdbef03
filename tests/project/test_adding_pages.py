"""The examples in docs/adding-*.md fill the protocols that they claim to fill."""

import inspect
import re
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from lem.backends.protocol import Backend, Engine
from lem.contract.record import MeterInfo
from lem.launchers.protocol import Agent, Launcher
from lem.meters.protocol import Meter, MeterSettings, Sample

FAMILIES = {"backend": Backend, "meter": Meter, "launcher": Launcher}


def example(root: Path, family: str) -> str:
    text = (root / f"docs/adding-a-{family}.md").read_text(encoding="utf-8")
    found = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def load(root: Path, family: str) -> types.ModuleType:
    module = types.ModuleType(f"example_{family}")
    exec(compile(example(root, family), module.__name__, "exec"), vars(module))
    return module


def methods(kind: type[Any]) -> dict[str, list[str]]:
    return {
        name: list(inspect.signature(member).parameters)
        for name, member in vars(kind).items()
        if inspect.isfunction(member) and not name.startswith("_")
    }


@pytest.mark.parametrize(
    ("family", "name", "protocol"),
    [
        ("backend", "plugin", Backend),
        ("backend", "FastlmEngine", Engine),
        ("meter", "plugin", Meter),
        ("launcher", "plugin", Launcher),
        ("launcher", "SshAgent", Agent),
    ],
)
def test_example_has_every_method(root: Path, family: str, name: str, protocol: type[Any]) -> None:
    filled = getattr(load(root, family), name)
    given = methods(filled)
    assert {n: given.get(n) for n in methods(protocol)} == methods(protocol)
    assert [a for a in inspect.get_annotations(protocol) if not hasattr(filled, a)] == []


@pytest.mark.parametrize("family", FAMILIES)
def test_page_names_every_method(root: Path, family: str) -> None:
    page = (root / f"docs/adding-a-{family}.md").read_text(encoding="utf-8")
    assert [n for n in methods(FAMILIES[family]) if f"`{n}`" not in page] == []


def test_the_example_meter_measures(root: Path, tmp_path: Path) -> None:
    """5 J on a counter in 0.1 s steps of 0.5 J are 5 J."""
    counter = tmp_path / "energy_uj"
    counter.write_text("1000000\n")
    meter = load(root, "meter").plugin()
    devices = meter.open(MeterSettings(extra={"charger": str(tmp_path)}))
    assert [s.value for s in meter.read()] == [1_000_000]
    info = MeterInfo(**devices[0]._asdict())
    samples = [
        Sample(i * 100_000_000, "charger", devices[0].device, "energy_uj", i * 500_000.0)
        for i in range(21)
    ]
    reading = meter.energy(info, samples, 500_000_000, 1_500_000_000)
    assert reading.energy_j == pytest.approx(5.0)
    assert reading.uncertainty_j >= 2 * 0.05 * 5.0
    back = [*samples[:10], samples[10]._replace(value=0.0), *samples[11:]]
    assert meter.energy(info, back, 500_000_000, 1_500_000_000).energy_j is None


@pytest.mark.slow
def test_examples_pass_the_type_checker(root: Path, tmp_path: Path) -> None:
    imports = "from collections.abc import Callable\n"
    for family, protocol in FAMILIES.items():
        text = example(root, family)
        check = (
            f"\n\nfrom {protocol.__module__} import {protocol.__name__} as Wanted\n"
            f"{imports}made: Callable[[], Wanted] = plugin\n"
        )
        (tmp_path / f"example_{family}.py").write_text(text + check, encoding="utf-8")
    (tmp_path / "fastlm.py").write_text("from typing import Any\nConfig: Any\nEngine: Any\n")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(root / "pyproject.toml")]
        + [str(p) for p in sorted(tmp_path.glob("*.py"))],
        cwd=root,
        env={"MYPYPATH": f"{root}:{tmp_path}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
