"""Which images a newer build has taken the place of, and that nothing else is removed."""

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tick_image import need_docker

from lem import containers
from lem.containers import Image
from lem.launchers import image

OLD, NEW = (f"lem/vllm:0.1.0-cuda-{n:012x}" for n in (1, 2))


def built(
    tag: str, day: int, backend: str = "vllm", variant: str = "cuda", base: str | None = None
) -> Image:
    labels = {image.BACKEND: backend, image.VARIANT: variant}
    if base is not None:
        labels[image.BASE] = base
    when = f"2026-11-{day:02d}T10:00:00.5Z"
    return Image(f"sha256:{tag}", f"sha256:{tag}", (tag,), labels, 10**9, when)


def tags(*images: Image) -> list[str]:
    return [tag for tag, _ in image.superseded(images)]


def test_the_newest_of_each_backend_variant_and_base_stays() -> None:
    images = [
        built("lem/vllm:0.1.0-cuda-00000000000a", 1),
        built("lem/vllm:0.1.0-cuda-00000000000b", 3),
        built("lem/vllm:0.1.0-cuda-00000000000c", 2),
        built("lem/vllm:0.1.0-cpu-00000000000d", 1, variant="cpu"),
        built("lem/vllm:0.1.0-cuda-00000000000e", 1, base="vllm/vllm-openai:v0.19.0"),
        built("lem/transformers:0.1.0-cuda-00000000000f", 1, backend="transformers"),
    ]
    assert tags(*images) == ["lem/vllm:0.1.0-cuda-00000000000a", "lem/vllm:0.1.0-cuda-00000000000c"]


def test_images_from_before_the_label_count_as_on_the_default_base() -> None:
    images = [built(OLD, 1), built(NEW, 2, base=image.DEFAULT_BASE)]
    assert tags(*images) == [OLD]


def test_names_that_are_not_lems_stay_and_take_nobodys_place() -> None:
    assert tags(built(OLD, 1), built("registry.example/vllm:2", 2)) == []
    both = built(OLD, 1)
    both = Image(both.id, both.digest, (*both.tags, "mine:keep"), both.labels, 1, both.created)
    assert tags(both, built(NEW, 2)) == [OLD]


@pytest.mark.parametrize("name", ["keep-for-the-paper", "latest", "0.1.0-cuda-00000000000g"])
def test_a_name_that_no_build_has_is_somebodys_own(name: str) -> None:
    """Even in lem's namespace, and with lem's labels: it neither goes nor takes a build's place."""
    assert tags(built(f"lem/vllm:{name}", 1), built(NEW, 2)) == []
    assert tags(built(OLD, 1), built(f"lem/vllm:{name}", 2)) == []


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[str]:
    """Two builds for a backend that only this test has."""
    need_docker()
    name = f"prune{uuid.uuid4().hex[:8]}"
    with containers.connect() as engine:
        for number in ("1", "2"):
            text = f"FROM scratch\nLABEL {image.BACKEND}={name} number={number}\n"
            (tmp_path / "Dockerfile").write_text(text + "COPY Dockerfile /\n")
            engine.build(tmp_path, named(name, number), {}, print)
        yield name
        for number in ("1", "2"):
            engine.remove_image(named(name, number))


def named(backend: str, number: str) -> str:
    return f"lem/{backend}:0.1.0-cpu-{number:0>12}"


def prune(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "lem.cli.main", "images", "prune", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True
    )


def there(backend: str) -> list[str]:
    with containers.connect() as engine:
        return [n for n in ("1", "2") if engine.image(named(backend, n)) is not None]


@pytest.mark.docker
def test_only_the_older_build_goes_and_only_when_agreed(backend: str) -> None:
    old = named(backend, "1")
    for refusal in (["--dry-run"], []):
        done = prune(backend, *refusal, "--json")
        assert json.loads(done.stdout) == {"superseded": [old], "removed": [], "kept": {}}
        assert there(backend) == ["1", "2"]
    assert "--yes removes them" in done.stderr
    command = [sys.executable, "-m", "lem.cli.main", "images", "list", backend]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "1 of them superseded" in listed.stderr
    done = prune(backend, "--yes", "--json")
    assert json.loads(done.stdout)["removed"] == [old]
    assert there(backend) == ["2"]
    again = prune(backend, "--yes")
    assert "no superseded images" in again.stderr
    assert again.stdout == ""


@pytest.mark.docker
def test_an_image_that_a_container_uses_stays_and_is_named(backend: str) -> None:
    old = named(backend, "1")
    made = subprocess.run(
        ["docker", "create", old, "/nothing"], capture_output=True, text=True, check=True
    ).stdout.strip()
    try:
        done = prune(backend, "--yes", "--json")
    finally:
        subprocess.run(["docker", "rm", made], check=True, capture_output=True)
    assert list(json.loads(done.stdout)["kept"]) == [old]
    assert there(backend) == ["1", "2"]
