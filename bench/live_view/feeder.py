"""A made-up campaign as ``lem campaign run --web`` serves it, in a process of its own.

    python -m bench.live_view.feeder SPEED MINUTES DEVICES

Prints the page's address, and a line whenever a minute of the campaign has been told. SPEED 0: all
of it at once, which is then over.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from lem.contract.live import LiveEvent
from lem.live.channel import Channel, said
from lem.live.hub import Hub
from lem.server.alone import CHANNEL, _bind, _Serving
from tests.live_log import Shape, batches

RATE = 10.0
RUN_S = 120.0


def shape(minutes: float, devices: int, batch_s: float) -> Shape:
    """``devices`` with the processor among them."""
    blocks = max(1, round(minutes * 60 / (4 * RUN_S)))
    return Shape(
        arms=4,
        blocks=blocks,
        gpus=devices - 1,
        rate=RATE,
        window_s=RUN_S - 11,
        batch_s=batch_s,
        faults=False,
        name=f"{devices} devices",
    )


def main(speed: float, minutes: float, devices: int) -> None:
    with tempfile.TemporaryDirectory(prefix="lem-bench-live-") as folder:
        hub = Hub(Path(folder), idle_s=float("inf"))
        channel = hub.channel(CHANNEL)
        server = _Serving(hub, "bench", _bind(0))
        print(server.address, flush=True)
        sys.stdin.readline()
        tell(channel, batches(shape(minutes, devices, 0.25 * max(1.0, speed / 4))), speed)
        channel.say(said("done"))
        print("end", flush=True)
        sys.stdin.readline()
        server.stop()
        hub.close()


def tell(channel: Channel, pieces: Iterator[list[LiveEvent]], speed: float) -> None:
    began, first, minute = time.monotonic(), 0, 0
    for number, piece in enumerate(pieces):
        at = piece[-1].at
        first = first or piece[0].at
        if speed:
            time.sleep(max(0.0, began + (at - first) / 1000 / speed - time.monotonic()))
            ahead = round(time.time() * 1000) - at if speed == 1 else 0
            piece = [e.model_copy(update={"at": e.at + ahead}) for e in piece] if ahead else piece
        channel.take(1, number, piece)
        while (at - first) / 60_000 > minute:
            print(f"minute {minute}", flush=True)
            minute += 1


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
