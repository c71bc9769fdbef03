"""Which libraries of the node's driver a container is given."""

from pathlib import Path

from lem.launchers import driver

LISTED = """\
5 libs found in cache `/etc/ld.so.cache'
\tlibz.so.1 (libc6,x86-64) => /lib/x86_64-linux-gnu/libz.so.1
\tlibcuda.so.1 (libc6) => /usr/lib/i386-linux-gnu/libcuda.so.1
\tlibcuda.so.1 (libc6,x86-64) => /usr/lib64/libcuda.so.1
\tlibcuda.so.1 (libc6,x86-64) => /opt/other/libcuda.so.1
\tlibcuda.so (libc6,x86-64) => /usr/lib64/libcuda.so
\tlibnvidia-gpucomp.so.580.95.05 (libc6,x86-64) => /usr/lib64/libnvidia-gpucomp.so.580.95.05
\tlibnvidia-ml.so.1 (libc6,x86-64, OS ABI: Linux 2.3.99) => /usr/lib64/libnvidia-ml.so.1
"""


def test_what_the_linker_finds_first_of_the_machine_s_own_kind() -> None:
    found = driver.libraries(LISTED)
    place = "/usr/lib64"
    assert {n: str(p) for n, p in found.items()} == {
        "libcuda.so.1": f"{place}/libcuda.so.1",
        "libnvidia-gpucomp.so.580.95.05": f"{place}/libnvidia-gpucomp.so.580.95.05",
        "libnvidia-ml.so.1": f"{place}/libnvidia-ml.so.1",
    }
    assert driver.mounts(found)[0] == (
        Path("/usr/lib64/libcuda.so.1"),
        "/driver/libcuda.so.1",
        False,
    )
    assert driver.search_path(found, "/opt/engine") == {"LD_LIBRARY_PATH": "/driver:/opt/engine"}
    assert driver.search_path({}, "/opt/engine") == {}


def test_a_machine_without_the_driver() -> None:
    assert driver.libraries("") == {}
    assert not driver.libraries() or Path("/proc/driver/nvidia").exists()
