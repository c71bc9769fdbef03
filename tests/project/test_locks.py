"""The lock files hold everything that pyproject.toml asks for, with hashes and no addresses."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

RENEW = "run scripts/lock.sh --keep"
PIN = re.compile(r"^(\S+?)==(\S+)(?: ; (.+?))? \\$", re.MULTILINE)
EXTRAS = {
    "host": (),
    "dev": ("dev", "docs", "server"),
    "server": ("server",),
    "engines": ("transformers", "llama_cpp"),
}


@pytest.fixture
def project(root: Path) -> dict[str, Any]:
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    found: dict[str, Any] = tomllib.loads(text)
    return found


def text_of(root: Path, lock: str) -> str:
    return (root / f"requirements/{lock}.txt").read_text(encoding="utf-8")


def pins(root: Path, lock: str) -> dict[str, set[Version]]:
    """Package → its versions (more than one where they differ by Python version)."""
    found: dict[str, set[Version]] = {}
    for name, version, _ in PIN.findall(text_of(root, lock)):
        found.setdefault(canonicalize_name(name), set()).add(Version(version))
    return found


@pytest.mark.parametrize("lock", EXTRAS)
def test_lock_satisfies_the_project(root: Path, project: dict[str, Any], lock: str) -> None:
    wanted = list(project["project"]["dependencies"])
    for extra in EXTRAS[lock]:
        wanted += project["project"]["optional-dependencies"][extra]
    if lock != "engines":
        wanted += project["build-system"]["requires"]
    locked = pins(root, lock)
    for requirement in map(Requirement, wanted):
        name = canonicalize_name(requirement.name)
        # lem's own extras stand in EXTRAS; PyTorch apart.
        if name in ("torch", "lem-energy"):
            continue
        assert name in locked, f"{name} is not in requirements/{lock}.txt; {RENEW}"
        assert all(v in requirement.specifier for v in locked[name]), f"{requirement}; {RENEW}"


@pytest.mark.parametrize("lock", EXTRAS)
def test_lock_has_hashes_and_no_addresses(root: Path, lock: str) -> None:
    text = text_of(root, lock)
    entries = re.findall(r"^[A-Za-z0-9].*(?:\n .*)*", text, re.MULTILINE)
    assert len(entries) == len(PIN.findall(text)) > 20
    assert [e.splitlines()[0] for e in entries if "--hash=sha256:" not in e] == []
    assert "://" not in text
    assert "--index-url" not in text and "--find-links" not in text


@pytest.mark.parametrize("lock", EXTRAS)
def test_pytorch_is_in_no_lock(root: Path, lock: str) -> None:
    names = set(pins(root, lock))
    assert "torch" not in names
    assert not {n for n in names if n.startswith(("nvidia-cu", "triton"))}


def test_locks_agree_with_each_other(root: Path) -> None:
    """What is installed on top of one another must not change versions."""
    dev = pins(root, "dev")
    for lock in ("host", "engines"):
        differing = {n: v for n, v in pins(root, lock).items() if n in dev and dev[n] != v}
        assert differing == {}, RENEW


def test_pytorch_is_pinned_within_the_projects_range(root: Path, project: dict[str, Any]) -> None:
    pinned = re.fullmatch(r"torch==(\S+)\n", text_of(root, "torch"))
    assert pinned is not None
    extra = project["project"]["optional-dependencies"]["transformers"]
    allowed = next(r for r in map(Requirement, extra) if r.name == "torch")
    assert Version(pinned[1]) in allowed.specifier


def test_every_dependency_has_a_reason(root: Path, project: dict[str, Any]) -> None:
    page = (root / "docs/dependencies.md").read_text(encoding="utf-8")
    wanted = list(project["project"]["dependencies"])
    for extra in project["project"]["optional-dependencies"].values():
        wanted += extra
    shown = page.lower()
    named = {n.lower() for n in re.findall(r"`([A-Za-z0-9-]+)`", page)}
    missing = [
        name
        for requirement in wanted
        if (name := Requirement(requirement).name.lower()) not in named
        # Plugins and stubs are named with what they belong to.
        and name.removeprefix("pytest-") not in named
        and not (name.startswith("types-") and "stubs" in shown)
    ]
    assert missing == []
