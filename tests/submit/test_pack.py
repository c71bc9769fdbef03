"""A submission's one file: exactly one right spelling."""

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lem.contract.submission import Submitted
from lem.errors import BadInput
from lem.submit import pack
from lem.submit.manifest import canonical, sign
from tests.submit.test_manifest import KEY, content, manifest

FILES = {
    hashlib.sha256(d).hexdigest(): d for d in (pack.packed(bytes([i]) * 700) for i in range(4))
}
LOCK, RECORD, TRACE, FAILURE = FILES
CONTENT = content(
    Submitted(block=0, arm_id="a", attempt=0, record=RECORD, trace=TRACE),
    Submitted(block=0, arm_id="a", attempt=1, failure=FAILURE),
).model_copy(update={"lock": LOCK})
MANIFEST, SIGNATURE = sign(manifest(content=CONTENT), KEY)
BODY = pack.write(MANIFEST, SIGNATURE, CONTENT, FILES)


def tar(members: list[tuple[str, bytes]], **others: object) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as f:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in others.items():
                setattr(info, key, value)
            f.addfile(info, io.BytesIO(data))
    return out.getvalue()


MEMBERS = [
    ("manifest.json", MANIFEST),
    ("signature", SIGNATURE),
    *((f"files/{sha}", FILES[sha]) for sha in (LOCK, RECORD, TRACE, FAILURE)),
]


def test_it_is_a_tar_that_other_tools_read() -> None:
    with tarfile.open(fileobj=io.BytesIO(BODY)) as f:
        assert [(i.name, f.extractfile(i).read()) for i in f] == MEMBERS  # type: ignore[union-attr]


def test_what_is_written_is_read() -> None:
    found = pack.read(BODY)
    assert (found.manifest, found.signature) == (MANIFEST, SIGNATURE)
    assert found.unverified.content == CONTENT
    assert list(found.files) == [LOCK, RECORD, TRACE, FAILURE]
    assert {sha: found.file(sha) for sha in found.files} == FILES


def test_a_file_that_two_runs_share_is_there_once() -> None:
    twice = content(
        Submitted(block=0, arm_id="a", attempt=0, failure=FAILURE),
        Submitted(block=0, arm_id="a", attempt=1, failure=FAILURE),
    ).model_copy(update={"lock": LOCK})
    data, signature = sign(manifest(content=twice), KEY)
    assert list(pack.read(pack.write(data, signature, twice, FILES)).files) == [LOCK, FAILURE]


def other_sha() -> bytes:
    return tar([*MEMBERS[:-1], (f"files/{FAILURE}", FILES[TRACE])])


WRONG: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "only its end": lambda: bytes(1024),
    "no end": lambda: BODY[:-1024],
    "half an end": lambda: BODY[:-512],
    "more zeros": lambda: BODY + bytes(512),
    "trailing bytes": lambda: BODY + b"x",
    "a second tar behind it": lambda: BODY + BODY,
    "blocked as tar does": lambda: tar(MEMBERS),
    "cut": lambda: BODY[: len(BODY) // 2],
    "another order": lambda: tar([*MEMBERS[:2], *reversed(MEMBERS[2:])]),
    "signature first": lambda: tar([MEMBERS[1], MEMBERS[0], *MEMBERS[2:]]),
    "a file missing": lambda: tar(MEMBERS[:-1]),
    "a file twice": lambda: tar([*MEMBERS, MEMBERS[-1]]),
    "a file too many": lambda: tar([*MEMBERS, ("files/" + "0" * 64, b"")]),
    "another content": other_sha,
    "a path": lambda: tar([*MEMBERS[:-1], (f"files/../{FAILURE}", FILES[FAILURE])]),
    "an absolute path": lambda: tar([*MEMBERS[:-1], (f"/files/{FAILURE}", FILES[FAILURE])]),
    "a link": lambda: tar(MEMBERS, type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "a hard link": lambda: tar(MEMBERS, type=tarfile.LNKTYPE, linkname="manifest.json"),
    "a device": lambda: tar(MEMBERS, type=tarfile.CHRTYPE),
    "a folder": lambda: tar([("manifest.json", b"")], type=tarfile.DIRTYPE),
    "an owner": lambda: tar(MEMBERS, uname="alice"),
    "a time": lambda: tar(MEMBERS, mtime=1),
    "a mode": lambda: tar(MEMBERS, mode=0o4755),
    "gzip": lambda: gzip.compress(BODY),
    "a short signature": lambda: tar([MEMBERS[0], ("signature", SIGNATURE[:-1]), *MEMBERS[2:]]),
    "a long signature": lambda: tar([MEMBERS[0], ("signature", SIGNATURE + b"x"), *MEMBERS[2:]]),
    "no manifest": lambda: tar([("manifest.json", b"{}"), *MEMBERS[1:]]),
    "pretty manifest": lambda: tar([("manifest.json", MANIFEST + b" "), *MEMBERS[1:]]),
    "a large size": lambda: BODY[:124] + b"77777777777\0" + BODY[136:],
    "a negative size": lambda: BODY[:124] + b"-0000000001\0" + BODY[136:],
    "a base-256 size": lambda: BODY[:124] + b"\x80" + bytes(9) + b"\x01\x00" + BODY[136:],
}


@pytest.mark.parametrize("name", WRONG)
def test_anything_else_is_refused(name: str) -> None:
    body = WRONG[name]()
    assert body != BODY
    with pytest.raises(BadInput):
        pack.read(body)


@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_no_byte_can_be_another(at: int, by: int) -> None:
    """Outside of manifest and signature, which ``manifest.verify`` looks after."""
    if 512 <= at < 512 + len(MANIFEST) or BODY.index(SIGNATURE) <= at < BODY.index(SIGNATURE) + 64:
        return
    changed = bytearray(BODY)
    changed[at] ^= by
    with pytest.raises(BadInput):
        pack.read(bytes(changed))


def test_files_are_gzip_without_a_name() -> None:
    named = io.BytesIO()
    with gzip.GzipFile("alice.json", "wb", fileobj=named) as f:
        f.write(b"{}")
    for data in (b"{}", named.getvalue(), gzip.compress(b"{}", mtime=5)):
        sha = hashlib.sha256(data).hexdigest()
        one = content(Submitted(block=0, arm_id="a", attempt=0, failure=sha)).model_copy(
            update={"lock": LOCK}
        )
        made, signature = sign(manifest(content=one), KEY)
        body = pack.write(made, signature, one, {LOCK: FILES[LOCK], sha: data})
        with pytest.raises(BadInput, match="not gzip"):
            pack.read(body)


def test_too_many_members_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack, "MAX_MEMBERS", 5)
    with pytest.raises(BadInput, match="more than 5 members"):
        pack.read(BODY)


@given(st.binary(max_size=3000))
def test_gzip_goes_round(text: bytes) -> None:
    assert pack.unpacked(pack.packed(text), len(text)) == text
    assert gzip.decompress(pack.packed(text)) == text


def test_a_gzip_bomb_is_never_held() -> None:
    bomb = pack.packed(bytes(2**26))
    assert len(bomb) < 2**17
    with pytest.raises(BadInput, match="more than 1048576 bytes"):
        pack.unpacked(bomb, 2**20)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        pack.packed(b"text")[:-1],
        pack.packed(b"text") + b"\0",
        pack.packed(b"text") * 2,
        pack.packed(b"x" * 2**19)[:-4],
        pack.packed(b"x" * 2**20) + bytes(2**19),
        zlib.compress(b"text"),
    ],
)
def test_a_gzip_file_is_one_whole_member(data: bytes) -> None:
    with pytest.raises(BadInput):
        pack.unpacked(data, 2**30)


def test_the_manifest_is_the_content_that_was_packed() -> None:
    assert canonical(pack.read(BODY).unverified) == MANIFEST
