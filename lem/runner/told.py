"""What a runner tells in public of itself: words without what tells whose machine it is."""

import re

from lem.contract.live import Begin, End, Flag, LiveEvent, Power, State
from lem.errors import LemError
from lem.submit.leaks import Net, words_of_this_machine
from lem.submit.veil import is_plain

PATH = re.compile(r"(?<![\w.])(?:~|\.{1,2})?/(?:[^\s/:'\",;()\[\]{}<>]+/?)+")
ADDRESS = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b|\b(?:[0-9a-f]{1,4}:){3,7}[0-9a-f]{0,4}\b")
UNIQUE = re.compile(r"\b(?:GPU-|MIG-)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{13,22}\b", re.IGNORECASE)
MOST = 500
MOST_DEVICES = 64
"""Whose numbers are remembered from run to run."""
GONE = "…"


class Censor:
    """Takes paths, addresses and this machine's own names out of texts."""

    def __init__(self) -> None:
        self._net = Net(words_of_this_machine())
        self._devices: dict[str, str] = {}
        """Name that must not be told → what is told instead."""

    def words(self, text: str, most: int = MOST) -> str:
        """A text for anybody, on one line."""
        line = " ".join(text.split())[: 4 * most]
        for pattern in (PATH, UNIQUE, ADDRESS):
            line = pattern.sub(GONE, line)
        while (found := self._net.in_text(line)) is not None:
            line = re.sub(re.escape(found.text), GONE, line, flags=re.IGNORECASE)
        return line if len(line) <= most else line[: most - 1] + GONE

    def error(self, error: LemError) -> str:
        """What is wrong; its hint is for whoever sits at the machine."""
        return self.words(error.message)

    def event(self, event: LiveEvent) -> LiveEvent:
        """The event as anybody may see it. Answers of models are left as they are."""
        if isinstance(event, End):
            own = {
                "message": self.words(event.message),
                "hardware": self.words(event.hardware, 200),
            }
            return event.model_copy(update=own)
        if isinstance(event, Flag | State):
            return event.model_copy(update={"message": self.words(event.message)})
        if isinstance(event, Begin) and len(self._devices) > MOST_DEVICES:
            self._devices.clear()
        if isinstance(event, Power) and not is_plain("external", event.device):
            number = f"external-{len(self._devices)}"
            named = self._devices.setdefault(event.device, number)
            return event.model_copy(update={"device": named})
        return event
