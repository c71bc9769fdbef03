"""The trace file: what a crash leaves, and what a stranger's file may hold."""

import gzip
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lem.errors import BadInput
from lem.meters.protocol import Sample
from lem.meters.sampling import trace

NAMES = st.from_regex(r"[A-Za-z0-9_.:-]{1,20}", fullmatch=True)
SAMPLES = st.lists(
    st.builds(
        Sample,
        st.integers(0, 2**62),
        NAMES,
        NAMES,
        NAMES,
        st.floats(allow_nan=False, allow_infinity=False),
    )
)


@given(samples=SAMPLES)
def test_what_is_written_is_read_back(
    samples: list[Sample], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("trace") / "trace.csv.gz"
    writer = trace.TraceWriter(path)
    for s in samples:
        writer.add([s])
        writer.flush()
    writer.close()
    assert list(trace.iterate(path)) == samples


def test_it_is_plain_gzip_and_csv(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv.gz"
    writer = trace.TraceWriter(path)
    writer.add([Sample(5, "nvml", "gpu0", "energy_mj", 12345678901), Sample(6, "a", "b", "c", 0.5)])
    writer.close()
    text = gzip.decompress(path.read_bytes()).decode()
    assert text == (
        "t_ns,meter,device,quantity,value\n5,nvml,gpu0,energy_mj,12345678901\n6,a,b,c,0.5\n"
    )


@pytest.mark.parametrize("cut", [0, 5, 30, -1, -9, -15])
def test_a_file_that_ends_early_gives_its_whole_lines(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "trace.csv.gz"
    samples = [Sample(i, "m", "d", "q", i * 17) for i in range(1000)]
    writer = trace.TraceWriter(path)
    writer.add(samples)
    writer.close()
    path.write_bytes(path.read_bytes()[:cut])
    found = list(trace.iterate(path))
    assert found == samples[: len(found)]
    assert len(found) > 900 or cut >= 0


def test_what_was_flushed_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv.gz"
    code = (
        "import os, sys; from pathlib import Path\n"
        "from lem.meters.protocol import Sample\n"
        "from lem.meters.sampling.trace import TraceWriter\n"
        "w = TraceWriter(Path(sys.argv[1]))\n"
        "w.add([Sample(1, 'm', 'd', 'q', 1), Sample(2, 'm', 'd', 'q', 2)]); w.flush()\n"
        "w.add([Sample(3, 'm', 'd', 'q', 3)])\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], timeout=60, check=False)
    assert [s.t_ns for s in trace.iterate(path)] == [1, 2]


@pytest.mark.parametrize(
    "text",
    [
        "t_ns,meter\n",
        f"{trace.HEADER}\n1,m,d,q,nan\n",
        f"{trace.HEADER}\n1,m,d,q,1_000\n",
        f"{trace.HEADER}\n-1,m,d,q,1\n",
        f"{trace.HEADER}\n1,m,d,q\n",
        f"{trace.HEADER}\n1,m,d,../q,1\n",
        f"{trace.HEADER}\n{'9' * 30},m,d,q,1\n",
        f"{trace.HEADER}\n1,m,d,q,1,2\n",
        f"{trace.HEADER}\n{'x' * 100000}",
    ],
)
def test_what_is_no_trace_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "trace.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    with pytest.raises(BadInput):
        list(trace.iterate(path))


def test_a_bomb_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv.gz"
    path.write_bytes(gzip.compress(f"{trace.HEADER}\n".encode() + b"1,m,d,q,1\n" * 500_000))
    with pytest.raises(BadInput, match="too much text"):
        list(trace.iterate(path, max_text_bytes=10**6))


def test_ones_own_trace_may_be_of_any_length(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv.gz"
    path.write_bytes(gzip.compress(f"{trace.HEADER}\n".encode() + b"1,m,d,q,1\n" * 500))
    with pytest.raises(BadInput, match="too much text"):
        trace.read(path, max_text_bytes=1000)
    assert len(trace.read(path, max_text_bytes=None)) == 500


def test_samples_share_their_names(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv.gz"
    path.write_bytes(gzip.compress(f"{trace.HEADER}\n1,mm,dd,qq,1\n2,mm,dd,qq,2\n".encode()))
    first, second = trace.read(path)
    assert all(a is b for a, b in zip(first[1:4], second[1:4], strict=True))


@pytest.mark.parametrize("data", [b"", b"no gzip at all", b"\x1f\x8b\x08\x00garbage-garbage"])
def test_bytes_that_are_no_gzip(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "trace.csv.gz"
    path.write_bytes(data)
    if data:
        with pytest.raises(BadInput):
            list(trace.iterate(path))
    else:
        assert list(trace.iterate(path)) == []


def test_a_name_that_would_break_a_line_is_refused(tmp_path: Path) -> None:
    writer = trace.TraceWriter(tmp_path / "trace.csv.gz")
    with pytest.raises(ValueError, match="cannot stand in a trace"):
        writer.add([Sample(1, "m", "a,b", "q", 1)])
