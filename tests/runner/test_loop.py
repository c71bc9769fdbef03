"""A runner against a server that stands in for a real one: claimed, run, submitted, ended."""

import signal
import time
from collections.abc import Callable

import pytest
import yaml

from lem.contract.lock import Lock
from lem.submit.bundle import LOCK
from lem.submit.veil import campaign_of
from tests.runner.machine import POLICY, Machine, campaign, wait
from tests.runner.standin import Server

Machines = Callable[..., Machine]
SLOW = {"backends": {"tick": {"args": {"token_ms": 8}}}}
"""Runs of several seconds."""


def test_a_queued_campaign_is_run_told_of_and_archived_whole(
    server: Server, machines: Machines
) -> None:
    one = server.put(campaign())
    machine = machines("a", server.url)
    assert machine.start("--once", "--name", "A runner").wait(90) == 0, machine.said()
    assert one.ends == [("done", "")] and one.state == "done"
    lock = Lock.read(machine.data / "campaigns" / one.id / LOCK)
    assert lock.owner == one.owner
    assert server.places(one) == sorted((b, a.arm_id, 0) for b in range(3) for a in lock.arms)
    (hello,) = server.runners.values()
    assert (hello.name, hello.launcher, hello.accepts.backends) == ("A runner", "process", ["tick"])
    assert server.tokens == {machine.token}
    kinds = server.kinds(one)
    assert kinds.count("begin") == kinds.count("end") == 6
    assert {"campaign", "plan", "phase", "power", "tokens", "state", "table"} <= set(kinds)
    assert kinds.index("campaign") < kinds.index("begin") < kinds.index("end")
    assert [h.queued for h in server.heartbeats if h.queued] and not server.beyond_lease
    assert not machine.processes()
    # Each block was submitted when it was done, but for the last, which went at the end.
    assert len(set(server.received)) == 3


def test_what_a_policy_refuses_is_declined_in_words_and_nothing_is_started(
    server: Server, machines: Machines
) -> None:
    hostile = server.put(campaign(backends={"tick": {"python": "/tmp/python"}}))
    unread = server.put("version: 1\nname: x")
    foreign = server.put(campaign(backends={"tick": {"args": {"print_variable": "A_SECRET"}}}))
    fine = server.put(campaign(measure={**campaign()["measure"], "blocks": 1}))
    machine = machines("a", server.url)
    machine.start()
    wait(machine, lambda: fine.state == "done", "end")
    assert machine.end() == 0
    (outcome, reason), *_ = hostile.ends
    assert outcome == "declined" and "python" in reason
    assert unread.ends[0][0] == "unfit"
    assert foreign.ends[0] == ("declined", "args.print_variable is not allowed here")
    for one in (hostile, unread, foreign):
        assert one.state == "queued" and not one.events and not server.places(one)
        assert not (machine.data / "campaigns" / one.id).exists()


def test_a_cancelled_campaign_ends_within_seconds(server: Server, machines: Machines) -> None:
    one = server.put(campaign(**SLOW))
    machine = machines("a", server.url)
    machine.start()
    wait(machine, lambda: "begin" in server.kinds(one), "run")
    one.cancel = True
    began = time.monotonic()
    wait(machine, lambda: one.state == "cancelled", "end", 20)
    assert time.monotonic() - began < 10
    assert one.ends == [("cancelled", "")]
    assert machine.end() == 0 and not machine.processes()


@pytest.mark.parametrize(("how", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_runner_that_stops_gives_back_what_it_runs(
    server: Server, machines: Machines, how: int, status: int
) -> None:
    one = server.put(campaign(**SLOW))
    machine = machines("a", server.url)
    machine.start()
    wait(machine, lambda: "begin" in server.kinds(one), "run")
    assert machine.end(how) == status
    assert one.ends == [("released", "the runner was stopped")] and one.state == "queued"
    assert not machine.processes()


def test_a_second_signal_kills(server: Server, machines: Machines) -> None:
    one = server.put(campaign(**SLOW))
    machine = machines("a", server.url)
    process = machine.start()
    wait(machine, lambda: "begin" in server.kinds(one), "run")
    process.send_signal(signal.SIGINT)
    time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    wait(machine, lambda: not machine.processes(), "end of its processes", 10)


def test_a_lost_lease_stops_at_once_and_nothing_more_is_sent(
    server: Server, machines: Machines
) -> None:
    one = server.put(campaign(**SLOW))
    machine = machines("a", server.url)
    machine.start()
    wait(machine, lambda: len(server.places(one)) >= 2, "block")
    wait(machine, lambda: server.kinds(one).count("begin") > 2, "run")
    one.refused.add(one.runner)  # nobody claims it again
    server.lose(one)
    before = server.places(one)
    wait(machine, lambda: "the lease is lost" in machine.said(), "word of it", 10)
    wait(machine, lambda: "somebody else's now" in machine.said(), "claim", 30)
    assert not [p for p in machine.processes() if p != machine.process.pid]  # type: ignore[union-attr]
    told = len(one.events)
    assert machine.end() == 0
    assert server.places(one) == before and not server.beyond_lease and len(one.events) == told
    assert not one.ends


def test_who_lost_it_and_gets_it_back_next_goes_on_where_it_was(
    server: Server, machines: Machines
) -> None:
    one = server.put(campaign(**SLOW))
    machine = machines("a", server.url)
    machine.start()
    wait(machine, lambda: len(server.places(one)) >= 2, "block")
    server.lose(one)  # as if another had claimed it in between
    wait(machine, lambda: one.state == "done", "end")
    assert "others have begun it" in machine.said()
    assert machine.end() == 0
    blocks = {b for b, _, _ in server.places(one)}
    assert blocks == {0, 1, 2} and not server.beyond_lease


def test_a_killed_runner_goes_on_with_what_it_began(server: Server, machines: Machines) -> None:
    one = server.put(campaign(**SLOW))
    machine = machines("a", server.url)
    machine.start()
    wait(machine, lambda: len(server.places(one)) >= 2, "block")
    first = server.places(one)
    machine.kill()
    assert machine.start("--once").wait(90) == 0, machine.said()
    assert one.state == "done" and "going on with it" in machine.said()
    assert set(first) < set(server.places(one))
    lock = Lock.read(machine.data / "campaigns" / one.id / LOCK)
    counted = {(b, a) for b, a, _ in server.places(one)}
    assert counted == {(b, a.arm_id) for b in range(3) for a in lock.arms}
    assert not server.beyond_lease and not machine.processes()


def test_a_lease_that_runs_out_while_the_last_block_is_sent_loses_no_block(
    server: Server, machines: Machines
) -> None:
    one = server.put(campaign(backends={"tick": {}}))
    ran_out: list[bool] = []

    def away() -> None:
        if len(server.places(one)) == 4 and not ran_out:
            ran_out.append(True)
            one.until = 0.0

    server.before_submission = away
    machine = machines("a", server.url)
    machine.start()
    wait(machine, lambda: one.state == "done", "end")
    assert ran_out and machine.end() == 0
    lock = Lock.read(machine.data / "campaigns" / one.id / LOCK)
    assert server.places(one) == sorted((b, a.arm_id, 0) for b in range(3) for a in lock.arms)


def test_what_the_archive_has_not_all_of_is_gone_on_with(
    server: Server, machines: Machines
) -> None:
    one = server.put(campaign(measure={**campaign()["measure"], "blocks": 1}))
    one.stays_open = 1
    machine = machines("a", server.url)
    machine.start()
    wait(machine, lambda: one.state == "done", "end")
    assert machine.end() == 0 and [o for o, _ in one.ends] == ["done", "done"]
    assert "the archive has not all of it" in machine.said()
    assert "going on with it" in machine.said()


def test_another_runner_goes_on_with_it(server: Server, machines: Machines) -> None:
    one = server.put(campaign(**SLOW))
    first, second = machines("a", server.url), machines("b", server.url)
    first.start()
    wait(first, lambda: len(server.places(one)) >= 2, "block")
    assert first.end() == 0
    before = server.places(one)
    assert second.start("--once").wait(90) == 0, second.said()
    assert one.ends[-1] == ("done", "")
    assert set(before) < set(server.places(one))
    assert {b for b, _, _ in server.places(one)} == {0, 1, 2}
    # All of it is one campaign with one lock, though two keys have signed it.
    campaigns = {p[0] for p in server.attempts}
    assert campaigns == {campaign_of(one.owner, server.info()["board_salt"])}
    assert len(server.keys) == 2
    locks = set()
    from lem.submit import pack

    for body in server.bodies.values():
        locks.add(pack.read(body).unverified.content.lock)
    assert len(locks) == 1
    # The first machine comes back: it is over there.
    first.start()
    wait(first, lambda: "over, or somebody else's now" in first.said(), "word of it")
    assert first.end() == 0


def test_a_machine_with_other_hardware_does_not_go_on(
    server: Server, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = server.put(campaign(**SLOW))
    first, second = machines("a", server.url), machines("b", server.url)
    first.start()
    wait(first, lambda: len(server.places(one)) >= 2, "block")
    assert first.end() == 0
    # It lies about what it was begun on.
    real = server.handover

    def lying(query: dict[str, str]) -> dict[str, object]:
        import base64
        import json

        told = real(query)
        for run in told["runs"]:
            if "record" in run:
                record = json.loads(pack_of(run["record"]))
                record["environment"]["cpu_model"] = "Another CPU"
                run["record"] = base64.b64encode(packed(json.dumps(record).encode())).decode()
        return told

    from lem.submit.pack import packed, unpacked

    def pack_of(text: str) -> bytes:
        import base64

        return unpacked(base64.b64decode(text), 2**24)

    monkeypatch.setattr(server, "handover", lying)
    second.start()
    wait(second, lambda: one.ends[-1][0] == "unfit", "word of it")
    assert second.end() == 0
    assert "begun on Another CPU" in one.ends[-1][1]


def test_a_slow_server_of_events_holds_nothing_up(server: Server, machines: Machines) -> None:
    server.slow_events_s = 3.0
    one = server.put(campaign())
    machine = machines("a", server.url)
    assert machine.start("--once").wait(90) == 0, machine.said()
    assert one.ends == [("done", "")]


@pytest.mark.parametrize("live", ["none", "progress"])
def test_an_owner_says_how_much_is_told(server: Server, machines: Machines, live: str) -> None:
    one = server.put(campaign(measure={**campaign()["measure"], "blocks": 1}))
    machine = machines("a", server.url, policy=POLICY + f"live: {live}\n")
    assert machine.start("--once").wait(90) == 0, machine.said()
    kinds = set(server.kinds(one))
    assert not kinds & {"power", "tokens", "text"}
    assert (kinds == set()) == (live == "none")


def test_the_process_that_measures_has_no_secret(server: Server, machines: Machines) -> None:
    one = server.put(campaign(**SLOW))
    machine = machines("a", server.url)
    machine.start()
    wait(machine, lambda: "begin" in server.kinds(one), "run")
    assert machine.process is not None
    seen = b""
    for pid in [p for p in machine.processes() if p != machine.process.pid]:
        with open(f"/proc/{pid}/environ", "rb") as f:  # noqa: PTH123
            seen += f.read()
    assert b"LEM_RUNNER_CHILD_OF=" in seen
    for secret in (machine.token.encode(), b"hf_do_not_tell", b"do not tell", b"HF_TOKEN"):
        assert secret not in seen
    machine.end()


def test_limits_of_time_and_energy_end_a_campaign(server: Server, machines: Machines) -> None:
    one = server.put(campaign(**SLOW))
    machine = machines("a", server.url, policy=POLICY + "max_energy_kwh: 1.0e-9\n")
    machine.start()
    wait(machine, lambda: one.ends, "end")
    assert one.ends[0][0] == "declined" and "kWh" in one.ends[0][1]
    assert "(an upper bound, not a measurement)" in one.ends[0][1]
    machine.end()
    two = server.put(campaign(**SLOW))
    other = machines("b", server.url, policy=POLICY + "max_duration: 4s\n")
    other.start()
    wait(other, lambda: two.ends, "end")
    assert two.ends[0][0] == "declined" and "hours" in two.ends[0][1]
    assert "of its blocks are not measured" in two.ends[0][1]
    other.end()


def test_people_and_quotas(server: Server, machines: Machines) -> None:
    short = campaign(measure={**campaign()["measure"], "blocks": 1})
    stranger, friend, again = (server.put(short) for _ in range(3))
    stranger.person = "p" + "f" * 20
    policy = yaml.safe_load(POLICY)
    policy |= {"people": [friend.person], "quotas": {"campaigns": 1}}
    machine = machines("a", server.url, policy=yaml.safe_dump(policy))
    machine.start()
    wait(machine, lambda: again.ends, "end")
    machine.end()
    assert stranger.ends == [("declined", "this runner is not for everyone")]
    assert friend.ends == [("done", "")]
    assert again.ends[0][0] == "released" and "1 campaigns of this person" in again.ends[0][1]
    told = again.told[0]
    assert 86_000 < (told.not_before_s or 0) <= 86_400 and not told.tried
    # A day later it is offered again, to the same runner.
    again.later.clear()
    (machine.data / "ledger.json").unlink()
    machine.start()
    wait(machine, lambda: again.state == "done", "end of the second")
    machine.end()


def test_outside_of_its_hours_nothing_is_claimed(server: Server, machines: Machines) -> None:
    from datetime import UTC, datetime, timedelta

    day = (datetime.now(UTC) + timedelta(days=3)).strftime("%a").lower()
    one = server.put(campaign())
    machine = machines("a", server.url, policy=POLICY + f"hours: [{{days: {day}}}]\n")
    machine.start()
    wait(machine, lambda: server.heartbeats, "heartbeat")
    assert server.heartbeats[0].doing == "outside of its hours" and one.fence == 0
    (hello,) = server.runners.values()
    assert hello.accepts.hours == f"{day} 00:00–24:00 (UTC)"
    assert machine.end() == 0


def test_with_too_little_room_nothing_is_claimed(server: Server, machines: Machines) -> None:
    one = server.put(campaign())
    policy = POLICY.replace("min_free_gb: 0", "min_free_gb: 1000000")
    machine = machines("a", server.url, policy=policy)
    machine.start()
    wait(machine, lambda: server.heartbeats, "heartbeat")
    assert server.heartbeats[0].doing == "too little room on its disk" and one.fence == 0
    assert machine.end() == 0


def test_what_all_people_have_had_together_ends_and_nothing_more_is_claimed(
    server: Server, machines: Machines
) -> None:
    first, second = (server.put(campaign()) for _ in range(2))
    second.person = "p" + "e" * 20
    quotas = "quotas: {campaigns: null, hours: null, kwh: null, total: {hours: 0.0001}}"
    policy = POLICY.replace("quotas: {campaigns: null, hours: null, kwh: null}", quotas)
    machine = machines("a", server.url, policy=policy)
    machine.start()
    wait(machine, lambda: any("no more" in h.doing for h in server.heartbeats), "heartbeat")
    outcome, reason = first.ends[0]
    assert outcome == "released" and "hours within 24 hours" in reason
    assert 86_000 < (first.told[0].not_before_s or 0) <= 86_400
    assert second.fence == 0
    assert machine.end() == 0


def test_only_one_runner_works_in_a_folder(server: Server, machines: Machines) -> None:
    machine = machines("a", server.url)
    machine.start()
    wait(machine, lambda: server.runners, "runner")
    first = machine.process
    assert machine.start().wait(30) == 3
    assert "another runner works in" in machine.said()
    machine.process = first
    assert machine.end() == 0


def test_a_token_that_is_not_known_is_an_error(server: Server, machines: Machines) -> None:
    machine = machines("a", server.url, token="another")
    assert machine.start().wait(30) == 2
    assert "token_unknown" in machine.said()
