"""What a folder from elsewhere names things is shown, not obeyed."""

import io
from pathlib import Path

import pytest
import records
from rich.console import Console

from lem.campaign import Overview
from lem.campaign.overview import estimate
from lem.campaign.plan import Here, plan
from lem.cli.plan_view import plan_table, roughly, status_line
from lem.stores.outcomes import Outcome

EVIL = "\x1b[2J\x1b]0;owned\x07\x9b31m[bold]\u202e"


def test_names_with_control_sequences_are_made_visible(tmp_path) -> None:
    lock = records.lock(
        [{"arm_id": "a", "label": EVIL, "settings": {}, "experiment": records.experiment()}],
        name=EVIL,
    )
    todo = plan(lock, [], Here("2026-05-04T12:00:00+00:00", "boot", ("cpu",)), frozenset())
    overview = Overview(lock, False, todo, [])
    shown = Console(file=io.StringIO(), width=300)
    folder = tmp_path / EVIL
    shown.print(plan_table(overview, estimate(overview, {}), folder))
    for text in (shown.file.getvalue(), status_line(overview, folder)):
        assert not set(text) & set("\x1b\x07\x9b\u202e")
        assert "[bold]" in text and r"\x1b[2J" in text


def test_a_plan_shows_what_failed() -> None:
    """One of two blocks made, one failed: nothing is left to run, and the plan says why."""
    lock = records.lock(
        [{"arm_id": "a", "label": "one", "settings": {}, "experiment": records.experiment()}],
        blocks=2,
    )
    outcomes = [outcome("record", 0), outcome("failure", 1)]
    here = Here("2026-05-04T12:00:00+00:00", "boot", ("cpu",))
    overview = Overview(lock, False, plan(lock, outcomes, here, frozenset()), outcomes)
    shown = Console(file=io.StringIO(), width=120)
    shown.print(plan_table(overview, estimate(overview, {}), Path("results/x")))
    assert "1/2, 1 failed" in shown.file.getvalue()


def outcome(kind: str, block: int) -> Outcome:
    at = f"2026-05-04T11:0{block}:00+00:00"
    return Outcome(
        arm_id="a",
        block=block,
        block_pass=0,
        attempt=0,
        kind=kind,
        failure_kind="bad_argument" if kind == "failure" else None,
        consequence="info",
        started_at=at,
        ended_at=at,
        boot_id="boot",
        device_set=("cpu",),
        path=f"blocks/000{block}/a/0",
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "5 s"), (62, "1 min 00 s"), (252, "4 min"), (3599, "60 min"), (9000, "2.5 h")],
)
def test_a_forecast_has_few_digits(seconds: float, words: str) -> None:
    assert roughly(seconds) == words
