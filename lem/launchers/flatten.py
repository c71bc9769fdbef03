"""A Docker archive (``docker save``) as one tree: what engines without layers start.

An archive may come from anywhere. Nothing of it is unpacked here: its layers are merged from tar to
tar, and the tree is unpacked by GNU tar, which follows no link that an archive brought.
"""

import hashlib
import json
import posixpath
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from lem.errors import BadInput

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
MAX_JSON_BYTES = 2**22
MAX_LAYERS = 200


@dataclass(frozen=True)
class Archive:
    """What an archive says of its only image."""

    path: Path
    id: str
    """SHA-256 of its configuration, as Docker counts: ``sha256:…``."""
    labels: dict[str, str]
    environment: dict[str, str]
    layers: tuple[str, ...]
    """Names of its layers in the archive, the lowest first."""


def read(path: Path) -> Archive:
    """Raises :class:`BadInput` where it is no archive of one image."""
    try:
        with tarfile.open(path) as outer:
            manifest = _json(outer, "manifest.json")
            if not isinstance(manifest, list) or len(manifest) != 1:
                raise BadInput(f"{path} holds {len(manifest)} images; name one of one image")
            config_name, layers = manifest[0]["Config"], manifest[0]["Layers"]
            raw = _bytes(outer, config_name)
            config = json.loads(raw).get("config") or {}
            if not all(isinstance(n, str) for n in layers) or len(layers) > MAX_LAYERS:
                raise BadInput(f"{path}: its layers cannot be read")
            return Archive(
                path=path,
                id=f"sha256:{hashlib.sha256(raw).hexdigest()}",
                labels={str(k): str(v) for k, v in (config.get("Labels") or {}).items()},
                environment=dict(e.split("=", 1) for e in config.get("Env") or [] if "=" in e),
                layers=tuple(layers),
            )
    except (tarfile.TarError, KeyError, TypeError, ValueError, AttributeError, OSError) as e:
        raise BadInput(
            f"{path} is no Docker archive: {e}", hint="docker save IMAGE -o FILE makes one"
        ) from e


def flatten(archive: Archive, out: IO[bytes]) -> None:
    """Write the image's tree to ``out`` as one uncompressed tar, without devices."""
    with tarfile.open(archive.path) as outer:
        kept = _kept(outer, archive.layers)
        with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as merged:
            for layer, names in zip(archive.layers, kept, strict=True):
                with _layer(outer, layer) as tar:
                    _copy(tar, names, merged)


def _kept(outer: tarfile.TarFile, layers: tuple[str, ...]) -> list[set[str]]:
    """Which names of each layer are seen in the end: those that no layer above has or hides."""
    above: set[str] = set()
    """Names that layers above have."""
    solid: set[str] = set()
    """Those of them that are no folders: nothing of a folder of that name below is seen."""
    hidden: set[str] = set()
    """Names that layers above have removed, with all below them."""
    emptied: set[str] = set()
    """Folders whose content of lower layers is hidden."""
    result: list[set[str]] = []
    for layer in reversed(layers):
        names: set[str] = set()
        new: list[tuple[str, bool]] = []
        gone: list[str] = []
        opaque: list[str] = []
        with _layer(outer, layer) as tar:
            for member in tar:
                name = _name(member)
                base = posixpath.basename(name)
                folder = posixpath.dirname(name)
                if base == OPAQUE:
                    opaque.append(folder)
                elif base.startswith(WHITEOUT):
                    gone.append(posixpath.join(folder, base.removeprefix(WHITEOUT)))
                elif name and not _is_hidden(name, above, solid, hidden, emptied):
                    names.add(name)
                    new.append((name, member.isdir()))
        result.append(names)
        for name, is_folder in new:
            above.add(name)
            if not is_folder:
                solid.add(name)
        hidden.update(gone)
        emptied.update(opaque)
    return result[::-1]


def _is_hidden(
    name: str, above: set[str], solid: set[str], hidden: set[str], emptied: set[str]
) -> bool:
    if name in above or name in hidden:
        return True
    for parent in _parents(name):
        if parent in solid or parent in hidden or parent in emptied:
            return True
    return "" in emptied


def _parents(name: str) -> Iterator[str]:
    while name := posixpath.dirname(name):
        yield name


def _copy(tar: tarfile.TarFile, names: set[str], merged: tarfile.TarFile) -> None:
    written: set[str] = set()
    for member in tar:
        name = _name(member)
        if name not in names or name in written:
            continue
        if member.islnk():
            target = posixpath.normpath(member.linkname.lstrip("/"))
            if target in written:
                member.linkname = target
            else:
                # Its other name is not seen any more.
                source = tar.extractfile(member)
                if source is None:
                    continue
                size = tar.getmember(member.linkname).size
                member.type, member.size, member.linkname = tarfile.REGTYPE, size, ""
                member.name = name
                member.pax_headers = {}
                merged.addfile(member, source)
                written.add(name)
                continue
        elif not (member.isreg() or member.isdir() or member.issym()):
            continue
        member.name = name
        merged.addfile(member, tar.extractfile(member) if member.isreg() else None)
        written.add(name)


def _name(member: tarfile.TarInfo) -> str:
    """Its path below the root; empty for the root itself, and for what would lead out."""
    name = posixpath.normpath("/" + member.name).lstrip("/")
    return "" if name == "." else name


def _layer(outer: tarfile.TarFile, name: str) -> tarfile.TarFile:
    member = outer.getmember(name)
    # Docker writes a layer that it has written before as a link to it.
    file = outer.extractfile(member)
    if file is None:
        raise BadInput(f"the layer {name} cannot be read")
    return tarfile.open(fileobj=file, mode="r:*")


def _bytes(outer: tarfile.TarFile, name: str) -> bytes:
    file = outer.extractfile(name)
    if file is None:
        raise BadInput(f"{name} is no file")
    data = file.read(MAX_JSON_BYTES + 1)
    if len(data) > MAX_JSON_BYTES:
        raise BadInput(f"{name} is too large")
    return data


def _json(outer: tarfile.TarFile, name: str) -> Any:
    return json.loads(_bytes(outer, name))
