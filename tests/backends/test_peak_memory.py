"""Peaks of memory as the kernel tells them."""

import os
import resource
from pathlib import Path

from lem.backends.peak_memory import resident_bytes


def test_peaks_of_processes_add_up_and_the_gone_count_nothing(tmp_path: Path) -> None:
    for pid, peak in ((5, "1000 kB"), (7, "24 kB"), (9, "many")):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "status").write_text(f"Name:\tVmHWM: 1\nVmHWM:\t  {peak}\n")
    (tmp_path / "11").mkdir()
    (tmp_path / "11" / "status").write_text("Name:\tkthread\n")
    assert resident_bytes([5, 7, 8, 9, 11], tmp_path) == 1024 * 1024
    assert resident_bytes([8, 9, 11], tmp_path) is None


def test_it_is_what_the_kernel_counts_for_this_process() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    found = resident_bytes([os.getpid()])
    assert found is not None
    # getrusage has it from the same mark, which the kernel may round by some pages for each CPU.
    assert abs(found - before) < 2**24
