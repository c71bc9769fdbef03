"""A campaign's own limits, none of them above the policy's; what the process is told."""

import os
from pathlib import Path

import pytest
import yaml

from lem.config import parse as parse_campaign
from lem.contract.lock import Lock
from lem.errors import BadInput
from lem.runner.child import MARK, variables
from lem.runner.orders import Orders, budgeted, check_budget, limited, memory_bytes
from lem.runner.policy import Policy, parse
from lem.submit.bundle import LOCK
from tests import records
from tests.runner.machine import campaign


def test_orders_come_as_they_were_given() -> None:
    policy = parse(
        "max_duration: 90m\nhours: [{days: mon-fri, begin: '20:00'}]\n"
        "people: [p0123456789abcdef0123]\nbounds: {workload.requests: {high: 3}}",
        "p",
    )
    orders = Orders(campaign="x: 1\n", owner="ab" * 8, launcher="docker", policy=policy)
    assert Orders.parse(orders.model_dump_json().encode()) == orders
    none = orders.model_copy(update={"policy": Policy(max_duration=None)})
    assert Orders.parse(none.model_dump_json().encode()) == none


def test_no_limit_is_above_the_policy_s() -> None:
    spec = campaign(limits={"run_s": 1e6, "load_s": 10, "pids": 10**6, "memory_bytes": 10**15})
    file = parse_campaign(yaml.safe_dump(spec), "c.yaml")
    policy = parse("max_duration: 1h\nmax_memory_gb: 4", "p")
    one = limited(file, policy, "docker").spec
    assert (one.limits.run_s, one.limits.load_s) == (3600, 10)
    assert one.limits.pids < 10**6 and one.limits.memory_bytes == 4 * 10**9


def test_a_campaign_s_lower_limits_stay() -> None:
    spec = campaign(measure={"preset": "quick", "time_budget": "10m"}, limits={"pids": 7})
    file = parse_campaign(yaml.safe_dump(spec), "c.yaml")
    one = limited(file, Policy(), "process").spec
    assert (one.measure.time_budget, one.limits.pids, one.limits.memory_bytes) == (600, 7, None)
    assert limited(file, Policy(), "process").digest == file.digest


@pytest.mark.parametrize(
    ("author", "spent", "budget", "hours"),
    [
        (None, 0, 3240, "0.9"),
        (None, 600, 2700, "0.75"),  # staging has taken ten minutes
        (7200.0, 600, 2700, "0.75"),
        (2700.0, 600, 2700, ""),  # the author's own
        (60.0, 0, 60, ""),
        (None, 4000, 1, "0.00028"),
    ],
)
def test_blocks_get_what_is_left_of_the_runner_s_time(
    tmp_path: Path, author: float | None, spent: float, budget: float, hours: str
) -> None:
    records.campaign(tmp_path, {1: [0.01]})
    lock = Lock.read(tmp_path / LOCK).model_copy(update={"time_budget_s": author})
    capped, why = budgeted(lock, 3600, spent)
    assert capped.time_budget_s == pytest.approx(budget)
    assert capped.model_copy(update={"time_budget_s": author}) == lock
    assert why.startswith(f"its blocks get {hours} hours: this runner gives") if hours else not why
    assert budgeted(lock, None, spent) == (lock, "")


@pytest.mark.parametrize(
    ("handed", "author", "here", "fits"),
    [
        (3600.0, None, 3600.0, True),
        (3601.0, None, 3600.0, False),
        (600.0, 1200.0, 3600.0, True),
        (1201.0, 1200.0, 3600.0, False),
        (None, None, 3600.0, False),
        (None, 1200.0, None, False),
        (None, None, None, True),
        (1e9, None, None, True),
    ],
)
def test_what_others_began_goes_on_with_its_budget_or_elsewhere(
    tmp_path: Path, handed: float | None, author: float | None, here: float | None, fits: bool
) -> None:
    records.campaign(tmp_path, {1: [0.01]})
    lock = Lock.read(tmp_path / LOCK).model_copy(update={"time_budget_s": handed})
    measure = {"preset": "quick"} | ({} if author is None else {"time_budget": f"{author:g}s"})
    file = parse_campaign(yaml.safe_dump(campaign(measure=measure)), "c.yaml")
    if fits:
        check_budget(lock, file, here)
        return
    with pytest.raises(BadInput, match="longer time budget"):
        check_budget(lock, file, here)


def test_in_containers_there_is_always_a_limit_of_memory() -> None:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0.8 * total < (memory_bytes(Policy(), "docker") or 0) < total
    assert memory_bytes(Policy(), "process") is None


def test_the_environment_is_a_list_of_known_names() -> None:
    environ = {
        "PATH": "/bin", "HOME": "/home/x", "DOCKER_HOST": "unix:///x", "OMP_NUM_THREADS": "2",
        "LEM_RUNNER_TOKEN": "t", "AWS_SECRET_ACCESS_KEY": "s", "HF_TOKEN": "h", "LEM_SERVER": "u",
        "HF_HOME": "/home/x/hf", "LD_PRELOAD": "/x.so", "TMPDIR": "/elsewhere",
    }  # fmt: skip
    found = variables(environ, Policy(), Path("/data"), Path("/data/cache"))
    assert found == {
        "PATH": "/bin", "HOME": "/home/x", "DOCKER_HOST": "unix:///x", "OMP_NUM_THREADS": "2",
        "HF_HOME": "/data/hub", "LEM_CACHE": "/data/cache", MARK: "/data", "TMPDIR": "/data/tmp",
    }  # fmt: skip
    allowed = variables(environ, Policy(hub_token=True), Path("/data"), Path("/data/cache"))
    assert (allowed["HF_TOKEN"], allowed["HF_HOME"]) == ("h", "/home/x/hf")
