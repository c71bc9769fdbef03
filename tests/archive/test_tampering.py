"""A dump in which anything was changed does not hold; one that is meant to harm is refused."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from lem.archive.database import open_database
from lem.archive.dump import layout
from lem.archive.dump.bring_in import bring_in
from lem.archive.dump.check import check
from lem.archive.dump.read import Dump, Finding
from lem.archive.dump.write import export
from lem.archive.packs import Packs
from lem.archive.queue.tables import METADATA
from lem.contract.base import canonical_json
from lem.errors import BadInput
from lem.submit import manifest, pack
from tests.archive import dumps


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    database = open_database(None, folder)
    database.migrate()
    packs = Packs(folder / "packs")
    dumps.filled(database, packs, folder / "folders")
    made = export(database, packs, folder / "dump").folder
    database.close()
    return made


@pytest.fixture
def dump(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "dump"))


def findings(folder: Path) -> list[Finding]:
    """What does not hold; that it is no dump at all is one such thing."""
    try:
        return check(Dump(folder)).findings
    except BadInput as e:
        return [Finding(str(folder), str(e))]


def sums_again(folder: Path) -> None:
    """As somebody would who changes a file and hides it."""
    names = sorted(
        str(p.relative_to(folder))
        for p in folder.rglob("*")
        if p.is_file() and p.name != layout.SUMS
    )
    lines = [f"{hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}\n" for n in names]
    (folder / layout.SUMS).write_text("".join(lines))


def a_pack(folder: Path) -> Path:
    return sorted((folder / "submissions").rglob("*.tar"))[0]


def test_untouched_it_holds(whole: Path) -> None:
    assert findings(whole) == []


@settings(max_examples=60)
@given(data=st.data())
def test_every_changed_byte_is_found(
    whole: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    names = sorted(str(p.relative_to(whole)) for p in whole.rglob("*") if p.is_file())
    name = data.draw(st.sampled_from(names))
    before = (whole / name).read_bytes()
    offset = data.draw(st.integers(0, len(before) - 1))
    bit = data.draw(st.integers(0, 7))
    after = bytearray(before)
    after[offset] ^= 1 << bit
    try:
        (whole / name).write_bytes(after)
        assert findings(whole)
    finally:
        (whole / name).write_bytes(before)


@settings(max_examples=40)
@given(data=st.data())
def test_so_it_is_where_the_sums_were_made_anew(whole: Path, data: st.DataObject) -> None:
    """Of what is signed or chained; the derived tables and the README are only summed."""
    names = [
        str(p.relative_to(whole))
        for p in sorted(whole.rglob("*"))
        if (p.is_file() and p.suffix in (".tar", ".pem")) or p.name == layout.LOG
    ]
    name = data.draw(st.sampled_from(names))
    before, sums = (whole / name).read_bytes(), (whole / layout.SUMS).read_bytes()
    offset = data.draw(st.integers(0, len(before) - 1))
    after = bytearray(before)
    after[offset] ^= 1 << data.draw(st.integers(0, 7))
    try:
        (whole / name).write_bytes(after)
        sums_again(whole)
        assert findings(whole)
    finally:
        (whole / name).write_bytes(before)
        (whole / layout.SUMS).write_bytes(sums)


@settings(max_examples=15)
@given(data=st.data())
def test_a_shorter_or_longer_file_is_found(whole: Path, data: st.DataObject) -> None:
    names = sorted(str(p.relative_to(whole)) for p in whole.rglob("*") if p.is_file())
    name = data.draw(st.sampled_from(names))
    before = (whole / name).read_bytes()
    cut = data.draw(st.integers(0, len(before) - 1))
    after = data.draw(st.sampled_from([before[:cut], before + before[-1 - cut :]]))
    try:
        (whole / name).write_bytes(after)
        assert findings(whole)
    finally:
        (whole / name).write_bytes(before)


Change = Callable[[Path], None]


def remove(name: str) -> Change:
    return lambda folder: (folder / name).unlink()


def remove_pack(folder: Path) -> None:
    a_pack(folder).unlink()
    sums_again(folder)


def remove_last_entry(folder: Path) -> None:
    lines = (folder / layout.LOG).read_bytes().splitlines(keepends=True)
    (folder / layout.LOG).write_bytes(b"".join(lines[:-1]))
    sums_again(folder)


def rename_pack(folder: Path) -> None:
    path = a_pack(folder)
    other = folder / layout.pack_name("f" * 64)
    other.parent.mkdir()
    path.rename(other)
    sums_again(folder)


def sign_with_another_key(folder: Path) -> None:
    path = a_pack(folder)
    read = pack.read(path.read_bytes())
    stranger = Ed25519PrivateKey.generate()
    named = read.unverified.model_copy(
        update={"key": manifest.key_id(manifest.raw_public(stranger))}
    )
    files = {sha: read.file(sha) for sha in read.files}
    path.write_bytes(pack.write(*manifest.sign(named, stranger), named.content, files))
    sums_again(folder)


def add_a_stranger_to_the_keys(folder: Path) -> None:
    lines = (folder / layout.KEYS).read_text().splitlines()
    line = json.loads(lines[0])
    line["public_key"] = "ab" * 32
    (folder / layout.KEYS).write_bytes(
        canonical_json(line) + b"\n" + "".join(f"{x}\n" for x in lines[1:]).encode()
    )
    sums_again(folder)


def another_archive(folder: Path) -> None:
    raw = json.loads((folder / layout.DESCRIPTION).read_text())
    raw["archive"] = "9" * 64
    (folder / layout.DESCRIPTION).write_text(json.dumps(raw, indent=1) + "\n")
    sums_again(folder)


def another_salt(folder: Path) -> None:
    raw = json.loads((folder / layout.DESCRIPTION).read_text())
    raw["board_salt"] = "9" * 32
    (folder / layout.DESCRIPTION).write_text(json.dumps(raw, indent=1) + "\n")
    sums_again(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        *((remove(name), "missing") for name in layout.FIXED[1:]),
        (remove(layout.DESCRIPTION), "not a dump"),
        (remove(layout.SUMS), "cannot be read"),
        (remove_pack, "never retracted"),
        (remove_last_entry, "names another end"),
        (rename_pack, "has not accepted it"),
        (sign_with_another_key, "is not in keys.jsonl"),
        (add_a_stranger_to_the_keys, "is not the SHA-256 of its public key"),
        (another_archive, "signed for an archive that archive.json does not name"),
        (another_salt, "another salt"),
    ],
)
def test_what_does_not_hold_is_said_in_words(dump: Path, change: Change, words: str) -> None:
    change(dump)
    found = findings(dump)
    assert any(words in str(f) for f in found), found


def link(name: str, to: str) -> Change:
    def change(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.unlink()
        path.symlink_to(to)

    return change


def linked_folder(folder: Path) -> None:
    away = folder.parent / "away"
    (folder / "submissions").rename(away)
    (folder / "submissions").symlink_to(away)


def pipe(folder: Path) -> None:
    (folder / layout.LOG).unlink()
    os.mkfifo(folder / layout.LOG)


def written(name: str, data: bytes) -> Change:
    def change(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    return change


def sparse(name: str, size: int) -> Change:
    def change(folder: Path) -> None:
        with (folder / name).open("r+b") as f:
            f.truncate(size)

    return change


def listed(name: str) -> Change:
    def change(folder: Path) -> None:
        with (folder / layout.SUMS).open("a") as f:
            f.write(f"{'0' * 64}  {name}\n")

    return change


HOSTILE: list[tuple[Change, str]] = [
    (link(layout.LOG, "/etc/passwd"), "plain file"),
    (link(layout.DESCRIPTION, "/etc/passwd"), "cannot be read"),
    (link(layout.SUMS, "/dev/zero"), "cannot be read"),
    (link("submissions/ff/" + "f" * 64 + ".tar", "/dev/zero"), "plain file"),
    (link("submissions/ff", "/etc"), "plain file"),
    (linked_folder, "plain file"),
    (pipe, "plain file"),
    (written("extra.txt", b"x"), "does not belong"),
    (written("submissions/ff/..tar", b"x"), "does not belong"),
    (written("submissions/ff/" + "0" * 64 + ".tar", b"x"), "does not belong"),
    (written("submissions/a/b/c/d.tar", b"x"), "plain file"),
    (written("keys/\x1b[31m.pem", b"x"), "does not belong"),
    (written("a\nb", b"x"), "does not belong"),
    (listed("../../etc/passwd"), "not as lem writes it"),
    (listed("/etc/passwd"), "not as lem writes it"),
    (listed("submissions/../../x"), "not as lem writes it"),
    (written(layout.DESCRIPTION, b"{"), "not JSON"),
    (written(layout.DESCRIPTION, b"[" * 100_000), "not JSON"),
    (written(layout.DESCRIPTION, b'{"schema_version": 99}'), "newer than this lem"),
    (sparse(layout.DESCRIPTION, 2**33), "larger than"),
    (sparse(layout.LOG, 2**33), "too long"),
    (sparse(layout.KEYS, 2**33), "too long"),
    (written(layout.LOG, b"[" * 100_000 + b"\n"), "cannot be read"),
    (written(layout.EXTERNAL, b"{}\n"), "cannot be read"),
]


@pytest.mark.parametrize(("change", "words"), HOSTILE)
def test_a_hostile_dump_is_refused_and_nothing_is_taken(
    dump: Path, tmp_path: Path, change: Change, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Reading eight gigabytes of nothing to its end is slow, not wrong.
    whole = Dump.sha256
    monkeypatch.setattr(
        Dump,
        "sha256",
        lambda self, name: (
            "0" * 64 if (self.folder / name).stat().st_size > 2**32 else whole(self, name)
        ),
    )
    change(dump)
    found = findings(dump)
    assert any(words in str(f) for f in found), [str(f)[:300] for f in found]
    with empty(tmp_path) as (database, packs):
        before = rows(database)
        with pytest.raises(BadInput):
            bring_in(database, packs, Dump(dump))
        assert rows(database) == before
        assert list(packs.every()) == []


def test_a_pack_that_is_too_large_is_refused(dump: Path) -> None:
    with a_pack(dump).open("r+b") as f:
        f.truncate(layout.MAX_PACK_BYTES + 1)
    with pytest.raises(BadInput, match="larger than"):
        Dump(dump).pack(a_pack(dump).stem)


def test_a_campaigns_folder_is_no_dump(tmp_path: Path) -> None:
    (tmp_path / "campaign.lock.json").write_text("{}")
    with pytest.raises(BadInput) as caught:
        Dump(tmp_path)
    assert caught.value.hint == f"lem results push {tmp_path}"


def test_findings_end_somewhere(dump: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lem.archive.dump.check.MAX_FINDINGS", 5)
    for n in range(20):
        (dump / f"x{n}").write_text("")
    assert len(findings(dump)) == 6


class empty:
    """An empty archive while it is needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "empty"

    def __enter__(self) -> tuple[Any, Packs]:
        self.folder.mkdir()
        self.database = open_database(None, self.folder)
        self.database.migrate()
        return self.database, Packs(self.folder / "packs")

    def __exit__(self, *_: object) -> None:
        self.database.close()


def rows(database: Any) -> dict[str, int]:
    from sqlalchemy import func, select

    with database.reading() as c:
        return {
            t.name: c.scalar(select(func.count()).select_from(t)) for t in METADATA.sorted_tables
        }
