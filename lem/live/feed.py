"""A campaign of this process, told to those who watch it here."""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lem.campaign.execute import Moment
from lem.contract.live import MAX_EVENTS, LiveEvent
from lem.live.channel import Channel, said
from lem.live.moments import Translator

EVERY_S = 0.1
FENCE = 1


class Feed:
    """What happens in the campaign of ``folder`` goes to ``channel``, ten times a second.

    Nothing that goes wrong in here is the campaign's concern: ``complain`` is told once, and then
    nothing more is shown.
    """

    def __init__(self, folder: Path, channel: Channel, complain: Callable[[str], None]) -> None:
        self._translator = Translator(folder)
        self._channel = channel
        self._complain = complain
        self._waiting: list[LiveEvent] = []
        self._number = 0
        self._broken = False
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._send_often, name="live view", daemon=True)
        self._thread.start()

    def on_moment(self, moment: Moment) -> None:
        """From the threads of the campaign."""
        if self._broken:
            return
        try:
            told = self._translator.events(moment)
        except Exception as e:  # noqa: BLE001 - see above
            self._break(e)
            return
        with self._lock:
            self._waiting += told

    def end(self, state: str, message: str = "") -> None:
        """Tell the rest, and how the campaign ended."""
        self._over.set()
        self._thread.join(timeout=5)
        if self._number == 0 and not self._broken:
            # Every run was there already.
            with suppress(Exception):
                self._waiting += self._translator.standing()
        self._send()
        with suppress(Exception):
            self._channel.say(said(state, message))

    def _send_often(self) -> None:
        while not self._over.wait(EVERY_S):
            self._send()

    def _send(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        try:
            for i in range(0, len(waiting), MAX_EVENTS):
                part = waiting[i : i + MAX_EVENTS]
                self._number = self._channel.take(FENCE, self._number, part)
        except Exception as e:  # noqa: BLE001 - see above
            self._break(e)

    def _break(self, error: Exception) -> None:
        if not self._broken:
            self._broken = True
            self._complain(f"the live view has ended: {type(error).__name__}: {error}")
