"""CPU time of a tree of processes, against the kernel's own account and against made-up trees."""

import os
import subprocess
import sys
import time
from pathlib import Path

from lem.meters.process_tree import ProcessTree, cpu_clock_ns, parse_stat

TICK_NS = 10_000_000


class Fake:
    """A /proc with processes that the test moves by hand."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, pid: int, parent: int, own: int = 0, reaped: int = 0, start: int = 5) -> None:
        (self.root / str(pid)).mkdir(exist_ok=True)
        numbers = ["0"] * 48
        numbers[9 + 0], numbers[9 + 1], numbers[9 + 2], numbers[9 + 3] = (
            str(own),
            "0",
            str(reaped),
            "0",
        )
        numbers[17] = str(start)
        text = f"{pid} (a (b) c) S {parent} {' '.join(numbers)}\n"
        (self.root / str(pid) / "stat").write_text(text)

    def end(self, pid: int) -> None:
        (self.root / str(pid) / "stat").unlink()
        (self.root / str(pid)).rmdir()


def test_a_stat_line_whose_command_has_parentheses_and_spaces(tmp_path: Path) -> None:
    """Fields as proc(5) numbers them: 14 and 15 own, 16 and 17 of children, 22 the start."""
    line = "42 (a) R 1 (x) S 7 42 42 0 -1 4194560 9 8 0 0 11 22 33 44 20 0 1 0 98765 1 2 3"
    times = parse_stat(line, 100)
    assert times is not None
    assert times == (7, 98765, 33 * TICK_NS, 77 * TICK_NS)
    assert parse_stat("42 (a) S 7", 100) is None
    assert parse_stat("", 100) is None


def test_descendants_count_strangers_do_not(tmp_path: Path) -> None:
    proc = Fake(tmp_path)
    proc.put(1, 0, own=1000)
    proc.put(10, 1, own=5, reaped=7)
    proc.put(11, 10, own=20)
    proc.put(12, 11, own=300)
    proc.put(50, 1, own=9999)
    tree = ProcessTree(10, tmp_path)
    assert tree.cpu_time_ns() == 332 * TICK_NS
    assert tree.members() == {10, 11, 12}


def test_a_child_that_was_waited_for_is_counted_once(tmp_path: Path) -> None:
    proc = Fake(tmp_path)
    proc.put(10, 1, own=5)
    proc.put(11, 10, own=20)
    tree = ProcessTree(10, tmp_path)
    assert tree.cpu_time_ns() == 25 * TICK_NS
    proc.end(11)
    proc.put(10, 1, own=6, reaped=22)
    assert tree.cpu_time_ns() == 28 * TICK_NS


def test_a_child_nobody_waited_for_keeps_its_last_known_time(tmp_path: Path) -> None:
    proc = Fake(tmp_path)
    proc.put(10, 1, own=5)
    proc.put(11, 10, own=20)
    tree = ProcessTree(10, tmp_path)
    assert tree.cpu_time_ns() == 25 * TICK_NS
    proc.end(11)
    assert tree.cpu_time_ns() == 25 * TICK_NS
    proc.put(10, 1, own=8)
    assert tree.cpu_time_ns() == 28 * TICK_NS


def test_a_grandchild_whose_parent_left_is_followed(tmp_path: Path) -> None:
    proc = Fake(tmp_path)
    proc.put(10, 1)
    proc.put(11, 10, own=1)
    proc.put(12, 11, own=1)
    tree = ProcessTree(10, tmp_path)
    assert tree.cpu_time_ns() == 2 * TICK_NS
    proc.end(11)
    proc.put(10, 1, reaped=1)
    proc.put(12, 1, own=100)
    assert tree.cpu_time_ns() == 101 * TICK_NS


def test_a_process_id_used_again_by_a_stranger_is_not_followed(tmp_path: Path) -> None:
    proc = Fake(tmp_path)
    proc.put(10, 1)
    proc.put(11, 10, own=4, start=5)
    tree = ProcessTree(10, tmp_path)
    assert tree.cpu_time_ns() == 4 * TICK_NS
    proc.put(10, 1, reaped=4)
    proc.put(11, 1, own=5000, start=900)
    for _ in range(3):
        assert tree.cpu_time_ns() == 4 * TICK_NS


def test_the_sampler_below_the_root_is_left_out(tmp_path: Path) -> None:
    proc = Fake(tmp_path)
    proc.put(10, 1, own=3)
    proc.put(11, 10, own=700)
    assert ProcessTree(10, tmp_path, without=11).cpu_time_ns() == 3 * TICK_NS


def test_a_root_that_is_gone_has_no_time(tmp_path: Path) -> None:
    assert ProcessTree(10, tmp_path).cpu_time_ns() is None


def test_against_the_kernel_with_many_short_children() -> None:
    """40 children of 10 ms each, most of them never seen alive; the sum never falls."""
    code = (
        "import resource, subprocess, sys, time\n"
        "child = 'import time\\nwhile time.process_time() < 0.03: pass'\n"
        "for _ in range(20): subprocess.run([sys.executable, '-c', child])\n"
        "own, kids = (resource.getrusage(w) for w in (0, -1))\n"
        "print(own.ru_utime + own.ru_stime + kids.ru_utime + kids.ru_stime, flush=True)\n"
        "sys.stdin.read()\n"
    )
    burner = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert burner.stdin is not None and burner.stdout is not None
    tree = ProcessTree(
        burner.pid, Path("/proc"), ticks_per_s=os.sysconf("SC_CLK_TCK"), clock=cpu_clock_ns
    )
    os.set_blocking(burner.stdout.fileno(), False)
    seen: list[int] = []
    answer = ""
    while not answer:
        value = tree.cpu_time_ns()
        assert value is not None
        seen.append(value)
        answer = burner.stdout.readline()
        time.sleep(0.005)
    total_ns = tree.cpu_time_ns()
    burner.stdin.close()
    burner.wait(10)
    burner.stdout.close()
    assert seen == sorted(seen)
    assert total_ns is not None
    # A clock tick of rounding, up or down, for each child that was seen alive and then reaped.
    assert abs(total_ns / 1e9 - float(answer)) < 20 * 0.02
    assert len(seen) > 10
