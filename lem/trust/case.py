"""Everything that is known of a run when its plausibility is looked at."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NamedTuple

from lem.contract.lock import Lock
from lem.contract.record import Record
from lem.meters.protocol import Sample
from lem.trust.recompute import Recomputed
from lem.workloads.load import Response


class Case(NamedTuple):
    record: Record
    samples: list[Sample]
    """Of the trace, by time."""
    responses: list[Response]
    again: Recomputed
    lock: Lock | None
    now: datetime


Found = Iterator[tuple[str, str]]
"""The names of rules that object, each with what was found."""

Check = Callable[[Case], Found]
