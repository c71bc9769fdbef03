"""Finds plugins: modules of a package by file name, and out-of-tree ones by entry point.

A plugin is a module whose attribute ``plugin`` fills its family's protocol
(``lem/backends/protocol.py`` and so on): a meter or launcher is one file, a backend a folder with a
``backend.py``. The file's or folder's name is the plugin's. Nothing is listed anywhere.
"""

import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal

from lem.errors import BadInput

Family = Literal["backends", "meters", "launchers"]
FOLDERS = {"backends": "backend"}
"""Families whose plugins are folders, and the module there that has ``plugin``."""


@cache
def names(family: Family) -> tuple[str, ...]:
    """The plugins of a family that can be named in a campaign, sorted; imports none of them."""
    return tuple(sorted(own(family) | set(_foreign(family))))


@cache
def own(family: Family) -> frozenset[str]:
    """Those that come with lem."""
    package = importlib.import_module(f"lem.{family}")
    found = pkgutil.iter_modules(package.__path__)
    if family in FOLDERS:
        return frozenset(m.name for m in found if m.ispkg)
    return frozenset(m.name for m in found if not m.ispkg and m.name not in package.NOT_PLUGINS)


def load(family: Family, name: str) -> Any:
    """The plugin object of that name.

    Raises :class:`BadInput` where there is none. The import must succeed with nothing but
    pydantic installed: heavy libraries are imported inside the plugin's own methods.
    """
    if name not in names(family):
        known = ", ".join(names(family))
        raise BadInput(f"no {family[:-1]} named {name!r}; there are: {known}")
    foreign = _foreign(family).get(name)
    if foreign is not None:
        return foreign.load()
    inside = (FOLDERS[family],) if family in FOLDERS else ()
    return importlib.import_module(".".join(("lem", family, name, *inside))).plugin


@cache
def _foreign(family: Family) -> dict[str, Any]:
    return {e.name: e for e in entry_points(group=f"lem.{family}")}
