"""Shows a campaign while it runs: one live view on a terminal, plain lines elsewhere."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lem.campaign.execute import Moment, OnMoment
from lem.cli.output import err, note, visible
from lem.cli.plan_view import duration
from lem.contract.event import Event
from lem.contract.failure import Failure
from lem.contract.record import Record
from lem.errors import BadInput

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

    from lem.campaign import Campaign

WORDS = {
    "load": "loading",
    "cool_down": "cooling down",
    "warm_up": "warming up",
    "settle": "settling",
    "idle": "idle",
    "window": "measuring",
    "prefill": "measuring prefill",
    "accuracy": "answering questions",
    "quality": "quality probe",
    "done": "done",
}
MAX_DEVICES = 32
"""Shown at most: an agent may name as many as it likes."""


class View:
    """What is known of the campaign right now."""

    def __init__(self) -> None:
        self.label = ""
        self.block = 0
        self.blocks = 0
        self.pilot = False
        """Whether these are the blocks of a pilot still, from which more will follow."""
        self.done = 0
        self.total = 0
        self.phase = "starting"
        self.power_w: dict[str, float] = {}
        self.tokens_per_s: float | None = None
        self.left_s: float | None = None
        self._took: list[float] = []
        self._began = time.monotonic()

    def take(self, moment: Moment) -> None:
        """Bring the view up to date."""
        if moment.kind == "plan":
            self.blocks = moment.plan.blocks
            self.pilot = not moment.plan.decision.final
            self.total = self.done + len(moment.plan.runs)
        elif moment.kind == "begin" and moment.run is not None and moment.arm is not None:
            self.label, self.block = moment.arm.label, moment.run.block
            self.phase, self.power_w, self.tokens_per_s = "starting", {}, None
            self._began = time.monotonic()
        elif moment.kind == "event" and moment.event is not None:
            self._event(moment.event)
        elif moment.kind == "end":
            self.done += 1
            self._took.append(time.monotonic() - self._began)
        if self._took:
            mean = sum(self._took) / len(self._took)
            self.left_s = mean * (self.total - self.done)

    def _event(self, event: Event) -> None:
        data = event.data
        if event.kind == "phase":
            self.phase = WORDS.get(str(data.get("phase")), "working")
        elif event.kind == "sample" and _sensible(data.get("power_w")):
            device = str(data.get("device"))[:20]
            if device in self.power_w or len(self.power_w) < MAX_DEVICES:
                self.power_w[device] = data["power_w"]
        elif event.kind == "progress" and _sensible(data.get("tokens_per_s")):
            self.tokens_per_s = data["tokens_per_s"]

    def line(self) -> str:
        """Everything on one line."""
        parts = [_block(self.block, self.blocks, self.pilot), self.label, self.phase]
        parts += [f"{device} {w:.1f} W" for device, w in sorted(self.power_w.items())]
        if self.tokens_per_s:
            parts.append(f"{self.tokens_per_s:.1f} tokens/s")
        parts.append(f"run {min(self.done + 1, self.total)} of {self.total}")
        if self.left_s is not None:
            parts.append(f"about {duration(self.left_s)} left")
        return visible(" · ".join(parts))


def _block(block: int, blocks: int, pilot: bool) -> str:
    return f"{'pilot ' if pilot else ''}block {block + 1} of {blocks}"


def _sensible(value: object) -> bool:
    """Whether an agent's figure can be shown: it may say anything."""
    return isinstance(value, int | float) and 0 <= value < 1e12


@contextmanager
def progress(campaign: "Campaign", show_provisional: bool) -> Iterator[OnMoment]:
    """Within, give the yielded function every moment of the campaign."""
    view, lock = View(), threading.Lock()
    console = err()
    live = _live(console) if console.is_terminal else None
    shown: set[str] = set()

    def take(moment: Moment) -> None:
        with lock:
            waited = view.pilot
            view.take(moment)
            if live is not None:
                if not live.is_started:
                    live.start()
                live.update(_panel(view), refresh=True)
            if waited and not view.pilot:
                decision = moment.plan.decision
                note(f"the pilot is complete: {decision.n} blocks in all: {decision.reason}")
            if moment.kind == "end":
                note(_ended(view, moment))
        if moment.kind == "plan" and show_provisional and not shown and _first_done(moment):
            shown.add("provisional")
            _provisional(campaign)

    try:
        yield take
    finally:
        if live is not None and live.is_started:
            live.stop()


def _panel(view: View) -> "Table":
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1))
    grid.add_row(ProgressBar(total=max(view.total, 1), completed=view.done, width=24))
    grid.add_row(Text(view.line()))
    return grid


def _ended(view: View, moment: Moment) -> str:
    assert moment.run is not None and moment.arm is not None
    block = _block(moment.run.block, moment.plan.blocks, view.pilot)
    head = f"[{view.done}/{view.total}] {block} · {moment.arm.label}: "
    result = moment.result
    if isinstance(result, Failure):
        hint = f" (fix: {result.hint})" if result.hint else ""
        return f"{head}failed, {result.kind} in phase {result.phase}: {result.message}{hint}"
    assert isinstance(result, Record)
    seconds = sum(w.end_ns - w.start_ns for w in result.windows) / 1e9
    tokens = sum(w.output_tokens for w in result.windows)
    return f"{head}{tokens} tokens in {seconds:.1f} s ({tokens / seconds:.1f} tokens/s)"


def _first_done(moment: Moment) -> bool:
    """Whether block 1 of several has just been completed."""
    return bool(moment.plan.runs) and moment.plan.runs[0].block == 1


def _provisional(campaign: "Campaign") -> None:
    """A first table after block 1; it marks itself as provisional."""
    from lem.analysis.results import open_results
    from lem.report.table import render

    try:
        render(open_results(campaign.folder).compare(), err(), campaign.folder)
    except BadInput:
        return


def _live(console: "Console") -> "Live":
    from rich.live import Live

    return Live(console=console, refresh_per_second=2, transient=True, auto_refresh=False)
