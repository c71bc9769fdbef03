"""What several pages, or a page and the files of its charts, make of one state of the archive: made
once. Of one state alone, since names of states are random and never come again."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from lem.archive.database import data_state, is_writing
from lem.pages.page import Reader

MOST = 64
T = TypeVar("T")


@dataclass
class _Entry:
    lock: threading.Lock = field(default_factory=threading.Lock)
    made: bool = False
    value: Any = None


_ENTRIES: OrderedDict[Hashable, _Entry] = OrderedDict()
_LOCK = threading.Lock()


def kept(reader: Reader, name: Hashable, make: Callable[[], T]) -> T:
    """What ``make`` makes, which is not to be changed; whoever asks meanwhile waits for it. What it
    raises is raised, and the next one tries again."""
    if is_writing(reader.connection):
        # It may see what is not committed, nor counted in the version.
        return make()
    key = (data_state(reader.connection).name, name)
    with _LOCK:
        entry = _ENTRIES.setdefault(key, _Entry())
        _ENTRIES.move_to_end(key)
        while len(_ENTRIES) > MOST:
            _ENTRIES.popitem(last=False)
    with entry.lock:
        if not entry.made:
            entry.value, entry.made = make(), True
        found: T = entry.value
        return found
