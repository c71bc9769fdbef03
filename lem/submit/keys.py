"""This machine's key (Ed25519): a file that only its owner can read, never overwritten."""

import os
import stat
import tempfile
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from lem.errors import BadInput, EnvironmentFault
from lem.submit.places import config_folder

MAX_BYTES = 16_384
NEXT = ".next"
"""Behind the name of the key that is to take the place of another, until the archive knows it."""


def default_path() -> Path:
    return config_folder() / "key.pem"


def next_path(path: Path) -> Path:
    return path.with_name(path.name + NEXT)


def make(path: Path) -> Ed25519PrivateKey:
    """A new key, written whole or not at all. Raises :class:`BadInput` where one is there already
    and :class:`EnvironmentFault` where it cannot be written."""
    key = Ed25519PrivateKey.generate()
    data = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as f:  # mkstemp makes it readable for its owner alone
                f.write(data)
                f.flush()
                os.fsync(f.fileno())
            os.link(aside, path)  # unlike a rename, it fails where there is one
        finally:
            Path(aside).unlink(missing_ok=True)
        _sync(path.parent)
    except FileExistsError as e:
        raise BadInput(
            f"{path} is there already",
            hint="a key is never overwritten; `lem key rotate` puts another in its place",
        ) from e
    except OSError as e:
        raise EnvironmentFault(f"{path} cannot be written: {e.strerror}") from e
    return key


def load(path: Path) -> Ed25519PrivateKey:
    """The key. Raises :class:`BadInput` where there is none, where others can read it or where it
    is no such key."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as e:
        raise BadInput(f"there is no key in {path}", hint="make one: lem key new") from e
    except OSError as e:
        raise BadInput(f"{path} cannot be read: {e.strerror}") from e
    with os.fdopen(handle, "rb") as f:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise BadInput(f"{path} is not a file")
        if status.st_mode & 0o077:
            raise BadInput(f"others can read {path}", hint=f"chmod 600 {path}")
        data = f.read(MAX_BYTES + 1)
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as e:
        raise BadInput(f"{path} is no private key in PEM without a password") from e
    if not isinstance(key, Ed25519PrivateKey):
        raise BadInput(f"{path} is another kind of key; it has to be Ed25519")
    return key


def promote(path: Path) -> None:
    """Put the next key in the place of the present one."""
    next_path(path).replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
