"""Files that a workload names: found beside the campaign file, known by their content.

In an experiment stand a file's name and its SHA-256. Its folder would tell whose machine it was,
and is no part of what was measured; nor is the name (:func:`lem.config.identity.meaning`).
"""

import os
from pathlib import Path, PurePath

from lem.config.problems import said
from lem.config.yaml_source import KeyPath
from lem.contract.workload import FromFile, Workload
from lem.errors import BadInput
from lem.workloads.datasets import file as data_file

FOLDER = "files"
"""Where a campaign's folder keeps its copies."""
PARTS = ("dataset", "arrival")


class Files:
    """Finds the files of one campaign, and reads each once."""

    def __init__(self, folder: Path, must_exist: bool = True) -> None:
        """``must_exist=False``: they are not looked for, and have no hash."""
        self.by_sha256: dict[str, Path] = {}
        self._folder = folder
        self._must_exist = must_exist
        self._known: dict[str, str | BadInput] = {}
        self._names: dict[str, str] = {}

    def resolved(self, workload: Workload) -> tuple[Workload, list[tuple[KeyPath, str]]]:
        """The workload with name and hash of each file, and what is wrong with them (paths begin
        at the workload)."""
        update = {}
        found: list[tuple[KeyPath, str]] = []
        for key in PARTS:
            part = getattr(workload, key)
            if not isinstance(part, FromFile):
                continue
            name = PurePath(part.path).name
            sha256 = part.sha256
            if self._must_exist:
                try:
                    sha256 = self._sha256(part.path, name)
                except BadInput as e:
                    found.append(((key, "path"), e.problems[0].message))
                    continue
                if part.sha256 not in (None, sha256):
                    found.append(((key, "sha256"), f"the file has another SHA-256: {sha256}"))
            update[key] = part.model_copy(update={"path": name, "sha256": sha256})
        return (workload.model_copy(update=update) if update else workload), found

    def _sha256(self, path: str, name: str) -> str:
        if path not in self._known:
            try:
                self._known[path] = self._read(path, name)
            except BadInput as e:
                self._known[path] = e
        known = self._known[path]
        if isinstance(known, BadInput):
            raise known
        return known

    def _read(self, path: str, name: str) -> str:
        # With the user's home put in; ~nobody stays, where pathlib would raise RuntimeError.
        where = self._folder / os.path.expanduser(path)  # noqa: PTH111
        if not _is_there(where):
            # A campaign's folder is read where it lies, maybe on another machine.
            copy = self._folder / FOLDER / name
            # Such a folder may come from somebody else: its links are not followed.
            linked = copy.parent.is_symlink() or copy.is_symlink()
            if not name or not _is_there(copy) or linked:
                raise BadInput(f"there is no file {said(path)}")
            where = copy
        try:
            sha256 = data_file.digest(where, name)
        except BadInput as e:
            raise BadInput(f"the file {said(path)} {e.problems[0].message}") from None
        if self._names.setdefault(name, sha256) != sha256:
            raise BadInput(
                f"another file of this campaign is called {said(name)} too: records name files "
                "without their folders, so rename one"
            )
        self.by_sha256[sha256] = Path(os.path.abspath(where))  # noqa: PTH100
        return sha256


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
