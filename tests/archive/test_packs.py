import os
from pathlib import Path

import pytest

from lem.archive.packs import Packs
from lem.archive.reasons import REASONS, refused
from lem.archive.refused import Refused

SHA = "ab" * 32


def test_a_pack_is_read_in_pieces(tmp_path: Path) -> None:
    packs = Packs(tmp_path / "packs")
    packs.put(SHA, b"0123456789")
    assert packs.read(SHA, 3, 4) == b"3456"
    assert packs.whole(SHA) == b"0123456789"
    assert list(packs.every()) == [SHA]
    assert packs.path(SHA) == tmp_path / "packs" / "ab" / f"{SHA}.tar"
    with pytest.raises(Refused):
        packs.read(SHA, 8, 4)
    packs.delete(SHA)
    packs.delete(SHA)
    with pytest.raises(Refused, match="not on this server's disk"):
        packs.read(SHA, 0, 1)


def test_half_a_pack_is_written_anew(tmp_path: Path) -> None:
    packs = Packs(tmp_path)
    packs.put(SHA, b"0123456789")
    packs.path(SHA).write_bytes(b"01234")
    packs.put(SHA, b"0123456789")
    assert packs.whole(SHA) == b"0123456789"


@pytest.mark.parametrize("name", ["../../etc/passwd", "AB" * 32, "", "ab/" + "c" * 61, SHA + "\n"])
def test_names_are_hashes_and_nothing_else(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="SHA-256"):
        Packs(tmp_path).path(name)


def test_a_sweep_takes_what_no_row_names_once_it_is_old(tmp_path: Path) -> None:
    packs = Packs(tmp_path)
    old, new, kept = ("00" * 32, "11" * 32, "22" * 32)
    for sha in (old, new, kept):
        packs.put(sha, b"x")
    half = packs.path(old).parent / ".aside-x"
    half.write_bytes(b"x")
    other = packs.path(old).parent / "notes.txt"
    other.write_bytes(b"x")
    for path in (packs.path(old), packs.path(kept), half, other):
        os.utime(path, (1, 1))
    assert packs.sweep({kept}) == 2
    assert set(packs.every()) == {new, kept} and other.exists()


def test_every_reason_has_a_status_that_says_the_same() -> None:
    assert all(400 <= r.status < 500 or r.status == 503 for r in REASONS.values())
    error = refused("nonce_unknown")
    assert (error.reason, error.status) == ("nonce_unknown", 409)
