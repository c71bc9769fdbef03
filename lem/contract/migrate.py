"""Old documents are read for ever: each step turns version n of a kind into n + 1.

A step is a pure function of the raw JSON object. Golden files of every version stay in
``tests/contract/golden/``.
"""

from collections.abc import Callable
from typing import Any

from lem.errors import BadInput, Problem

Raw = dict[str, Any]

CURRENT: dict[str, int] = {
    "job": 1,
    "event": 1,
    "record": 1,
    "failure": 1,
    "lock": 1,
    "stagetask": 1,
    "order": 1,
    "claim": 1,
    "jobs": 1,
    "accounted": 1,
    "staged": 1,
    "described": 1,
    "rejections": 1,
    "answers": 1,
    "manifest": 1,
    "archiveinfo": 1,
    "receipt": 1,
    "archivedump": 1,
    "batch": 1,
    "taken": 1,
    "hello": 1,
    "welcome": 1,
    "wanted": 1,
    "claimed": 1,
    "heartbeat": 1,
    "standing": 1,
    "finish": 1,
    "finished": 1,
    "handover": 1,
}

STEPS: dict[tuple[str, int], Callable[[Raw], Raw]] = {}


def migrate(kind: str, raw: Raw, source: str = "") -> Raw:
    """``raw`` in the current version of ``kind``. Raises :class:`BadInput` for a newer one."""
    version = raw.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise BadInput([Problem("has no schema_version", file=source)])
    # Documents that never leave a machine are not of the contract; all are of their first version.
    current = CURRENT.get(kind, 1)
    if version > current:
        raise BadInput(
            [Problem(f"is a {kind} of version {version}, newer than this lem", file=source)],
            hint="pip install --upgrade lem-energy",
        )
    while version < current:
        raw = STEPS[kind, version](raw)
        version += 1
    return raw
