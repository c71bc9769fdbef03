"""Puts the fake engines where an import finds them, for as long as a test needs them."""

import os
import site
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lem.backends import workers

PATH = Path(__file__).parent / "path"
ROOT = Path(__file__).resolve().parents[3]
NAMES = ("sglang", "tensorrt_llm")


@contextmanager
def fakes() -> Iterator[None]:
    """Importable as the engines, on a machine that seems to have a GPU for them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PATH)
        # Also in the servers' processes, whose interpreter may be another.
        inside = os.pathsep.join((str(PATH), str(ROOT), *site.getsitepackages(), *sys.path))
        patch.setenv("PYTHONPATH", inside)
        patch.setenv("PATH", f"{PATH / 'bin'}{os.pathsep}{os.environ['PATH']}")
        patch.setattr(workers, "need_gpus", lambda job, engine, hint: None)
        _forget()
        try:
            yield
        finally:
            _forget()


def _forget() -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] in NAMES]:
        del sys.modules[name]
