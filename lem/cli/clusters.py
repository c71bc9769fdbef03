"""Following a campaign whose blocks a scheduler places."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from lem.cli.output import err, note, visible

if TYPE_CHECKING:
    from lem.campaign import Campaign, Overview
    from lem.campaign.spread import Answer, Standing
    from lem.clusters.protocol import Task

LINE_S = 60.0
"""Where lines are kept (a log), progress alone is told no oftener."""


def on_cluster(campaign: "Campaign", retry_failed: bool, detach: bool) -> tuple["Overview", bool]:
    """Submit and follow; how the campaign stands, and whether all of it is over."""
    from lem.campaign.afield import spread

    with telling() as tell:

        def standing(found: "Standing") -> None:
            far, on = standing_words(found)
            tell(f"{far}; {on}" if on else far, on)

        overview = spread(campaign, note, standing, ask, retry_failed, detach)
    over = not overview.plan.runs and not overview.to_choose
    tell_accounted(campaign)
    if not over:
        note("submitted; it goes on without this command")
        note(f"watch it: lem campaign status {campaign.folder} --follow")
        note(f"when its jobs are over, this goes on with what is missing: {again(campaign)}")
    return overview, over


def again(campaign: "Campaign") -> str:
    return f"lem campaign run {campaign.folder}"


@contextmanager
def telling() -> Iterator[Callable[[str, str], None]]:
    """Tells a line: on a terminal in the place of the one before, elsewhere below it where its
    second argument is another one than before, and now and then."""
    if err().is_terminal:
        with err().status("…") as shown:
            yield lambda line, _: shown.update(visible(line))
        return
    seen: str | None = None
    told = float("-inf")

    def tell(line: str, what: str) -> None:
        nonlocal seen, told
        if what != seen or time.monotonic() - told >= LINE_S:
            note(line)
            seen, told = what, time.monotonic()

    yield tell


def standing_words(standing: "Standing") -> tuple[str, str]:
    runs = len(standing.todo.runs)
    return ("1 run to go" if runs == 1 else f"{runs} runs to go", tasks_words(standing.tasks))


def tasks_words(tasks: "Sequence[Task]") -> str:
    """``3 jobs run on n1, n2; 4 wait (Resources)``."""
    parts = []
    running = [t for t in tasks if t.state == "running"]
    waiting = [t for t in tasks if t.state == "waiting"]
    if running:
        parts.append(f"{_jobs(running)} on {_places(running)}")
    if waiting:
        parts.append(f"{_jobs(waiting, 'wait')} ({_places(waiting)})")
    return "; ".join(parts)


def _jobs(tasks: "Sequence[Task]", verb: str = "run") -> str:
    return f"1 job {verb}s" if len(tasks) == 1 else f"{len(tasks)} jobs {verb}"


def _places(tasks: "Sequence[Task]", most: int = 4) -> str:
    names = [name for name, _ in Counter(t.where or "?" for t in tasks).most_common()]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def tasks_of(campaign: "Campaign") -> "tuple[list[Task], str]":
    """A campaign's jobs, and what there is to say of them; nothing where no scheduler has it."""
    from lem.campaign.afield import tasks
    from lem.errors import EnvironmentFault

    if campaign.cluster is None or campaign.lock is None:
        return [], ""
    try:
        found = tasks(campaign)
    except EnvironmentFault as e:
        return [], f"its jobs are not to be seen from here: {e.message}"
    return found, tasks_words(found) or f"none of its jobs runs or waits; go on: {again(campaign)}"


def tell_accounted(campaign: "Campaign") -> None:
    """A line where the scheduler has accounted for energy itself."""
    from lem.campaign.asked import accounted

    if found := accounted(campaign.folder):
        joules = sum(a.consumed_j for a in found)
        jobs = "1 job" if len(found) == 1 else f"{len(found)} jobs"
        note(
            f"by Slurm's own accounting {jobs} used {joules / 1e3:.4g} kJ ({found[0].source}: "
            "whole nodes, loading and waiting included, no uncertainty stated)"
        )


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
