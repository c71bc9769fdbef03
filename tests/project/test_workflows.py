"""The workflows are valid and name what exists."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from lem import plugins
from lem.launchers import image

OURS = {
    "vendor.github-workflows": ".github/workflows/*.yml",
    "vendor.dependabot": ".github/dependabot.yml",
}


@pytest.mark.parametrize("schema", OURS)
def test_files_fit_githubs_schemas(root: Path, schema: str) -> None:
    files = [str(p) for p in sorted(root.glob(OURS[schema]))]
    assert files
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


ONLY_IN_AN_IMAGE = {"vllm"}
"""Engines that the tests' own environment does not have: too large, or not for its libraries."""


def workflow(root: Path, name: str) -> str:
    return (root / f".github/workflows/{name}.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["ci", "backends", "docs", "release"])
def test_scripts_and_targets_that_are_called_exist(root: Path, name: str) -> None:
    text = workflow(root, name)
    for script in re.findall(r"(?:scripts/\S+?\.(?:sh|py)|\.ci/run)", text):
        assert (root / script).is_file(), script
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"make ([a-z-]+)", text):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("name", ["ci", "backends", "docs", "release"])
def test_rights_are_narrow_and_actions_are_pinned(root: Path, name: str) -> None:
    parsed = yaml.safe_load(workflow(root, name))
    assert parsed["permissions"] == {"contents": "read"}
    for job in parsed["jobs"].values():
        assert "timeout-minutes" in job
        for step in job["steps"]:
            if "uses" in step:
                assert re.search(r"@(v\d+|release/v\d+)$", step["uses"]), step["uses"]


def test_matrix_covers_every_backend_with_an_image(root: Path) -> None:
    images = {p.parent.name for p in root.glob("images/*/Dockerfile")}
    matrix = yaml.safe_load(workflow(root, "backends"))["jobs"]["image"]["strategy"]["matrix"]
    left_out = {(e["backend"], e["device"]) for e in matrix["exclude"]}
    run = {(b, d) for b in matrix["backend"] for d in matrix["device"]} - left_out
    assert run == {(b, v) for b in images for v in image.variants(b)}
    assert images <= set(plugins.names("backends"))
    # Released are images that can be built and tried without a GPU.
    released = yaml.safe_load(workflow(root, "release"))["jobs"]["images"]["strategy"]["matrix"]
    assert set(released["backend"]) == {b for b in images if "cpu" in image.variants(b)}


def test_what_the_conformance_suite_is_made_of_runs_it_again(root: Path) -> None:
    # YAML reads the key `on` as true.
    paths = yaml.safe_load(workflow(root, "backends"))[True]["push"]["paths"]
    for path in paths:
        assert list(root.glob(path)), path
    assert {"tests/backends/**", "scripts/conformance_in_image.sh", "images/**"} <= set(paths)
    suite = "".join(p.read_text(encoding="utf-8") for p in root.glob("tests/backends/conform*.py"))
    used = {n for n in re.findall(r"from lem\.(\w+)", suite) if (root / "lem" / n).is_dir()}
    assert {"workloads", "backends"} <= used
    assert {f"lem/{n}/**" for n in used} <= set(paths)


def test_python_versions_agree(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    claimed = {c.rpartition(" ")[2] for c in project["classifiers"] if ":: Python :: 3." in c}
    tested = set(re.findall(r'"(3\.\d+)"', workflow(root, "ci")))
    assert tested == claimed
    assert project["requires-python"] == f">={min(claimed, key=lambda v: int(v[2:]))}"


def test_images_and_locks_pin_the_same_engines(root: Path) -> None:
    """An experiment's id contains the engine's version: container and process must agree."""
    locked = (root / "requirements/engines.txt").read_text(encoding="utf-8")
    locked += (root / "requirements/torch.txt").read_text(encoding="utf-8")
    for file in root.glob("images/*/requirements.txt"):
        if file.parent.name in ONLY_IN_AN_IMAGE:
            continue
        pins = re.findall(r"^(\S+?)==(\S+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
        assert pins, file
        for name, version in pins:
            assert f"{name}=={version}" in locked, f"{file} pins {name}=={version}"
