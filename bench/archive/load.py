"""Puts load on a server, in a process of its own, and prints how long each answer took.

``python -m bench.archive.load URL KIND COUNT CLIENTS SEED``; ``KIND`` is a key of ``KINDS``. No two
questions of a process are the same and none sends an ETag, so nothing is answered from a cache.
"""

import gzip
import http.client
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

import numpy as np

from lem.archive.synthetic import invented

TIERS = ("self-reported", "recomputed", "replicated")
METRICS = (
    "energy_per_output_token_j",
    "energy_per_total_token_j",
    "energy_per_request_j",
    "mean_power_w",
    "output_throughput_tokens_per_s",
    "ttft_p50_s",
    "itl_p50_s",
    "e2e_latency_p50_s",
)
Query = list[tuple[str, str]]


class Taken(NamedTuple):
    """Seconds and bytes (as sent) of each answer; rows that they had."""

    seconds: list[float]
    sizes: list[int]
    rows: list[int]


def filters(draw: np.random.Generator) -> Query:
    """A tier and one to three columns, as somebody clicks them together."""
    query: Query = [("tier", str(draw.choice(TIERS)))]
    choices: list[tuple[str, Callable[[], str]]] = [
        ("backend", lambda: str(draw.choice(list(invented.ENGINES)))),
        ("device_model", lambda: str(draw.choice(list(invented.BOARDS)))),
        ("dtype", lambda: str(draw.choice(invented.DTYPES))),
        ("arrival", lambda: str(draw.choice(("offline", "concurrency", "poisson")))),
        ("max_batch_size", lambda: str(draw.choice(invented.BATCHES))),
        ("model", lambda: invented.MODELS[draw.integers(len(invented.MODELS))][0]),
        ("output_tokens", lambda: str(draw.choice((128, 256, 512)))),
    ]
    for place in draw.choice(len(choices), size=int(draw.integers(1, 4)), replace=False):
        name, value = choices[place]
        query.append((name, value()))
    return query


def _leaderboard(draw: np.random.Generator) -> tuple[str, Query]:
    return "leaderboard", [*filters(draw), ("metric", str(draw.choice(METRICS)))]


def _facets(draw: np.random.Generator) -> tuple[str, Query]:
    return "facets", filters(draw)


def _scatter(draw: np.random.Generator) -> tuple[str, Query]:
    x, y = draw.choice(METRICS, size=2, replace=False)
    return "scatter", [*filters(draw), ("x", str(x)), ("y", str(y))]


def _scatter_of_all(draw: np.random.Generator) -> tuple[str, Query]:
    x, y = draw.choice(METRICS, size=2, replace=False)
    return "scatter", [("x", str(x)), ("y", str(y)), ("class", "gpu")]


KINDS: dict[str, Callable[[np.random.Generator], tuple[str, Query]]] = {
    "leaderboard": _leaderboard,
    "facets": _facets,
    "scatter": _scatter,
    "scatter of all": _scatter_of_all,
}


def questions(kind: str, count: int, seed: int) -> list[str]:
    """So many different paths with their queries (fewer where there are no more)."""
    draw = np.random.default_rng((seed, len(kind)))
    found: dict[str, None] = {}
    for _ in range(50 * count):
        if len(found) == count:
            break
        path, query = KINDS[kind](draw)
        found.setdefault(f"/api/v1/{path}?{urlencode(query)}")
    return list(found)


def ask(url: str, paths: list[str], clients: int) -> Taken:
    """Ask all of them, by so many clients at a time, each one after the other. An answer that is
    not 200 ends everything."""
    waiting = iter(paths)
    lock = threading.Lock()
    taken = Taken([], [], [])
    errors: list[BaseException] = []

    def client() -> None:
        try:
            for seconds, size, rows in _answers(url, waiting, lock):
                with lock:
                    taken.seconds.append(seconds)
                    taken.sizes.append(size)
                    taken.rows.append(rows)
        except BaseException as e:  # noqa: BLE001 - told by the main thread
            errors.append(e)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return taken


def _answers(
    url: str, waiting: Iterator[str], lock: threading.Lock
) -> Iterator[tuple[float, int, int]]:
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
    headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
    while True:
        with lock:
            path = next(waiting, None)
        if path is None:
            return
        start = time.perf_counter()
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        body = response.read()
        seconds = time.perf_counter() - start
        if response.status != 200:
            raise RuntimeError(f"{response.status} for {path}: {body[:500]!r}")
        text = gzip.decompress(body) if response.getheader("Content-Encoding") == "gzip" else body
        yield seconds, len(body), _rows(json.loads(text))


def _rows(answer: dict[str, object]) -> int:
    """How many configurations an answer is about."""
    count = answer.get("configurations")
    return count if isinstance(count, int) else 0


if __name__ == "__main__":
    address, kind, count, clients, seed = sys.argv[1:]
    done = ask(address, questions(kind, int(count), int(seed)), int(clients))
    json.dump(done._asdict(), sys.stdout)
