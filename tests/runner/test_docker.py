"""A runner whose engines are in containers."""

import subprocess
from collections.abc import Callable

import pytest
from tick_image import need_docker, tick_image

from lem.contract.record import Record
from tests.runner.machine import POLICY, Machine, campaign, wait
from tests.runner.standin import Server

pytestmark = pytest.mark.docker
Machines = Callable[..., Machine]


@pytest.fixture(scope="module")
def image() -> str:
    need_docker()
    return tick_image()


def containers(owner: str) -> list[str]:
    command = ["docker", "ps", "-aq", "--filter", f"label=org.lem.owner={owner}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_runs_in_containers_of_a_listed_image_within_its_memory(
    server: Server, machines: Machines, image: str
) -> None:
    spec = campaign(backends={"tick": {"image": image}})
    policy = POLICY + f"images: [{image}]\nmax_memory_gb: 1\n"
    one = server.put(spec)
    machine = machines("a", server.url, policy=policy)
    assert machine.start("--once", launcher="docker").wait(300) == 0, machine.said()
    assert one.ends == [("done", "")]
    records = [Record.read(p) for p in (machine.data / "campaigns").rglob("record.json")]
    assert len(records) == 6
    assert all(r.environment.container and r.environment.launcher == "docker" for r in records)
    assert not containers(one.owner)


def test_another_image_is_declined(server: Server, machines: Machines, image: str) -> None:
    one = server.put(campaign(backends={"tick": {"image": image}}))
    machine = machines("a", server.url)
    machine.start(launcher="docker")
    wait(machine, lambda: one.ends, "word of it")
    assert machine.end() == 0
    assert one.ends == [("declined", f"the image '{image}' is not allowed here")]


def test_containers_of_a_killed_runner_are_removed_before_it_goes_on(
    server: Server, machines: Machines, image: str
) -> None:
    slow = {"image": image, "args": {"token_ms": 30}}
    one = server.put(campaign(backends={"tick": slow}))
    machine = machines("a", server.url, policy=POLICY + f"images: [{image}]\n")
    machine.start(launcher="docker")
    wait(machine, lambda: "begin" in server.kinds(one) and containers(one.owner), "container")
    machine.kill()
    assert machine.start("--once", launcher="docker").wait(300) == 0, machine.said()
    assert one.ends == [("done", "")] and not containers(one.owner)
    assert not machine.processes()
