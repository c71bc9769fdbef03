"""Says all the time that a campaign goes on, whatever else the runner does."""

import threading
from collections.abc import Callable

from lem.contract.queue import Heartbeat
from lem.errors import LemError
from lem.runner.server import heartbeat
from lem.submit.client import ArchiveClient

RETRY_S = 1.0


class Pulse:
    """Heartbeats of one lease, from a thread of its own. ``on_lost`` and ``on_cancel`` are called
    by it, each once. Use as a context manager."""

    def __init__(
        self,
        client: ArchiveClient,
        told: Heartbeat,
        every_s: float,
        on_lost: Callable[[], None],
        on_cancel: Callable[[], None],
    ) -> None:
        self._client = client
        self._told = told
        self._every_s = every_s
        self._on_lost = on_lost
        self._on_cancel = on_cancel
        self._over = threading.Event()
        self._cancelled = False
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def __enter__(self) -> "Pulse":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(1)
        self._client.close()

    def doing(self, words: str) -> None:
        """What to say of it from now on."""
        self._told = self._told.model_copy(update={"doing": words[:200]})

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                standing = heartbeat(self._client, self._told)
            except LemError:
                # The server is away, or in trouble: what was begun goes on.
                self._over.wait(min(RETRY_S, self._every_s))
                continue
            if standing.lease_s is None:
                self._on_lost()
                return
            if standing.cancel and not self._cancelled:
                self._cancelled = True
                self._on_cancel()
            self._over.wait(self._every_s)
