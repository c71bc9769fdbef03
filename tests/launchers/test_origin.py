"""Whether the process that started something still lives."""

import os
import subprocess
from pathlib import Path

from lem.launchers.origin import is_gone, origin


def test_this_process_is_not_gone() -> None:
    assert not is_gone(origin())


def test_one_that_has_ended_is_gone() -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        name = origin(other.pid)
        assert not is_gone(name)
        other.kill()
    assert is_gone(name)


def test_one_that_was_not_collected_is_gone() -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        name = origin(other.pid)
        other.kill()
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        assert is_gone(name)


def test_its_number_given_to_another_does_not_bring_it_back() -> None:
    boot, namespace, pid, started = origin().split("/")
    assert is_gone(f"{boot}/{namespace}/{pid}/{int(started) - 1}")


def test_one_before_the_last_boot_is_gone() -> None:
    _, *rest = origin().split("/")
    assert is_gone("/".join(["00000000-0000-0000-0000-000000000000", *rest]))


def test_what_cannot_be_seen_from_here_is_left_alone() -> None:
    boot, _, pid, _ = origin().split("/")
    assert not is_gone(f"{boot}/1/{pid}/1")
    assert not is_gone("")
    assert not is_gone("a/b/c/d")


def test_start_is_the_kernel_s(tmp_path: Path) -> None:
    fields = Path("/proc/self/stat").read_text().rpartition(") ")[2].split()
    assert origin().rpartition("/")[2] == fields[19]
