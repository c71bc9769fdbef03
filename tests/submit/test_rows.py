"""Traces and responses: every digit kept, no other text."""

import gzip

import pytest

from lem.contract.record import MeterInfo
from lem.errors import BadInput
from lem.submit import rows
from lem.submit.pack import packed, unpacked
from lem.submit.veil import Veil, device_names
from tests.submit.given import RESPONSES, SALT, TRACE

VEIL = Veil(SALT, "owner")


def trace(text: str, veil: Veil = VEIL) -> str:
    return unpacked(rows.public_trace(gzip.compress(text.encode()), veil), 2**30).decode()


def responses(text: str) -> str:
    return unpacked(rows.public_responses(gzip.compress(text.encode())), 2**30).decode()


def test_a_trace_keeps_every_digit() -> None:
    assert trace(TRACE) == TRACE


def test_a_trace_that_was_cut_keeps_its_whole_lines() -> None:
    assert trace(TRACE + "9,nvml,gpu0,pow") == TRACE
    cut = packed(("\n".join([TRACE.splitlines()[0], *["1,a,b,c,2"] * 10**5]) + "\n").encode())
    made = unpacked(rows.public_trace(cut[: len(cut) // 2], VEIL), 2**30).decode().splitlines()
    assert 1 < len(made) < 10**5 + 1
    assert set(made[1:]) == {"1,a,b,c,2"}


@pytest.mark.parametrize(
    ("device", "public"),
    [
        ("wall", "wall"),
        ("rack3_left", "rack3_left"),
        ("pdu.example.org", "external-0"),
        ("00-1b-44-11-3a-b7", "external-0"),
        ("x00-1b-44-11-3a-b7", "external-0"),
        ("p-10-1-2-3", "external-0"),
    ],
)
def test_names_of_meters_that_tell_too_much_are_replaced(device: str, public: str) -> None:
    info = MeterInfo(
        meter="external", device=device, device_class="node", quantity="power_w", unit="W",
        description="",
    )  # fmt: skip
    veil = Veil(SALT, "owner", device_names([info]))
    text = f"t_ns,meter,device,quantity,value\n1,external,{device},power_w,1.5\n"
    assert trace(text, veil) == text.replace(device, public)


def test_devices_that_are_in_no_record_have_no_telling_names_either() -> None:
    """A run on GPUs that only a sensor saw has no meter in its record; its trace has the sensor."""
    head = "t_ns,meter,device,quantity,value\n"
    rows = "1,{0},power_w,1.5\n2,{1},power_w,2.5\n3,nvml,gpu0,power_mw,3\n4,{0},power_w,4\n"
    own = rows.format("external,pdu7.example.org", "external,pdu8.example.org")
    assert trace(head + own) == head + rows.format("external,external-0", "external,external-1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b\n",
        TRACE + "1,nvml,gpu 0,power_mw,1\n",
        TRACE + "1,nvml,/home/alice,power_mw,1\n",
        TRACE + "1,nvml,gpu0,power_mw,nan\n",
        TRACE + "1,nvml,gpu0,power_mw,1,2\n",
        TRACE + "\n",
        TRACE + "1,nvml,gpu0,power_mw," + "1" * 600,
        TRACE + "٣,nvml,gpu0,power_mw,1\n",
    ],
)
def test_what_is_no_trace_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        trace(text)


def test_a_trace_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MAX_TRACE_TEXT", 1000)
    with pytest.raises(BadInput, match="more than"):
        trace(TRACE + "1,a,b,c,2\n" * 1000)


def test_requests_keep_the_names_that_lem_gave_them() -> None:
    """By them it is told whether a request's turn had come."""
    head = "id,status,sent_ns,first_ns,last_ns,input_tokens,output_tokens,itl_ns,end_ns\n"
    text = f"{head}r17,done,10,20,40,7,3,5 15,41\nr3#2,failed,11,,,7,0,,\n"
    assert responses(text) == text
    other = text.replace("r3#2", "r3@home")
    assert responses(other) == text.replace("r17", "r0").replace("r3#2", "r1")


def test_requests_are_called_by_ordinals() -> None:
    assert responses(RESPONSES) == (
        "id,status,sent_ns,first_ns,last_ns,input_tokens,output_tokens,itl_ns,end_ns\n"
        "r0,done,10,20,40,7,3,5 15,41\n"
        "r1,failed,11,,,7,0,,\n"
        "r0,done,50,60,60,7,1,,61\n"
    )


def test_old_responses_have_no_end() -> None:
    text = (
        "id,status,sent_ns,first_ns,last_ns,input_tokens,output_tokens,itl_ns\nx,done,1,2,2,3,1,\n"
    )
    assert responses(text) == text.replace("\nx,", "\nr0,")


@pytest.mark.parametrize(
    "line",
    [
        "x,done,1,2,2,3,1,\n",
        "x,lost,1,2,2,3,1,,3\n",
        "x,done,1.5,2,2,3,1,,3\n",
        "x,done,/home/alice,2,2,3,1,,3\n",
        "x,done,1,2,2,3,1,alice,3\n",
        "x,done,1,2,2,3,1,1  2,3\n",
        "x,done,1,2,2,,1,,3\n",
    ],
)
def test_what_is_no_response_is_refused(line: str) -> None:
    with pytest.raises(BadInput):
        responses(RESPONSES + line)


def test_damaged_files_are_refused() -> None:
    whole = gzip.compress(RESPONSES.encode())
    for data in (b"", b"x", whole[:-5], whole + b"x"):
        with pytest.raises(BadInput):
            rows.public_responses(data)
    with pytest.raises(BadInput):
        rows.public_trace(b"not gzip", VEIL)
