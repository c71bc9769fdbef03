"""The process that runs one campaign for a runner: ``python -m lem.runner.work FOLDER``.

It gets its :class:`Orders` on standard input and tells what happens on standard output
(``pipe.py``). It has no token, and no secret that the owner did not allow. Where the runner is
gone, it ends.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from lem import boards
from lem.agent.environment import gpus
from lem.campaign import Campaign
from lem.campaign.execute import Moment
from lem.campaign.stage import Staging
from lem.config import CampaignFile, check_available, parse
from lem.config.yaml_source import read_text
from lem.contract.live import LiveEvent, State
from lem.contract.lock import Lock, Overrides
from lem.contract.queue import Handover
from lem.errors import BadInput, EnvironmentFault, Interrupted, LemError
from lem.live.moments import Translator
from lem.runner import handover
from lem.runner.energy import Spending, assumed_w
from lem.runner.judge import of_experiment, refusals
from lem.runner.orders import Orders, budgeted, campaign_path, check_budget, limited
from lem.runner.pipe import MAY_BE_DROPPED, Pipe
from lem.runner.told import Censor

MAX_ORDERS_BYTES = 4 * 2**20
MOST_SAYINGS = 200
"""Lines about staging that are told."""
LIVE_S, SELDOM_S = 0.1, 1.0
"""How often an agent tells what it does, with and without somebody who may watch its samples."""
END_S = 30.0
"""How long it may take to end in order once the runner is gone."""


class Stopped(LemError):
    """The runner has asked for an end before the next run."""


class Control:
    """What the runner says after the orders."""

    def __init__(self, source: BinaryIO, gone: Callable[[], None]) -> None:
        self._source = source
        self._gone = gone
        self._acks = threading.Semaphore(0)
        self.stop = False
        threading.Thread(target=self._follow, name="control", daemon=True).start()

    def acknowledged(self) -> None:
        """Wait until what was asked for is done."""
        self._acks.acquire()

    def _follow(self) -> None:
        while line := self._source.readline():
            if line == b"stop\n":
                self.stop = True
            elif line == b"ack\n":
                self._acks.release()
        self._gone()


class Work:
    """Tells the runner what happens, and asks it to submit between blocks."""

    def __init__(
        self, orders: Orders, pipe: Pipe, control: Control, tells: Translator, censor: Censor
    ) -> None:
        self._orders = orders
        self._pipe = pipe
        self._control = control
        self._tells = tells
        self._censor = censor
        self._live = orders.policy.live
        self._block: int | None = None
        self._said = 0
        self._running = False
        self.spending = Spending()

    def say(self, line: str) -> None:
        """A line about what is prepared: for the runner's own log, and for whoever watches."""
        self._pipe.message(say=line[:1000])
        self._said += 1
        if self._said <= MOST_SAYINGS and not self._running:
            self._state("staging", line)

    def on_moment(self, moment: Moment) -> None:
        if moment.kind == "begin" and moment.arm is not None:
            if self._control.stop:
                raise Stopped("the runner stops")
            if found := of_experiment(moment.arm.experiment, self._orders.policy):
                raise BadInput(found[0])
        if moment.kind == "plan" and not self._running:
            self._running = True
            self._state("running", "")
        if self._live != "none":
            for event in self._tells.events(moment):
                self._event(event)
        self._pay(moment)
        if moment.kind == "plan":
            self._between_blocks(moment)

    def _between_blocks(self, moment: Moment) -> None:
        missing = sorted({r.block for r in moment.plan.runs})
        now = min(missing, default=None)
        self._pipe.message(left=missing)
        if self._block is not None and now is not None and now != self._block:
            self._pipe.message(submit=True)
            self._control.acknowledged()
        self._block = now

    def broken_off(self) -> None:
        """What the run took that will not be whole."""
        if (spent := self.spending.end(None)) > 0:
            self._pipe.message(spent_j=spent)

    def _pay(self, moment: Moment) -> None:
        """The energy of the run that goes on, while it does, and at its end."""
        if moment.kind == "begin":
            self.spending.begin()
        elif moment.kind == "event" and moment.event is not None:
            if moment.event.kind == "sample":
                self.spending.sample(moment.event.data)
            if (spent := self.spending.due()) > 0:
                self._pipe.message(spent_j=spent)
        elif moment.kind == "end":
            self._pipe.message(spent_j=self.spending.end(moment.result))

    def _state(self, state: Any, message: str) -> None:
        if self._live != "none":
            self._event(State(at=_now_ms(), state=state, message=message[:2000]))

    def _event(self, event: LiveEvent) -> None:
        if self._live == "full" or event.k not in MAY_BE_DROPPED:
            self._pipe.event(self._censor.event(event))


def _now_ms() -> int:
    return time.time_ns() // 10**6


class Limited(Campaign):
    """A campaign that gets no more time than its runner has for it."""

    def __init__(
        self, file: CampaignFile, folder: Path, overrides: Overrides, orders: Orders, work: Work
    ) -> None:
        super().__init__(file, folder, overrides, orders.owner)
        self._orders, self._work = orders, work
        self._began = time.monotonic()

    def lock_of(self, staging: Staging) -> Lock:
        """The lock, with what is left of the runner's time where the author gives more: what was
        needed to prepare the campaign is gone by now."""
        orders = self._orders
        spent_s = orders.spent_s + time.monotonic() - self._began
        lock = super().lock_of(staging)
        capped, why = budgeted(lock, orders.policy.max_duration, spent_s)
        # Of one that others began, the first one's budget holds.
        if why and self.lock is None and orders.handed is None:
            self._work.say(why)
        return capped


def campaign_of(orders: Orders, folder: Path, work: Work) -> Campaign:
    """The campaign, read from its folder, held against the policy and capped by it."""
    path = campaign_path(folder)
    if read_text(path) != orders.campaign:
        raise BadInput("the campaign file is not the one that was checked")
    # Not by ``load``: what is excluded, and so held against nothing, may name files here.
    file = parse(orders.campaign, str(path))
    for reason in refusals(file, orders.policy, orders.launcher):
        raise BadInput(reason)
    check_available(file)
    swept = any(d.launcher is not None for d in file.drafts)
    chosen = None if swept or file.spec.agent_launcher != "auto" else orders.launcher
    overrides = Overrides(launcher=chosen)
    capped = limited(file, orders.policy, orders.launcher)
    return Limited(capped, folder, overrides, orders, work)


def run(campaign: Campaign, orders: Orders, work: Work) -> None:
    """Take over what others began, and make what is missing."""
    if orders.handed is not None:
        handed = Handover.read(Path(orders.handed))
        if campaign.lock is None:
            if why := handover.unlike(handed, campaign.gpus()):
                raise EnvironmentFault(why)
            lock = handover.locked(handed)
            check_budget(lock, campaign.file, orders.policy.max_duration)
            campaign.take_over(lock, work.say)
        handover.write(campaign.folder, handed)
    work.spending.assumed_w = orders.policy.assumed_watts or assumed_w(
        gpus(campaign.gpus()), os.cpu_count() or 1
    )
    often = LIVE_S if orders.policy.live == "full" else SELDOM_S
    try:
        campaign.run(work.on_moment, work.say, commentary_s=often, refused_settings_end_it=True)
    finally:
        work.broken_off()


def main(folder: Path) -> int:
    source = sys.stdin.buffer
    pipe = Pipe(os.dup(1))
    os.dup2(2, 1)  # what anything prints is for the log
    orders = Orders.parse(source.readline(MAX_ORDERS_BYTES), "orders")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    def gone() -> None:
        threading.Timer(END_S, lambda: os._exit(130)).start()
        os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    control = Control(source, gone)
    censor = Censor()
    work = Work(orders, pipe, control, Translator(folder), censor)
    outcome, reason, hint = "done", "", ""
    try:
        run(campaign_of(orders, folder, work), orders, work)
    except (KeyboardInterrupt, Interrupted):
        outcome = "stopped"
    except Stopped:
        outcome = "stopped"
    except EnvironmentFault as e:
        outcome, reason, hint = "unfit", censor.error(e), str(e)
    except BadInput as e:
        taken_over = orders.handed is not None
        outcome, reason, hint = ("unfit" if taken_over else "failed"), censor.error(e), str(e)
    except LemError as e:
        outcome, reason, hint = "unfit", censor.error(e), str(e)
    finally:
        boards.put_back(lambda _: None)
    pipe.message(end=outcome, reason=reason, hint=hint[:4000])
    return 0


if __name__ == "__main__":
    code = main(Path(sys.argv[1]))
    sys.stdout.flush()
    # Threads that wait for the runner are no reason to stay.
    os._exit(code)
