"""The key's file: readable for its owner alone, whole, never overwritten."""

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from lem.errors import BadInput
from lem.submit import keys
from lem.submit.manifest import raw_public


def test_a_key_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "lem/key.pem"
    before = os.umask(0)
    try:
        key = keys.make(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert raw_public(keys.load(path)) == raw_public(key)
    assert path.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
    assert [p.name for p in path.parent.iterdir()] == ["key.pem"]


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    keys.make(path)
    before = path.read_bytes()
    with pytest.raises(BadInput, match="there already"):
        keys.make(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["key.pem"]


def test_a_key_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    keys.make(path)
    for mode in (0o640, 0o604, 0o620):
        path.chmod(mode)
        with pytest.raises(BadInput, match="others can read"):
            keys.load(path)


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    with pytest.raises(BadInput, match="there is no key") as e:
        keys.load(path)
    assert "lem key new" in str(e.value)
    rsa = generate_private_key(65537, 1024).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    for data in (b"", b"x", b"-----BEGIN PRIVATE KEY-----\n", rsa):
        path.write_bytes(data)
        path.chmod(0o600)
        with pytest.raises(BadInput):
            keys.load(path)
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(BadInput, match="cannot be read"):
        keys.load(path)


def test_the_next_key_takes_the_place_of_the_present_one(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    keys.make(path)
    new = keys.make(keys.next_path(path))
    keys.promote(path)
    assert raw_public(keys.load(path)) == raw_public(new)
    assert not keys.next_path(path).exists()
