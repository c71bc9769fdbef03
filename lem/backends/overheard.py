"""What a library prints while it works: passed on, and kept in case it fails.

An engine that starts processes of its own often raises no more than "see above"; the reason is in
what those processes printed.
"""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

KEPT_BYTES = 64 * 1024


class Overheard:
    """The last of what was printed."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def keep(self, data: bytes) -> None:
        self._kept += data
        del self._kept[:-KEPT_BYTES]

    @property
    def text(self) -> str:
        return self._kept.decode("utf-8", "replace")


@contextmanager
def listening() -> Iterator[Overheard]:
    """Hear what this process and those that it starts print to standard output and error.

    Everything still goes where it went before. A process that is started in here and lives on keeps
    printing there, too: its pipe is read until the last of them has ended.
    """
    heard = Overheard()
    sys.stdout.flush()
    sys.stderr.flush()
    before = {fd: os.dup(fd) for fd in (1, 2)}
    readers = []
    for fd, away in before.items():
        source, sink = os.pipe()
        os.dup2(sink, fd)
        os.close(sink)
        reader = threading.Thread(
            target=_pass_on, args=(source, away, heard), name="overheard", daemon=True
        )
        reader.start()
        readers.append(reader)
    try:
        yield heard
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for fd, away in before.items():
            os.dup2(away, fd)
        for reader in readers:
            # Ends at once unless somebody else still holds the pipe.
            reader.join(0.2)


def _pass_on(source: int, away: int, heard: Overheard) -> None:
    try:
        while data := os.read(source, 65536):
            heard.keep(data)
            os.write(away, data)
    except OSError:
        pass
    finally:
        os.close(source)
        os.close(away)
