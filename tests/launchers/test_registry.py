"""Images from a real registry, where there is no Docker."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tick_image import need_docker, tick_image

from lem import containers
from lem.errors import BadInput, EnvironmentFault
from lem.launchers import registry, rootfs
from lem.launchers.converted import converted
from lem.launchers.protocol import BackendSetup

TOOLS = {"skopeo": "skopeo", "docker-registry": "docker-registry"}


def need_tools() -> None:
    if missing := [package for command, package in TOOLS.items() if shutil.which(command) is None]:
        how = f"not here: apt-get install --no-install-recommends {' '.join(missing)}"
        if os.environ.get("CI") == "true":
            pytest.fail(how)
        pytest.skip(how)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The name under which a registry serves the test backend's image, and the image's id."""
    need_tools()
    need_docker()
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    (folder / "config.yml").write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\nlog: {{level: error}}\n"
    )
    settings = folder / ".config" / "containers" / "registries.conf"
    settings.parent.mkdir(parents=True)
    settings.write_text(f'[[registry]]\nlocation = "127.0.0.1:{port}"\ninsecure = true\n')
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            ["docker-registry", "serve", folder / "config.yml"], stdout=log, stderr=log
        )
    try:
        with pytest.MonkeyPatch.context() as patch, containers.connect() as engine:
            patch.setenv("HOME", str(folder))
            found = engine.image(tick_image())
            assert found is not None
            archive = folder / "tick.tar"
            engine.save(found.id, archive)
            name = f"127.0.0.1:{port}/lab/tick:1"
            push = ["skopeo", "--insecure-policy", "copy", "--quiet"]
            for _ in range(100):
                done = subprocess.run(
                    [*push, f"docker-archive:{archive}", f"docker://{name}"],
                    capture_output=True,
                    check=False,
                )
                if done.returncode == 0:
                    break
                time.sleep(0.1)
            assert done.returncode == 0, done.stderr
            yield name, found.id
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def without_docker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.usefixtures("without_docker")
def test_an_image_is_fetched_once_and_is_the_same_as_docker_s(
    served: tuple[str, str], tmp_path: Path
) -> None:
    name, image_id = served
    said: list[str] = []
    found = converted(BackendSetup("tick", image=name), rootfs.FORM, tmp_path, said.append)
    assert found.id == image_id
    assert (found.folder / rootfs.TREE / "usr").is_dir()
    assert said[0] == f"fetching {name}"
    assert [p.name for p in (tmp_path / "rootfs").iterdir()] == [found.folder.name]


@pytest.mark.docker
@pytest.mark.usefixtures("without_docker")
def test_what_the_registry_has_not(served: tuple[str, str], tmp_path: Path) -> None:
    name = served[0].replace("tick:1", "nothing:1")
    with pytest.raises(EnvironmentFault, match=r"could not be fetched: .*") as caught:
        converted(BackendSetup("tick", image=name), rootfs.FORM, tmp_path, print)
    assert caught.value.kind == "image" and "lem images save" in (caught.value.hint or "")


@pytest.mark.usefixtures("without_docker")
def test_with_neither_docker_nor_skopeo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentFault, match="neither Docker nor skopeo here") as caught:
        converted(BackendSetup("tick", image="ghcr.io/a/b:1"), rootfs.FORM, tmp_path, print)
    assert "lem images save tick --out tick.tar" in (caught.value.hint or "")
    with pytest.raises(EnvironmentFault, match="no image for tick here, and no Docker"):
        converted(BackendSetup("tick"), rootfs.FORM, tmp_path, print)


@pytest.mark.parametrize("name", ["--help", "a b", "a\nb", "", "docker://x y", "../x", "é"])
def test_what_is_no_name_is_given_to_nobody(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no name of an image"):
        registry.fetch(name, tmp_path / "x.tar", print)


def test_a_policy_of_the_user_s_own_holds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    own, of_machine = registry.policies()
    assert of_machine == Path("/etc/containers/policy.json")
    monkeypatch.setattr(registry, "policies", lambda: [own])
    assert "--insecure-policy" in registry.words("a/b:1", tmp_path / "x.tar")
    own.parent.mkdir(parents=True)
    own.write_text('{"default": [{"type": "reject"}]}')
    assert "--insecure-policy" not in registry.words("a/b:1", tmp_path / "x.tar")


def test_a_path_that_skopeo_would_cut_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no path with ':'"):
        registry.fetch("a/b:1", tmp_path / "a:b.tar", print)
