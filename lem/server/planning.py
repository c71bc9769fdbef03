"""Campaigns that anybody may send are read a few at a time: that takes up to a second or two, and
must take neither all threads nor, meanwhile, a connection of the database."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from lem.server.problems import HttpProblem

AT_ONCE = 2
PLACES = 8
"""Of those that are read and those that wait for it."""
_places = threading.BoundedSemaphore(PLACES)
_turns = threading.BoundedSemaphore(AT_ONCE)


@contextmanager
def turn() -> Iterator[None]:
    """Within, a campaign may be read. Raises ``HttpProblem`` (503) where too many wait for it."""
    if not _places.acquire(blocking=False):
        raise HttpProblem(
            503, "busy", "other campaigns are being read", headers={"Retry-After": "2"}
        )
    try:
        with _turns:
            yield
    finally:
        _places.release()
