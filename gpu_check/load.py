"""A load on the GPU whose beginning and end are known: matrix products in a child process."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from lem.errors import RunFailed

CONTEXT = """
import sys
import torch
torch.zeros(1, device="cuda")
torch.cuda.synchronize()
print("ready", flush=True)
sys.stdin.read()
"""

PRODUCTS = """
import json, sys, time
import torch

now = time.monotonic_ns

def operands(size):
    a = torch.randn(size, size, device="cuda", dtype=torch.bfloat16)
    return a, a @ a

def products(pair, count):
    for _ in range(count):
        torch.mm(pair[0], pair[0], out=pair[1])
    torch.cuda.synchronize()

large = operands(8192)
# For switching: the largest product that takes no longer than half a millisecond.
for size in (4096, 2048, 1024, 512):
    small = operands(size)
    products(small, 5)
    start = now()
    products(small, 20)
    if (now() - start) / 20 < 500_000:
        break
print("ready", flush=True)
for line in sys.stdin:
    order = json.loads(line)
    on = []
    if "products" in order:
        start = now()
        products(large, order["products"])
        on.append((start, now()))
    for on_s, off_s in order.get("wave", ()):
        start = now()
        while now() - start < on_s * 1e9:
            products(small, 1)
        on.append((start, now()))
        time.sleep(max(0.0, on_s + off_s - (now() - start) / 1e9))
    print(json.dumps(on), flush=True)
"""

Edges = list[tuple[int, int]]
"""From when to when the load was on, ``time.monotonic_ns()``."""

LONGEST_ORDER_S = 300.0


class Load(Protocol):
    """What can be asked of a load; ``begin_…`` does not wait for its end."""

    def products(self, count: int) -> Edges:
        """So many large matrix products without a pause."""

    def begin_wave(self, on_off_s: Sequence[tuple[float, float]]) -> None:
        """On and off for these times, one after another, in s."""

    def busy(self) -> bool:
        """Whether the wave is still under way."""

    def edges(self) -> Edges:
        """Of the wave that was begun; waits for its end."""


@dataclass
class Child:
    """A process that obeys; fills :class:`Load`."""

    process: subprocess.Popen[str]

    def products(self, count: int) -> Edges:
        self._order({"products": count})
        return self.edges()

    def begin_wave(self, on_off_s: Sequence[tuple[float, float]]) -> None:
        self._order({"wave": list(on_off_s)})

    def busy(self) -> bool:
        assert self.process.stdout is not None
        return not select.select([self.process.stdout], [], [], 0)[0]

    def edges(self) -> Edges:
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], LONGEST_ORDER_S)[0]:
            raise RunFailed("timeout", f"the load did not end within {LONGEST_ORDER_S:g} s")
        line = self.process.stdout.readline()
        if not line:
            raise RunFailed("engine_error", "the load ended early")
        return [(start, end) for start, end in json.loads(line)]

    def _order(self, order: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
        except OSError as e:
            raise RunFailed("engine_error", "the load ended early") from e


@contextmanager
def context(gpu: int) -> Iterator[None]:
    """A CUDA context in another process, without work. Raises :class:`RunFailed`."""
    with _child(CONTEXT, gpu):
        yield


@contextmanager
def loaded(gpu: int) -> Iterator[Load]:
    """Raises :class:`RunFailed` (``unsupported``) where torch cannot use the GPU."""
    with _child(PRODUCTS, gpu) as child:
        yield Child(child)


@contextmanager
def _child(code: str, gpu: int) -> Iterator[subprocess.Popen[str]]:
    """A process that says "ready" once it uses the GPU; ended with its stdin."""
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": str(gpu)},
    )
    assert child.stdin is not None and child.stdout is not None and child.stderr is not None
    try:
        if child.stdout.readline() != "ready\n":
            last = child.stderr.read().strip().splitlines()[-1:]
            raise RunFailed("unsupported", "torch cannot use the GPU: " + "".join(last)[:500])
        yield child
    finally:
        try:
            child.stdin.close()
            child.wait(30)
        except (OSError, subprocess.TimeoutExpired):
            child.kill()
            child.wait()
        child.stdout.close()
        child.stderr.close()
