"""What a live view costs the machine that measures: ``python -m bench.live.cost`` from the clone's
root. Needs gcc for the played NVML.

CPU time as a share of one core, of each part that does more for a live view than without one, in
turn: the agent's commentary (the most that it can hold up an engine in the same interpreter), the
sampler's process, and the host, which follows the events, translates them and keeps a log.
"""

import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from lem.agent.commentary import Commentary
from lem.agent.events import Events
from lem.campaign.execute import Moment
from lem.campaign.watch import POLL_S, watching
from lem.live.channel import Channel
from lem.live.moments import Translator
from lem.meters.protocol import MeterSettings
from lem.meters.sampler import TELL_S, Sampler
from lem.workloads.load import Log
from lem.workloads.requests import Request
from lem.workloads.spoken import decoded
from tests.meters import played

SECONDS = 10.0
ROUNDS = 3
TOKENS_PER_S = 50
ANSWERS = 4
RATES = {"not at all": None, "once a second": 1.0, "live, 10 a second": 0.1}


def main() -> int:
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f} at the beginning\n")
    with tempfile.TemporaryDirectory(prefix="lem-bench-") as text:
        folder = Path(text)
        library = played.build_library(folder)
        config = played.Play([(played.NEVER, 90.0, 90.0)]).write(folder / "played.txt")
        os.environ.update(played.environment(library, config), LEM_CACHE=text)
        found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in RATES}
        for _ in range(ROUNDS):
            for name, every_s in RATES.items():
                found[name].append(once(folder, every_s))
    print("| told | agent's commentary | sampler | host |\n| --- | --- | --- | --- |")
    for name, rounds in found.items():
        cells = [cell([100 * share for share in part]) for part in zip(*rounds, strict=True)]
        print(f"| {name} | {' | '.join(cells)} |")
    return 0


def cell(shares: list[float]) -> str:
    return f"{statistics.median(shares):.2f} % ({min(shares):.2f} to {max(shares):.2f})"


def once(folder: Path, every_s: float | None) -> tuple[float, float, float]:
    """Shares of a core: commentary, sampler, host."""
    events = folder / "events.ndjson"
    events.unlink(missing_ok=True)
    log_path = folder / "log"
    log_path.unlink(missing_ok=True)
    tell_s = TELL_S if every_s is None else min(TELL_S, every_s)
    host: list[int] = [0, 0]
    with ExitStack() as stack:
        sampler = stack.enter_context(
            Sampler(["nvml"], MeterSettings(), folder / "trace.csv.gz", 0.05, tell_s)
        )
        time.sleep(3)  # the counter's period is learned meanwhile
        assert sampler._process is not None
        commentary = Commentary(stack.enter_context(Events(events)), every_s or 1.0)
        log = Log(watch=commentary.answered, follow=commentary.answering)
        stack.enter_context(generating(log))
        told = host_side(folder, log_path, host)
        if every_s is not None:
            stack.enter_context(watching(events, told, min(POLL_S, every_s / 2)))
            stack.enter_context(commentary.on(sampler, log))
        before = threads_ns("commentary"), process_ns(sampler._process.pid), threads_ns("watch")
        began = time.monotonic()
        time.sleep(SECONDS)
        span_ns = (time.monotonic() - began) * 1e9
        after = threads_ns("commentary"), process_ns(sampler._process.pid), threads_ns("watch")
    agent, meter, host_ns = (b - a for a, b in zip(before, after, strict=True))
    return agent / span_ns, meter / span_ns, host_ns / span_ns


def host_side(folder: Path, log_path: Path, host: list[int]) -> Callable[[Any], None]:
    """Follows, translates and keeps ten times a second, as a runner or ``--web`` does."""
    translator, channel = Translator(folder), Channel(log_path)
    # As of a campaign whose arms were told.
    translator._places = {"arm": 0}

    waiting: list[Any] = []

    def told(event: Any) -> None:
        moment = Moment("event", None, event=event)  # type: ignore[arg-type]
        if event.kind == "progress" and waiting:
            # The first of what is told together.
            host[0] = channel.take(1, host[0], waiting)
            waiting.clear()
        waiting.extend(translator.events(moment))

    return told


@contextmanager
def generating(log: Log) -> Iterator[None]:
    """Within, an engine tells tokens of a few answers at a time, by the bytes of a text."""
    over = threading.Event()
    thread = threading.Thread(target=_generate, args=(log, over), name="engine", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _generate(log: Log, over: threading.Event) -> None:
    n = 0
    while not over.is_set():
        names = [f"r{n}-{i}" for i in range(ANSWERS)]
        n += 1
        log.sent([Request(name, [1], 100, "") for name in names])
        ids: list[int] = []
        for name in names:
            log.answering(name, decoded(ids.copy, lambda now: bytes(now).decode()))
        for step in range(100):
            ids.append(97 + step % 26)
            for name in names:
                log.token(name)
            if over.wait(1 / TOKENS_PER_S):
                return
        for name in names:
            log.done(name, bytes(ids).decode())


def threads_ns(name: str) -> int:
    """CPU time of this process's threads of this name."""
    found = 0
    for thread in threading.enumerate():
        if thread.name == name and thread.native_id is not None:
            found += process_ns(thread.native_id, f"/proc/self/task/{thread.native_id}")
    return found


def process_ns(pid: int, place: str | None = None) -> int:
    """CPU time to the nanosecond (the scheduler's own account)."""
    return int(Path(f"{place or f'/proc/{pid}'}/schedstat").read_text().split()[0])


if __name__ == "__main__":
    sys.exit(main())
