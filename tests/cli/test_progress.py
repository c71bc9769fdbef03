"""The live view: what it shows of a campaign, and of agents that say odd things."""

from typing import Any

import pytest
from records import arm_name, experiment, failure, lock, record

from lem.analysis.blocks import Blocks
from lem.campaign.execute import Moment
from lem.campaign.plan import Plan, Run
from lem.cli import progress
from lem.cli.progress import View
from lem.contract.event import Event

LOCK = lock(
    [
        {"arm_id": arm_name(i), "label": f"batch={i}", "settings": {}, "experiment": experiment()}
        for i in range(2)
    ],
    blocks=2,
)
RUNS = [Run(arm_name(i), b, 0, 0) for b in range(2) for i in range(2)]
PLAN = Plan(RUNS, Blocks(2, True), {}, {}, {})


def begun() -> View:
    view = View()
    view.take(Moment("plan", PLAN))
    view.take(Moment("begin", PLAN, RUNS[0], LOCK.arms[0]))
    return view


def tell(view: View, kind: Any, **data: Any) -> str:
    event = Event(t_ns=1, kind=kind, data=data)
    view.take(Moment("event", PLAN, RUNS[0], LOCK.arms[0], event))
    return view.line()


def test_block_experiment_phase_power_and_speed() -> None:
    view = begun()
    assert view.line() == "block 1 of 2 · batch=0 · starting · run 1 of 4"
    assert "measuring" in tell(view, "phase", phase="window")
    assert "gpu0 123.5 W" in tell(view, "sample", device="gpu0", power_w=123.456)
    line = tell(view, "progress", output_tokens=5, tokens_per_s=41.5)
    assert line == "block 1 of 2 · batch=0 · measuring · gpu0 123.5 W · 41.5 tokens/s · run 1 of 4"


def test_a_new_run_forgets_the_last_ones_figures() -> None:
    view = begun()
    tell(view, "sample", device="gpu0", power_w=100)
    view.take(Moment("end", PLAN, RUNS[0], LOCK.arms[0], result=record()))
    view.take(Moment("begin", PLAN, RUNS[1], LOCK.arms[1]))
    line = view.line()
    assert line.startswith("block 1 of 2 · batch=1 · starting · run 2 of 4") and "left" in line


def test_a_plan_made_anew_counts_what_is_left() -> None:
    view = begun()
    view.take(Moment("end", PLAN, RUNS[0], LOCK.arms[0], result=failure()))
    view.take(Moment("plan", PLAN._replace(runs=RUNS[1:])))
    assert view.line().split(" · ")[3] == "run 2 of 4"


@pytest.mark.parametrize("value", [10**400, -1, 1e300, "x", None, [], {}, "1"], ids=str)
def test_figures_that_make_no_sense_are_not_shown(value: Any) -> None:
    view = begun()
    before = view.line()
    tell(view, "sample", device="gpu0", power_w=value)
    assert tell(view, "progress", tokens_per_s=value) == before


def test_an_agent_cannot_act_on_the_terminal() -> None:
    view = begun()
    tell(view, "phase", phase="\x1b[2J")
    line = tell(view, "sample", device="\x1b]0;title\x07", power_w=1)
    assert "\x1b" not in line and "\x07" not in line
    assert "working" in line


def test_an_agent_cannot_fill_the_line() -> None:
    view = begun()
    for n in range(10_000):
        tell(view, "sample", device=f"device{n}" + "x" * 1000, power_w=1)
    assert len(view.line()) < 2000


def test_a_failure_says_kind_phase_message_and_fix() -> None:
    bad = failure(kind="timeout").model_copy(update={"hint": "wait longer", "phase": "load"})
    line = progress._ended(begun(), Moment("end", PLAN, RUNS[0], LOCK.arms[0], result=bad))
    assert "batch=0: failed, timeout in phase load" in line and "(fix: wait longer)" in line


def test_a_record_says_tokens_and_speed() -> None:
    good = record(output_tokens=400, throughput=40.0)
    line = progress._ended(begun(), Moment("end", PLAN, RUNS[0], LOCK.arms[0], result=good))
    assert line.endswith("batch=0: 400 tokens in 10.0 s (40.0 tokens/s)")
