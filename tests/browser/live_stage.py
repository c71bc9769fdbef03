"""A server with a queue: campaigns that were recorded, that run, and that wait."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import httpx

from lem.archive import identities
from lem.archive.database import open_database
from lem.archive.identities import hash_of, role_of
from lem.archive.queue import adding, claims, ending, leases, people
from lem.archive.queue.tables import QUEUED, RUNNER
from lem.contract.live import Batch, LiveEvent
from lem.contract.queue import Accepts, Device, Finish, Hardware, Hello
from lem.live.channel import Channel, said
from tests.archive_queue import archived
from tests.live_log import Shape, log
from tests.server_process import Process

FOREVER_S = 1e6
YAML = """\
version: 1
name: {name}
# What <script>window.hit = 1</script> says here is text.
models: [{{id: Qwen/Qwen3-0.6B}}]
backends: {{vllm: {{}}}}
sweep: {{engine.max_batch_size: [1, 4, 16, 64]}}
workload:
  requests: 64
  dataset: {{kind: random, input_tokens: 128, output_tokens: 64}}
"""
RUNNER_NAME = "bench-1"
HARDWARE = Hardware(
    cpu="AMD EPYC 9354 32-Core Processor",
    cores=64,
    memory_bytes=512 * 2**30,
    devices=[Device(model="NVIDIA H100 80GB HBM3", count=2, memory_bytes=80 * 2**30)],
    meters=["nvml", "rapl"],
)
ACCEPTS = Accepts(models=["Qwen/*"], backends=["vllm", "transformers"], max_hours=6, hours="nights")


class Stage:
    """On SQLite in ``folder``; the server runs once :meth:`serve` was called."""

    def __init__(self, folder: Path, arguments: Sequence[str] = ()) -> None:
        self.folder, self.arguments = folder, arguments
        self.process: Process | None = None
        self.database = open_database(None, folder)
        self.database.migrate()
        with self.database.writing() as c:
            self.person_token = people.join(c, "Ada", None, "open").token
            self.runner_token = identities.issue_token(c, "runner", RUNNER_NAME)
            self.runner = _runner(c, self.runner_token)

    @property
    def url(self) -> str:
        assert self.process is not None
        return self.process.url

    def serve(self) -> None:
        port = None if self.process is None else self.process.port
        self.process = Process(
            self.folder,
            ("--checkers", "0", "--trust-proxy", "127.0.0.1", *self.arguments),
            port=port,
        )

    def close(self) -> None:
        self.database.close()
        if self.process is not None:
            self.process.kill()

    def add(self, name: str, experiments: int = 4) -> adding.Added:
        """A campaign that waits."""
        wanted = {"models": ["Qwen/Qwen3-0.6B"], "backends": ["vllm"], "preset": "quick"}
        with self.database.writing() as c:
            grant = role_of(c, self.person_token)
            assert grant is not None
            wish = adding.Wish(name, YAML.format(name=name), experiments, wanted)
            return adding.add(c, grant, wish)

    def claim(self, queued: str) -> int:
        """By the runner, who then holds it for good. Returns the fence."""
        with self.database.writing() as c:
            found = claims.claim(c, self.runner, hash_of(self.runner_token), queued).claimed
            assert found is not None and found.queued == queued
            until = time.time() + FOREVER_S
            c.execute(QUEUED.update().where(QUEUED.c.id == queued).values(lease_until=until))
            return found.fence

    def finish(self, queued: str, fence: int, outcome: str = "done", reason: str = "") -> None:
        told = Finish.model_validate(
            {"queued": queued, "fence": fence, "outcome": outcome, "reason": reason}
        )
        with self.database.writing() as c:
            if outcome == "done":
                archived(c, queued)
            ending.finish(c, told, hash_of(self.runner_token))

    def recorded(self, shape: Shape) -> str:
        """A campaign that was run and is done, with its recording. Before the server runs."""
        queued = self.add(shape.name, shape.arms).id
        fence = self.claim(queued)
        self.write(queued, log(shape))
        self.finish(queued, fence)
        return queued

    def write(self, queued: str, lines: Iterable[tuple[int, int, list[LiveEvent]]]) -> None:
        """Into its log. Before the server runs, or while it does not."""
        (self.folder / "live").mkdir(exist_ok=True)
        channel = Channel(self.folder / "live" / f"{queued}.ndjson")
        for fence, number, events in lines:
            if fence == 0:
                channel.say(*events)
            else:
                channel.take(fence, number, events)
        channel.close()

    def running(self, name: str = "runs now") -> tuple[str, int]:
        """A campaign that was claimed. Before the server runs."""
        queued = self.add(name).id
        fence = self.claim(queued)
        self.write(queued, [(0, 0, [said("queued")]), (0, 1, [said("claimed", RUNNER_NAME)])])
        return queued, fence


class Sender:
    """Sends a campaign's batches as its runner does."""

    def __init__(self, stage: Stage, queued: str, fence: int) -> None:
        self.stage, self.queued, self.fence = stage, queued, fence
        self.number = 0
        self.points = 0
        headers = {"Authorization": f"Bearer {stage.runner_token}"}
        self.client = httpx.Client(headers=headers, timeout=20)

    def send(self, events: Sequence[LiveEvent], now: bool = True) -> None:
        """``now``: with the last one's time as this moment's, as if it just had been."""
        moved = _as_of_now(events) if now else list(events)
        batch = Batch(queued=self.queued, fence=self.fence, number=self.number, events=moved)
        while (answer := self._post(batch)).status_code == 429:
            time.sleep(0.05)
        answer.raise_for_status()
        self.number += 1
        self.points += sum(e.k == "power" for e in events)
        assert answer.json()["next"] == self.number

    def _post(self, batch: Batch) -> httpx.Response:
        address = f"{self.stage.url}/api/v1/runners/events"
        return self.client.post(address, content=batch.model_dump_json())

    def finish(self, outcome: str = "done", reason: str = "") -> None:
        """End the lease; what is done, as if all of it was submitted."""
        if outcome == "done":
            with self.stage.database.writing() as c:
                archived(c, self.queued)
        told = {"queued": self.queued, "fence": self.fence, "outcome": outcome, "reason": reason}
        answer = self.client.post(f"{self.stage.url}/api/v1/runners/finish", json=told)
        answer.raise_for_status()


def _as_of_now(events: Sequence[LiveEvent]) -> list[LiveEvent]:
    ahead = round(time.time() * 1000) - events[-1].at
    return [e.model_copy(update={"at": e.at + ahead}) for e in events]


def _runner(c: Any, token: str) -> str:
    """As if it had registered: with no key that signs, for nothing is submitted here."""
    handle = identities.new_handle("r")
    hello = Hello(
        instance="a" * 32,
        name=RUNNER_NAME,
        lem_version="1.0",
        key="b" * 64,
        launcher="docker",
        hardware=HARDWARE,
        accepts=ACCEPTS,
    )
    c.execute(
        RUNNER.insert().values(
            handle=handle,
            token_hash=hash_of(token),
            instance=hello.instance,
            name=hello.name,
            hello=hello.model_dump_json(),
            registered_at=leases.text(time.time()),
            seen_at=time.time(),
            doing="block 2 of 3",
        )
    )
    return handle
