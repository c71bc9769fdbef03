"""Opens a dump that may come from anyone: only files that belong to one, of bounded size, none of
them a link, and each looked at as a whole before anything of it is used."""

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from lem.archive.dump import layout
from lem.contract.base import Part
from lem.contract.dump import ArchiveDump
from lem.errors import BadInput
from lem.submit.manifest import canonical

_SUM = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9._/]{1,200})")
_DEEPEST = 3
_CHUNK = 1 << 20

P = TypeVar("P", bound=Part)


class Finding(NamedTuple):
    """Something that does not hold: of which file, and what."""

    place: str
    what: str

    def __str__(self) -> str:
        return f"{self.place}: {self.what}"


class Dump:
    """A folder that says that it is one."""

    def __init__(self, folder: Path) -> None:
        """Raises :class:`BadInput` where it is none, with what to do instead."""
        self.folder = folder
        if not folder.is_dir():
            raise BadInput(f"{folder} is not a folder")
        if not os.path.lexists(folder / layout.DESCRIPTION):
            if os.path.lexists(folder / "campaign.lock.json"):
                raise BadInput(
                    f"{folder} is a campaign's folder, not a dump of an archive",
                    hint=f"lem results push {folder}",
                )
            raise BadInput(f"{folder} is not a dump of an archive: it has no {layout.DESCRIPTION}")
        data = self.data(layout.DESCRIPTION, layout.MAX_DESCRIPTION_BYTES)
        self.description = ArchiveDump.parse(data, str(folder / layout.DESCRIPTION))
        if self.description.text() != data:
            raise BadInput(f"{folder / layout.DESCRIPTION} is not as lem writes it")

    def data(self, name: str, limit: int) -> bytes:
        """A file. Raises :class:`BadInput` where it is missing, no plain file, or larger."""
        with self._open(name) as f:
            data = f.read(limit + 1)
        if len(data) > limit:
            raise BadInput(f"{name} is larger than {limit >> 20} MiB")
        return data

    def pack(self, content_sha256: str) -> bytes:
        """A submission as it was sent."""
        return self.data(layout.pack_name(content_sha256), layout.MAX_PACK_BYTES)

    def sha256(self, name: str) -> str:
        """Of a file."""
        hashed = hashlib.sha256()
        with self._open(name) as f:
            while piece := f.read(_CHUNK):
                hashed.update(piece)
        return hashed.hexdigest()

    def lines(self, name: str) -> Iterator[tuple[int, bytes]]:
        """The lines of a file with their numbers. Raises :class:`BadInput` for one without end."""
        with self._open(name) as f:
            for number in range(1, layout.MAX_LINES + 1):
                line = f.readline(layout.MAX_LINE_BYTES + 1)
                if not line:
                    return
                if not line.endswith(b"\n"):
                    raise BadInput(f"{name}:{number}: is too long, or not a whole line")
                yield number, line[:-1]
        raise BadInput(f"{name} has more than {layout.MAX_LINES} lines")

    def parts(self, name: str, kind: type[P]) -> Iterator[P]:
        """The documents of a file, one a line, each in its one spelling."""
        for number, line in self.lines(name):
            try:
                part = kind.model_validate_json(line)
                whole = canonical(part) == line
            except (ValueError, RecursionError, BadInput) as e:
                raise BadInput(f"{name}:{number}: cannot be read: {_short(e)}") from e
            if not whole:
                raise BadInput(f"{name}:{number}: is not as lem writes it")
            yield part

    def files(self, on_finding: Callable[[Finding], None]) -> list[str]:
        """The names of its files, sorted. What does not belong here is told, and not among them."""
        found: list[str] = []
        for at, folders, names in os.walk(self.folder, followlinks=False):
            depth = len(Path(at).relative_to(self.folder).parts)
            for name in [*folders, *names]:
                path = Path(at) / name
                shown = str(path.relative_to(self.folder))
                mode = path.lstat().st_mode
                if stat.S_ISDIR(mode) and depth < _DEEPEST - 1:
                    continue
                if not stat.S_ISREG(mode):
                    on_finding(Finding(repr(shown), "is not a plain file"))
                elif layout.belongs(shown):
                    found.append(shown)
                elif shown != layout.SUMS:
                    on_finding(Finding(repr(shown), "does not belong here"))
            folders[:] = [n for n in folders if depth < _DEEPEST - 1 and not _is_link(Path(at) / n)]
        return sorted(found)

    def sums(self) -> dict[str, str]:
        """Name → SHA-256, as ``SHA256SUMS`` says. Raises :class:`BadInput`."""
        found: dict[str, str] = {}
        last = ""
        for number, line in self.lines(layout.SUMS):
            parts = _SUM.fullmatch(line.decode("ascii", "replace"))
            if parts is None or not layout.belongs(parts[2]) or parts[2] <= last:
                raise BadInput(f"{layout.SUMS}:{number}: is not as lem writes it")
            last = parts[2]
            found[last] = parts[1]
        return found

    def _open(self, name: str) -> "_File":
        if name != layout.SUMS and not layout.belongs(name):
            raise BadInput(f"{name!r} does not belong to a dump")
        path = self.folder / name
        inner = [p for p in path.relative_to(self.folder).parents if p != Path()]
        try:
            if any(_is_link(self.folder / p) for p in inner):
                raise BadInput(f"{name} is behind a link")
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as e:
            raise BadInput(f"{name} cannot be read: {e.strerror}") from e
        return _File(handle, name)


class _File:
    """An open plain file; a device or a pipe would never end."""

    def __init__(self, handle: int, name: str) -> None:
        self._file = os.fdopen(handle, "rb")
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            self._file.close()
            raise BadInput(f"{name} is not a plain file")
        self.read = self._file.read
        self.readline = self._file.readline

    def __enter__(self) -> "_File":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _is_link(path: Path) -> bool:
    return path.is_symlink()


def _short(error: Exception) -> str:
    lines = str(error).splitlines()
    return " ".join(line.strip() for line in lines[1:3] or lines[:1])[:200]
