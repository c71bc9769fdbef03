"""All pages. A page is a file of this package with a ``KIND`` or ``KINDS``: found, not listed."""

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module

import lem.pages
from lem.pages.page import Kind
from lem.web.addresses import PATHS


@cache
def kinds() -> Mapping[str, Kind]:
    """Name → page, in the order of :data:`~lem.web.addresses.PATHS`."""
    found: dict[str, Kind] = {}
    for module in pkgutil.iter_modules(lem.pages.__path__):
        loaded = import_module(f"lem.pages.{module.name}")
        for kind in (
            *getattr(loaded, "KINDS", ()),
            *([loaded.KIND] if hasattr(loaded, "KIND") else ()),
        ):
            found[kind.name] = kind
    return {name: found[name] for name in PATHS if name in found}
