"""Two more synthetic surfaces, on which nothing was tuned.

``tensor_parallel``: a server on one, two or four GPUs. A step reads a share of the weights on each
GPU and pays for the exchange between them; every GPU draws its static power while it waits. Rates
of 8 to 128 clients, chunks of prefill that delay decoding, 16 or 8 bits. 2 % of scatter.

``processor``: llama.cpp's kind of engine on a 32-core machine. Threads share the bandwidth of
memory, and power rises faster than speed; drafts of 0 to 8 tokens are accepted less often the
longer they are and cost more in large batches. 3 % of scatter.

Nobody measured either. They are computed, not stored: ``surface.csv`` is the one that is.
"""

import itertools
import random
from collections.abc import Callable, Mapping, Sequence

Axes = Mapping[str, Sequence[int | str]]

TENSOR_PARALLEL: Axes = {
    "engine.tensor_parallel_size": [1, 2, 4],
    "engine.max_batch_size": [1, 4, 16, 32, 64, 128, 256],
    "args.max_num_batched_tokens": [512, 2048, 8192],
    "engine.quantization": ["float16", "fp8"],
    "workload.arrival.concurrency": [8, 32, 128],
}
PROCESSOR: Axes = {
    "engine.threads": [1, 2, 4, 8, 16, 32],
    "engine.max_batch_size": [1, 2, 4, 8, 16],
    "engine.quantization": ["bfloat16", "q8", "q4"],
    "args.draft": [0, 2, 4, 8],
}


def tensor_parallel(
    gpus: int, batch: int, chunk: int, weights: str, clients: int
) -> tuple[float, float]:
    """Joules and seconds per output token."""
    together = min(batch, clients)
    size = 28e9 if weights == "float16" else 14e9
    reading_s = (size + together * 2000 * 160e3) / gpus / 2.6e12
    computing_s = together * 28e9 * (1.0 if weights == "float16" else 0.7) / gpus / 420e12
    exchange_s = 0.0 if gpus == 1 else 40e-6 * 40 * (1 + 0.3 * (gpus - 2)) + together * 2e-6 * gpus
    prefill_s = (chunk / 512) ** 0.5 * 0.0009 * (1 + together / 64) / gpus**0.8
    stall_s = 0.012 / (chunk / 512) ** 0.7 * together / 128
    step_s = max(reading_s, computing_s) + 0.3 * min(reading_s, computing_s)
    step_s += exchange_s + prefill_s + stall_s + 0.002
    busy = (reading_s + computing_s) / step_s
    watts = gpus * (110 + 380 * min(1.0, busy))
    waiting = 1 + 0.6 * max(0, clients - batch) / clients
    return watts * step_s / together, step_s * waiting


def processor(threads: int, batch: int, weights: str, draft: int) -> tuple[float, float]:
    """Joules and seconds per output token."""
    size = {"bfloat16": 6.0e9, "q8": 3.2e9, "q4": 1.8e9}[weights]
    bandwidth = 180e9 * (1 - 2.0 ** (-threads / 5))
    rate = threads**0.92 * {"bfloat16": 45e9, "q8": 60e9, "q4": 38e9}[weights]
    accepted = sum(0.72 ** (i + 1) for i in range(draft))
    step_s = max(size / bandwidth, batch * (1 + draft) * 3e9 * 2 / rate)
    step_s += 0.15 * min(size / bandwidth, batch * (1 + draft) * 3e9 * 2 / rate)
    step_s += draft * 0.12e9 * 2 * batch**0.5 / rate + 0.0008
    watts = 65 + 3.1 * threads**1.05 + 30 * (size / bandwidth) / step_s
    tokens = batch * (1 + accepted)
    return watts * step_s / tokens, step_s / (1 + accepted)


def computed(
    axes: Axes, costs: Callable[..., tuple[float, float]], scatter: float, seed: int
) -> dict[tuple[str, ...], tuple[float, float]]:
    """Cell → joules and seconds, each with its scatter."""
    draw = random.Random(seed)
    found = {}
    for cell in itertools.product(*axes.values()):
        joules, seconds = (v * (1 + draw.gauss(0, scatter)) for v in costs(*cell))
        found[tuple(map(str, cell))] = (joules, seconds)
    return found


GRIDS = {
    "tensor_parallel": (TENSOR_PARALLEL, tensor_parallel, 0.02, 101),
    "processor": (PROCESSOR, processor, 0.03, 102),
}
