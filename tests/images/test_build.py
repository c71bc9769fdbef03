"""The real images: built on this machine's engine, and holding what they say."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tick_image import need_docker

from lem import containers
from lem.contract.base import CONTRACT_VERSION
from lem.errors import EnvironmentFault
from lem.launchers import image
from lem.launchers.docker import Docker
from lem.launchers.protocol import BackendSetup, Prepared

pytestmark = [pytest.mark.docker, pytest.mark.slow]


@pytest.fixture(scope="module", params=["transformers", "llama_cpp"])
def prepared(request: pytest.FixtureRequest) -> Prepared:
    need_docker()
    return Docker().prepare(BackendSetup(request.param), print)


@pytest.mark.timeout(1800)
def test_describes_itself_as_its_labels_do(prepared: Prepared) -> None:
    with containers.connect() as engine:
        found = engine.image(prepared.image or "")
    assert found is not None
    described = prepared.described
    assert found.labels[image.BACKEND] == described.backend == prepared.setup.name
    assert found.labels[image.CONTRACT] == str(described.contract_version) == str(CONTRACT_VERSION)
    assert found.labels[image.ENGINE_VERSION] == described.engine_version
    assert found.labels[image.LEM_VERSION] == described.lem_version


def test_holds_no_host_package_but_what_engines_need(prepared: Prepared) -> None:
    listed = inside(prepared, "-m", "pip", "list", "--format=json")
    names = {p["name"].lower() for p in json.loads(listed)}
    assert {"lem-energy", "pydantic", "nvidia-ml-py"} <= names
    assert not names & {"docker", "sqlalchemy", "scipy"}


def test_runs_without_root_on_a_read_only_disk(prepared: Prepared) -> None:
    code = "import os; print(os.getuid()); open('/tmp/x', 'w')"
    assert inside(prepared, "-c", code).strip() == "65534"


def test_engine_can_be_imported(prepared: Prepared) -> None:
    module = {"transformers": "transformers", "llama_cpp": "xllamacpp"}[prepared.setup.name]
    assert inside(prepared, "-c", f"import {module}; print('yes')").strip() == "yes"


def test_unchanged_sources_build_nothing(prepared: Prepared) -> None:
    said: list[str] = []
    again = Docker().prepare(prepared.setup, said.append)
    assert again.image == prepared.image
    assert said == []


def test_listed_with_versions(prepared: Prepared) -> None:
    shown = lem("images", "list", prepared.setup.name, "--json")
    found = [i for i in json.loads(shown.stdout)["images"] if i["id"] == prepared.image]
    assert found[0]["engine_version"] == prepared.described.engine_version
    assert found[0]["usable"] is True


def test_build_says_what_it_made(prepared: Prepared) -> None:
    shown = lem("images", "build", prepared.setup.name, "--variant", "cpu", "--json")
    assert [i["id"] for i in json.loads(shown.stdout)["images"]] == [prepared.image]


def test_failed_build_shows_its_last_lines(tmp_path: Path) -> None:
    need_docker()
    (tmp_path / "Dockerfile").write_text(
        f"FROM {image.DEFAULT_BASE}\nRUN echo the compiler is missing; exit 7\n"
    )
    with (
        containers.connect() as engine,
        pytest.raises(EnvironmentFault, match="the compiler is missing") as caught,
    ):
        engine.build(tmp_path, "lem-test/broken", {}, print)
    assert caught.value.kind == "image"


def inside(prepared: Prepared, *arguments: str) -> str:
    command = ["docker", "run", "--rm", "--read-only", "--tmpfs", "/tmp", "--network", "none"]
    return subprocess.run(
        [*command, "--entrypoint", "python3", prepared.image or "", *arguments],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def lem(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "lem.cli.main", *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
