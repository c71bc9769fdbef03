"""The second net: this machine's own names in what is to be sent."""

from pathlib import Path

import pytest

from lem.submit import leaks
from lem.submit.leaks import Net, Word
from lem.submit.pack import packed
from tests import records

NET = Net([Word("gpubox7", "this machine's name"), Word("alice", "your user name")])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in {
        "etc/machine-id": "3d1219c7c4c5404aaa1f6d2a48adfda4\n",
        "etc/hostname": "gpubox7.example.org\n",
        "sys/class/dmi/id/product_serial": "PF1AB2C3\n",
        "sys/class/dmi/id/board_serial": "None\n",
        "sys/class/net/eth0/address": "02:42:2b:12:9c:17\n",
        "sys/class/net/lo/address": "00:00:00:00:00:00\n",
        "proc/net/fib_trie": "  |-- 127.0.0.1\n     /32 host LOCAL\n"
        "  |-- 192.0.2.7\n     /32 host LOCAL\n  |-- 192.0.2.0\n     /24 link UNICAST\n",
        "proc/net/if_inet6": "20010db8000000000000000000000007 02 40 00 80 eth0\n"
        "00000000000000000000000000000001 01 80 10 80 lo\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_what_this_machine_has_of_its_own(root: Path) -> None:
    environ = {"USER": "alice", "HOME": "/home/alice"}
    found = {w.text for w in leaks.words_of_this_machine(root, environ)}
    assert found >= {
        "3d1219c7c4c5404aaa1f6d2a48adfda4", "gpubox7.example.org", "gpubox7", "PF1AB2C3",
        "02:42:2b:12:9c:17", "192.0.2.7", "2001:db8::7", "alice", "/home/alice",
    }  # fmt: skip
    assert not found & {"None", "127.0.0.1", "192.0.2.0", "::1", "root", "localhost", ""}


def test_names_that_tell_nobody_anything_are_left() -> None:
    words = [Word(w, "x") for w in ("root", "Ubuntu", "ab", "12345", "", "alice", "ALICE")]
    assert [w.text for w in leaks.chosen(words)] == ["alice"]


def test_boards_and_boots_of_the_documents() -> None:
    record = records.record(gpus=[{**records.gpu(), "uuid": "GPU-1234abcd"}], boot_id="boot-77")
    found = {w.text for w in leaks.words_of([record, records.failure(device_set=["GPU-9876fedc"])])}
    assert found >= {"GPU-1234abcd", "1234abcd", "boot-77", "GPU-9876fedc"}


def test_the_field_is_named() -> None:
    document = {"a": [{"b": "x"}, {"b": "run on GPUBOX7, twice"}], "args": {"alice": 1}}
    found = list(NET.in_json(document, "record.json"))
    assert [(f.field, f.word.text) for f in found] == [
        ("a.1.b", "gpubox7"),
        ("args.alice", "alice"),
    ]
    assert str(found[0]) == "record.json: a.1.b: has this machine's name, 'gpubox7'"


def test_whole_words_only() -> None:
    assert NET.in_text("malice") is None
    assert NET.in_text("alice2") is None
    assert NET.in_text("org/alice-7b") is not None
    assert NET.in_text("_alice_") is not None


def test_keys_of_the_contract_are_no_leak() -> None:
    net = Net([Word("environment", "your user name")])
    assert list(net.in_json({"environment": {"x": 1}}, "record.json")) == []
    assert len(list(net.in_json({"environment": "environment"}, "record.json"))) == 1


def test_lines_are_named() -> None:
    text = "\n".join(["a,b,c"] * 200_000 + ["1,x,gpubox7,y,2"] + ["a"] * 10)
    (found,) = NET.in_rows(packed(text.encode()), "trace.csv.gz")
    assert found.field == "line 200001"
    assert list(NET.in_rows(packed(b"a,b"), "x")) == []
    (last,) = NET.in_rows(packed(b"a\nalice"), "x")
    assert last.field == "line 2"


def test_an_empty_net_catches_nothing() -> None:
    assert list(Net([]).in_rows(packed(b"a"), "x")) == []
    assert Net([]).in_text("a") is None
