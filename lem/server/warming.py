"""Makes beforehand what readers need of a new state of the archive, so that none of them waits for
it: the board in memory, the pages that most visits begin with, and of the newest campaigns what
their attributions are made from."""

import gc
import logging
import threading
from collections.abc import Callable

from lem.archive.database import Database, data_state
from lem.archive.packs import Packs
from lem.archive.queries.answer import CampaignId
from lem.errors import LemError
from lem.pages.attribution import newest
from lem.pages.compare import METRICS
from lem.pages.page import Kind, Params, Reader
from lem.pages.registry import kinds
from lem.server.logs import log
from lem.web import rendering

LOOKS_S = 2.0
"""Between two looks at the archive's state: one query of one row. However fast it changes, nothing
is made more often."""
PAGES = ("home", "explore", "everyday", "story")
"""Most visits begin with one of them."""


Make = Callable[[Reader, Kind, Params], object]


def keep_for_good() -> None:
    """Take what is here now out of the garbage collector's sight: code, templates and schemas stay
    until the process ends. Looking through them took 66 ms, in the middle of some reader's page."""
    gc.collect()
    gc.freeze()


def _said(error: Exception) -> None:
    """Whoever asks for the page is told what is wrong."""
    log(logging.WARNING, "a page could not be made beforehand", why=type(error).__name__)


class Warming:
    def __init__(
        self, database: Database, packs: Packs, make: Make, looks_s: float = LOOKS_S
    ) -> None:
        """``make``: makes a page that is asked for without a query, and keeps it."""
        self._database, self._packs, self._looks_s = database, packs, looks_s
        self._make = make
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="warming", daemon=True)
        self._last = ""
        self._known: set[CampaignId] = set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Waits until it is done with the page that it makes."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        rendering.prepare()
        keeps = False
        while not self._stopping.wait(self._looks_s):
            try:
                self.look()
                if not keeps:
                    keep_for_good()
                    keeps = True
            except Exception as e:  # noqa: BLE001 - the next state is made beforehand all the same
                _said(e)

    def look(self) -> bool:
        """Whether there was a new state, for which everything is made now."""
        with self._database.reading() as connection:
            state = data_state(connection).name
            if state == self._last:
                return False
            self._last = state
            reader = Reader(connection, self._packs)
            for name in PAGES:
                kind = kinds()[name]
                for params in kind.instances(reader):
                    if self._stopping.is_set():
                        return True
                    self._make(reader, kind, params)
            self._newest(reader)
        return True

    def _newest(self, reader: Reader) -> None:
        """The newest campaigns' attributions, each once: their records are read then. Of one of
        them by every metric, whose queries the process keeps."""
        campaigns = newest(reader.connection)
        for campaign in campaigns:
            if campaign in self._known:
                continue
            metrics = METRICS[:1] if self._known else METRICS
            self._known.add(campaign)
            for metric in metrics:
                if self._stopping.is_set():
                    return
                query = [("metric", metric)]
                try:
                    kinds()["attribution"].build(reader, {"campaign": campaign}, query)
                except (LemError, OSError) as e:
                    # Whatever it is made of, it keeps no other campaign from being prepared.
                    _said(e)
                    break
        self._known.intersection_update(campaigns)
