"""Runners with ``lem serve`` as a process of its own: from the queue to a complete campaign.

``LEM_KILL_SEEDS`` says how many times a runner is killed at random moments until it is done (four
and more before a release; one here).
"""

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tick import counted_places

from lem.contract.lock import Lock
from lem.submit.bundle import LOCK
from tests.runner.machine import Machine, campaign, wait
from tests.runner.place import Place

Machines = Callable[..., Machine]
SLOW = {"backends": {"tick": {"args": {"token_ms": 8}}}}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    one = Place(tmp_path)
    yield one
    one.process.kill()


def begun(place: Place, queued: str) -> bool:
    """Whether a run of it was told of."""
    # A server gives one address 30 recordings in a minute.
    time.sleep(2.1)
    recording = httpx.get(f"{place.url}/api/v1/campaigns/{queued}/recording", timeout=30)
    return recording.status_code == 200 and '"k":"begin"' in recording.text.replace(" ", "")


def complete(place: Place) -> dict[str, Any]:
    (row,) = place.campaigns()
    assert row["state"] == "complete", row
    return row


def test_from_the_queue_to_a_complete_campaign(place: Place, machines: Machines) -> None:
    queued = place.queue(campaign())
    machine = machines("a", place.url, place.runner_token)
    assert machine.start("--once").wait(90) == 0, machine.said()
    assert place.state(queued) == "done"
    complete(place)
    assert begun(place, queued)
    (runner,) = place.get("/runners")["rows"]
    assert runner["launcher"] == "process" and runner["accepts"]["backends"] == ["tick"]


def test_a_server_that_is_started_anew_in_between(place: Place, machines: Machines) -> None:
    queued = place.queue(campaign(**SLOW))
    machine = machines("a", place.url, place.runner_token)
    machine.start()
    wait(machine, lambda: begun(place, queued), "run")
    place.restart()
    wait(machine, lambda: place.state(queued) == "done", "end")
    place.restart()  # and while it only asks for work
    again = place.queue(campaign(name="again", sweep={"engine.max_batch_size": [2]}))
    wait(machine, lambda: place.state(again) == "done", "end of the second")
    assert machine.end() == 0
    assert [row["state"] for row in place.campaigns()] == ["complete"] * 2


def test_cancelled_in_the_middle(place: Place, machines: Machines) -> None:
    queued = place.queue(campaign(backends={"tick": {"args": {"token_ms": 60}}}))
    machine = machines("a", place.url, place.runner_token)
    machine.start()
    wait(machine, lambda: begun(place, queued), "run")
    place.cancel(queued)
    before = time.monotonic()
    wait(machine, lambda: place.state(queued) == "cancelled", "end", 20)
    assert time.monotonic() - before < 12
    assert machine.end() == 0 and not machine.processes()


def test_another_runner_takes_over_what_one_began(place: Place, machines: Machines) -> None:
    queued = place.queue(campaign(**SLOW))
    first = machines("a", place.url, place.runner_token)
    second = machines("b", place.url, place.token("runner", "another runner"))
    first.start()
    wait(first, lambda: "submitted" in first.said(), "block")
    assert first.end() == 0
    assert second.start("--once").wait(120) == 0, second.said()
    assert "others have begun it" in second.said()
    assert place.state(queued) == "done"
    row = complete(place)
    assert row["name"] == "tick"


def test_what_is_declined_waits_for_another_runner(place: Place, machines: Machines) -> None:
    queued = place.queue(campaign())
    strict = machines("a", place.url, place.runner_token, policy="version: 1\nmin_free_gb: 0\n")
    strict.start()
    wait(strict, lambda: "declined" in strict.said(), "word of it")
    assert strict.end() == 0
    assert place.state(queued) == "queued"
    machine = machines("b", place.url, place.token("runner", "another runner"))
    assert machine.start("--once").wait(90) == 0, machine.said()
    complete(place)


def ends(said: str) -> int:
    """How many times something was submitted, or over."""
    return said.count("submitted") + said.count(": done")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(int(os.environ.get("LEM_KILL_SEEDS", "1"))))
def test_killed_at_random_moments_every_run_counts_once(
    place: Place, machines: Machines, seed: int
) -> None:
    draw = random.Random(seed)
    blocks = 4
    queued = place.queue(campaign(measure={**campaign()["measure"], "blocks": blocks}))
    machine = machines("a", place.url, place.runner_token)
    kills = 0
    while place.state(queued) not in ("done", "failed"):
        claims, sent = machine.said().count("claimed"), ends(machine.said())
        machine.start()
        wait(machine, lambda n=claims: machine.said().count("claimed") > n, "claim")  # type: ignore[misc]
        if kills % 3 == 2:
            # It may be begun a few times without a block of it, and no more.
            wait(machine, lambda n=sent: ends(machine.said()) > n, "block")  # type: ignore[misc]
        time.sleep(draw.uniform(0.0, 3.0))
        machine.kill()
        kills += 1
    assert place.state(queued) == "done", machine.said()
    complete(place)
    folder = machine.data / "campaigns" / queued
    arms = [a.arm_id for a in Lock.read(folder / LOCK).arms]
    assert sorted(counted_places(folder)) == sorted((b, a) for b in range(blocks) for a in arms)
    wait(machine, lambda: not machine.processes(), "end of its processes", 40)
