"""Server and database are killed at random moments while four clients push.

Afterwards everything that was acknowledged is there, nothing is there twice, the summaries are what
they would be if made anew, and the log verifies. ``LEM_KILL_ROUNDS`` says how often (100 and more
before a release; a few here).
"""

import os
import random
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from postgres import Server
from postgres_killed import cluster, kill_postgres, start_postgres  # noqa: F401
from records import arm_name, experiment, gpu, lock, record
from server.signing import Holder, archive_of, enrolled, nonce_for
from server_process import Process

from lem.archive import log, rebuild
from lem.archive.database import open_database
from lem.archive.packs import Packs
from lem.archive.schema import RUN, SUBMISSION
from lem.config.identity import experiment_id
from lem.contract.base import utc_now
from lem.contract.record import Record
from lem.contract.submission import ArchiveInfo, Content, Manifest, Submitted
from lem.submit import manifest as signing
from lem.submit import pack as packing
from lem.submit.veil import board, campaign_of

CLIENTS = 4
ROUNDS = int(os.environ.get("LEM_KILL_ROUNDS", "8"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120 + 30 * ROUNDS)]


class Client(threading.Thread):
    """Pushes one-run campaigns for as long as it is let, each until it is acknowledged."""

    def __init__(self, url: str, holder: Holder, info: ArchiveInfo, name: str) -> None:
        super().__init__(daemon=True)
        self.url, self.holder, self.info = url, holder, info
        self.label = name
        self.stopping = threading.Event()
        self.acknowledged: list[str] = []
        self.refused: list[str] = []
        self.last = ""

    def run(self) -> None:
        number = 0
        while not self.stopping.is_set():
            content, files = self._campaign(number)
            number += 1
            while (answer := self._push(content, files)) is None:
                time.sleep(0.05)
            if answer.status_code in (200, 201):
                self.acknowledged.append(answer.json()["submission"])
            else:
                self.refused.append(answer.text)
                return

    def _push(self, content: Content, files: dict[str, bytes]) -> httpx.Response | None:
        """None where nobody can know whether it arrived, or the server is away for now."""
        try:
            with httpx.Client(base_url=self.url, timeout=20) as client:
                nonce = nonce_for(client, self.holder)
                manifest = Manifest(
                    archive=self.info.archive,
                    key=self.holder.id,
                    nonce=nonce,
                    signed_at=utc_now(),
                    content=content,
                )
                data, signature = signing.sign(manifest, self.holder.private)
                body = packing.write(data, signature, content, files)
                answer = client.post(
                    "/api/v1/submissions",
                    content=body,
                    headers={"Content-Type": "application/x-tar"},
                )
        except (httpx.HTTPError, AssertionError) as error:
            self.last = repr(error)
            return None
        self.last = f"{answer.status_code} {answer.text}"
        return None if answer.status_code >= 500 or answer.status_code == 429 else answer

    def _campaign(self, number: int) -> tuple[Content, dict[str, bytes]]:
        """A campaign of one arm and one block. All share eight configurations."""
        raw = experiment(2 ** (number % 8))
        made = record(
            energy={"gpu": 0.5 + 0.001 * number},
            gpus=[gpu() | {"uuid": board("GPU-1", self.info.board_salt)}],
            raw_experiment=raw,
            throughput=40.0 + number,
            boot_id=f"boot-{number}",
            arm_id=arm_name(0),
        )
        own = experiment_id(made.experiment)
        document: dict[str, Any] = made.model_dump(mode="json")
        document |= {"experiment_id": own, "arm_id": own}
        document["run_id"] = f"{self.label}-{number}"
        made = Record.model_validate(document)
        arms = [{"arm_id": own, "label": "one", "settings": {}, "experiment": raw}]
        campaign = campaign_of(f"{self.label}-{number}", self.info.board_salt)
        locked = lock(arms, blocks=1).model_copy(
            update={"device_set": made.environment.device_set, "owner": campaign}
        )
        lock_gz = packing.packed(locked.model_dump_json().encode())
        record_gz = packing.packed(made.model_dump_json().encode())
        sha = {name: sha256(gz) for name, gz in (("lock", lock_gz), ("record", record_gz))}
        content = Content(
            campaign=campaign,
            lock=sha["lock"],
            board_salt=self.info.board_salt,
            runs=[Submitted(block=0, arm_id=own, attempt=0, record=sha["record"])],
            lem_version="0",
        )
        return content, {sha["lock"]: lock_gz, sha["record"]: record_gz}


def sha256(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


def done(clients: list[Client]) -> int:
    return sum(len(one.acknowledged) for one in clients)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_nothing_acknowledged_is_lost_and_nothing_is_there_twice(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    chance = random.Random(f"{kind} {ROUNDS}")
    data = tmp_path / "data"
    database: Server | None = None
    environment = {}
    url: str | None = None
    if kind == "postgresql":
        database = request.getfixturevalue("cluster")
        url = database.new_database()
        environment["LEM_DATABASE_URL"] = url
    arguments = ["--enrolment", "open"]
    server = Process(data, arguments, environment)
    clients = []
    with httpx.Client(base_url=server.url, timeout=30) as client:
        info = ArchiveInfo.model_validate(client.get("/api/v1/archive").json())
        for n in range(CLIENTS):
            holder = enrolled(client, seed=n + 1)
            clients.append(Client(server.url, holder, info, f"client-{n}"))
        assert archive_of(client) == info.archive
    for one in clients:
        one.start()
    try:
        for _ in range(ROUNDS):
            time.sleep(chance.uniform(0.05, 1.5))
            if database is not None and chance.random() < 0.5:
                kill_postgres(database, chance)
            else:
                if database is not None:
                    start_postgres(database)
                server.kill()
                server = Process(data, arguments, environment, port=server.port)
        # A slow machine acknowledges little between two kills.
        until = time.monotonic() + 90
        while time.monotonic() < until and done(clients) < ROUNDS:
            if database is not None:
                start_postgres(database)
            time.sleep(0.2)
    finally:
        for one in clients:
            one.stopping.set()
        until = time.monotonic() + 90
        while time.monotonic() < until and any(one.is_alive() for one in clients):
            # The last kill may end it seconds later: of a process that mends, the first one dies.
            if database is not None:
                start_postgres(database)
            clients[0].join(0.2)
            time.sleep(0.2)
    stuck = [one.last for one in clients if one.is_alive()]
    assert not stuck, f"{stuck}\n{server.said()[-6000:]}\n{database and database.said()[-3000:]}"
    assert [one.refused for one in clients] == [[]] * CLIENTS
    acknowledged = [sha for one in clients for sha in one.acknowledged]
    assert done(clients) >= ROUNDS
    with httpx.Client(base_url=server.url, timeout=30) as client:
        for sha in acknowledged[:: max(1, len(acknowledged) // 50)]:
            assert client.get(f"/api/v1/submissions/{sha}").status_code == 200
    assert server.terminate() == 0
    opened = open_database(url, data)
    packs = Packs(data / "packs")
    with opened.reading() as c:
        stored = list(c.scalars(sa.select(SUBMISSION.c.content_sha256)))
        assert sorted(stored) == sorted(set(acknowledged))
        assert c.scalar(sa.select(sa.func.count()).select_from(RUN)) == len(stored)
        for sha in stored:
            assert packs.path(sha).is_file()
        entries = list(log.entries(c, 0, 10**6))
        assert log.verify(entries).seq == len(entries)
        accepted = [e.payload["submission"] for e in entries if e.kind == "accepted"]
        assert sorted(accepted) == sorted(stored)
    assert rebuild.differences(opened) == []
    opened.close()
