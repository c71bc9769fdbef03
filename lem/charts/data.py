"""A chart as JSON for a page's scripts: the model as it is, addresses in place of targets."""

import math
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

from lem.charts.model import AnyChart, Target
from lem.charts.svg import harmless


def data(chart: AnyChart, href: Callable[[Target], str] | None = None) -> dict[str, Any]:
    """``kind`` (``scatter``, …) and the chart's fields by their names. A number that is not finite
    is null; a target is its address, null without ``href``."""
    made: dict[str, Any] = _plain(harmless(chart), href)
    return {"kind": type(chart).__name__.lower(), **made}


def _plain(thing: Any, href: Callable[[Target], str] | None) -> Any:
    if isinstance(thing, Target):
        return None if href is None else href(thing)
    if is_dataclass(thing):
        return {f.name: _plain(getattr(thing, f.name), href) for f in fields(thing)}
    if isinstance(thing, str) or thing is None or isinstance(thing, bool):
        return thing
    if isinstance(thing, int):
        return thing
    if isinstance(thing, float):
        return thing if math.isfinite(thing) else None
    return [_plain(item, href) for item in thing]
