"""``submit:`` of a campaign: what is sent while it runs, and what is asked when it is done.

Nothing here ever fails a campaign. What cannot be sent stays in the outbox, with a note.
"""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from lem.cli.output import note, visible
from lem.errors import LemError

if TYPE_CHECKING:
    from lem.campaign import Campaign
    from lem.campaign.execute import Moment, OnMoment
    from lem.submit.outbox import Outbox
    from lem.submit.push import Link

BETWEEN_BLOCKS_S = 10.0
"""The next block waits no longer for an archive that is slow or away."""
AT_THE_END_S = 60.0

Wanted = Literal["always", "never", "ask"]


def wanted(campaign: "Campaign") -> Wanted:
    """What the campaign's file says, or for ``ask`` what was answered on this machine before."""
    from lem.submit import settings

    said = campaign.file.spec.submit
    if said != "ask":
        return said
    try:
        return settings.read().submit or "ask"
    except LemError as e:
        note(f"nothing is submitted: {e}")
        return "never"


class Submitting:
    """Sends a campaign's blocks as they are done, between two runs and never during one."""

    def __init__(self, folder: Path, then: "OnMoment") -> None:
        self.folder = folder
        self._then = then
        self._block: int | None = None
        self._trouble = False

    def __call__(self, moment: "Moment") -> None:
        self._then(moment)
        if moment.kind != "plan":
            return
        missing = {r.block for r in moment.plan.runs}
        now = min(missing, default=None)
        # When a campaign goes on, what it finds is sent with the next block, or at the end.
        if self._block is not None and now is not None and now != self._block:
            self._send(missing)
        self._block = now

    def _send(self, missing: set[int]) -> None:
        if self._trouble:
            return
        self._trouble = not send(
            self.folder, BETWEEN_BLOCKS_S, lambda block: block not in missing, "; tried again later"
        )

    def finish(self) -> None:
        """Send what is left, once nothing more is measured."""
        if send(self.folder, AT_THE_END_S, lambda block: True, ""):
            return
        note(f"send it with: {_push(self.folder)}")


def send(folder: Path, within_s: float, ended: Callable[[int], bool], more: str) -> bool:
    """Put what is new into the outbox and send it, for at most so long; whether all of it was
    accepted. Why not, is a note."""
    from lem.submit.leaks import Net
    from lem.submit.outbox import Outbox
    from lem.submit.push import connected, fresh, queue, server_of, words

    try:
        outbox = Outbox()
        with connected(server_of(None), within_s=within_s) as link:
            net = Net(words([folder]))
            made = fresh(folder, link.info, outbox, net, lambda attempt: ended(attempt.block))
            queue(folder, link, outbox, made)
            return _deliver(folder, link, outbox, within_s)
    except LemError as e:
        note(f"not submitted: {e}{more}")
    except OSError as e:
        note(f"not submitted: {e.filename or 'the outbox'}: {e.strerror}{more}")
    return False


def _deliver(folder: Path, link: "Link", outbox: "Outbox", within_s: float) -> bool:
    from lem.submit.bundle import locked
    from lem.submit.push import deliver, ready_key
    from lem.submit.send import Patience
    from lem.submit.veil import campaign_of

    campaign = campaign_of(locked(folder).owner, link.info.board_salt)
    waiting = [e for e in outbox.of(link.info.archive, campaign) if e.state == "queued"]
    if not waiting:
        return True
    key = ready_key(link, note)
    with outbox.alone() as held:
        if not held:
            note("another lem is sending what is in the outbox; this too")
            return True
        good = True
        for sent in deliver(outbox, waiting, link, key, Patience(within_s)):
            if sent.why is not None and not sent.entry.there:
                note(f"not submitted: {sent.why}")
                good = False
            elif sent.receipt is not None:
                state = sent.receipt.campaign_state
                note(f"submitted {sent.receipt.runs} runs to {link.url}; the campaign is {state}")
        return good


def ask(folder: Path) -> None:
    """Ask once per machine whether results go to its archive; without a terminal, or without an
    archive, only say how."""
    from lem.submit import push, settings
    from lem.submit.places import config_folder

    try:
        url = push.server_of(None)
    except LemError:
        url = ""
    if not url or not (sys.stdin.isatty() and sys.stderr.isatty()):
        where = "" if url else " --server URL"
        note(f"these results stay here; to send them to an archive: {_push(folder)}{where}")
        return
    note(f"what would be sent, and what never is: {_push(folder)} --dry-run")
    answer: str = click.prompt(
        visible(f"Send the results of campaigns on this machine to {url}? (always, once, never)"),
        type=click.Choice(["always", "once", "never"]),
        show_choices=False,
        err=True,
    )
    if answer != "once":
        with settings.changed() as change:
            change.to(change.settings.model_copy(update={"submit": answer}))
        note(f"remembered in {config_folder() / settings.FILE}")
    if answer != "never" and not send(folder, AT_THE_END_S, lambda block: True, ""):
        note(f"send it with: {_push(folder)}")


def _push(folder: Path) -> str:
    return shlex.join(["lem", "results", "push", str(folder)])
