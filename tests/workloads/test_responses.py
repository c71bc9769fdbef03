"""The response file: what is written is read again, and nothing else is believed."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lem.errors import BadInput
from lem.workloads import responses
from lem.workloads.load import Response
from lem.workloads.requests import Request


def response(
    name: str, sent: int, tokens: list[int], status: str = "done", end: int | None = None
) -> Response:
    r = Response(Request(name, [1, 2], 9, ""), sent)
    r.token_ns, r.status, r.end_ns = tokens, status, end
    return r


def test_a_known_file(tmp_path: Path) -> None:
    path = tmp_path / "responses.csv.gz"
    rows = [
        response("r0", 10, [20, 25, 45], end=47),
        response("r1#2", 11, [], "failed", end=12),
        response("r2", 13, [], "open"),
    ]
    responses.write(path, rows)
    assert gzip.decompress(path.read_bytes()).decode().splitlines() == [
        "id,status,sent_ns,first_ns,last_ns,input_tokens,output_tokens,itl_ns,end_ns",
        "r0,done,10,20,45,2,3,5 20,47",
        "r1#2,failed,11,,,2,0,,12",
        "r2,open,13,,,2,0,,",
    ]
    assert [row.end_ns for row in responses.read(path)] == [47, 12, None]


def test_a_file_from_before_the_end_was_written_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "responses.csv.gz"
    text = (
        "id,status,sent_ns,first_ns,last_ns,input_tokens,output_tokens,itl_ns\n"
        "r0,done,10,20,45,2,3,5 20\n"
    )
    path.write_bytes(gzip.compress(text.encode()))
    (row,) = responses.read(path)
    assert (row.token_ns(), row.end_ns) == ([20, 25, 45], None)


@given(st.lists(st.lists(st.integers(0, 2**62), max_size=20), max_size=5))
def test_token_times_survive(
    tmp_path_factory: pytest.TempPathFactory, times: list[list[int]]
) -> None:
    path = tmp_path_factory.mktemp("responses") / "responses.csv.gz"
    responses.write(path, [response(f"r{i}", 0, sorted(t)) for i, t in enumerate(times)])
    assert [row.token_ns() for row in responses.read(path)] == [sorted(t) for t in times]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "id,status\n",
        "id,status,sent_ns,first_ns,last_ns,input_tokens,output_tokens,itl_ns\nr0,done,1\n",
        "id,status,sent_ns,first_ns,last_ns,input_tokens,output_tokens,itl_ns\n"
        "r0,done,10,20,45,2,4,5 20\n",
        "id,status,sent_ns,first_ns,last_ns,input_tokens,output_tokens,itl_ns\n"
        "r0,done,x,20,45,2,3,5 20\n",
        "id,status,sent_ns,first_ns,last_ns,input_tokens,output_tokens,itl_ns,end_ns\n"
        "r0,done,10,20,45,2,3,5 20\n",
        "id,status,sent_ns,first_ns,last_ns,input_tokens,output_tokens,itl_ns,end_ns\n"
        "r0,done,10,20,45,2,3,5 20,44\n",
    ],
)
def test_anything_else_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "responses.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    with pytest.raises(BadInput, match="not a response file"):
        responses.read(path)


def test_half_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "responses.csv.gz"
    responses.write(path, [response(f"r{i}", 0, [1, 2, 3]) for i in range(100)])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BadInput):
        responses.read(path)
    path.write_bytes(path.read_bytes()[:10] + b"\xff" * 40)
    with pytest.raises(BadInput, match="not a response file"):
        responses.read(path)
