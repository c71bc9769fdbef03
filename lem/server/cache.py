"""Encoded answers, kept while the archive does not change."""

import threading
from collections import OrderedDict
from typing import NamedTuple


class Encoded(NamedTuple):
    plain: bytes
    gzip: bytes | None
    media_type: str

    @property
    def size(self) -> int:
        return len(self.plain) + len(self.gzip or b"")


class Cache:
    """The newest used of one data version, up to so many bytes. For several threads."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Encoded] = OrderedDict()
        self._version = -1
        self.bytes = 0

    def get(self, version: int, question: str) -> Encoded | None:
        with self._lock:
            if version != self._version:
                return None
            found = self._kept.get(question)
            if found is not None:
                self._kept.move_to_end(question)
            return found

    def put(self, version: int, question: str, answer: Encoded) -> None:
        """An answer to an older version, or larger than an eighth of the room, is not kept."""
        if answer.size > self._limit // 8:
            return
        with self._lock:
            if version < self._version:
                return
            if version > self._version:
                self._kept.clear()
                self._version, self.bytes = version, 0
            old = self._kept.pop(question, None)
            self.bytes += answer.size - (old.size if old else 0)
            self._kept[question] = answer
            while self.bytes > self._limit:
                self.bytes -= self._kept.popitem(last=False)[1].size
