"""What is heard and read of the processes that engines start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lem.backends import workers
from lem.backends.overheard import listening

CHILD = "import sys; print('{}', file=sys.stderr)"


def test_what_children_say_is_kept_and_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    with listening() as words:
        for code in ("print('one')", CHILD.format("ValueError: no such head")):
            subprocess.run([sys.executable, "-c", code], check=True)
    captured = capfd.readouterr()
    assert captured.out == "one\n" and captured.err == "ValueError: no such head\n"
    failure = workers.failure(words, "the worker ended")
    assert (failure.kind, failure.message) == (
        "engine_error",
        "the worker ended: ValueError: no such head",
    )


def test_memory_that_ran_out_in_a_child_has_its_name() -> None:
    with listening() as words:
        code = CHILD.format("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB")
        subprocess.run([sys.executable, "-c", code], check=True)
    assert workers.failure(words, "ended").kind == "out_of_memory"


def test_a_child_that_lives_on_is_still_heard() -> None:
    code = "import sys; sys.stdin.read(); print('RuntimeError: late', file=sys.stderr)"
    with listening() as words:
        child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    assert child.stdin is not None
    assert child.pid in workers.descendants()
    child.stdin.close()
    child.wait(30)
    assert workers.failure(words, "ended").message == "ended: RuntimeError: late"


def test_descendants_are_found_through_their_parents(tmp_path: Path) -> None:
    for pid, parent in ((11, os.getpid()), (12, 11), (13, 1)):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a) b (c) S {parent} 0 0")
    assert workers.descendants(tmp_path) == [11, 12]
