"""Reads the header of a GGUF file: what the model says of itself, without its weights.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little-endian).
The file is hostile until parsed: every length is checked against a limit before it is believed.
"""

import struct
from io import BufferedReader
from pathlib import Path
from typing import Any

from lem.errors import RunFailed

MAX_KEYS = 10_000
MAX_ITEMS = 10_000_000
MAX_STRING_BYTES = 16 * 2**20
MAX_HEADER_BYTES = 512 * 2**20

_SCALARS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_STRING, _ARRAY = 8, 9

CONTROL, UNKNOWN, UNUSED = 3, 2, 5
"""Of ``tokenizer.ggml.token_type``."""


def read(path: Path) -> dict[str, Any]:
    """The file's key–value pairs. Raises :class:`RunFailed` if it is not a GGUF file."""
    try:
        with path.open("rb") as f:
            if f.read(4) != b"GGUF":
                raise ValueError("it does not begin with GGUF")
            version, _tensors, keys = struct.unpack("<IQQ", _bytes(f, 20))
            if version not in (2, 3):
                raise ValueError(f"version {version} is not known")
            if keys > MAX_KEYS:
                raise ValueError(f"it claims {keys} keys")
            found: dict[str, Any] = {}
            for _ in range(keys):
                name = _string(f)
                found[name] = _value(f, struct.unpack("<I", _bytes(f, 4))[0])
            return found
    except (OSError, ValueError, struct.error) as e:
        raise RunFailed(
            "bad_argument",
            f"{path.name} is not a readable GGUF file: {e}",
            hint="check the download; its first four bytes should be GGUF",
        ) from e


def vocabulary(metadata: dict[str, Any]) -> tuple[int, frozenset[int]]:
    """How many tokens there are, and the ids of those that are not text."""
    kinds = metadata.get("tokenizer.ggml.token_type", [])
    tokens = metadata.get("tokenizer.ggml.tokens", [])
    special = {i for i, kind in enumerate(kinds) if kind in (CONTROL, UNKNOWN, UNUSED)}
    return len(tokens), frozenset(special)


def context_length(metadata: dict[str, Any]) -> int | None:
    """The longest context the model was trained for, in tokens."""
    found = metadata.get(f"{metadata.get('general.architecture')}.context_length")
    return found if isinstance(found, int) else None


def _bytes(f: BufferedReader, n: int) -> bytes:
    if f.tell() + n > MAX_HEADER_BYTES:
        raise ValueError("its header is larger than 512 MiB")
    data = f.read(n)
    if len(data) != n:
        raise ValueError("it ends in the middle of its header")
    return data


def _string(f: BufferedReader) -> str:
    (length,) = struct.unpack("<Q", _bytes(f, 8))
    if length > MAX_STRING_BYTES:
        raise ValueError(f"it claims a string of {length} bytes")
    return _bytes(f, length).decode("utf-8", errors="replace")


def _value(f: BufferedReader, kind: int, depth: int = 0) -> Any:
    if kind == _STRING:
        return _string(f)
    if kind == _ARRAY and depth < 3:
        inner, length = struct.unpack("<IQ", _bytes(f, 12))
        if length > MAX_ITEMS:
            raise ValueError(f"it claims an array of {length} items")
        if inner in _SCALARS:
            one = _SCALARS[inner]
            data = _bytes(f, struct.calcsize(one) * length)
            return [v[0] for v in struct.iter_unpack(one, data)]
        return [_value(f, inner, depth + 1) for _ in range(length)]
    if kind not in _SCALARS:
        raise ValueError(f"value type {kind} is not known")
    one = _SCALARS[kind]
    return struct.unpack(one, _bytes(f, struct.calcsize(one)))[0]
