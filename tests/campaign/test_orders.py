"""Orders of a folder and their jobs: nothing that lies there is believed more than it should be."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest

from lem.campaign import asked
from lem.campaign.asked import Asked, ask
from lem.campaign.logs import last_lines, newest_log
from lem.campaign.orders import Orders
from lem.clusters.protocol import Task, Work
from lem.contract.base import CONTRACT_VERSION
from lem.contract.order import Jobs, Order, Submitted
from lem.errors import BadInput, EnvironmentFault

OWNER = "0123456789abcdef"


class Scheduler:
    """One that knows the jobs it is told of."""

    kind: Literal["slurm", "kubernetes"] = "slurm"

    def __init__(self, named: dict[str, str] | None = None) -> None:
        self.named = named or {}
        self.fails = False
        self.asked = 0

    def check(self) -> None: ...

    def render(self, work: Work) -> str:
        raise NotImplementedError

    def submit(self, work: Work) -> str:
        raise NotImplementedError

    def find(self, name: str) -> str | None:
        return self.named.get(name)

    def alive(self, jobs: Mapping[str, str]) -> list[Task]:
        self.asked += 1
        if self.fails:
            raise EnvironmentFault("squeue: unable to contact the controller")
        return [Task(j, 0, "running", "n1") for j, name in jobs.items() if name in self.named]

    def cancel(self, jobs: Mapping[str, str]) -> None: ...


def order(number: int) -> Order:
    return Order(
        contract_version=CONTRACT_VERSION,
        number=number,
        campaign_digest="0" * 64,
        blocks=[number],
        blocks_per_job=1,
        gpus=0,
        placed=[],
        cache="/x",
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Orders(tmp_path, OWNER).make_places()
    return tmp_path


def test_jobs_are_found_again_by_the_names_of_their_orders(folder: Path) -> None:
    """Also those of older orders, where one was only rendered since; not those that are over."""
    first = Orders(folder, OWNER)
    for number in (1, 2, 3, 4):
        first.write(order(number))
    scheduler = Scheduler()
    first.take(order(1), "11", scheduler)
    first.drop(list(first.away), scheduler)
    assert first.away == []
    scheduler.named = {first.name(n): f"1{n}" for n in (1, 2, 3)}
    again = Orders(folder, OWNER)
    again.recall(scheduler)
    assert {o.number: o.job for o in again.away} == {2: "12", 3: "13"}
    assert again.names() == {"12": f"lem-{OWNER}-2", "13": f"lem-{OWNER}-3"}


def test_other_files_are_no_orders(folder: Path) -> None:
    for name in ("1 copy.json", "01.json", "x.json", "9" * 30 + ".json", "2.sh"):
        (folder / "cluster" / name).write_text("{}")
    orders = Orders(folder, OWNER)
    orders.recall(Scheduler())
    assert orders.numbers() == [] and orders.away == []


def test_a_number_is_nobody_else_s(folder: Path) -> None:
    orders = [Orders(folder, OWNER) for _ in range(3)]
    assert [o.reserve() for o in orders] == [1, 2, 3]


def test_jobs_that_are_with_another_scheduler(folder: Path) -> None:
    away = Submitted(number=1, job="a", blocks=[0], blocks_per_job=1, at="x")
    Jobs(kind="kubernetes", orders=[away]).write(folder / "cluster" / "jobs.json")
    with pytest.raises(BadInput, match="its blocks are with kubernetes"):
        Orders(folder, OWNER).recall(Scheduler())


def test_a_damaged_note_says_what_to_do(folder: Path) -> None:
    (folder / "cluster" / "jobs.json").write_text("{")
    with pytest.raises(BadInput, match="cannot be read") as caught:
        Orders(folder, OWNER).recall(Scheduler())
    assert "found by their names" in str(caught.value)


def test_nobody_else_may_write_where_jobs_do(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Orders(tmp_path, OWNER).make_places()
    finally:
        os.umask(before)
    places = [tmp_path / "cluster", *(tmp_path / "cluster").iterdir()]
    assert len(places) == 4 and {p.stat().st_mode & 0o777 for p in places} == {0o755}


def test_a_young_answer_serves_all(folder: Path) -> None:
    scheduler = Scheduler({f"lem-{OWNER}-1": "1"})
    jobs = {"1": f"lem-{OWNER}-1", "2": "a stranger's"}
    assert [t.job for t in ask(folder, scheduler, jobs).of(jobs)] == ["1"]
    assert ask(folder, scheduler, jobs).jobs == ["1", "2"]
    assert scheduler.asked == 1


def pipe(path: Path) -> None:
    os.mkfifo(path)


def link(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("make", [pipe, link, Path.mkdir])
@pytest.mark.parametrize("name", ["seen.json", "seen.lock"])
def test_what_is_no_file_stops_nobody(folder: Path, name: str, make: Any) -> None:
    make(folder / "cluster" / name)
    jobs = {"1": f"lem-{OWNER}-1"}
    assert ask(folder, Scheduler({jobs["1"]: "1"}), jobs).of(jobs)


@pytest.mark.timeout(20)
def test_only_plain_logs_are_read_and_only_their_ends(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"x\n" * 2**20 + b"the last\n")
    pipe(tmp_path / "b.log")
    link(tmp_path / "c.log")
    newest = newest_log(tmp_path)
    assert newest == tmp_path / "a.log"
    assert last_lines(newest)[-1] == "the last" and len(last_lines(newest)) == 12
    assert last_lines(tmp_path / "b.log") == last_lines(tmp_path / "c.log") == []


def test_a_controller_that_is_begun_anew_ends_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked, "ASK_S", 0.0)
    said: list[str] = []
    scheduler = Scheduler({f"lem-{OWNER}-1": "1"})
    jobs = {"1": f"lem-{OWNER}-1"}
    follow = Asked(folder, scheduler, said.append)
    seen, new = follow.about(jobs)
    assert new and seen.of(jobs)
    scheduler.fails = True
    assert [follow.about(jobs) for _ in range(3)] == [(seen, False)] * 3
    assert said == [
        "the scheduler does not answer, and is asked again: "
        "squeue: unable to contact the controller"
    ]
    scheduler.fails = False
    assert follow.about(jobs)[1]
    scheduler.fails = True
    follow.about(jobs)
    now = time.monotonic()
    monkeypatch.setattr("lem.campaign.asked.time.monotonic", lambda: now + 601)
    with pytest.raises(EnvironmentFault):
        follow.about(jobs)
    with pytest.raises(EnvironmentFault):
        Asked(folder, scheduler, said.append).about(jobs)
