"""What the archive keeps of attempts besides rows: outcomes and traits, as gzip JSON."""

import gzip
import json
from collections.abc import Iterable
from typing import Any

from lem.stores.outcomes import Cost, Outcome
from lem.trust.traits import Traits


def packed_outcomes(outcomes: Iterable[Outcome]) -> bytes:
    return _packed(list(outcomes))


def outcomes_of(data: bytes | None) -> list[Outcome]:
    found = []
    for row in _unpacked(data):
        outcome = Outcome(*row)
        found.append(
            outcome._replace(
                device_set=tuple(outcome.device_set),
                costs=tuple(Cost(*cost) for cost in outcome.costs),
            )
        )
    return found


def packed_traits(traits: Iterable[Traits]) -> bytes:
    return _packed(list(traits))


def traits_of(data: bytes | None) -> list[Traits]:
    rows = [Traits(*row) for row in _unpacked(data)]
    return [t._replace(device_set=tuple(t.device_set), series=tuple(t.series)) for t in rows]


def _packed(rows: list[Any]) -> bytes:
    return gzip.compress(json.dumps(rows).encode(), compresslevel=3, mtime=0)


def _unpacked(data: bytes | None) -> list[Any]:
    rows: list[Any] = [] if data is None else json.loads(gzip.decompress(bytes(data)))
    return rows
