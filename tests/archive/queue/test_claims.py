"""Who gets which campaign, for how long, and what becomes of it."""

import threading
from collections import Counter

import pytest
import sqlalchemy as sa

from lem.archive.identities import hash_of, revoke_token
from lem.archive.queue import adding, admin, ending, leases, listing, people, runners
from lem.archive.queue.acceptable import wish_of
from lem.archive.queue.leases import LEASE_S, MAX_TRIES
from lem.archive.queue.tables import CLAIM, QUEUED, RUNNER
from lem.archive.refused import Refused
from lem.archive.schema import PERSON, TOKEN
from lem.contract.queue import Device, Finish, Hardware
from tests.archive_queue import CAMPAIGN, WISH, Machine, Queue


@pytest.fixture
def queue(archive) -> Queue:
    return Queue(archive)


def refused(call, *arguments) -> str:
    with pytest.raises(Refused) as caught:
        call(*arguments)
    return caught.value.reason


def shown(queue: Queue, id: str) -> listing.QueuedAnswer:
    with queue.database.reading() as c:
        return listing.queued(c, id)


def test_a_campaign_from_first_to_last(queue: Queue) -> None:
    ada, box = queue.person("Ada"), queue.machine()
    id = queue.add(ada)
    assert (shown(queue, id).state, shown(queue, id).position) == ("queued", 1)
    answer = queue.claimed(box)
    claimed = answer.claimed
    assert claimed is not None and [c.state for c in answer.changes] == ["claimed"]
    assert (claimed.queued, claimed.fence, claimed.campaign) == (id, 1, WISH.yaml)
    assert (claimed.person.id, claimed.person.name) == (ada.person, "Ada")
    assert not claimed.begun
    assert queue.claim(queue.machine()) is None
    queue.now += LEASE_S - 1
    assert queue.heartbeat(box, id, 1).lease_s == LEASE_S
    queue.now += LEASE_S - 1
    queue.archived(id)
    assert queue.finish(box, id, 1, "done") == "done"
    found = shown(queue, id)
    assert (found.state, found.position, found.fence) == ("done", None, 1)
    assert [(c.outcome, c.fence) for c in found.claims] == [("done", 1)]
    assert found.began_at is not None and found.ended_at is not None
    assert queue.claim(box) is None


def test_each_claim_has_a_higher_fence_and_the_older_ones_are_lost(queue: Queue) -> None:
    first, second = queue.machine(), queue.machine()
    id = queue.add(queue.person())
    assert queue.claim(first).fence == 1
    queue.now += LEASE_S
    # Nobody else has it yet: it is lost all the same.
    assert refused(queue.heartbeat, first, id, 1) == "lease_lost"
    claimed = queue.claim(second)
    assert (claimed.queued, claimed.fence) == (id, 2)
    for machine, fence in ((first, 1), (first, 2), (second, 1), (second, 3)):
        assert refused(queue.heartbeat, machine, id, fence) == "lease_lost"
        assert refused(queue.finish, machine, id, fence, "done") == "lease_lost"
    assert queue.heartbeat(second, id, 2).lease_s == LEASE_S
    assert [(c.outcome, c.fence) for c in shown(queue, id).claims] == [(None, 2), ("lost", 1)]


def test_who_is_told_what_when_a_lease_runs_out(queue: Queue) -> None:
    id = queue.add(queue.person())
    queue.claim(queue.machine())
    assert queue.expire() == []
    queue.now += LEASE_S
    with queue.database.reading() as c:
        assert ending.any_expired(c, queue.now)
    assert [(c.queued, c.state, c.fence) for c in queue.expire()] == [
        (id, "lost", 1),
        (id, "queued", 1),
    ]
    assert queue.expire() == []
    with queue.database.reading() as c:
        assert not ending.any_expired(c, queue.now)


def test_one_that_never_gets_anywhere_fails_after_some_tries(queue: Queue) -> None:
    id, boxes = queue.add(queue.person()), [queue.machine() for _ in range(2)]
    for n in range(MAX_TRIES):
        claimed = queue.claim(boxes[n % 2])
        assert claimed is not None and claimed.fence == n + 1
        if n % 2:
            assert queue.finish(boxes[1], id, n + 1, "released", "stopped") == "queued"
        queue.now += LEASE_S
    assert queue.claim(boxes[0]) is None
    found = shown(queue, id)
    assert found.state == "failed"
    assert f"{MAX_TRIES} times" in found.reason and leases.LOST in found.reason


def test_a_block_that_is_submitted_begins_the_count_anew(queue: Queue) -> None:
    id, box = queue.add(queue.person()), queue.machine()
    for _ in range(2 * MAX_TRIES):
        claimed = queue.claim(box)
        with queue.database.queueing() as c:
            lease = leases.lease_of(c, id, claimed.fence, box.token_hash, queue.now)
            leases.block_submitted(c, lease, runners.models_of(lease.hello))
        queue.now += LEASE_S
        queue.expire()
    assert shown(queue, id).state == "queued"
    assert shown(queue, id).device_models == "NVIDIA H100 80GB HBM3"
    assert queue.claim(box).begun


def test_what_a_runner_declines_is_for_others(queue: Queue) -> None:
    id, boxes = queue.add(queue.person()), [queue.machine() for _ in range(8)]
    for n, box in enumerate(boxes[:-1]):
        outcome = "declined" if n % 2 else "unfit"
        assert queue.finish(box, id, queue.claim(box).fence, outcome, f"no {n}") == "queued"
        assert queue.claim(box) is None
        assert queue.claim(box, id) is None
    # It was no try: nobody ran it.
    assert queue.claim(boxes[-1]).queued == id
    found = shown(queue, id)
    assert {(d.outcome, d.reason) for d in found.declined} == {
        ("declined" if n % 2 else "unfit", f"no {n}") for n in range(7)
    }


def test_the_same_runner_gets_what_it_holds_again(queue: Queue) -> None:
    box = queue.machine()
    ada = queue.person()
    first, second = queue.add(ada), queue.add(ada)
    assert queue.claim(box).queued == first
    assert (again := queue.claim(box)).queued == first and again.fence == 2
    assert (named := queue.claim(box, first)).queued == first and named.fence == 3
    assert refused(queue.heartbeat, box, first, 2) == "lease_lost"
    # It asks for another: what it held waits.
    assert queue.claim(box, second).queued == second
    assert shown(queue, first).state == "queued"
    assert queue.claim(queue.machine()).queued == first
    assert queue.claim(box, first) is None


def test_finish_once_more_changes_nothing(queue: Queue) -> None:
    box, id = queue.machine(), queue.add(queue.person())
    queue.claim(box)
    assert queue.finish(box, id, 1, "released") == "queued"
    assert queue.finish(box, id, 1, "released") == "queued"
    assert refused(queue.finish, box, id, 1, "done") == "lease_lost"
    assert refused(queue.finish, queue.machine(), id, 1, "released") == "lease_lost"
    assert shown(queue, id).tries == 1


def test_campaigns_of_one_person_do_not_keep_others_waiting(queue: Queue) -> None:
    ada, ben, cid = (queue.person(n) for n in ("Ada", "Ben", "Cid"))
    of_ada = [queue.add(ada) for _ in range(adding.MAX_OPEN)]
    of_ben = [queue.add(ben) for _ in range(2)]
    of_cid = queue.add(cid)
    box, order = queue.machine(), []
    while (claimed := queue.claim(box)) is not None:
        order.append(claimed.queued)
        queue.archived(claimed.queued)
        queue.finish(box, claimed.queued, claimed.fence, "done")
    assert sorted(order) == sorted([*of_ada, *of_ben, of_cid])
    assert order[0] == of_ada[0]
    # Those who came later are served before somebody's third.
    assert {of_ben[0], of_cid} <= set(order[:4])
    assert [q for q in order if q in of_ada] == of_ada


def test_who_waits_gets_nearer_whoever_comes_after(queue: Queue, monkeypatch) -> None:
    monkeypatch.setattr(adding, "MAX_OPEN", 3)
    monkeypatch.setattr(adding, "STEP", 4)
    ada = queue.person("Ada")
    last = [queue.add(ada) for _ in range(adding.MAX_OPEN)][-1]
    box = queue.machine()
    for n in range(adding.MAX_OPEN * (adding.STEP + 1)):
        queue.add(queue.person(f"new {n}"))
        claimed = queue.claim(box)
        queue.archived(claimed.queued)
        queue.finish(box, claimed.queued, claimed.fence, "done")
        if claimed.queued == last:
            break
    assert shown(queue, last).state == "done"


def test_bounds_of_one_person_and_of_all(queue: Queue, monkeypatch) -> None:
    ada, box = queue.person(), queue.machine()
    ids = [queue.add(ada) for _ in range(adding.MAX_OPEN)]
    assert refused(queue.add, ada) == "too_many_campaigns"
    queue.claim(box)
    assert refused(queue.add, ada) == "too_many_campaigns"
    queue.finish(box, ids[0], 1, "failed", "no")
    queue.add(ada)
    monkeypatch.setattr(adding, "MAX_QUEUED", adding.MAX_OPEN)
    assert refused(queue.add, queue.person()) == "queue_full"


def test_what_is_cancelled_at_once_counts_for_a_day(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was queued is kept: whoever cancels must not fill the archive."""
    monkeypatch.setattr(adding, "MAX_IN_A_DAY", 3)
    ada, ben = queue.person(), queue.person("Ben")
    for _ in range(3):
        queue.cancel(queue.add(ada), ada)
    assert refused(queue.add, ada) == "too_many_campaigns"
    queue.add(ben)
    queue.now += adding.DAY_S + 1
    queue.add(ada)
    monkeypatch.setattr(adding, "MAX_LENGTH_IN_A_DAY", 3 * len(WISH.yaml))
    queue.add(ada)
    assert refused(queue.add, ada, WISH._replace(yaml=2 * WISH.yaml)) == "too_many_campaigns"


def test_bounds_hold_however_many_come_at_once(queue: Queue) -> None:
    ada = queue.person()
    outcomes: Counter[str] = Counter()

    def add() -> None:
        for _ in range(4):
            try:
                queue.add(ada)
                outcomes["queued"] += 1
            except Refused as e:
                outcomes[e.reason] += 1

    threads = [threading.Thread(target=add) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert outcomes == {"queued": adding.MAX_OPEN, "too_many_campaigns": 16 - adding.MAX_OPEN}


def test_eight_at_once_never_get_the_same(queue: Queue) -> None:
    people_ = [queue.person(f"p{n}") for n in range(8)]
    ids = {queue.add(p) for p in people_ for _ in range(5)}
    boxes = [queue.machine() for _ in range(8)]
    got: list[tuple[str, int]] = []

    def work(box: Machine) -> None:
        while (claimed := queue.claim(box)) is not None:
            got.append((claimed.queued, claimed.fence))
            queue.archived(claimed.queued)
            queue.finish(box, claimed.queued, claimed.fence, "done")

    threads = [threading.Thread(target=work, args=(b,)) for b in boxes]
    for t in threads:
        t.start()
    for t in threads:
        t.join(120)
    assert Counter(got) == Counter((id, 1) for id in ids)
    with queue.database.reading() as c:
        assert c.scalar(sa.select(sa.func.count()).select_from(CLAIM)) == len(ids)
        assert set(c.scalars(sa.select(QUEUED.c.state))) == {"done"}


def test_of_one_campaign_eight_get_one(queue: Queue) -> None:
    id = queue.add(queue.person())
    boxes = [queue.machine() for _ in range(8)]
    for round_ in range(3):
        got: list[int] = []
        barrier = threading.Barrier(8)

        def work(box: Machine, got=got, barrier=barrier) -> None:
            barrier.wait()
            if (claimed := queue.claim(box)) is not None:
                got.append(claimed.fence)

        threads = [threading.Thread(target=work, args=(b,)) for b in boxes]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60)
        assert got == [round_ + 1]
        queue.now += LEASE_S
    assert shown(queue, id).tries == 3


def test_one_that_nobody_runs_is_cancelled_at_once(queue: Queue) -> None:
    ada = queue.person()
    id = queue.add(ada)
    assert queue.cancel(id, ada) == "cancelled"
    assert queue.cancel(id, ada) == "cancelled"
    assert queue.claim(queue.machine()) is None


def test_a_runner_is_told_that_its_campaign_is_to_end(queue: Queue) -> None:
    ada, box = queue.person(), queue.machine()
    id = queue.add(ada)
    queue.claim(box)
    assert not queue.heartbeat(box, id, 1).cancel
    assert queue.cancel(id, ada) == "running"
    assert shown(queue, id).cancelling
    assert queue.heartbeat(box, id, 1).cancel
    assert queue.finish(box, id, 1, "cancelled") == "cancelled"


@pytest.mark.parametrize("outcome", ["released", "unfit", "cancelled", "declined", None])
def test_one_that_is_to_end_is_never_given_to_anybody_again(queue: Queue, outcome) -> None:
    ada, box = queue.person(), queue.machine()
    id = queue.add(ada)
    queue.claim(box)
    queue.cancel(id, ada)
    if outcome is None:
        queue.now += LEASE_S
        assert queue.claim(queue.machine()) is None
    else:
        assert queue.finish(box, id, 1, outcome) == "cancelled"
    assert shown(queue, id).state == "cancelled"
    assert queue.claim(queue.machine()) is None


def test_a_runner_that_stops_by_itself_cancels_nothing(queue: Queue) -> None:
    box, id = queue.machine(), queue.add(queue.person())
    queue.claim(box)
    assert queue.finish(box, id, 1, "cancelled") == "queued"


def test_one_that_was_done_when_it_was_to_end_is_done(queue: Queue) -> None:
    ada, box = queue.person(), queue.machine()
    id = queue.add(ada)
    queue.claim(box)
    queue.cancel(id, ada)
    queue.archived(id)
    assert queue.finish(box, id, 1, "done") == "done"


def test_who_may_cancel(queue: Queue) -> None:
    ada, ben = queue.person("Ada"), queue.person("Ben")
    first, second, third = (queue.add(ada) for _ in range(3))
    own = queue.grant(queue.token("owner", person_id=ada.person_id, queued_id=first))
    for who in (ben, queue.grant(queue.token("runner")), replace_role(ben)):
        assert refused(queue.cancel, first, who) == "not_yours"
    assert refused(queue.cancel, second, own) == "not_yours"
    assert refused(queue.cancel, "q" + "0" * 20, ada) == "queued_unknown"
    assert queue.cancel(first, own) == "cancelled"
    assert queue.cancel(second, queue.grant(queue.token("admin"))) == "cancelled"
    assert queue.cancel(third, ada) == "cancelled"


def replace_role(grant):
    """Of a campaign's owner, for none."""
    return grant._replace(role="owner", queued=None)


def test_the_token_of_an_owner_is_for_one_campaign(queue: Queue) -> None:
    ada = queue.person()
    with queue.database.queueing() as c:
        added = adding.add(c, ada, WISH, queue.now)
    grant = queue.grant(added.owner_token)
    assert (grant.role, grant.queued, grant.person) == ("owner", added.id, ada.person)
    assert queue.cancel(added.id, grant) == "cancelled"


def test_a_token_of_nobody_gets_a_person_when_it_queues(queue: Queue) -> None:
    token = queue.token("submitter")
    assert queue.grant(token).person_id is None
    first = queue.add(queue.grant(token))
    second = queue.add(queue.grant(token))
    one, other = shown(queue, first).person, shown(queue, second).person
    assert one == other and one.id == queue.grant(token).person
    # What a token is called is its holder's alone.
    assert one.name == one.id


def test_nothing_goes_on_with_a_revoked_token_or_a_disabled_runner(queue: Queue) -> None:
    id, box = queue.add(queue.person()), queue.machine()
    queue.claim(box)
    with queue.database.writing() as c:
        c.execute(RUNNER.update().values(disabled_at="2026"))
    assert refused(queue.heartbeat, box, id, 1) == "runner_disabled"
    assert refused(queue.finish, box, id, 1, "done") == "runner_disabled"
    assert refused(queue.claim, box) == "runner_disabled"
    instance = f"{1:032x}"
    with pytest.raises(Refused) as caught:
        queue.machine(box.token, instance=instance)
    assert caught.value.reason == "runner_disabled"
    with queue.database.writing() as c:
        c.execute(RUNNER.update().values(disabled_at=None))
        assert revoke_token(c, "a secret name") > 0
    assert refused(queue.heartbeat, box, id, 1) == "token_unknown"
    assert refused(queue.finish, box, id, 1, "done") == "token_unknown"


def test_campaigns_of_a_disabled_person_end(queue: Queue) -> None:
    ada, box = queue.person(), queue.machine()
    running, waiting = queue.add(ada), queue.add(ada)
    queue.claim(box)
    with queue.database.writing() as c:
        assert people.set_disabled(c, ada.person, True)
    assert queue.heartbeat(box, running, 1).cancel
    assert queue.finish(box, running, 1, "cancelled") == "cancelled"
    assert queue.claim(box) is None
    with queue.database.writing() as c:
        people.set_disabled(c, ada.person, False)
    assert queue.claim(box).queued == waiting


def test_one_that_was_begun_goes_on_where_the_boards_are_the_same(queue: Queue) -> None:
    id, box = queue.add(queue.person()), queue.machine()
    queue.claim(box)
    with queue.database.queueing() as c:
        lease = leases.lease_of(c, id, 1, box.token_hash, queue.now)
        leases.block_submitted(c, lease, runners.models_of(lease.hello))
    queue.finish(box, id, 1, "released")
    common = {"cpu": "Other", "cores": 2, "memory_bytes": 1}
    other = Hardware(**common, devices=[Device(model="NVIDIA A100", count=1)])
    none = Hardware(**common)
    same = Hardware(**common, devices=[Device(model="NVIDIA H100 80GB HBM3", count=8)])
    for hardware in (other, none):
        stranger = queue.machine(hardware=hardware)
        assert queue.claim(stranger) is None and queue.claim(stranger, id) is None
    assert queue.claim(queue.machine(hardware=same)).begun


def test_one_whose_experiments_are_chosen_as_it_goes_stays_with_its_runner(queue: Queue) -> None:
    wish = WISH._replace(wanted={**WISH.wanted, "adaptive": True})
    id, box = queue.add(queue.person(), wish), queue.machine()
    queue.claim(box)
    with queue.database.queueing() as c:
        lease = leases.lease_of(c, id, 1, box.token_hash, queue.now)
        leases.block_submitted(c, lease, runners.models_of(lease.hello))
    queue.finish(box, id, 1, "released")
    assert queue.claim(queue.machine()) is None
    assert queue.claim(box).queued == id


def test_a_runner_is_the_same_after_it_was_started_anew(queue: Queue) -> None:
    token = queue.token("runner")
    first = queue.machine(token, instance="a" * 32)
    again = queue.machine(token, instance="a" * 32, name="renamed")
    assert first == again
    assert queue.machine(token, instance="b" * 32).handle != first.handle
    # Another token's runner is another one, whatever it says.
    assert queue.machine(instance="a" * 32).handle != first.handle
    with queue.database.reading() as c:
        listed = {r.id: r for r in runners.listed(c, queue.now)}
    assert len(listed) == 3 and listed[first.handle].name == "renamed"


def test_who_cannot_register(queue: Queue, monkeypatch) -> None:
    with pytest.raises(Refused) as caught:
        queue.machine(key=type("K", (), {"key_id": "0" * 64})())
    assert caught.value.reason == "key_unknown"
    with pytest.raises(Refused) as caught:
        queue.machine(name="a\x1b[2J")
    assert caught.value.reason == "bad_name"
    token = queue.token("runner")
    monkeypatch.setattr(runners, "MAX_RUNNERS", 1)
    queue.machine(token)
    with pytest.raises(Refused) as caught:
        queue.machine(token)
    assert caught.value.reason == "too_many_runners"


def test_runners_are_listed_while_they_are_heard_of(queue: Queue) -> None:
    box, id = queue.machine(), queue.add(queue.person())
    queue.claim(box)

    def found():
        with queue.database.reading() as c:
            return runners.listed(c, queue.now)

    (one,) = found()
    assert (one.id, one.online, one.queued) == (box.handle, True, id)
    queue.now += LEASE_S
    (one,) = found()
    assert (one.online, one.queued) == (False, None)
    queue.now += runners.SHOWN_S
    assert found() == []


def test_another_tokens_runner_is_unknown(queue: Queue) -> None:
    box, other = queue.machine(), queue.machine()
    assert refused(queue.claim, replace_token(box, other)) == "runner_unknown"
    id = queue.add(queue.person())
    queue.claim(box)
    assert refused(queue.heartbeat, other, id, 1) == "lease_lost"


def replace_token(box: Machine, other: Machine) -> Machine:
    return box._replace(token=other.token, token_hash=other.token_hash)


def test_a_claim_waits_for_nobody_who_writes(queue: Queue) -> None:
    """On PostgreSQL, where ingest goes on beside it."""
    if queue.database.is_sqlite:
        return
    id, box = queue.add(queue.person()), queue.machine()
    with queue.database.writing() as c:
        c.execute(PERSON.update().where(PERSON.c.id < 0).values(name=""))
        assert queue.claim(box).queued == id
        assert queue.heartbeat(box, id, 1).lease_s == LEASE_S


def test_no_secret_is_in_the_tables(queue: Queue) -> None:
    token = queue.token("runner")
    box, ada = queue.machine(token), queue.person()
    with queue.database.queueing() as c:
        added = adding.add(c, ada, WISH, queue.now)
    queue.claim(box)
    with queue.database.reading() as c:
        rows = " ".join(str(c.execute(sa.select(t)).all()) for t in (QUEUED, RUNNER, CLAIM, TOKEN))
    assert token not in rows and added.owner_token not in rows
    assert hash_of(token) in rows


@pytest.mark.parametrize(
    ("state", "missing", "becomes", "reason"),
    [
        (None, "", "queued", ""),
        ("open", "block 2", "queued", ""),
        ("open", "no run counts", "failed", "no run of it counts"),
        ("rejected", "", "failed", "rejected"),
        ("retracted", "", "done", ""),
        ("complete", "", "done", ""),
    ],
)
def test_it_is_done_only_where_the_archive_has_all_of_it(
    queue: Queue, state: str | None, missing: str, becomes: str, reason: str
) -> None:
    box, id = queue.machine(), queue.add(queue.person())
    queue.claim(box)
    if state is not None:
        queue.archived(id, state, missing)
    assert queue.finish(box, id, 1, "done") == becomes
    assert queue.finish(box, id, 1, "done") == becomes
    assert reason in shown(queue, id).reason


def test_what_is_never_whole_ends_with_what_is_missing(queue: Queue) -> None:
    box, id = queue.machine(), queue.add(queue.person())
    queue.archived(id, "open", "block 2")
    for _ in range(MAX_TRIES):
        state = queue.finish(box, id, queue.claim(box).fence, "done")
    assert state == "failed" and "has not all of it: block 2" in shown(queue, id).reason


def test_what_is_given_back_for_a_while_comes_back(queue: Queue) -> None:
    box, other, id = queue.machine(), queue.machine(), queue.add(queue.person())
    for n in range(2 * MAX_TRIES):
        fence = queue.claim(box).fence
        pause = {"not_before_s": 60.0, "tried": False}
        assert queue.finish(box, id, fence, "released", f"quota {n}", **pause) == "queued"
        assert queue.claim(box) is None and queue.claim(box, id) is None
        (told,) = shown(queue, id).declined
        assert (told.outcome, told.reason) == ("later", f"quota {n}") and told.until is not None
        queue.now += 60
    # For another there is no reason to wait.
    queue.finish(box, id, queue.claim(box).fence, "released", "quota", not_before_s=60.0)
    assert queue.claim(other).queued == id


def test_what_is_no_try_is_not_given_back_again_and_again(queue: Queue) -> None:
    box, other, id = queue.machine(), queue.machine(), queue.add(queue.person())
    # A runner that is started anew goes on at once.
    queue.finish(box, id, queue.claim(box).fence, "released", "stopped", tried=False)
    for asked in (None, 0.001):
        fence = queue.claim(box).fence
        more = {"tried": False, "not_before_s": asked}
        assert queue.finish(box, id, fence, "released", "not now", **more) == "queued"
        assert queue.claim(box) is None and queue.claim(box, id) is None
        queue.now += ending.SHORTEST_PAUSE_S
    queue.finish(box, id, queue.claim(box).fence, "released", tried=False)
    # For another there is no reason to wait, and what is a try needs no pause.
    queue.finish(other, id, queue.claim(other).fence, "released")
    queue.finish(other, id, queue.claim(other).fence, "released")
    assert queue.claim(other).queued == id


def test_a_refusal_takes_the_place_of_a_pause(queue: Queue) -> None:
    box, id = queue.machine(), queue.add(queue.person())
    queue.finish(box, id, queue.claim(box).fence, "released", "quota", not_before_s=60.0)
    queue.now += 60
    queue.finish(box, id, queue.claim(box).fence, "declined", "no")
    queue.now += 1e6
    assert queue.claim(box) is None and shown(queue, id).declined[0].until is None


def test_a_runner_is_told_whether_another_had_it(queue: Queue) -> None:
    box, other, id = queue.machine(), queue.machine(), queue.add(queue.person())
    claimed = queue.claim(box)
    with queue.database.queueing() as c:
        lease = leases.lease_of(c, id, claimed.fence, box.token_hash, queue.now)
        leases.block_submitted(c, lease, runners.models_of(lease.hello))
    # The answers to two more claims were lost.
    for fence in (2, 3):
        claimed = queue.claim(box)
        assert (claimed.fence, claimed.others_fence) == (fence, 0)
    queue.finish(box, id, 3, "released")
    assert queue.claim(other, id).others_fence == 3
    queue.finish(other, id, 4, "released")
    queue.claim(box)
    assert queue.claim(box).others_fence == 4


def test_processors_with_other_numbers_of_cores_are_not_alike(queue: Queue) -> None:
    def machine(cores: int) -> Machine:
        return queue.machine(hardware=Hardware(cpu="A CPU", cores=cores, memory_bytes=1))

    box, smaller, same = machine(8), machine(4), machine(8)
    id = queue.add(queue.person())
    claimed = queue.claim(box)
    with queue.database.queueing() as c:
        lease = leases.lease_of(c, id, claimed.fence, box.token_hash, queue.now)
        leases.block_submitted(c, lease, runners.models_of(lease.hello))
    queue.finish(box, id, 1, "released")
    assert queue.claim(smaller) is None
    assert queue.claim(same).queued == id


def test_how_often_the_same_was_begun_and_not_ended(queue: Queue) -> None:
    ada, ben, box = queue.person("Ada"), queue.person("Ben"), queue.machine()
    other = CAMPAIGN.replace("requests: 64", "requests: 32")
    same = CAMPAIGN + "# and a comment\n"
    ends = [
        (ada, CAMPAIGN, "cancelled"),
        (ben, same, "failed"),
        (ada, CAMPAIGN, "done"),
        (ada, other, "failed"),
        (ada, CAMPAIGN, ""),
    ]
    for who, text, end in ends:
        id = queue.add(who, wish_of(text)[1])
        if end == "":
            queue.cancel(id, who)  # before anybody began it
            continue
        queue.claim(box)
        if end == "cancelled":
            queue.cancel(id, who)
        queue.archived(id)
        assert queue.finish(box, id, 1, end) == end
    again = [queue.add(ada, wish_of(text)[1]) for text in (CAMPAIGN, other)]
    assert [shown(queue, id).unfinished_before for id in again] == [2, 1]


def test_one_runner_s_word_does_not_end_a_campaign_that_another_could_run(queue: Queue) -> None:
    ada, token = queue.person(), queue.token("runner")
    box, beside, other = queue.machine(token, name="Box"), queue.machine(token), queue.machine()
    id = queue.add(ada)
    assert queue.claim(box).queued == id
    with queue.database.queueing() as c:
        told = Finish(queued=id, fence=1, outcome="failed", reason="no such model")
        state, (change,) = ending.finish(c, told, box.token_hash, queue.now)
    assert (state, change.state) == ("queued", "queued")
    assert "Box says" in change.message and "no such model" in change.message
    assert queue.finish(box, id, 1, "failed", "no such model") == "queued"
    assert queue.claim(box) is None
    found = shown(queue, id)
    assert (found.state, found.tries) == ("queued", 0)
    assert [(d.outcome, d.reason) for d in found.declined] == [("failed", "no such model")]
    # With the same token it is the same word.
    assert queue.finish(beside, id, queue.claim(beside).fence, "failed") == "queued"
    assert queue.finish(other, id, queue.claim(other).fence, "failed", "none of that") == "failed"
    assert shown(queue, id).reason == "none of that"


@pytest.mark.parametrize("how", ["alone", "long ago", "disabled", "revoked", "declined", "unlike"])
def test_the_word_of_the_only_runner_ends_a_campaign(queue: Queue, how: str) -> None:
    box = queue.machine()
    id = queue.add(queue.person())
    if how != "alone":
        hardware = Hardware(cpu="A CPU", cores=2, memory_bytes=1)
        other = queue.machine(**({"hardware": hardware} if how == "unlike" else {}))
        if how == "declined":
            queue.finish(other, id, queue.claim(other).fence, "declined", "not here")
        with queue.database.queueing() as c:
            if how == "disabled":
                admin.disable_runner(c, other.handle, True)
            if how == "revoked":
                gone = TOKEN.c.hash == other.token_hash
                c.execute(TOKEN.update().where(gone).values(revoked_at=leases.text(queue.now)))
    fence = queue.claim(box).fence
    if how == "unlike":
        with queue.database.queueing() as c:
            lease = leases.lease_of(c, id, fence, box.token_hash, queue.now)
            leases.block_submitted(c, lease, runners.models_of(lease.hello))
    if how == "long ago":
        queue.finish(box, id, fence, "released")
        queue.now += ending.AROUND_S
        fence = queue.claim(box).fence
    assert queue.finish(box, id, fence, "failed", "no such model") == "failed"
    assert shown(queue, id).reason == "no such model"


def test_a_runner_that_declined_for_a_while_is_waited_for(queue: Queue) -> None:
    box, other = queue.machine(), queue.machine()
    id = queue.add(queue.person())
    queue.finish(other, id, queue.claim(other).fence, "released", not_before_s=600.0)
    assert queue.finish(box, id, queue.claim(box).fence, "failed") == "queued"
    queue.now += 600
    assert queue.claim(other).queued == id


@pytest.mark.parametrize("how", ["anew", "released", "cancelled", "lost"])
def test_one_runner_cannot_use_up_the_tries_of_a_campaign_that_another_could_run(
    queue: Queue, how: str
) -> None:
    bad, good = queue.machine(name="Bad"), queue.machine()
    id = queue.add(queue.person())
    for _ in range(MAX_TRIES + 1):
        claimed = queue.claim(bad, id)
        if claimed and how in ("released", "cancelled"):
            queue.finish(bad, id, claimed.fence, how)
        elif how == "lost":
            queue.now += LEASE_S
    assert queue.claim(bad, id) is None
    found = shown(queue, id)
    assert (found.state, found.tries) == ("queued", 0)
    assert f"begun {MAX_TRIES} times" in found.declined[0].reason
    assert queue.claim(good).queued == id


def test_the_tries_of_two_who_know_nothing_of_each_other_end_a_campaign(queue: Queue) -> None:
    boxes, id = [queue.machine(), queue.machine(), queue.machine()], queue.add(queue.person())
    for n in range(MAX_TRIES):
        box = boxes[n % 2]
        state = queue.finish(box, id, queue.claim(box).fence, "released")
    assert state == "failed"
