"""What follows from the checks: tiers, rejections, replications, and that nothing is told twice."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from lem.archive import checks, log, rebuild
from lem.archive.ingest import receipt
from lem.archive.retract import retract
from lem.archive.schema import (
    CONFIG,
    CONFIG_SUMMARY,
    FINDING,
    REPLICATION,
    RUN,
    SUBMISSION,
)
from lem.contract.submission import Finding
from lem.trust import traits
from lem.trust.judge import Judgement
from lem.trust.rules import RULES
from tests.archive_submissions import Submitter, campaign, part_of, text_of, with_file

ARMS = [[0.100, 0.101, 0.099, 0.1005], [0.200, 0.201, 0.199, 0.2005]]


def times(factor: float) -> list[list[float]]:
    return [[factor * v for v in arm] for arm in ARMS]


@pytest.fixture
def judged(monkeypatch) -> Callable[..., None]:
    """Sets what the judge finds: rule → of which runs."""
    rules: dict[str, Callable] = {}

    def judge(record, trace, responses, *, lock, now) -> Judgement:
        assert lock.name == record.campaign and now.tzinfo is not None
        found = [
            Finding(rule=name, consequence=RULES[name].consequence, detail="said")
            for name, applies in rules.items()
            if applies(record)
        ]
        tier = 1 if any(f.consequence != "note" for f in found) else 2
        return Judgement(tier, found, {}, traits.unread(record, trace))

    monkeypatch.setattr(checks, "judge", judge)

    def set_rules(**given: Callable) -> None:
        rules.clear()
        rules.update(given)

    return set_rules


def check_all(archive) -> int:
    n = 0
    while checks.check_next(archive.database, archive.packs) is not None:
        n += 1
    assert rebuild.differences(archive.database) == []
    with archive.database.reading() as c:
        log.verify(log.entries(c, 0, 1000))
    return n


def tiers(archive, submitter: Submitter | None = None) -> list[int]:
    query = sa.select(RUN.c.tier).distinct().order_by(RUN.c.tier)
    with archive.database.reading() as c:
        if submitter is not None:
            mine = sa.select(SUBMISSION.c.id).where(SUBMISSION.c.key_id == submitter.key_id)
            query = query.where(RUN.c.submission_id.in_(mine))
        return list(c.scalars(query))


def kinds(archive) -> list[str]:
    with archive.database.reading() as c:
        return [e.kind for e in log.entries(c, 0, 1000) if not e.kind.startswith("key")]


def test_what_is_recomputed_is_of_the_second_tier(archive, tmp_path, judged) -> None:
    me = Submitter(archive)
    made = me.push(campaign(tmp_path / "c", ARMS))
    version = archive.database.setting("data_version")
    assert (checks.waiting(archive.database), tiers(archive)) == (1, [1])
    assert check_all(archive) == 1
    assert (checks.waiting(archive.database), tiers(archive)) == (0, [2])
    assert receipt(archive.database, made.submission).checks == "passed"
    assert int(archive.database.setting("data_version")) == int(version) + 1
    assert kinds(archive) == ["accepted", "tier"]
    with archive.database.reading() as c:
        assert set(c.scalars(sa.select(CONFIG.c.best_tier))) == {2}
        assert log.entries(c)[-1].payload == {"submission": made.submission, "tiers": {"2": 8}}


def test_a_submission_that_takes_too_long_to_check_holds_up_nobody(
    archive, tmp_path, judged, monkeypatch
) -> None:
    monkeypatch.setattr(checks, "CHECK_S", -1.0)
    made = Submitter(archive).push(campaign(tmp_path / "c", ARMS))
    check_all(archive)
    told = receipt(archive.database, made.submission)
    assert told.checks == "held" and {f.rule for f in told.findings} == {"not_recomputable"}
    assert tiers(archive) == [1]


def test_runs_out_of_the_order_that_was_drawn_are_held(archive, tmp_path, judged) -> None:
    """Who chooses when each arm runs may choose what it runs after."""
    me = Submitter(archive)
    bundle = me.bundle(campaign(tmp_path / "c", ARMS))
    records = [json.loads(text_of(bundle, n, "record")) for n in (0, 1)]
    times = ("started_at", "ended_at")
    for number, other in ((0, 1), (1, 0)):
        swapped = records[number] | {t: records[other][t] for t in times}
        bundle = with_file(bundle, number, "record", json.dumps(swapped).encode())
    made = me.send(bundle)
    check_all(archive)
    told = receipt(archive.database, made.submission)
    assert {(f.rule, f.block) for f in told.findings} == {("arms_not_in_order", 0)}


def test_a_run_that_is_held_keeps_its_arm_self_reported(archive, tmp_path, judged) -> None:
    """Else whoever has its worst block held has the others alone on the board, as recomputed."""
    judged(trace_gap=lambda r: r.block == 1, semantics_old=lambda r: r.block == 1)
    made = Submitter(archive).push(campaign(tmp_path / "c", ARMS))
    check_all(archive)
    told = receipt(archive.database, made.submission)
    assert (told.checks, told.campaign_state) == ("held", "complete")
    assert {(f.rule, f.consequence, f.block) for f in told.findings} == {
        ("trace_gap", "hold", 1),
        ("semantics_old", "hold", 1),
    }
    assert len({f.arm_id for f in told.findings}) == 2
    assert tiers(archive) == [1] and figures(archive) == [(1, 4), (1, 4)]


def figures(archive) -> list[tuple[int, int]]:
    """Tier and runs of each configuration's figures of energy."""
    n = sa.select(CONFIG_SUMMARY.c.tier, CONFIG_SUMMARY.c.n).where(CONFIG_SUMMARY.c.metric == 0)
    with archive.database.reading() as c:
        return sorted(map(tuple, c.execute(n).all()))


def test_a_run_that_is_held_is_no_fault_of_other_arms(archive, tmp_path, judged) -> None:
    judged(trace_gap=lambda r: r.block == 1 and r.metrics["mean_power_w"]["gpu"].value < 5)
    Submitter(archive).push(campaign(tmp_path / "c", ARMS))
    check_all(archive)
    with archive.database.reading() as c:
        held = set(c.scalars(sa.select(RUN.c.arm).join(FINDING, FINDING.c.run_id == RUN.c.id)))
        told = set(c.execute(sa.select(RUN.c.arm, RUN.c.tier).distinct()).all())
    assert len(held) == 1
    assert told == {(arm, 1 if arm in held else 2) for arm in (0, 1)}
    assert figures(archive) == [(1, 4), (1, 4), (2, 4)]


def of_one_experiment(folder: Path) -> tuple[Path, str]:
    """A campaign whose second arm (whose name is told) is of the first one's experiment, too."""
    lock = json.loads((folder / "campaign.lock.json").read_text())
    first, second = lock["arms"]
    second |= {name: first[name] for name in ("experiment", "experiment_id")}
    (folder / "campaign.lock.json").write_text(json.dumps(lock))
    for path in folder.glob(f"blocks/*/{second['arm_id']}/0/record.json"):
        told = {name: first[name] for name in ("experiment", "experiment_id")}
        path.write_text(json.dumps(json.loads(path.read_text()) | told))
    return folder, second["arm_id"]


def test_two_arms_of_one_experiment_are_judged_together(archive, tmp_path, judged) -> None:
    """Else the worse of ten such arms could be had held."""
    me = Submitter(archive)
    folder, second = of_one_experiment(campaign(tmp_path / "c", ARMS))
    judged(trace_gap=lambda r: r.block == 1 and r.arm_id == second)
    assert me.push(folder).campaign_state == "complete"
    check_all(archive)
    assert tiers(archive) == [1] and figures(archive) == [(1, 8)]


def test_two_blocks_are_two_however_many_arms_they_have(archive, tmp_path, judged) -> None:
    for name in ("a", "b"):
        arms = [[0.100, 0.101], [0.1005, 0.0995]]
        folder, _ = of_one_experiment(campaign(tmp_path / name, arms, board=f"GPU-{name}"))
        Submitter(archive, name).push(folder)
    check_all(archive)
    assert tiers(archive) == [2]
    with archive.database.reading() as c:
        assert list(c.scalars(sa.select(REPLICATION.c.verdict))) == ["cannot_tell"]


def test_runs_of_one_arm_told_as_of_two_boards_stay_self_reported(
    archive, tmp_path, judged
) -> None:
    """Else the worst block could be told as of another board: the others would be alone."""
    folder = campaign(tmp_path / "c", ARMS[:1])
    for path in folder.glob("blocks/0001/*/0/record.json"):
        raw = json.loads(path.read_text())
        raw["environment"]["gpus"][0]["name"] = "Another board"
        path.write_text(json.dumps(raw))
    Submitter(archive).push(folder)
    check_all(archive)
    assert tiers(archive) == [1] and figures(archive) == [(1, 1), (1, 3)]


def test_a_run_that_others_load_took_a_meter_from_is_no_fault_of_the_others(
    archive, tmp_path, judged
) -> None:
    folder = campaign(tmp_path / "c", ARMS[:1], energy_class="cpu")
    for path in folder.glob("blocks/0001/*/0/record.json"):
        raw = json.loads(path.read_text()) | {"flags": ["not_attributed"]}
        raw["metrics"] = {
            name: {"node": value["cpu"]} if isinstance(value, dict) and "cpu" in value else value
            for name, value in raw["metrics"].items()
        }
        path.write_text(json.dumps(raw))
    Submitter(archive).push(folder)
    check_all(archive)
    assert tiers(archive) == [2] and figures(archive) == [(1, 1), (1, 3), (2, 1), (2, 3)]


def test_no_run_is_recomputed_before_its_whole_campaign_was_looked_at(
    archive, tmp_path, judged
) -> None:
    me = Submitter(archive)
    both = me.bundle(campaign(tmp_path / "c", ARMS[:1]))
    first = me.send(part_of(both, [0, 1, 2]))
    check_all(archive)
    assert receipt(archive.database, first.submission).checks == "passed"
    assert (tiers(archive), figures(archive)) == ([1], [])
    assert me.send(part_of(both, [3])).campaign_state == "complete"
    assert (tiers(archive), figures(archive)) == ([1], [(1, 4)])
    check_all(archive)
    assert (tiers(archive), figures(archive)) == ([2], [(1, 4), (2, 4)])
    assert kinds(archive) == ["accepted", "accepted", "tier", "tier"]


def test_what_was_replicated_falls_back_when_a_campaign_is_open_again(
    archive, tmp_path, judged
) -> None:
    """By an attempt that nobody asked for, say."""
    a, b = Submitter(archive, "a"), Submitter(archive, "b")
    a.push(campaign(tmp_path / "a", ARMS, board="GPU-a"))
    whole = b.bundle(campaign(tmp_path / "b", [[*arm, arm[0]] for arm in ARMS], board="GPU-b"))
    lock = json.loads(text_of(whole, 0, "lock")) | {"blocks": 4}
    whole = with_file(whole, 0, "lock", json.dumps(lock).encode())
    first = [n for n, r in enumerate(whole.content.runs) if r.block < 4]
    b.send(part_of(whole, first))
    check_all(archive)
    assert tiers(archive) == [3]
    more = [n for n in range(len(whole.content.runs)) if n not in first]
    assert b.send(part_of(whole, more)).campaign_state == "open"
    assert tiers(archive, a) == [2]
    assert kinds(archive)[-4:] == ["accepted", "reopened", "tier", "tier"]
    check_all(archive)
    assert (tiers(archive, a), tiers(archive, b)) == ([2], [1])


def test_one_rejected_run_takes_its_whole_campaign_out(archive, tmp_path, judged) -> None:
    me, other = Submitter(archive), Submitter(archive, "other")
    judged(figures_differ=lambda r: r.block == 2 and r.metrics["mean_power_w"]["gpu"].value < 5)
    bad = me.bundle(campaign(tmp_path / "bad", ARMS))
    first = me.send(part_of(bad, [0, 1, 2, 3]))
    second = me.send(part_of(bad, [4, 5, 6, 7]))
    good = other.push(campaign(tmp_path / "good", times(2)))
    assert second.campaign_state == "complete"
    assert check_all(archive) == 3
    states = [receipt(archive.database, r.submission) for r in (first, second, good)]
    assert [s.checks for s in states] == ["passed", "rejected", "passed"]
    assert [s.campaign_state for s in states] == ["rejected", "rejected", "complete"]
    with archive.database.reading() as c:
        owners = c.scalars(sa.select(RUN.c.submission_id).where(RUN.c.counted).distinct()).all()
        assert len(owners) == 1
        assert set(c.scalars(sa.select(CONFIG_SUMMARY.c.submitters))) == {1}
        rejected = [e.payload for e in log.entries(c) if e.kind == "rejected"]
    assert rejected == [{"submission": second.submission, "rules": ["figures_differ"]}]


def test_a_trace_used_twice_in_a_campaign_is_found_across_submissions(
    archive, tmp_path, judged, monkeypatch
) -> None:
    real = checks.judge

    def same_trace(record, trace, responses, **more):
        return real(record, b"the same" if record.block < 2 else trace, responses, **more)

    monkeypatch.setattr(checks, "judge", same_trace)
    me = Submitter(archive)
    both = me.bundle(campaign(tmp_path / "c", ARMS[:1]))
    sent = [me.send(part_of(both, numbers)) for numbers in ([0], [1], [2, 3])]
    check_all(archive)
    assert [receipt(archive.database, r.submission).checks for r in sent] == [
        "passed",
        "rejected",
        "passed",
    ]
    assert receipt(archive.database, sent[2].submission).campaign_state == "rejected"
    with archive.database.reading() as c:
        assert c.scalars(sa.select(FINDING.c.rule)).all() == ["trace_repeated"]


def test_two_invited_submitters_on_two_boards_replicate_each_other(
    archive, tmp_path, judged
) -> None:
    a, b = Submitter(archive, "a"), Submitter(archive, "b")
    third = Submitter(archive, "third")
    a.push(campaign(tmp_path / "a", ARMS, board="GPU-a"))
    check_all(archive)
    assert tiers(archive) == [2]
    b.push(campaign(tmp_path / "b", times(1.02), board="GPU-b"))
    assert tiers(archive, b) == [1]
    check_all(archive)
    assert tiers(archive) == [3]
    third.push(campaign(tmp_path / "third", times(1.2), board="GPU-third"))
    check_all(archive)
    assert (tiers(archive, a), tiers(archive, b), tiers(archive, third)) == ([3], [3], [2])
    with archive.database.reading() as c:
        verdicts = sorted(c.scalars(sa.select(REPLICATION.c.verdict)))
        assert verdicts == ["agrees"] * 2 + ["disagrees"] * 4
        assert set(c.scalars(sa.select(CONFIG.c.disagrees))) == {True}
        assert set(c.scalars(sa.select(CONFIG.c.best_tier))) == {3}
        tier_3 = c.execute(
            sa.select(CONFIG_SUMMARY.c.submitters).where(
                CONFIG_SUMMARY.c.tier == 3, CONFIG_SUMMARY.c.metric == 0
            )
        )
        assert {r.submitters for r in tier_3} == {2}


@pytest.mark.parametrize(
    ("boards", "invited", "verdict"),
    [
        (("GPU-a", "GPU-a"), (True, True), "same_boards"),
        (("GPU-a", "GPU-b"), (True, False), "not_invited"),
    ],
)
def test_one_board_or_a_key_that_nobody_vouched_for_replicates_nothing(
    archive, tmp_path, judged, boards, invited, verdict: str
) -> None:
    for i, (board, vouched) in enumerate(zip(boards, invited, strict=True)):
        one = Submitter(archive, f"s{i}", invited=vouched)
        one.push(campaign(tmp_path / f"{i}", ARMS, board=board))
    check_all(archive)
    assert tiers(archive) == [2]
    with archive.database.reading() as c:
        assert set(c.scalars(sa.select(REPLICATION.c.verdict))) == {verdict}


def test_what_was_replicated_falls_back_when_one_takes_its_own_back(
    archive, tmp_path, judged
) -> None:
    a, b = Submitter(archive, "a"), Submitter(archive, "b")
    a.push(campaign(tmp_path / "a", ARMS, board="GPU-a"))
    made = b.push(campaign(tmp_path / "b", ARMS, board="GPU-b"))
    check_all(archive)
    assert tiers(archive) == [3]
    assert retract(archive.database, archive.packs, *b.retraction(made.campaign)) == 1
    assert tiers(archive) == [2]
    assert kinds(archive)[-2:] == ["retracted", "tier"]
    assert rebuild.differences(archive.database) == []
    with archive.database.reading() as c:
        assert c.scalar(sa.select(sa.func.count()).select_from(REPLICATION)) == 0


def test_a_check_that_broke_off_is_made_again_and_told_once(
    archive, tmp_path, judged, monkeypatch
) -> None:
    made = Submitter(archive).push(campaign(tmp_path / "c", ARMS))
    real = checks._write

    def dies(c, claim, judged):
        real(c, claim, judged)
        raise KeyboardInterrupt

    monkeypatch.setattr(checks, "_write", dies)
    with pytest.raises(KeyboardInterrupt):
        checks.check_next(archive.database, archive.packs)
    monkeypatch.setattr(checks, "_write", real)
    assert checks.check_next(archive.database, archive.packs) is None  # Its lease lasts.
    assert (tiers(archive), kinds(archive)) == ([1], ["accepted"])
    monkeypatch.setattr(checks.time, "time", lambda: 4e9)
    assert check_all(archive) == 1
    assert (tiers(archive), kinds(archive)) == ([2], ["accepted", "tier"])
    assert receipt(archive.database, made.submission).findings == []


def test_two_that_check_the_same_write_it_once(archive, tmp_path, judged, monkeypatch) -> None:
    judged(trace_gap=lambda r: r.block == 0)
    Submitter(archive).push(campaign(tmp_path / "c", ARMS))
    monkeypatch.setattr(checks, "LEASE_S", -1.0)
    claims = [checks._claim(archive.database) for _ in range(2)]
    assert claims[0].id == claims[1].id
    monkeypatch.setattr(checks, "_claim", lambda db: claims.pop() if claims else None)
    assert check_all(archive) == 2
    with archive.database.reading() as c:
        assert c.scalar(sa.select(sa.func.count()).select_from(FINDING)) == 2
    assert kinds(archive) == ["accepted"]


def test_a_check_that_never_ends_leaves_its_runs_self_reported(
    archive, tmp_path, judged, monkeypatch
) -> None:
    made = Submitter(archive).push(campaign(tmp_path / "c", ARMS))

    def broken(*_, **__):
        raise MemoryError

    monkeypatch.setattr(checks, "judge", broken)
    monkeypatch.setattr(checks, "LEASE_S", -1.0)
    for _ in range(checks.MAX_TRIES):
        with pytest.raises(MemoryError):
            checks.check_next(archive.database, archive.packs)
    assert check_all(archive) == 1
    told = receipt(archive.database, made.submission)
    assert told.checks == "held" and {f.rule for f in told.findings} == {checks.INCOMPLETE}
    assert tiers(archive) == [1] and told.campaign_state == "complete"


def test_what_is_taken_back_while_it_is_checked_stays_away(
    archive, tmp_path, judged, monkeypatch
) -> None:
    me = Submitter(archive)
    made = me.push(campaign(tmp_path / "c", ARMS))
    claim = checks._claim(archive.database)
    found = list(checks._judge(archive.database, archive.packs, claim))
    retract(archive.database, archive.packs, *me.retraction(made.campaign))
    monkeypatch.setattr(checks, "_claim", lambda db: claim)
    monkeypatch.setattr(checks, "_judge", lambda *_: found)
    assert checks.check_next(archive.database, archive.packs) == claim.id
    assert tiers(archive) == [] and kinds(archive) == ["accepted", "retracted"]


def test_made_up_traces_are_rejected_for_real(archive, tmp_path) -> None:
    made = Submitter(archive).push(campaign(tmp_path / "c", ARMS))
    check_all(archive)
    told = receipt(archive.database, made.submission)
    assert (told.checks, told.campaign_state) == ("rejected", "rejected")
    assert "reject" in {f.consequence for f in told.findings}
    with archive.database.reading() as c:
        assert c.scalar(sa.select(sa.func.count()).select_from(CONFIG_SUMMARY)) == 0


def test_a_run_without_its_trace_cannot_be_recomputed(archive, tmp_path, judged) -> None:
    me = Submitter(archive)
    folder = campaign(tmp_path / "c", ARMS)
    for path in folder.rglob("trace.csv.gz"):
        path.unlink()
    made = me.push(folder)
    check_all(archive)
    told = receipt(archive.database, made.submission)
    assert told.checks == "held" and len(told.findings) == 8


def test_runs_in_another_order_than_was_drawn_are_held(archive, tmp_path, judged) -> None:
    """Also where the second half of a block comes in another submission."""
    me = Submitter(archive)
    folder = campaign(tmp_path / "c", ARMS)
    paths = sorted(folder.glob("blocks/0001/*/0/record.json"))
    one, other = (json.loads(p.read_text()) for p in paths)
    for path, own, times in zip(paths, (one, other), (other, one), strict=True):
        changed = own | {name: times[name] for name in ("started_at", "ended_at")}
        path.write_text(json.dumps(changed))
    whole = me.bundle(folder)
    places = [(r.block, i) for i, r in enumerate(whole.content.runs)]
    half = [i for block, i in places if block < 1] + [min(i for b, i in places if b == 1)]
    rest = [i for _, i in places if i not in half]
    first = me.send(part_of(whole, half))
    check_all(archive)
    assert receipt(archive.database, first.submission).checks == "passed"
    made = me.send(part_of(whole, rest))
    check_all(archive)
    told = [receipt(archive.database, r.submission) for r in (first, made)]
    assert {(f.rule, f.block) for r in told for f in r.findings} == {("arms_not_in_order", 1)}
    assert told[1].campaign_state == "complete" and tiers(archive) == [1, 2]
