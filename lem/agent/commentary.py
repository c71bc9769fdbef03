"""What whoever watches a run is told while it measures.

A thread of its own looks at what the measured ones leave lying: they do no more for it than note
that an answer begins or has ended.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lem.agent.events import Events
from lem.contract.record import MeterInfo
from lem.meters.energy.reconcile import counted
from lem.meters.sampler import PowerRead, Sampler
from lem.workloads.load import Log, More, Response

ANSWER_CHARACTERS = 2000
USUAL_S = 1.0
"""Below it, answers are told as they come."""
FOLLOWED = 4
"""Answers that are told at a time: a person reads no more, and a batch may have hundreds."""
CHARACTERS_PER_S = 4000
CHARACTERS = 4 * 2**20
"""Of answers, in a whole run."""
RATE_OVER_S = 1.0


class Commentary:
    """``every_s``: how often there is something to tell."""

    def __init__(self, events: Events, every_s: float = USUAL_S) -> None:
        self.events = events
        self._every_s = every_s
        self._live = every_s < USUAL_S
        self._followed: dict[str, More] = {}
        self._ended: deque[str] = deque()
        """Of those that are followed."""
        self._whole: deque[Response] = deque(maxlen=FOLLOWED)
        """Of engines that tell an answer only at its end."""
        self._in_pieces = False
        self._edges: deque[tuple[int, bool, int]] = deque()
        self._windows = 0
        self._left = CHARACTERS

    def answering(self, request_id: str, more: More) -> None:
        """An answer begins. From the engine's threads."""
        if not self._live:
            return
        self._in_pieces = True
        if len(self._followed) < FOLLOWED:
            self._followed[request_id] = more

    def answered(self, response: Response) -> None:
        """An answer is whole, or has failed. From the engine's threads."""
        if not self._live:
            text = response.text[:ANSWER_CHARACTERS]
            self.events.emit("text", request=response.request.id, text=text)
        elif response.request.id in self._followed:
            self._ended.append(response.request.id)
        elif not self._in_pieces:
            self._whole.append(response)

    def window(self, at_ns: int, begins: bool, output_tokens: int) -> None:
        """An edge of a measured window, and the output tokens of the one that ends. From the
        engine's thread."""
        self._edges.append((at_ns, begins, output_tokens))

    @contextmanager
    def on(
        self, meter: Sampler, log: Log, infos: Sequence[MeterInfo] | None = None
    ) -> Iterator[None]:
        """Within, tell of power, of tokens and of answers. ``infos``: the devices whose energy
        the run's record can have, those of ``meter`` where it is not given."""
        over = threading.Event()
        devices = shown(meter.infos if infos is None else infos)

        def speak() -> None:
            seen: deque[tuple[float, int]] = deque([(time.monotonic(), log.tokens)])
            while not over.wait(self._every_s):
                progress = progress_of(seen, log.tokens)
                power = meter.power_now()
                self._tell_edges()
                self.events.emit_all(
                    [
                        ("progress", progress),
                        *(("sample", s) for s in samples(devices, power)),
                        *(("text", text) for text in self._answers()),
                    ]
                )

        thread = threading.Thread(target=speak, name="commentary", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(timeout=5)
            if not thread.is_alive():
                self._tell_edges()
                self.events.emit_all(("text", text) for text in self._answers())

    def _tell_edges(self) -> None:
        for at_ns, begins, tokens in [self._edges.popleft() for _ in range(len(self._edges))]:
            told = {"number": self._windows, "begins": begins, "output_tokens": tokens}
            self.events.emit_all([("window", told)], at_ns)
            self._windows += not begins

    def _answers(self) -> list[dict[str, Any]]:
        """What came of the answers that are followed, and of those that came whole."""
        told: list[dict[str, Any]] = []
        allowed = min(self._left, round(CHARACTERS_PER_S * self._every_s))
        ended = [self._ended.popleft() for _ in range(len(self._ended))]
        for request_id, more in list(self._followed.items()):
            is_over = request_id in ended
            text = _text(more)[: min(allowed, ANSWER_CHARACTERS)]
            allowed -= len(text)
            self._left -= len(text)
            if is_over:
                del self._followed[request_id]
            if text or is_over:
                told.append({"request": request_id, "text": text, "end": is_over})
        while self._whole and allowed > 0:
            response = self._whole.popleft()
            text = response.text[: min(allowed, ANSWER_CHARACTERS)]
            allowed -= len(text)
            self._left -= len(text)
            told.append({"request": response.request.id, "text": text, "end": True})
        return told


def progress_of(seen: deque[tuple[float, int]], total: int) -> dict[str, Any]:
    """Tokens so far, and their rate over the last second or more: of a tenth of a second it would
    be that of a few steps. ``seen``: moments with the tokens until then; this one is added."""
    now = time.monotonic()
    while len(seen) > 1 and now - seen[1][0] >= RATE_OVER_S:
        seen.popleft()
    then, tokens = seen[0]
    seen.append((now, total))
    return {"output_tokens": total, "tokens_per_s": round((total - tokens) / (now - then), 3)}


def shown(infos: Sequence[MeterInfo]) -> dict[tuple[str, str], dict[str, Any]]:
    """(meter, device) → name and class of the devices whose energy counts, as in a record: of each
    class one meter's, and no part beside its whole. Where two have the same name, the meter's is
    before it."""
    devices = counted(infos)
    named = Counter(i.device for i in devices)
    return {
        (i.meter, i.device): {
            "device": i.device if named[i.device] == 1 else f"{i.meter}-{i.device}",
            "class": i.device_class,
        }
        for i in devices
    }


def samples(
    devices: dict[tuple[str, str], dict[str, Any]], power: dict[tuple[str, str], PowerRead]
) -> list[dict[str, Any]]:
    """What is told of power, of those of ``devices`` that have some: also when it was read, which
    may be a while ago."""
    return [
        {
            "device": d["device"],
            "power_w": round(power[key].watts, 3),
            "class": d["class"],
            "read_ns": power[key].t_ns,
            "period_s": round(power[key].period_ns / 1e9, 3),
        }
        for key, d in devices.items()
        if key in power
    ]


def _text(more: More) -> str:
    """What came; nothing where it cannot be told. Whatever a tokenizer does in here, the run goes
    on."""
    try:
        return more()
    except Exception:  # noqa: BLE001
        return ""
