"""Every plugin can be found and imported where no engine and no vendor library is installed."""

import subprocess
import sys

PROGRAM = """
import importlib, sys

BLOCKED = {"torch", "transformers", "tokenizers", "safetensors", "huggingface_hub", "accelerate",
           "xllamacpp", "vllm", "gguf", "httptools", "pynvml", "numpy", "scipy", "docker",
           "sqlalchemy", "yaml", "rich", "click", "sglang", "tensorrt_llm"}

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ImportError(f"{name} must not be imported here")
        return None

sys.meta_path.insert(0, Block())
from lem import plugins
for family in ("backends", "meters"):
    for name in plugins.names(family):
        plugin = plugins.load(family, name)
        print(family, name, plugin.__name__)
for module in ("lem.agent.run", "lem.agent.stage", "lem.agent.__main__"):
    importlib.import_module(module)
assert not BLOCKED & set(sys.modules), BLOCKED & set(sys.modules)
"""


def test_plugins_and_agent_import_with_pydantic_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    found = done.stdout.splitlines()
    assert "backends transformers Transformers" in found
    assert "backends llama_cpp LlamaCpp" in found
    assert "backends vllm Vllm" in found
    assert {"backends sglang SGLang", "backends tensorrt_llm TensorRTLLM"} <= set(found)


def test_importing_launchers_needs_no_docker() -> None:
    program = PROGRAM.replace('("backends", "meters")', '("launchers",)')
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
