"""Experiments chosen while the campaign runs: a pure function of file, lock and records."""

import itertools
import random
import signal
import subprocess
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import records
from tick import LEM, counted_places, environment, half_written, lem, write_campaign

from lem.analysis.objectives import needed_for
from lem.analysis.results import open_results
from lem.campaign import Campaign
from lem.campaign.generations import (
    Generations,
    generations,
    left_to_choose,
    still_to_choose,
    to_stage,
)
from lem.campaign.lock import agree, make_lock, provisional_staging
from lem.campaign.plan import Here, plan
from lem.config import CampaignFile, load
from lem.contract.lock import Lock, Overrides
from lem.errors import BadInput
from lem.stores.index import Index
from lem.stores.rows import Row

SPACE: dict[str, Any] = {
    "baseline": {"engine.max_batch_size": 1, "args.token_ms": 1},
    "sweep": {
        "engine.max_batch_size": {"low": 1, "high": 64, "scale": "log"},
        "args.token_ms": [1, 2, 4],
    },
    "sampler": {"kind": "pareto", "budget": 7, "generation": 3, "seed": 5},
}
QUICK = {
    "preset": "quick", "window_s": 0.1, "idle_s": 0.02, "settle_s": 0, "warm_up_cap_s": 0.05,
    "blocks": 2,
}  # fmt: skip


def begun(path: Path) -> tuple[CampaignFile, Generations, Lock]:
    """A campaign of two blocks a generation whose first generation is drawn."""
    file = load(write_campaign(path, **SPACE, measure=QUICK))
    staging = provisional_staging(to_stage(file))
    launchers = dict.fromkeys(range(len(file.drafts)), "process")
    lock = make_lock(file, staging, Overrides(), launchers, [], ["cpu"], [0] * len(file.drafts))
    later = generations(file, staging, "process", 0)
    assert later is not None
    return file, later, lock


def measured(folder: Path, lock: Lock) -> list[Row]:
    """The rows of a campaign in which every run of the lock's arms is made."""
    clock = records.START
    for block in range(lock.blocks * lock.generations):
        for arm in lock.arms_of(block):
            batch = arm.settings["engine.max_batch_size"]
            token_ms = arm.settings["args.token_ms"]
            clock += timedelta(seconds=40)
            drift = 1 + 0.3 * block  # that blocks share: it must not count
            made = records.record(
                arm_id=arm.arm_id,
                block=block,
                started=clock,
                cpu_time_s=0.01 * token_ms / batch**0.7 * drift,  # type: ignore[operator]
                tpot_s=0.001 * token_ms * (1 + batch / 16) * drift,  # type: ignore[operator]
            )
            if not (folder / "blocks" / f"{block:04d}" / arm.arm_id).exists():
                records.place(folder, made)
    with Index(folder) as index:
        index.refresh()
        return index.rows(needed_for(["energy", "latency"]))


def grown(lock: Lock, arms: list[Any]) -> Lock:
    return lock.model_copy(update={"arms": [*lock.arms, *arms]})


def test_generations_follow_until_the_budget_is_spent(tmp_path: Path) -> None:
    _, later, lock = begun(tmp_path / "c.yaml")
    assert lock.adaptive is not None
    assert lock.adaptive.budget == 7
    assert [a.generation for a in lock.arms] == [None, 0, 0, 0]
    assert lock.arms[0].arm_id == lock.baseline
    assert (lock.blocks, lock.precision, lock.max_blocks) == (2, None, None)
    sizes = []
    while arms := later.next_arms(lock, measured(tmp_path / "out", lock)):
        sizes.append(len(arms))
        assert {a.generation for a in arms} == {lock.generations}
        lock = grown(lock, arms)
    assert sizes == [3, 1]
    assert still_to_choose(lock) == 0
    assert len({a.arm_id for a in lock.arms}) == len({a.label for a in lock.arms}) == 8
    # Half of the chosen ones lie on the front of what was measured, where token_ms is 1.
    chosen = [a for a in lock.arms if (a.generation or 0) > 0]
    assert sum(a.settings["args.token_ms"] == 1 for a in chosen) >= 2


def test_the_same_records_give_the_same_points(tmp_path: Path) -> None:
    _, later, lock = begun(tmp_path / "c.yaml")
    rows = measured(tmp_path / "out", lock)
    first = later.next_arms(lock, rows)
    shuffled = random.Random(1).sample(rows, len(rows))
    assert later.next_arms(lock, shuffled) == first
    _, anew, same = begun(tmp_path / "again.yaml")
    assert [a.arm_id for a in same.arms] == [a.arm_id for a in lock.arms]
    assert anew.next_arms(same, rows) == first


def test_a_block_has_the_baseline_and_one_generation(tmp_path: Path) -> None:
    _, later, lock = begun(tmp_path / "c.yaml")
    lock = grown(lock, later.next_arms(lock, measured(tmp_path / "out", lock)))
    here = Here(records.START.isoformat(), "boot-1", ("cpu",))
    runs = plan(lock, [], here).runs
    for block, own in itertools.groupby(runs, key=lambda r: r.block):
        arms = {r.arm_id for r in own}
        wanted = {a.arm_id for a in lock.arms if a.generation in (None, block // 2)}
        assert arms == wanted
        assert lock.baseline in arms
    assert [r.block for r in runs] == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4


def test_an_arm_that_failed_is_not_chosen_again(tmp_path: Path) -> None:
    _, later, lock = begun(tmp_path / "c.yaml")
    broken = lock.arms[1].arm_id
    for block in range(2):
        records.place(
            tmp_path / "out",
            records.failure(arm_id=broken, block=block, started=records.START),
        )
    arms = later.next_arms(lock, measured(tmp_path / "out", lock))
    assert broken not in {a.arm_id for a in arms}
    assert len(arms) == 3


def test_experiments_without_goodput_are_named_and_not_followed(tmp_path: Path) -> None:
    """The largest batches cost least and serve nobody: what is chosen next lies elsewhere."""
    path = write_campaign(
        tmp_path / "c.yaml",
        **{
            **SPACE,
            "sweep": {"engine.max_batch_size": {"low": 1, "high": 64}},
            "baseline": {"engine.max_batch_size": 1},
            "sampler": {
                "kind": "pareto", "budget": 24, "generation": 12, "seed": 5,
                "objectives": ["energy", "goodput_per_s"],
            },
        },
        measure=QUICK,
    )  # fmt: skip
    file = load(path)
    staging = provisional_staging(to_stage(file))
    launchers = dict.fromkeys(range(len(file.drafts)), "process")
    lock = make_lock(file, staging, Overrides(), launchers, [], ["cpu"], [0] * len(file.drafts))
    later = generations(file, staging, "process", 0)
    assert later is not None
    clock = records.START
    for block in range(lock.blocks):
        for arm in lock.arms_of(block):
            batch = float(arm.settings["engine.max_batch_size"])  # type: ignore[arg-type]
            late = batch > 32 and block > 0
            clock += timedelta(seconds=40)
            made = records.record(
                arm_id=arm.arm_id, block=block, started=clock, cpu_time_s=0.02 / batch,
                goodput=(0.0, 0.0) if late else (4.0, 1.0),
            )  # fmt: skip
            records.place(tmp_path / "out", made)
    with Index(tmp_path / "out") as index:
        index.refresh()
        rows = index.rows(needed_for(["energy", "goodput_per_s"]))
    missed = {a.label for a in lock.arms if a.settings["engine.max_batch_size"] > 32}  # type: ignore[operator]
    said = later.got_nothing(lock, rows)
    assert missed and {s.partition(":")[0] for s in said} == missed
    assert all("goodput_per_s is 0 in 1 block, so it counts as worse" in s for s in said)
    chosen = [a.settings["engine.max_batch_size"] for a in later.next_arms(lock, rows)]
    assert sum(b > 32 for b in chosen) < len(chosen) / 2  # type: ignore[operator, misc]


def test_a_lock_with_somebody_elses_arm_is_refused(tmp_path: Path) -> None:
    """A folder may come from a stranger; what its user reads before running it is the file."""
    _, later, lock = begun(tmp_path / "c.yaml")
    fresh = lock
    lock = grown(lock, later.next_arms(lock, measured(tmp_path / "out", lock)))
    again = grown(fresh, later.restored(lock))
    assert agree(lock, again, "x").arms == lock.arms
    stranger = lock.arms[-1]
    for change in (
        {"settings": {**stranger.settings, "engine.max_batch_size": 65}},
        {"settings": {**stranger.settings, "args.print_variable": "HF_TOKEN"}},
        {"arm_id": "f" * 64},
    ):
        bad = grown(lock, [])
        bad = bad.model_copy(update={"arms": [*lock.arms[:-1], stranger.model_copy(update=change)]})
        with pytest.raises(BadInput, match="was chosen later and is none of this file's"):
            agree(bad, grown(fresh, later.restored(bad)), "x")
    looser = lock.model_copy(
        update={"adaptive": lock.adaptive.model_copy(update={"budget": 10_000})}  # type: ignore[union-attr]
    )
    with pytest.raises(BadInput, match="adaptive"):
        agree(looser, again, "x")


@pytest.mark.slow
def test_killed_and_resumed_it_chooses_what_the_records_say(tmp_path: Path) -> None:
    """Killed twelve times, then run to its end: every generation is what the file, the lock before
    it and the records before it give, and every run counts once."""
    draw = random.Random(2)
    cache, out = tmp_path / "cache", tmp_path / "out"
    file = write_campaign(tmp_path / "c.yaml", **SPACE, measure=QUICK)
    command = [*LEM, "campaign", "run", str(file), "--out", str(out)]
    for _ in range(12):
        host = subprocess.Popen(
            command,
            env=environment(cache),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(draw.uniform(0.5, 5))
        host.send_signal(signal.SIGKILL)
        host.wait()
    last = lem(*command[len(LEM) :], cache=cache)
    assert last.returncode == 0, last.stderr
    assert not half_written(out)
    lock = Lock.read(out / "campaign.lock.json")
    assert len(lock.arms) == 8
    wanted = [(b, a.arm_id) for b in range(6) for a in lock.arms_of(b)]
    assert sorted(counted_places(out)) == sorted(wanted)
    campaign = Campaign.load(out)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEM_CACHE", str(cache))
        # Another test may have left this process a played board.
        patch.setattr("lem.campaign.campaign.gpus", lambda _: [])
        later = campaign.generations(campaign.stage(lambda _: None))
    assert later is not None
    with Index(out) as index:
        index.refresh()
        rows = index.rows(needed_for(["energy", "latency"]))
    for generation in (1, 2):
        before = [a for a in lock.arms if (a.generation or 0) < generation]
        earlier = lock.model_copy(update={"arms": before})
        known = [r for r in rows if r.outcome.block < 2 * generation]
        chosen = [a for a in lock.arms if a.generation == generation]
        assert later.next_arms(earlier, known) == chosen
    # And it is a campaign like any other to look at.
    compared = open_results(out).compare()
    assert not compared.provisional
    assert all(a.blocks == (6 if a.baseline else 2) for a in compared.arms)
    nothing = lem(*command[len(LEM) :], cache=cache)
    assert nothing.returncode == 0
    assert "nothing to do" in nothing.stderr


SMALL: dict[str, Any] = {
    "baseline": {"engine.max_batch_size": 1},
    "sweep": {"engine.max_batch_size": {"low": 1, "high": 4}},
    "exclude": [{"engine.max_batch_size": 3}],
    "sampler": {"kind": "pareto", "budget": 7, "generation": 2, "seed": 5},
}


def test_what_is_left_to_choose_is_counted_where_the_space_is_small(tmp_path: Path) -> None:
    """1, 2 and 4 slots: the baseline is one of them, two more can be chosen of the seven."""
    file = load(write_campaign(tmp_path / "c.yaml", **SMALL, measure=QUICK))
    staging = provisional_staging(to_stage(file))
    launchers = dict.fromkeys(range(len(file.drafts)), "process")
    lock = make_lock(file, staging, Overrides(), launchers, [], ["cpu"], [0] * len(file.drafts))
    assert still_to_choose(lock) == 5
    assert left_to_choose(file, lock) == 0
    one = lock.model_copy(update={"arms": lock.arms[:2]})
    file_of_one = replace(file, drafts=file.drafts[:2])
    assert (still_to_choose(one), left_to_choose(file_of_one, one)) == (6, 1)
    endless = load(write_campaign(tmp_path / "d.yaml", **SPACE, measure=QUICK))
    _, _, lock = begun(tmp_path / "e.yaml")
    # 192 points, of which 4 are taken; the budget is less.
    assert left_to_choose(endless, lock) == still_to_choose(lock) == 4


def test_following_a_campaign_ends_when_its_space_is_used_up(tmp_path: Path) -> None:
    file = write_campaign(tmp_path / "c.yaml", **SMALL, measure={**QUICK, "blocks": 1})
    made = lem("campaign", "run", file, "--out", "out", cache=tmp_path / "cache", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    followed = lem("campaign", "status", "out", "--follow", cache=tmp_path / "cache", cwd=tmp_path)
    assert followed.returncode == 0
    assert "complete" in followed.stdout
    assert "the sweep has fewer experiments than the budget of 7" in followed.stdout
    again = lem("campaign", "run", "out", cache=tmp_path / "cache", cwd=tmp_path)
    assert again.returncode == 0 and "nothing to do" in again.stderr
