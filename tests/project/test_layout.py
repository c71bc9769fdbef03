"""What the tree promises: size of files, one subject each, tests beside what they test."""

from pathlib import Path

import pytest

MOST_LINES = 420
"""About 400: a file that is a little longer may still have one subject."""
VAGUE = {"utils", "util", "helpers", "manager", "common", "misc"}


def modules(root: Path) -> list[Path]:
    found = sorted((root / "lem").rglob("*.py"))
    assert len(found) > 30
    return found


def test_no_file_is_too_long(root: Path) -> None:
    long = {
        str(p.relative_to(root)): n
        for p in modules(root)
        if (n := len(p.read_text(encoding="utf-8").splitlines())) > MOST_LINES
    }
    assert long == {}


def test_names_say_something(root: Path) -> None:
    assert [p for p in modules(root) if p.stem in VAGUE or p.parent.name in VAGUE] == []


@pytest.mark.parametrize(
    "part", ["analysis", "config", "contract", "meters", "stores", "workloads"]
)
def test_tests_mirror_the_tree(root: Path, part: str) -> None:
    assert (root / "lem" / part).is_dir()
    assert list((root / "tests" / part).glob("test_*.py"))


def test_package_is_typed(root: Path) -> None:
    assert (root / "lem/py.typed").is_file()


def test_scripts_can_be_run(root: Path) -> None:
    for script in [*(root / "scripts").glob("*.sh"), root / ".ci/run"]:
        assert script.read_text(encoding="utf-8").startswith("#!"), script
        assert script.stat().st_mode & 0o111, f"chmod +x {script}"
