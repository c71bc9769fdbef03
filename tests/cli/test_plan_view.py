"""What a folder from elsewhere names things is shown, not obeyed."""

import io
from pathlib import Path

import pytest
import records
from rich.console import Console

from lem.analysis.results import open_results
from lem.campaign import Overview
from lem.campaign.overview import estimate
from lem.campaign.plan import Here, plan
from lem.cli.plan_view import missed_precision, plan_table, roughly, status_line
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
    [
        (1, "5 s"),
        (62, "1 min"),
        (90, "1 min 30 s"),
        (252, "4 min"),
        (3599, "60 min"),
        (9000, "2.5 h"),
    ],
)
def test_a_forecast_has_few_digits(seconds: float, words: str) -> None:
    assert roughly(seconds) == words


def compared(tmp_path: Path, values, **lock_changes):
    made = records.campaign(tmp_path, values, measured=("gpu",))
    made.model_copy(update=lock_changes).write(tmp_path / "campaign.lock.json")
    return open_results(tmp_path).compare()


def test_a_missed_precision_is_said_of_each_arm(tmp_path: Path) -> None:
    """s of ln 1, ln 1.1, ln 1.2 is 0.0913: ±4.303·0.0913 ÷ √3 = ±22.7 % for the second arm."""
    values = {1: [1.0] * 3, 2: [1.0, 1.1, 1.2]}
    (missed,) = missed_precision(compared(tmp_path, values, precision=0.2))
    assert missed.endswith(": ±23 % where ±20 % was asked for")
    assert missed_precision(compared(tmp_path, values, precision=0.25)) == []
    assert missed_precision(compared(tmp_path, values, precision=None)) == []


def test_an_arm_without_an_interval_has_missed_its_precision(tmp_path: Path) -> None:
    values = {1: [1.0, 1.1, 1.0], 2: [1.0, None, None], 4: [None] * 3}
    one, none = missed_precision(compared(tmp_path, values, precision=0.9))
    assert "batch size 2" in one and "no interval, an interval needs at least 2 blocks" in one
    assert "batch size 4" in none and "no block has both it and the baseline" in none


def test_a_search_for_a_rate_is_in_the_time_that_is_expected() -> None:
    def seconds(arrival: dict[str, object]) -> float:
        what = records.experiment()
        what["workload"] = what["workload"] | {
            "arrival": arrival,
            "slo": {"ttft_ms": 1000.0},
        }
        arms = [{"arm_id": "a", "label": "one", "settings": {}, "experiment": what}]
        lock = records.lock(arms, blocks=2)
        todo = plan(lock, [], Here("2026-05-04T12:00:00+00:00", "boot", ("cpu",)), frozenset())
        return estimate(Overview(lock, False, todo, []), {}).seconds

    fixed = seconds({"kind": "poisson", "rate": 1.0})
    searched = seconds({"kind": "poisson", "rate": {"search": "goodput", "trial_s": 4.0}})
    assert searched - fixed == pytest.approx(2 * 15 * 4)
