"""Version, citation, changelog and licence agree."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import lem


@pytest.fixture
def citation(root: Path) -> dict[str, Any]:
    text = (root / "CITATION.cff").read_text(encoding="utf-8")
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def test_citation_names_this_version(citation: dict[str, Any]) -> None:
    assert citation["version"] == lem.__version__


def test_changelog_has_this_version_or_is_making_it(root: Path) -> None:
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## \[([^\]]+)\]", text, re.MULTILINE)
    assert sections[0] == "Unreleased"
    making = re.search(r"^## \[Unreleased\]$(.*?)(?=^## \[|^\[Unreleased\]:)", text, re.M | re.S)
    assert making is not None
    assert lem.__version__ in sections or lem.__version__ in making[1]


def test_changelog_uses_the_headings_of_keep_a_changelog(root: Path) -> None:
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= kinds


def test_licence_is_mit_everywhere(root: Path, citation: dict[str, Any]) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (project["license"], citation["license"]) == ("MIT", "MIT")
    assert (root / "LICENSE").read_text(encoding="utf-8").startswith("MIT License\n")


def test_addresses_agree(root: Path, citation: dict[str, Any]) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    site = yaml.safe_load((root / "mkdocs.yml").read_text(encoding="utf-8"))
    assert project["urls"]["Source"] == citation["repository-code"] == site["repo_url"]
    assert project["urls"]["Documentation"] == citation["url"] == site["site_url"]
