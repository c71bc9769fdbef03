"""Following a campaign whose blocks a scheduler places."""

import sys
from collections import Counter
from typing import TYPE_CHECKING

import click

from lem.cli.output import note

if TYPE_CHECKING:
    from lem.campaign import Campaign, Overview
    from lem.campaign.spread import Answer, Standing
    from lem.clusters.protocol import Task


def on_cluster(campaign: "Campaign", retry_failed: bool, detach: bool) -> tuple["Overview", bool]:
    """Submit and follow; how the campaign stands, and whether all of it is over."""
    seen = ""

    def tell(standing: "Standing") -> None:
        nonlocal seen
        line = standing_line(standing)
        if line != seen:
            note(line)
        seen = line

    from lem.campaign.afield import spread

    overview = spread(campaign, note, tell, ask, retry_failed, detach)
    over = not overview.plan.runs and not overview.to_choose
    if not over:
        note("submitted; it goes on without this command")
        note(f"watch it: lem campaign status {campaign.folder} --follow")
        note(f"when its jobs are over, this goes on with what is missing: {again(campaign)}")
    return overview, over


def again(campaign: "Campaign") -> str:
    return f"lem campaign run {campaign.folder}"


def standing_line(standing: "Standing") -> str:
    """``12 runs to go; 3 jobs run on n1, n2; 4 wait (Resources)``."""
    parts = [f"{len(standing.todo.runs)} runs to go"]
    running = [t for t in standing.tasks if t.state == "running"]
    waiting = [t for t in standing.tasks if t.state == "waiting"]
    if running:
        parts.append(f"{_jobs(running)} run on {_places(running)}")
    if waiting:
        parts.append(f"{_jobs(waiting)} wait ({_places(waiting)})")
    return "; ".join(parts)


def _jobs(tasks: list["Task"]) -> str:
    return "1 job" if len(tasks) == 1 else f"{len(tasks)} jobs"


def _places(tasks: list["Task"], most: int = 4) -> str:
    names = [name for name, _ in Counter(t.where or "?" for t in tasks).most_common()]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def ask() -> "Answer":
    """What to do with the jobs, of whoever pressed Ctrl-C; nobody there: leave them."""
    if not sys.stdin.isatty():
        return "leave"
    note("its jobs are the scheduler's: c cancels them, d leaves them running, Enter goes on")
    try:
        answer = click.getchar().lower()
    except (KeyboardInterrupt, EOFError):
        return "leave"
    if answer == "c":
        return "cancel"
    return "leave" if answer == "d" else "go on"


def render(campaign: "Campaign") -> str:
    """What would be submitted, to be read, changed and submitted by hand. Writes the order that the
    job reads: without it there is nothing to do."""
    from lem.campaign.afield import rendered

    text, order = rendered(campaign, note)
    note(f"it reads {order}; it needs lem on the nodes, not where it is submitted")
    return text
