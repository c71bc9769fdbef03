"""What the process of llama.cpp's server says of itself may come after its first answer."""

import threading
from pathlib import Path

import pytest

from lem.backends.llama_cpp import server
from lem.contract.base import write_atomic
from lem.errors import RunFailed


def alive() -> str | None:
    return None


def test_facts_are_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "facts.json"
    late = threading.Timer(0.2, write_atomic, (file, b'{"threads": 2}'))
    late.start()
    assert server._told(file, alive) == {"threads": 2}
    late.join()


def test_facts_that_never_come_are_a_failure(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="says nothing") as e:
        server._told(tmp_path / "facts.json", alive, 0.05)
    assert e.value.kind == "engine_error"


def test_a_process_that_has_ended_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="status 1"):
        server._told(tmp_path / "facts.json", lambda: "the engine's server ended (status 1)")
