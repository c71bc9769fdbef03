"""Layers of a Docker archive merged into one tree."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest

from lem.errors import BadInput, EnvironmentFault
from lem.launchers import rootfs, sif
from lem.launchers.converted import from_archive
from lem.launchers.flatten import flatten, read, verified

Entry = tuple[str, Any]
"""A name and its content: bytes of a file, None for a folder, ("link", to), ("hard", to)."""


def layer(*entries: Entry) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, what in entries:
            info = tarfile.TarInfo(name)
            if what is None:
                info.type = tarfile.DIRTYPE
                tar.addfile(info)
            elif isinstance(what, bytes):
                info.size = len(what)
                tar.addfile(info, io.BytesIO(what))
            elif what == "device":
                info.type = tarfile.CHRTYPE
                tar.addfile(info)
            else:
                kind, to = what
                info.type = tarfile.SYMTYPE if kind == "link" else tarfile.LNKTYPE
                info.linkname = to
                tar.addfile(info)
    return made.getvalue()


def document(*layers: bytes, config: dict[str, Any] | None = None) -> bytes:
    ids = [f"sha256:{hashlib.sha256(one).hexdigest()}" for one in layers]
    return json.dumps({"config": config or {}, "rootfs": {"diff_ids": ids}}).encode()


def archive(
    path: Path,
    *layers: bytes,
    config: dict[str, Any] | None = None,
    genuine: tuple[bytes, ...] | None = None,
) -> Path:
    """``genuine``: the layers, uncompressed, that the image's id stands for; else these."""
    raw = document(*(layers if genuine is None else genuine), config=config)
    name = hashlib.sha256(raw).hexdigest() + ".json"
    names = [f"{i}/layer.tar" for i in range(len(layers))]
    manifest = json.dumps([{"Config": name, "RepoTags": None, "Layers": names}]).encode()
    path.write_bytes(
        layer(("manifest.json", manifest), (name, raw), *zip(names, layers, strict=True))
    )
    return path


def merged(path: Path) -> dict[str, Any]:
    out = io.BytesIO()
    flatten(read(path), out)
    found: dict[str, Any] = {}
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as tar:
        for m in tar:
            assert m.name not in found
            file = tar.extractfile(m) if m.isreg() or m.islnk() else None
            found[m.name] = file.read() if file else (m.linkname or None)
    return found


def test_upper_layers_hide_and_remove(tmp_path: Path) -> None:
    path = archive(
        tmp_path / "image.tar",
        layer(
            ("etc", None),
            ("etc/keep", b"1"),
            ("etc/gone", b"2"),
            ("etc/new", b"old"),
            ("opt", None),
            ("opt/a", b"3"),
            ("opt/deep", None),
            ("opt/deep/b", b"4"),
            ("was", None),
            ("was/a/folder", b"5"),
        ),
        layer(
            ("etc/.wh.gone", b""),
            ("etc/new", b"new"),
            ("opt/.wh..wh..opq", b""),
            ("opt/c", b"6"),
            ("was", b"a file now"),
        ),
    )
    assert merged(path) == {
        "etc": None,
        "etc/keep": b"1",
        "etc/new": b"new",
        "opt": None,
        "opt/c": b"6",
        "was": b"a file now",
    }


def test_what_was_removed_may_come_again(tmp_path: Path) -> None:
    path = archive(
        tmp_path / "image.tar",
        layer(("a", b"1")),
        layer((".wh.a", b"")),
        layer(("a", b"3")),
    )
    assert merged(path) == {"a": b"3"}


def test_a_second_name_keeps_its_content(tmp_path: Path) -> None:
    path = archive(
        tmp_path / "image.tar",
        layer(("a", b"same"), ("b", ("hard", "a")), ("c", ("hard", "a"))),
        layer((".wh.a", b"")),
    )
    assert merged(path) == {"b": b"same", "c": b"same"}


def test_devices_are_left_out(tmp_path: Path) -> None:
    assert merged(archive(tmp_path / "i.tar", layer(("dev/sda", "device"), ("a", b"")))) == {
        "a": b""
    }


def test_nothing_leads_out_of_the_tree(tmp_path: Path) -> None:
    path = archive(
        tmp_path / "image.tar",
        layer(("../../up", b"1"), ("/abs", b"2")),
        layer(("./a/../../b", b"4")),
    )
    folder = tmp_path / "image"
    folder.mkdir()
    rootfs.unpack(read(path), folder)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["image", "image.tar"]
    tree = folder / "tree"
    assert (tree / "abs").read_bytes() == b"2" and (tree / "b").read_bytes() == b"4"


def test_who_made_the_tree_may_be_another_than_who_sees_it(tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    path = archive(tmp_path / "image.tar", layer(("bin", None), ("bin/a", b"1")))
    before = os.umask(0o077)
    try:
        rootfs.unpack(read(path), tmp_path / "image")
    finally:
        os.umask(before)
    tree = tmp_path / "image" / "tree"
    assert tree.stat().st_mode & 0o777 == 0o755
    assert (tree / "bin" / "a").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("same", [True, False])
def test_no_link_is_written_through(tmp_path: Path, same: bool) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link, file = ("way", ("link", str(outside))), ("way/file", b"3")
    layers = [layer(link, file)] if same else [layer(link), layer(file)]
    (tmp_path / "image").mkdir()
    with pytest.raises(EnvironmentFault, match="way/file"):
        rootfs.unpack(read(archive(tmp_path / "image.tar", *layers)), tmp_path / "image")
    assert list(outside.iterdir()) == []


def test_its_facts(tmp_path: Path) -> None:
    config = {"Labels": {"org.lem.backend": "tick"}, "Env": ["PATH=/bin", "EMPTY="]}
    found = read(archive(tmp_path / "i.tar", layer(("a", b"")), config=config))
    raw = document(layer(("a", b"")), config=config)
    assert found.id == f"sha256:{hashlib.sha256(raw).hexdigest()}"
    assert found.labels == {"org.lem.backend": "tick"}
    assert found.environment == {"PATH": "/bin", "EMPTY": ""}


def test_a_layer_that_is_not_the_id_s_never_gets_into_the_cache(tmp_path: Path) -> None:
    good, bad = layer(("a", b"good")), layer(("a", b"bad"))
    path = archive(tmp_path / "image.tar", bad, genuine=(good,))
    assert read(path).id == read(archive(tmp_path / "good.tar", good)).id
    cache = tmp_path / "cache"
    with pytest.raises(BadInput, match="not the image whose id it has"):
        from_archive(path, rootfs.FORM, cache, print)
    built = tmp_path / "built"
    program = tmp_path / "apptainer"
    program.write_text(f"#!/bin/sh\ntouch {built}\n")
    program.chmod(0o755)
    with pytest.raises(BadInput, match="not the image whose id it has"):
        from_archive(path, sif.form(str(program)), cache, print)
    assert not built.exists()
    assert not [p for p in cache.rglob("*") if p.name == "image.json"]


def test_layers_may_be_compressed(tmp_path: Path) -> None:
    plain = layer(("a", b"1"))
    made = [gzip.compress(plain), bz2.compress(plain), lzma.compress(plain)]
    for packed in made:
        assert merged(archive(tmp_path / "i.tar", packed, genuine=(plain,))) == {"a": b"1"}


def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    """One reader would take the first of them, another the last."""
    good, bad = layer(("a", b"good")), layer(("a", b"bad"))
    raw = document(good)
    told = [{"Config": "c.json", "RepoTags": None, "Layers": ["l.tar"]}]
    manifest = json.dumps(told).encode()
    path = tmp_path / "i.tar"
    entries = [("manifest.json", manifest), ("c.json", raw), ("./l.tar", bad), ("l.tar", good)]
    path.write_bytes(layer(*entries))
    with pytest.raises(BadInput, match="twice"):
        read(path)
    twice = manifest.replace(b'"Layers"', b'"layers": ["x.tar"], "Layers"')
    path.write_bytes(layer(("manifest.json", twice), ("c.json", raw), ("l.tar", good)))
    with pytest.raises(BadInput, match="twice"):
        read(path)


def test_an_archive_that_is_changed_meanwhile_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "image.tar", layer(("a", b"good")))
    with pytest.raises(BadInput, match="changed"), verified(read(path)):
        archive(path, layer(("a", b"evil")))


def bad_archives() -> list[bytes]:
    whole = layer(("a", b"x" * 100_000))
    return [
        layer(("a", ("hard", "nothing"))),
        whole[:5000],
        gzip.compress(whole)[:60],
        b"nonsense" * 200,
        b"\x1f\x8bnonsense",
    ]


@pytest.mark.parametrize("number", range(5))
def test_a_bad_layer_hangs_nothing(tmp_path: Path, number: int) -> None:
    """tar waits for more of it, and nobody for tar."""
    bad = bad_archives()[number]
    (tmp_path / "image").mkdir()
    path = archive(tmp_path / "image.tar", bad)
    caught: list[int] = []

    def unpack() -> None:
        with pytest.raises(BadInput):
            rootfs.unpack(read(path), tmp_path / "image")
        caught.append(number)

    thread = threading.Thread(target=unpack, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert caught == [number]


def sparse(size: int) -> bytes:
    """A layer with a file that is one hole, as GNU tar writes it."""
    info = tarfile.TarInfo("hole")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 0
    head = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    head[386:398], head[398:410] = b"%011o\0" % 0, b"%011o\0" % 0
    head[483:495] = b"%011o\0" % size
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + bytes(1024)


def test_a_hole_is_written_out(tmp_path: Path) -> None:
    assert merged(archive(tmp_path / "i.tar", sparse(5000))) == {"hole": bytes(5000)}


def test_a_tree_without_end_is_refused(tmp_path: Path) -> None:
    for bomb in (sparse(10**10), layer(("a", bytes(10**6)))):
        path = archive(tmp_path / "i.tar", gzip.compress(bomb), genuine=(bomb,))
        out = io.BytesIO()
        with pytest.raises(BadInput, match="room"):
            flatten(read(path), out, limit_bytes=10**5)
        assert len(out.getvalue()) <= 10**5
    # One hidden file, and many names of it in what is left: each becomes a file of its own.
    first = layer(("a", bytes(10**5)), *((f"b{i}", ("hard", "a")) for i in range(20)))
    path = archive(tmp_path / "i.tar", first, layer((".wh.a", b"")))
    with pytest.raises(BadInput, match="room"):
        flatten(read(path), io.BytesIO(), limit_bytes=10**6)


@pytest.mark.parametrize(
    "content",
    [
        b"nonsense",
        layer(("manifest.json", b"[]")),
        layer(("manifest.json", b"{")),
        layer(("manifest.json", b'[{"Config": "a", "Layers": ["b"]}]')),
        layer(("manifest.json", b'[{"Config": 1, "Layers": 2}]')),
        layer(("manifest.json", ("link", "/etc/passwd"))),
    ],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "i.tar"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"i\.tar"):
        read(path)
