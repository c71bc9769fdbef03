"""The models that the engines are tested with, prepared once."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from lem import plugins
from lem.contract.spec import ModelSpec, Synthetic

from . import models, recording
from .conformance import gpus

# Tests may share the machine: a thread for each core that spins would only get in the way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Engines that this environment does not have are tested in their images (test_in_image.py).
collect_ignore = [] if find_spec("vllm") else ["vllm/test_backend.py", "openai/test_vllm_server.py"]
LEFT_OUT = pytest.StashKey[int]()

TINY = Synthetic(hidden_size=32, layers=2, heads=2, vocab_size=400, max_position_embeddings=1024)


NEEDED = {
    "transformers": ("torch", "transformers", "gguf"),
    "llama_cpp": ("xllamacpp",),
}
"""What the suite of a folder imports on the real engine; the other tests need all of it."""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """An engine that is not installed fails its tests, with the remedy, instead of hiding them."""
    if item.get_closest_marker("engines"):
        every = [m for modules in NEEDED.values() for m in modules]
        wanted = NEEDED.get(item.path.parent.name, ()) if recording.is_real(item) else every
        missing = [m for m in wanted if not find_spec(m)]
        if missing:
            pytest.fail(
                f"not installed: {', '.join(missing)}; "
                'fix: pip install -e ".[transformers,llama_cpp,dev]"',
                pytrace=False,
            )


def pytest_configure(config: pytest.Config) -> None:
    recording.register(config)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where no GPU was given to the tests, those that need one are left out, and that is said."""
    left = [i for i in items if i.get_closest_marker("gpu")] if not gpus() else []
    if left:
        config.stash[LEFT_OUT] = len(left)
        config.hook.pytest_deselected(items=left)
        items[:] = [i for i in items if i not in left]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    left = config.stash.get(LEFT_OUT, 0)
    if left:
        terminalreporter.write_line(
            f"left out: {left} tests of engines that need a GPU; make gpu-check runs them on one"
        )


@pytest.fixture(scope="session")
def real_model(smollm2_safetensors: Path) -> Path:
    """The model that real engines are tested with, where they load safetensors."""
    return smollm2_safetensors


@pytest.fixture(scope="session")
def gguf() -> Path:
    return models.smollm2()


@pytest.fixture(scope="session")
def smollm2_safetensors(gguf: Path) -> Path:
    """SmolLM2 as transformers loads it. Converting takes half a minute, so it is kept;
    ``LEM_TEST_SAFETENSORS`` names a folder that holds it already."""
    named = os.environ.get("LEM_TEST_SAFETENSORS")
    if named:
        return Path(named)
    target = models.store() / "smollm2-transformers"
    backend = plugins.load("backends", "transformers")()
    return target / str(backend.prepare(ModelSpec(id="smollm2"), gguf, target, False))


@pytest.fixture(scope="session")
def smollm2_gguf(gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("llama_cpp")
    backend = plugins.load("backends", "llama_cpp")()
    return target / str(backend.prepare(ModelSpec(id="smollm2"), gguf, target, False))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("tiny")
    backend = plugins.load("backends", "transformers")()
    return target / str(backend.prepare(ModelSpec(id="tiny", synthetic=TINY), None, target, False))
