"""From the process that measures to the runner: it never waits for who reads an event."""

import json
import os
import threading
import time

from lem.contract.live import Begin, LiveEvent, Power
from lem.runner import pipe as p
from lem.runner.pipe import Pipe


def power(at: int) -> LiveEvent:
    return Power(at=at, device="gpu0", device_class="gpu", estimated=False, w=1.0, j=2.0)


def begin(at: int) -> LiveEvent:
    return Begin(at=at, arm=0, block=0, attempt=0)


def lines(handle: int) -> list[bytes]:
    with os.fdopen(handle, "rb") as f:
        return f.read().splitlines()


def test_each_line_says_what_it_is() -> None:
    out, into = os.pipe()
    pipe = Pipe(into)
    pipe.event(power(1))
    pipe.event(begin(2))
    pipe.message(say="it is 3")
    os.close(into)
    first, second, third = lines(out)
    assert first[:1] == b"~" and json.loads(first[1:])["k"] == "power"
    assert second[:1] == b"+" and json.loads(second[1:])["k"] == "begin"
    assert third == b'!{"say": "it is 3"}'


def test_with_nobody_reading_samples_are_dropped_and_what_began_is_kept() -> None:
    out, into = os.pipe()
    pipe = Pipe(into)
    began = time.monotonic()
    for at in range(5000):
        pipe.event(power(at))
        if at % 100 == 0:
            pipe.event(begin(at))
    assert time.monotonic() - began < 5
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.extend(lines(out)))
    reader.start()
    pipe.message(end="done")  # waits until somebody reads
    os.close(into)
    reader.join(10)
    events = [json.loads(line[1:]) for line in found[:-1]]
    assert [e["at"] for e in events if e["k"] == "begin"] == list(range(0, 5000, 100))
    samples = [e["at"] for e in events if e["k"] == "power"]
    assert 0 < len(samples) < 5000 and samples == sorted(samples)
    assert found[-1] == b'!{"end": "done"}'


def test_what_is_kept_has_a_bound(monkeypatch: object) -> None:
    _, into = os.pipe()
    pipe = Pipe(into)
    before = p.KEPT_BYTES
    p.KEPT_BYTES = 10_000
    try:
        for at in range(20_000):
            pipe.event(begin(at))
    finally:
        p.KEPT_BYTES = before
    assert len(pipe._left) <= 10_000
    os.close(into)
