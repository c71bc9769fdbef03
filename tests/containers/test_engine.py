"""Reaching an engine, and the errors where it cannot be reached."""

import io
import os
import socket
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tick_image import need_docker

from lem import containers
from lem.containers import faults
from lem.containers.engine import pack
from lem.errors import EnvironmentFault
from lem.launchers.image import DEFAULT_BASE


@contextmanager
def unprivileged() -> Iterator[None]:
    """As a user without special rights, where the tests are run by root."""
    import docker  # noqa: F401 - its files may not be readable within

    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_no_permission_on_the_socket() -> None:
    with tempfile.TemporaryDirectory() as place, socket.socket(socket.AF_UNIX) as listening:
        Path(place).chmod(0o755)
        path = Path(place) / "docker.sock"
        listening.bind(str(path))
        listening.listen()
        path.chmod(0)
        with (
            unprivileged(),
            pytest.raises(EnvironmentFault, match="may not use") as caught,
            containers.connect({"DOCKER_HOST": f"unix://{path}"}),
        ):
            pass
    assert caught.value.hint == "sudo usermod -aG docker $USER; newgrp docker"


def test_no_engine(tmp_path: Path) -> None:
    address = {"DOCKER_HOST": f"unix://{tmp_path}/absent.sock"}
    with (
        pytest.raises(EnvironmentFault, match=r"no Docker engine answers at .*absent.sock") as e,
        containers.connect(address),
    ):
        pass
    assert e.value.exit_code == 3
    assert "--launcher process" in (e.value.hint or "")


def test_nobody_listens_any_more(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "dead.sock"))
    with (
        pytest.raises(EnvironmentFault, match="no Docker engine answers"),
        containers.connect({"DOCKER_HOST": f"unix://{tmp_path}/dead.sock"}),
    ):
        pass


def test_engine_of_another_machine() -> None:
    with (
        pytest.raises(EnvironmentFault, match="another machine") as caught,
        containers.connect({"DOCKER_HOST": "tcp://192.0.2.1:2375"}),
    ):
        pass
    assert "DOCKER_HOST" in (caught.value.hint or "")


@pytest.mark.docker
def test_facts_are_the_engine_s_own() -> None:
    need_docker()
    shown = subprocess.run(
        ["docker", "version", "--format", "{{.Server.Version}} {{.Server.APIVersion}}"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    with containers.connect() as engine:
        assert f"{engine.facts.version} {engine.facts.api_version}" == shown.strip()


@pytest.mark.docker
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mounts": (containers.Mount(Path("/no/such/place"), "/x"),)}, "does not exist"),
        ({"working_folder": "/etc/passwd"}, "Docker refused"),
        ({"image": "lem-test/absent"}, "there is no image lem-test/absent"),
    ],
)
def test_nothing_is_left_when_the_start_fails(change: dict[str, Any], message: str) -> None:
    need_docker()
    spec = containers.ContainerSpec(
        image=DEFAULT_BASE, command=("true",), user="65534:65534", labels={"org.lem.owner": "mee"}
    )
    spec = replace(spec, **change)
    with (
        containers.connect() as engine,
        pytest.raises(EnvironmentFault, match=message),
        engine.container(spec, lambda _: None),
    ):
        pass
    shown = subprocess.run(
        ["docker", "ps", "-aq", "--filter", "label=org.lem.owner=mee"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert shown == ""


def test_engine_without_room() -> None:
    fault = faults.known("write /var/lib/docker/tmp/x: no space left on device")
    assert fault is not None
    assert (fault.kind, fault.exit_code) == ("disk", 3)
    assert "docker system prune" in (fault.hint or "")


def test_engine_that_cannot_give_the_gpu() -> None:
    said = 'could not select device driver "nvidia" with capabilities: [[gpu]]'
    fault = faults.known(said)
    assert fault is not None and "Container Toolkit" in (fault.hint or "")


def test_unknown_words_are_not_explained() -> None:
    assert faults.known("something else") is None


def test_archive_is_the_same_for_the_same_contents(tmp_path: Path) -> None:
    archives = []
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "file").write_text("text")
        os.utime(tmp_path / name / "sub" / "file", (len(archives), len(archives)))
        archive = io.BytesIO()
        pack(tmp_path / name, archive)
        archives.append(archive.getvalue())
    assert archives[0] == archives[1]
    with tarfile.open(fileobj=io.BytesIO(archives[0])) as tar:
        assert tar.getnames() == ["sub", "sub/file"]


def test_docker_is_imported_only_when_it_is_used() -> None:
    code = "import sys, lem.launchers.docker; sys.exit('docker' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_only_one_package_imports_docker() -> None:
    root = Path(containers.__file__).parents[1]
    importers = {
        str(p.relative_to(root).parent)
        for p in root.rglob("*.py")
        for line in p.read_text().splitlines()
        if line.strip().startswith(("import docker", "from docker"))
    }
    assert importers == {"containers"}
