"""``agent.log``: what an agent printed, bounded in size and without its secrets."""

import os
import re
import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from lem.errors import EnvironmentFault

LIMIT_BYTES = 16 * 2**20
LINE_BYTES = 64 * 2**10
TAIL_LINES = 40
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
HIDDEN = b"[secret]"
SHORTEST_SECRET = 4
"""Shorter values are not hidden: they would be found all over ordinary text."""


class AgentLog:
    """Writes whole lines; keeps the first part of a long log and, in memory, its last lines.

    Not being able to write (a full disk) must not disturb the agent: ``problem`` then says why.
    """

    def __init__(
        self, path: Path, secrets: Iterable[str] = (), limit_bytes: int = LIMIT_BYTES
    ) -> None:
        self.problem: OSError | None = None
        self._secrets = sorted(
            (s.encode() for s in secrets if len(s) >= SHORTEST_SECRET), key=len, reverse=True
        )
        self._left = limit_bytes
        self._dropped = 0
        self._rest = b""
        self._tail: deque[bytes] = deque(maxlen=TAIL_LINES)
        self._lock = threading.Lock()
        # Never through a link that an earlier agent may have left there.
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        try:
            self._file = os.fdopen(os.open(path, flags, 0o644), "wb", buffering=0)
        except OSError as e:
            raise EnvironmentFault(
                f"{path} cannot be written: {e.strerror}",
                hint="choose another folder with --out",
                kind="disk",
            ) from e

    def write(self, chunk: bytes) -> None:
        """Add output as it comes, cut anywhere."""
        with self._lock:
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                self._line(line)
            if len(self._rest) > LINE_BYTES:
                # A very long line is cut, but never inside a secret, come whole or in part.
                self._rest = self._hide(self._rest)
                cut = len(self._rest) - max((len(s) for s in self._secrets), default=0)
                if cut > 0:
                    self._line(self._rest[:cut])
                    self._rest = self._rest[cut:]

    def close(self) -> list[str]:
        """Write what is left; the last lines as plain text, without control characters."""
        with self._lock:
            if self._file.closed:
                return self._last_lines()
            if self._rest:
                self._line(self._rest)
                self._rest = b""
            if self._dropped:
                note = f"[lem: {self._dropped} bytes of output left out here]".encode()
                self._put(b"\n".join([note, *self._tail, b""]))
            with suppress(OSError):
                self._file.close()
            return self._last_lines()

    def _line(self, line: bytes) -> None:
        line = self._hide(line)
        self._tail.append(line[:LINE_BYTES])
        if self._dropped or len(line) + 1 > self._left:
            self._dropped += len(line) + 1
            return
        self._left -= len(line) + 1
        self._put(line + b"\n")

    def _hide(self, text: bytes) -> bytes:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def _put(self, data: bytes) -> None:
        if self.problem is None:
            try:
                self._file.write(data)
            except OSError as e:
                self.problem = e

    def _last_lines(self) -> list[str]:
        texts = (line.decode(errors="replace").rstrip("\r") for line in self._tail)
        lines = [_CONTROL.sub("", text.rpartition("\r")[2])[:1000] for text in texts]
        if self.problem is not None:
            lines.append(f"[lem: agent.log could not be written: {self.problem.strerror}]")
        return lines
