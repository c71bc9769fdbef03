"""What whoever watches a run is told while it measures."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from lem.agent.events import Events
from lem.meters.sampler import Sampler
from lem.workloads.load import Log, Response

ANSWER_CHARACTERS = 2000


def tell_answer(events: Events, response: Response) -> None:
    """The beginning of an answer, as soon as it is whole."""
    events.emit("text", request=response.request.id, text=response.text[:ANSWER_CHARACTERS])


@contextmanager
def commentary(events: Events, meter: Sampler, log: Log) -> Iterator[None]:
    """Once a second: power now, tokens and answers so far, for whoever watches."""
    over = threading.Event()

    def speak() -> None:
        tokens, then = log.tokens, time.monotonic()
        while not over.wait(1.0):
            total, moment = log.tokens, time.monotonic()
            events.emit(
                "progress",
                output_tokens=total,
                tokens_per_s=round((total - tokens) / (moment - then), 3),
            )
            for device, power_w in meter.power_now().items():
                events.emit("sample", device=device, power_w=round(power_w, 3))
            tokens, then = total, moment

    thread = threading.Thread(target=speak, name="commentary", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=5)
