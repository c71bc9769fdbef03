"""The floors hold, and what runs in the container needs nothing but pydantic."""

import subprocess
import sys
import tomllib
from pathlib import Path

from lem import plugins

AGENT_SIDE = ("errors", "contract", "plugins", "workloads", "meters", "backends", "agent")

IMPORT_ALL = """
import importlib, importlib.abc, pkgutil, sys

ALLOWED = set(sys.stdlib_module_names) | {
    "lem", "pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"
}

class OnlyPydantic(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in ALLOWED and not top.startswith("_sysconfigdata"):
            raise ImportError(f"{name} is not there inside the container")

sys.meta_path.insert(0, OnlyPydantic())
count = 0
for part in sys.argv[1:]:
    module = importlib.import_module("lem." + part)
    count += 1
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), module.__name__ + "."):
        if not found.name.endswith(".__main__"):
            importlib.import_module(found.name)
            count += 1
host = {m for m in sys.modules if m in {"lem.config", "lem.stores", "lem.campaign", "lem.cli"}}
assert not host, host
print(count)
"""


def run(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=root, capture_output=True, text=True, check=False
    )


def test_import_linter_keeps_every_contract(root: Path) -> None:
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = run(root, "-c", code, "--no-cache")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "5 kept, 0 broken" in done.stdout


def test_every_engine_is_kept_apart_from_the_others(root: Path) -> None:
    contracts = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]
    (apart,) = (c for c in contracts["contracts"] if c["type"] == "independence")
    assert set(apart["modules"]) == {f"lem.backends.{n}" for n in plugins.own("backends")}


def test_agent_side_imports_with_pydantic_alone(root: Path) -> None:
    done = run(root, "-c", IMPORT_ALL, *AGENT_SIDE)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) >= 30


def test_a_forbidden_import_would_be_noticed(root: Path) -> None:
    done = run(root, "-c", IMPORT_ALL, "cli.main")
    assert done.returncode != 0
    assert "click is not there" in done.stderr
