"""Finds plugins: modules of a package by file name, and out-of-tree ones by entry point.

A plugin is one file whose module attribute ``plugin`` fills its family's protocol
(``lem/backends/protocol.py`` and so on). Its file name is its name. Nothing is listed anywhere.
"""

import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal

from lem.errors import BadInput

Family = Literal["backends", "meters", "launchers"]


@cache
def names(family: Family) -> tuple[str, ...]:
    """The plugins of a family that can be named in a campaign, sorted; imports none of them."""
    return tuple(sorted(own(family) | set(_foreign(family))))


@cache
def own(family: Family) -> frozenset[str]:
    """Those that come with lem."""
    package = importlib.import_module(f"lem.{family}")
    return frozenset(
        m.name
        for m in pkgutil.iter_modules(package.__path__)
        if not m.ispkg and m.name not in package.NOT_PLUGINS
    )


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
    return importlib.import_module(f"lem.{family}.{name}").plugin


@cache
def _foreign(family: Family) -> dict[str, Any]:
    return {e.name: e for e in entry_points(group=f"lem.{family}")}
