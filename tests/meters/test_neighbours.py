"""Whose processes are on the GPUs: on trees of ``/proc`` made for the purpose, and the real one."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from lem.meters.neighbours import Neighbours, _Holder, _is_fork
from lem.meters.protocol import MeterSettings

FILE = "/dev/nvidia-uvm"
RUN = (10, 1, 500, False)
CUDA = (11, 10, 600, True)
FORKED = (12, 11, 600, True)
STARTED = (13, 11, 700, True)
"""Process id, parent, where its stack begins, whether it has the device file open."""


def container(proc: Path, processes: Sequence[tuple[int, int, int, bool]]) -> Neighbours:
    for pid, parent, stack, holds in processes:
        (proc / str(pid) / "fd").mkdir(parents=True)
        fields = ["S", str(parent), *["0"] * 17, "55", *["0"] * 5, str(stack), *["0"] * 14]
        (proc / str(pid) / "stat").write_text(f"{pid} (a) b) {' '.join(fields)}\n")
        if holds:
            (proc / str(pid) / "fd/7").symlink_to(FILE)
    (proc / "self/ns").mkdir(parents=True)
    (proc / "self/ns/pid").symlink_to("pid:[4026532999]")
    return Neighbours(MeterSettings(proc_root=proc, process=10), FILE)


@pytest.mark.parametrize(
    ("processes", "listed", "foreign"),
    [
        # A worker that was forked has its parent's file: it is not taken for a listed one.
        ((CUDA, FORKED), 1, 0),
        ((CUDA, FORKED), 2, None),
        ((CUDA, FORKED), 3, 1),
        ((CUDA, FORKED), 0, None),
        # Workers that were started use it themselves, and so do forked ones of an idle parent.
        ((CUDA, STARTED), 2, 0),
        ((CUDA, STARTED), 1, None),
        ((CUDA, STARTED), 3, 1),
        (((11, 10, 500, True), (12, 10, 500, True)), 2, 0),
        ((), 0, 0),
        ((), 1, 1),
    ],
)
def test_in_a_container_the_runs_own_are_told_from_those_that_inherited_the_file(
    tmp_path: Path, processes: tuple[tuple[int, int, int, bool], ...], listed: int, foreign: int
) -> None:
    neighbours = container(tmp_path, (RUN, *processes))
    pids = frozenset(range(5000, 5000 + listed))
    assert neighbours.count({"gpu0": pids}) == {"gpu0": foreign}


def test_a_board_without_a_list_is_unknown(tmp_path: Path) -> None:
    """On the host that board alone; in a container what is listed together cannot be told."""
    found = Neighbours(MeterSettings(process=os.getpid()), FILE)
    found._on_host = True
    listed = {"gpu0": frozenset({os.getpid(), 1}), "gpu1": None}
    assert found.count(listed) == {"gpu0": 1, "gpu1": None}
    inside = container(tmp_path, (RUN, CUDA))
    assert inside.count({"gpu0": frozenset({5000}), "gpu1": None}) == {"gpu0": None, "gpu1": None}


def test_the_kernel_tells_a_fork_from_a_program_that_was_started(tmp_path: Path) -> None:
    held = tmp_path / "device"
    held.touch()
    reader = Neighbours(MeterSettings(process=os.getpid()), str(held))
    with held.open() as file:
        own = reader._holder(os.getpid())
        started = subprocess.Popen(["sleep", "60"], pass_fds=[file.fileno()])
        code = "import os, time\npid = os.fork()\nif pid: print(pid, flush=True)\ntime.sleep(60)"
        forking = subprocess.Popen(
            ["python3", "-c", code], stdout=subprocess.PIPE, text=True, pass_fds=[file.fileno()]
        )
        assert forking.stdout is not None
        forked = int(forking.stdout.readline())
        try:
            parent, child = reader._holder(forking.pid), reader._holder(forked)
            assert child is not None and child.parent == forking.pid and child.stack != 0
            assert _is_fork(child, parent)
            other = reader._holder(started.pid)
            assert other is not None and not _is_fork(other, own) and not _is_fork(other, None)
        finally:
            os.kill(forked, 9)
            for process in (started, forking):
                process.kill()
                process.communicate()


def test_where_the_kernel_does_not_say_a_process_is_taken_for_its_own() -> None:
    assert not _is_fork(_Holder(1, 0), _Holder(0, 0))
