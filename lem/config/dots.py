"""Keys of engines' own settings hold no dot: experiment paths use it."""

from collections.abc import Iterator
from typing import Any

from lem.contract.base import wrong


def undotted(settings: dict[str, Any]) -> dict[str, Any]:
    """``settings``, unless a key has a dot, at whatever depth; raises an error of a validator."""
    if bad := next((k for k in _keys(settings) if "." in k), None):
        raise wrong(f"the key '{bad}' holds a dot; write nested keys as a mapping")
    return settings


def _keys(value: Any) -> Iterator[str]:
    """All keys at every level."""
    if isinstance(value, dict):
        yield from value
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, dict | list):
            yield from _keys(inner)
