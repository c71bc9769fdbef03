"""A Docker archive (``docker save``) as one tree: what engines without layers start.

An archive may come from anywhere. Nothing of it is unpacked here: its layers are merged from tar to
tar, and the tree is unpacked by GNU tar, which follows no link that an archive brought. Its id says
what its layers are: each is held against the hash that the configuration has of it.
"""

import hashlib
import io
import json
import os
import posixpath
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from lem.errors import BadInput
from lem.launchers.layers import CORRUPT, Bounded, Digested, uncompressed

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
MAX_JSON_BYTES = 2**22
MAX_LAYERS = 200
MAX_MEMBERS = 10_000_000
MAX_BYTES = 200 * 10**9
"""Of all layers together as they are uncompressed, and of the tree."""


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
    diff_ids: tuple[str, ...]
    """SHA-256 of each layer uncompressed, as the configuration has it: ``sha256:…``."""


def read(path: Path) -> Archive:
    """Raises :class:`BadInput` where it is no archive of one image."""
    with _refusing(path, "is no Docker archive"), tarfile.open(path) as outer:
        _check_names(outer)
        manifest = _json(outer, "manifest.json")
        if not isinstance(manifest, list) or len(manifest) != 1:
            raise BadInput(f"{path} holds {len(manifest)} images; name one of one image")
        config_name, layers = manifest[0]["Config"], manifest[0]["Layers"]
        raw = _bytes(outer, config_name)
        document = json.loads(raw)
        config = document.get("config") or {}
        if not all(isinstance(n, str) for n in layers) or len(layers) > MAX_LAYERS:
            raise BadInput(f"{path}: its layers cannot be read")
        diff_ids = document["rootfs"]["diff_ids"]
        if not all(isinstance(n, str) for n in diff_ids) or len(diff_ids) != len(layers):
            raise BadInput(
                f"{path} has {len(layers)} layers, and its configuration names {len(diff_ids)}"
            )
        return Archive(
            path=path,
            id=f"sha256:{hashlib.sha256(raw).hexdigest()}",
            labels={str(k): str(v) for k, v in (config.get("Labels") or {}).items()},
            environment=dict(e.split("=", 1) for e in config.get("Env") or [] if "=" in e),
            layers=tuple(layers),
            diff_ids=tuple(diff_ids),
        )


@contextmanager
def verified(archive: Archive, limit_bytes: int = MAX_BYTES) -> Iterator[list[set[str]]]:
    """Within, the archive's layers are those of its id; gives which names of each are seen in the
    end.

    Raises :class:`BadInput` where they are not, where the tree is larger than the limit, or where
    the file was changed meanwhile.
    """
    with archive.path.open("rb") as file, _refusing(archive.path, "cannot be read"):
        before = _state(file)
        with tarfile.open(fileobj=file) as outer:
            _check_names(outer)
            yield _kept(outer, archive, min(limit_bytes, MAX_BYTES))
        with archive.path.open("rb") as now:
            if not before == _state(file) == _state(now):
                raise BadInput(f"{archive.path} was changed while it was read")


def flatten(archive: Archive, out: IO[bytes], limit_bytes: int = MAX_BYTES) -> None:
    """Write the image's tree to ``out`` as one uncompressed tar, without devices.

    Raises as :func:`verified`. What was written before it raised is to be thrown away.
    """
    bounded = Bounded(out, limit_bytes)
    with (
        verified(archive, limit_bytes) as kept,
        tarfile.open(archive.path) as outer,
        tarfile.open(fileobj=bounded, mode="w|", format=tarfile.PAX_FORMAT) as merged,
    ):
        for layer, names in zip(archive.layers, kept, strict=True):
            with tarfile.open(fileobj=_layer(outer, layer), mode="r:") as tar:
                _copy(tar, names, merged)


@contextmanager
def _refusing(path: Path, what: str) -> Iterator[None]:
    """A file that is not what it should be is bad input, whatever it trips over."""
    try:
        yield
    except BrokenPipeError:
        raise
    except CORRUPT as e:
        hint = "docker save IMAGE -o FILE makes one"
        raise BadInput(f"{path} {what}: {e or type(e).__name__}", hint=hint) from e


def _state(file: IO[bytes]) -> tuple[int, ...]:
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _check_names(outer: tarfile.TarFile) -> None:
    """Of two files of one name, one reader would take the first and another the last."""
    seen: set[str] = set()
    for member in outer:
        name = _name(member)
        if name in seen and not member.isdir():
            raise BadInput(f"it holds {name[:200]!r} twice")
        if not member.isdir():
            seen.add(name)


def _kept(outer: tarfile.TarFile, archive: Archive, limit_bytes: int) -> list[set[str]]:
    """Which names of each layer are seen in the end: those that no layer above has or hides. Each
    layer is read whole, and refused where it is not what the configuration names."""
    above: set[str] = set()
    """Names that layers above have."""
    solid: set[str] = set()
    """Those of them that are no folders: nothing of a folder of that name below is seen."""
    hidden: set[str] = set()
    """Names that layers above have removed, with all below them."""
    emptied: set[str] = set()
    """Folders whose content of lower layers is hidden."""
    result: list[set[str]] = []
    left, tree, count = MAX_BYTES, 0, 0
    for layer, diff_id in reversed(list(zip(archive.layers, archive.diff_ids, strict=True))):
        names: set[str] = set()
        new: list[tuple[str, bool]] = []
        gone: list[str] = []
        opaque: list[str] = []
        whole = Digested(_layer(outer, layer), left)
        with tarfile.open(fileobj=whole, mode="r|") as tar:
            for member in tar:
                # Else all of them are kept, with all that they say.
                tar.members = []  # type: ignore[attr-defined]
                count += 1
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
                    tree += member.size if member.isreg() else 0
                if count > MAX_MEMBERS or tree > limit_bytes:
                    raise BadInput(f"{archive.path}: its tree is larger than there is room for")
        if (found := whole.rest()) != diff_id:
            raise BadInput(
                f"{archive.path} is not the image whose id it has: its layer {layer} is {found}, "
                f"and should be {diff_id[:80]}",
                hint="get it again from where it was made",
            )
        left -= whole.count
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
        source = tar.extractfile(member) if member.isreg() else None
        if source is not None and member.issparse():
            # Its holes are written out.
            member.type, member.pax_headers = tarfile.REGTYPE, {}
        merged.addfile(member, source)
        written.add(name)


def _name(member: tarfile.TarInfo) -> str:
    """Its path below the root; empty for the root itself, and for what would lead out."""
    name = posixpath.normpath("/" + member.name).lstrip("/")
    return "" if name == "." else name


def _layer(outer: tarfile.TarFile, name: str) -> io.BufferedIOBase:
    """The layer, uncompressed."""
    # Docker writes a layer that it has written before as a link to it.
    file = outer.extractfile(outer.getmember(name))
    if file is None:
        raise BadInput(f"the layer {name} cannot be read")
    return uncompressed(file)


def _bytes(outer: tarfile.TarFile, name: str) -> bytes:
    file = outer.extractfile(name)
    if file is None:
        raise BadInput(f"{name} is no file")
    data = file.read(MAX_JSON_BYTES + 1)
    if len(data) > MAX_JSON_BYTES:
        raise BadInput(f"{name} is too large")
    return data


def _json(outer: tarfile.TarFile, name: str) -> Any:
    """Of two keys that some readers take for one, it is not said which holds."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({k.casefold() for k, _ in pairs}) != len(pairs):
            raise BadInput(f"{name} says one thing twice")
        return dict(pairs)

    return json.loads(_bytes(outer, name), object_pairs_hook=unique)
