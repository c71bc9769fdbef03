"""What is published is whole: the wheel, made from the sdist, works outside a clone."""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

import lem


def built(root: Path, folder: Path, *arguments: str) -> Path:
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder)]
    done = subprocess.run(
        [*command, *arguments], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder


@pytest.fixture(scope="module")
def dist(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, and the wheel that is made from it."""
    return built(root, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def wheel(dist: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(dist / f"lem_energy-{lem.__version__}-py3-none-any.whl")


@pytest.fixture(scope="module")
def unpacked(wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    wheel.extractall(folder)
    return folder


def files(folder: Path) -> set[str]:
    return {
        p.relative_to(folder).as_posix()
        for p in folder.rglob("*")
        if p.is_file() and "__pycache__" not in p.parts and not p.name.endswith((".pyc", ".swp"))
    }


@pytest.mark.parametrize(
    ("source", "target"), [("lem", "lem"), ("images", "lem/_images"), ("configs", "lem/_configs")]
)
def test_wheel_holds_every_file(
    root: Path, wheel: zipfile.ZipFile, source: str, target: str
) -> None:
    wanted = {f"{target}/{f}" for f in files(root / source)}
    assert wanted
    assert wanted - set(wheel.namelist()) == set()


def test_wheel_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    outside = {n.partition("/")[0] for n in wheel.namelist()}
    assert outside == {"lem", f"lem_energy-{lem.__version__}.dist-info"}
    assert [n for n in wheel.namelist() if "__pycache__" in n or n.endswith(".pyc")] == []


def test_wheel_says_what_it_is(wheel: zipfile.ZipFile) -> None:
    info = f"lem_energy-{lem.__version__}.dist-info"
    metadata = wheel.read(f"{info}/METADATA").decode()
    assert f"Version: {lem.__version__}\n" in metadata
    assert "Requires-Python: >=3.11\n" in metadata
    assert "# lem: what LLM inference costs in energy" in metadata
    assert "lem = lem.cli.main:main" in wheel.read(f"{info}/entry_points.txt").decode()
    assert f"{info}/licenses/LICENSE" in wheel.namelist()
    assert "lem/py.typed" in wheel.namelist()


def test_sdist_holds_what_its_tests_need(dist: Path) -> None:
    with tarfile.open(dist / f"lem_energy-{lem.__version__}.tar.gz") as archive:
        names = {n.partition("/")[2] for n in archive.getnames()}
    for wanted in (
        "pyproject.toml",
        "Makefile",
        "mkdocs.yml",
        "CITATION.cff",
        "docs/decisions.md",
        "requirements/dev.txt",
        "scripts/test.sh",
        "tests/project/test_package.py",
        "images/transformers/Dockerfile",
        "lem/seed/cpu-smollm2/archive.json",
    ):
        assert wanted in names
    assert not any(n.startswith((".venv", "results", "build/")) for n in names)


def run(unpacked: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # Before the editable install of the clone on the path.
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}
    return subprocess.run(
        [sys.executable, "-m", "lem.cli.main", *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_unpacked_wheel_is_what_runs(unpacked: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import lem; print(lem.__file__)"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip()).is_relative_to(unpacked)


def test_examples_come_with_the_wheel(unpacked: Path, root: Path, tmp_path: Path) -> None:
    done = run(unpacked, tmp_path, "campaign", "init", "--example", "quickstart", "mine.yaml")
    assert done.returncode == 0, done.stderr
    written = yaml.safe_load((tmp_path / "mine.yaml").read_text(encoding="utf-8"))
    shipped = yaml.safe_load((root / "configs/quickstart.yaml").read_text(encoding="utf-8"))
    assert written == shipped
    done = run(unpacked, tmp_path, "campaign", "validate", "mine.yaml")
    assert done.returncode == 0, done.stderr


def test_images_and_records_come_with_the_wheel(unpacked: Path, tmp_path: Path, root: Path) -> None:
    """The Dockerfiles and the records of conformance runs are found without the clone."""
    program = """
from lem import verified
from lem.launchers import image
print(*image.buildable(), len(verified.records()))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        check=False,
    )
    images = sorted(p.parent.name for p in root.glob("images/*/Dockerfile"))
    records = len(list(root.glob("lem/verified/*.json")))
    assert done.stdout.split() == [*images, str(records)] and records, done.stderr


def test_the_records_that_come_with_lem_are_taken_in(unpacked: Path, tmp_path: Path) -> None:
    done = run(unpacked, tmp_path, "archive", "seed", "--json", "--data", str(tmp_path / "data"))
    assert done.returncode == 0, done.stderr
    assert {one["name"] for one in json.loads(done.stdout)["sets"]} >= {"cpu-smollm2"}
