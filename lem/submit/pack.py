"""A submission as one file: an uncompressed tar (USTAR) that has exactly one right spelling.

Members, in this order: ``manifest.json``, ``signature``, then ``files/<sha256>``: the lock's, then
each run's record, trace, responses, failure, each file once. A reader that finds a single byte
elsewhere than the writer would have put it refuses the whole.
"""

import hashlib
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lem.contract.submission import MAX_RUNS, Content, Manifest
from lem.errors import BadInput
from lem.submit.manifest import MAX_MANIFEST_BYTES, SIGNATURE_BYTES, parsed

MANIFEST, SIGNATURE, FILES = "manifest.json", "signature", "files/"
MAX_MEMBERS = 3 + 4 * MAX_RUNS
BLOCK = 512
END = bytes(2 * BLOCK)
GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00"
"""gzip, deflate, no name or comment, no time."""
_GZIP = 16 + zlib.MAX_WBITS
_CHUNK_BYTES = 1 << 18


@dataclass(frozen=True)
class Pack:
    """A submission that was read. Nobody has checked its signature yet."""

    body: bytes
    manifest: bytes
    signature: bytes
    unverified: Manifest
    """What the manifest says; whether its key signed it, ``manifest.verify`` tells."""
    files: dict[str, tuple[int, int]]
    """SHA-256 → offset and length in the body, in the order of the members."""

    def file(self, sha256: str) -> bytes:
        """A file as it was sent: gzip."""
        offset, length = self.files[sha256]
        return self.body[offset : offset + length]


def order(content: Content) -> list[str]:
    """The files of a submission in the order of its members, each once."""
    every = [content.lock, *(sha for run in content.runs for sha in run.files())]
    return list(dict.fromkeys(every))


def write(
    manifest_bytes: bytes, signature: bytes, content: Content, files: Mapping[str, bytes]
) -> bytes:
    """The submission's bytes. ``files``: SHA-256 → gzip."""
    parts = [*_member(MANIFEST, manifest_bytes), *_member(SIGNATURE, signature)]
    for sha in order(content):
        parts += _member(FILES + sha, files[sha])
    return b"".join([*parts, END])


def read(body: bytes) -> Pack:
    """Read a submission. Raises :class:`BadInput` for anything that :func:`write` would not have
    written: other or missing members, another order, links, names, padding, trailing bytes, files
    that are no gzip or whose SHA-256 is another."""
    members = _members(body)
    manifest = _take(body, members, MANIFEST, MAX_MANIFEST_BYTES)
    signature = _take(body, members, SIGNATURE, SIGNATURE_BYTES)
    if len(signature) != SIGNATURE_BYTES:
        raise BadInput("the signature is not 64 bytes")
    unverified = parsed(manifest)
    files: dict[str, tuple[int, int]] = {}
    for sha in order(unverified.content):
        name, offset, length = next(members, ("", 0, 0))
        if name != FILES + sha:
            raise BadInput(f"the submission has {_shown(name)} where {FILES + sha} should be")
        data = memoryview(body)[offset : offset + length]
        if hashlib.sha256(data).hexdigest() != sha:
            raise BadInput(f"{name} has another SHA-256 than its name")
        if bytes(data[: len(GZIP_HEAD)]) != GZIP_HEAD:
            raise BadInput(f"{name} is not gzip without name and time")
        files[sha] = (offset, length)
    extra = next(members, None)
    if extra is not None:
        raise BadInput(f"the submission has {_shown(extra[0])}, which its manifest does not name")
    return Pack(body, manifest, signature, unverified, files)


def packed(text: bytes) -> bytes:
    """gzip without name and time: the same text gives the same bytes."""
    made = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
    return made.compress(text) + made.flush()


def unpacked(data: bytes, limit: int) -> bytes:
    """The text of one gzip member. Raises :class:`BadInput` where it is damaged, ends early, has
    anything after it, or has more than ``limit`` bytes of text: so much is never held."""
    text = bytearray()
    for piece in inflated(data):
        text += piece
        if len(text) > limit:
            raise BadInput(f"holds more than {limit} bytes of text")
    return bytes(text)


def inflated(data: bytes) -> Iterator[bytes]:
    """The text of one gzip member in pieces of at most 256 KiB; raises as :func:`unpacked` does,
    without a limit of its own."""
    inflate = zlib.decompressobj(_GZIP)
    try:
        # Given whole, the rest would be copied with every piece.
        for at in range(0, len(data), _CHUNK_BYTES):
            rest = data[at : at + _CHUNK_BYTES]
            while rest and not inflate.eof:
                yield inflate.decompress(rest, _CHUNK_BYTES)
                rest = inflate.unconsumed_tail
            if inflate.eof and (inflate.unused_data or at + _CHUNK_BYTES < len(data)):
                raise BadInput("has something after its end")
        while not inflate.eof and (piece := inflate.decompress(b"", _CHUNK_BYTES)):
            yield piece
    except zlib.error as e:
        raise BadInput(f"is damaged: {e}") from e
    if not inflate.eof:
        raise BadInput("ends early")


def _header(name: str, length: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = length
    return info.tobuf(tarfile.USTAR_FORMAT)


def _member(name: str, data: bytes) -> list[bytes]:
    return [_header(name, len(data)), data, bytes(-len(data) % BLOCK)]


def _members(body: bytes) -> Iterator[tuple[str, int, int]]:
    """Name, offset and length of each member; everything between them is as it has to be."""
    at = 0
    for _ in range(MAX_MEMBERS + 1):
        header = body[at : at + BLOCK]
        if header == bytes(BLOCK):
            if body[at:] != END:
                raise BadInput("the submission has something after its end, or no whole end")
            return
        name, length = _read_header(header)
        start, end = at + BLOCK, at + BLOCK + length
        at = end + -length % BLOCK
        if at > len(body) or any(body[end:at]):
            raise BadInput(f"{_shown(name)} ends early or is padded with more than zeros")
        yield name, start, length
    raise BadInput(f"the submission has more than {MAX_MEMBERS} members")


def _read_header(header: bytes) -> tuple[str, int]:
    """A header that says a plain file's name and length and nothing else."""
    try:
        name = header[:100].rstrip(b"\0").decode("ascii")
        length = int(header[124:135], 8)
        # Whatever else it says (a link, an owner, a mode, a base-256 number) makes it another.
        if length < 0 or _header(name, length) != header:
            raise ValueError
    except (ValueError, tarfile.HeaderError) as e:
        raise BadInput("the submission is not a tar file as lem writes it") from e
    return name, length


def _take(body: bytes, members: Iterator[tuple[str, int, int]], name: str, most: int) -> bytes:
    found, offset, length = next(members, ("", 0, 0))
    if found != name:
        raise BadInput(f"the submission has {_shown(found)} where {name} should be")
    if length > most:
        raise BadInput(f"{name} is larger than {most} bytes")
    return body[offset : offset + length]


def _shown(name: str) -> str:
    return repr(name) if name else "nothing"
