"""Layers of a Docker archive merged into one tree."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from lem.errors import BadInput, EnvironmentFault
from lem.launchers import rootfs
from lem.launchers.flatten import flatten, read

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


def archive(path: Path, *layers: bytes, config: dict[str, Any] | None = None) -> Path:
    raw = json.dumps({"config": config or {}}).encode()
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
    raw = json.dumps({"config": config}).encode()
    assert found.id == f"sha256:{hashlib.sha256(raw).hexdigest()}"
    assert found.labels == {"org.lem.backend": "tick"}
    assert found.environment == {"PATH": "/bin", "EMPTY": ""}


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
