"""A campaign whose number of blocks comes from its pilot, from beginning to end."""

import json
from pathlib import Path

import pytest
from tick import counted_places, lem, write_campaign


@pytest.mark.slow
def test_the_pilot_decides_and_a_missed_precision_is_strict_alone(tmp_path: Path) -> None:
    """A precision that no six blocks of a tenth of a second can have, so ``max_blocks`` caps n."""
    measure = {
        "preset": "standard",
        "precision": 0.0001,
        "max_blocks": 6,
        "window_s": 0.1,
        "idle_s": 0.02,
        "settle_s": 0,
        "warm_up_cap_s": 0.05,
    }
    sweep = {"engine.max_batch_size": [1, 4]}
    file = write_campaign(tmp_path / "c.yaml", measure=measure, sweep=sweep)
    folder, cache = tmp_path / "out", tmp_path / "cache"
    planned = lem("campaign", "plan", file, "--out", folder, cache=cache)
    assert "2 experiments × 5 pilot blocks" in planned.stdout
    assert "computed once, for ±0.01 %, at most 6" in planned.stdout
    run = lem("campaign", "run", file, "--out", folder, "--strict", cache=cache)
    assert run.returncode == 1, run.stderr
    assert "pilot block 5 of 5" in run.stderr and "block 6 of 6" in run.stderr
    assert "the pilot is complete: 6 blocks in all: capped by max_blocks" in run.stderr
    assert "provisional: 1 of 5 pilot blocks" in " ".join(run.stderr.split())
    assert "precision missed: batch size 4 in CPU time per output token" in run.stderr
    assert "where ±0.01 % was asked for: not reached" in " ".join(run.stdout.split())
    assert sorted({block for block, _ in counted_places(folder)}) == list(range(6))
    again = lem("campaign", "run", file, "--out", folder, "--json", cache=cache)
    assert again.returncode == 0, again.stderr
    document = json.loads(again.stdout)
    assert document["nothing_to_do"] and document["missed_precision"]
    decided = document["comparison"]["blocks_decided"]
    assert (decided["n"], decided["pilot"], decided["capped_by"]) == (6, 5, "max_blocks")
    assert decided["needed"] > 6
    status = lem("campaign", "status", folder, cache=cache)
    assert "12/12 runs done, complete; 6 blocks: capped by max_blocks" in status.stdout
    assert "where ±0.01 % was asked for: not reached." in status.stdout
    status = lem("campaign", "status", folder, "--json", cache=cache)
    (reached,) = json.loads(status.stdout)["precision_reached"].values()
    assert reached == pytest.approx(document["comparison"]["precision"]["reached"].popitem()[1])


def test_blocks_on_the_command_line_need_no_pilot(tmp_path: Path) -> None:
    file = write_campaign(tmp_path / "c.yaml", measure={"preset": "publication"})
    planned = lem("campaign", "plan", file, "--blocks", "2", "--json", cache=tmp_path / "cache")
    decided = json.loads(planned.stdout)["blocks_decided"]
    assert (decided["n"], decided["final"], decided["reason"]) == (2, True, "fixed by --blocks")
