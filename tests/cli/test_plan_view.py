"""What a folder from elsewhere names things is shown, not obeyed."""

import io

import records
from rich.console import Console

from lem.campaign import Overview
from lem.campaign.overview import estimate
from lem.campaign.plan import Here, plan
from lem.cli.plan_view import plan_table, status_line

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
