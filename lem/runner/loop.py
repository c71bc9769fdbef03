"""``lem runner``: claims queued campaigns of a server and runs them, one after another."""

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import FrameType
from typing import TypeVar

from lem import __version__, boards
from lem.contract.queue import Accepts, Claimed, Finish, Hardware, Heartbeat, Hello, Welcome
from lem.errors import LemError
from lem.runner import child, hours
from lem.runner.hardware import hardware
from lem.runner.home import GB, Home, free_bytes
from lem.runner.job import Happenings, Job, Result, Runs
from lem.runner.ledger import Ledger
from lem.runner.policy import Policy
from lem.runner.pulse import Pulse
from lem.runner.server import LOST, UNKNOWN, Server, heartbeat
from lem.submit import push
from lem.submit.client import Declined, Unreachable
from lem.submit.manifest import key_id, raw_public

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
CLOSED_S = 30.0
"""How often it is looked whether it may ask again."""
FINISH_S = 15.0
"""How long a runner that was told to stop goes on trying to say so."""
AFTER_TROUBLE_S = 5.0
NOT_WELCOME = (401, 403)
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Setting:
    url: str
    token: str
    plain_http: bool
    name: str
    """Empty: made of its random id."""
    launcher: str
    policy: Policy
    home: Home
    once: bool
    environ: dict[str, str]


class Stop(Exception):
    """The runner was told to end while it waited."""


class Runner:
    def __init__(self, setting: Setting, say: Callable[[str], None]) -> None:
        self._setting = setting
        self._say = say
        self._happenings = Happenings()
        self._signal: int | None = None
        self._registered = False
        self._server = Server(setting.url, setting.token, setting.plain_http)
        self._welcome = Welcome(runner=f"r{'0' * 20}", lease_s=30, heartbeat_s=5, poll_s=2)

    def run(self) -> int:
        """Until it is told to stop, or with ``once`` after one campaign. Returns the exit status.

        Raises :class:`LemError` where the server does not want it.
        """
        home = self._setting.home
        result: Result | None = None
        with home.alone(), self._signals():
            try:
                self._clear()
                self._enter()
                while result is None or not self._setting.once:
                    claimed = self._next()
                    result = self._work(claimed)
                    for name in home.tidy(self._setting.policy):
                        self._say(f"removed {name}: no longer needed")
                    if result.outcome in ("released", "lost") and not self._setting.once:
                        self._sleep(AFTER_TROUBLE_S)
            except Stop:
                pass
            finally:
                self._server.close()
        if self._signal is not None:
            return 130 if self._signal == signal.SIGINT else 0
        return 0 if result is not None and result.outcome == "done" else 1

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(number: int, _: FrameType | None) -> None:
            if self._signal is not None:
                self._happenings.killing = True
                raise KeyboardInterrupt
            self._signal = number
            self._happenings.stopping = True
            self._happenings.put(signal=number)

        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        before = {n: signal.signal(n, stop) for n in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _clear(self) -> None:
        """Remove what a runner of this folder left that was killed."""
        setting = self._setting
        if left := child.end_leftovers(setting.home.root):
            self._say(f"ended {left} processes of a runner that was killed")
        launchers = tuple(dict.fromkeys([setting.launcher, *setting.policy.launchers]))
        for begun in setting.home.open_begun():
            child.reclaim(begun.owner, launchers, self._say)
        boards.put_back(self._say)
        setting.home.clear_temporary()
        setting.home.tidy(setting.policy)

    def _enter(self) -> None:
        """Register, with a key that the archive knows."""
        setting = self._setting
        machine = hardware()

        def register() -> Welcome:
            with push.connected(
                setting.url, plain_http=setting.plain_http, token=setting.token
            ) as link:
                key = key_id(raw_public(push.ready_key(link, self._say, self._name())))
            return self._server.register(self._hello(key, machine))

        self._welcome = self._patiently(register)
        self._registered = True
        self._say(f"registered at {setting.url} as {self._welcome.runner}")

    def _name(self) -> str:
        """The runner's public name, which is its submitter's too where its key is new there."""
        setting = self._setting
        return setting.name or f"runner-{setting.home.instance()[:8]}"

    def _hello(self, key: str, machine: Hardware) -> Hello:
        setting, policy = self._setting, self._setting.policy
        duration = policy.max_duration
        return Hello.model_validate(
            {
                "instance": setting.home.instance(),
                "name": self._name(),
                "lem_version": __version__,
                "key": key,
                "launcher": setting.launcher,
                "hardware": machine,
                "accepts": Accepts(
                    models=[m[:120] for m in policy.models.allow[:100]],
                    backends=policy.backends[:50],
                    max_hours=None if duration is None else duration / 3600,
                    max_energy_kwh=policy.max_energy_kwh,
                    hours=hours.words(policy.hours, policy.time_zone),
                ),
            }
        )

    def _next(self) -> Claimed:
        """Wait for work."""
        policy = self._setting.policy
        while True:
            if not hours.is_open(policy.hours, policy.time_zone, _now()):
                self._idle("outside of its hours")
                continue
            if free_bytes(self._setting.home.root) < policy.min_free_gb * GB:
                self._say(f"less than {policy.min_free_gb:g} GB are free: asking for nothing")
                self._idle("too little room on its disk")
                continue
            ledger = Ledger(self._setting.home.root / "ledger.json")
            if (why := ledger.exhausted(policy.quotas.total, _now())) is not None:
                self._idle(why)
                continue
            claimed = self._patiently(self._claim)
            if claimed is not None:
                return claimed
            self._sleep(self._welcome.poll_s * (0.75 + random.random() / 2))

    def _claim(self) -> Claimed | None:
        """What this runner has begun and may go on with, else what comes next."""
        runner, home = self._welcome.runner, self._setting.home
        for begun in home.open_begun():
            claimed = self._server.claim(runner, begun.queued)
            if claimed is not None:
                return claimed
            home.ended(begun, "elsewhere")
            self._say(f"{begun.queued} is over, or somebody else's now")
        return self._server.claim(runner)

    def _idle(self, why: str) -> None:
        told = Heartbeat(runner=self._welcome.runner, doing=why)
        self._patiently(lambda: heartbeat(self._server.client, told))
        self._sleep(CLOSED_S)

    def _patiently(self, ask: Callable[[], Answer]) -> Answer:
        """Ask until the server answers. Where it knows this runner no more, register again."""
        wait_s = FIRST_WAIT_S
        while True:
            try:
                return ask()
            except Unreachable as e:
                at_least = e.wait_s or 0.0
                if wait_s == FIRST_WAIT_S:
                    self._say(f"{e.message}; trying again")
            except Declined as e:
                if e.reason == UNKNOWN and self._registered:
                    self._registered = False
                    self._enter()
                    continue
                if e.status in NOT_WELCOME or not self._registered:
                    raise
                at_least = LONGEST_WAIT_S / 2
                self._say(f"{e.message}; trying again")
            self._sleep(max(at_least, wait_s * (0.5 + random.random() / 2)))
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _sleep(self, seconds: float) -> None:
        """Raises :class:`Stop` where the runner is to end."""
        until = time.monotonic() + seconds
        while not self._happenings.stopping:
            left_s = until - time.monotonic()
            if left_s <= 0:
                return
            self._happenings.get(left_s)
        raise Stop

    def _work(self, claimed: Claimed) -> Result:
        setting, home = self._setting, self._setting.home
        # What an earlier job's threads may still say is not about this one.
        self._happenings = Happenings()
        self._happenings.stopping = self._signal is not None
        put = self._happenings.put
        begun, goes_on = home.claimed(claimed)
        self._say(f"claimed {claimed.queued}" + (", going on with it" if goes_on else ""))
        told = Heartbeat(
            runner=self._welcome.runner,
            queued=claimed.queued,
            fence=claimed.fence,
            doing="looking at a campaign",
        )
        with Pulse(
            self._server.fresh(),
            told,
            self._welcome.heartbeat_s,
            lambda: put(lost=True),
            lambda: put(cancel=True),
        ) as pulse:
            runs = Runs(
                self._server,
                setting.token,
                setting.plain_http,
                home,
                setting.policy,
                setting.launcher,
                self._name(),
                setting.environ,
                self._say,
                pulse.doing,
            )
            result = Job(runs, claimed, begun, goes_on, self._happenings).run()
            if result.outcome != "lost":
                result = self._finish(claimed, result)
        why = f": {result.reason}" if result.reason else ""
        self._say(f"{claimed.queued}: {result.outcome}{why}")
        known = home.begun(claimed.queued) or begun
        if result.outcome == "released":
            if result.not_before_s is not None:
                home.ended(known, "later")
        elif result.outcome != "lost":
            home.ended(known, result.outcome)
        return result

    def _finish(self, claimed: Claimed, result: Result) -> Result:
        """Say how it ended, until that is known there."""
        told = Finish.model_validate(
            {
                "queued": claimed.queued,
                "fence": claimed.fence,
                "outcome": result.outcome,
                "reason": result.reason[:2000],
                "not_before_s": result.not_before_s,
                "tried": result.tried,
            }
        )
        until = time.monotonic() + FINISH_S
        wait_s = FIRST_WAIT_S
        while True:
            try:
                state = self._server.finish(told)
                if result.outcome == "done" and state == "queued":
                    return Result("released", "the archive has not all of it")
                return Result("failed") if (result.outcome, state) == ("done", "failed") else result
            except Declined as e:
                if e.reason != LOST:
                    self._say(e.message)
                return Result("lost")
            except LemError as e:
                if self._happenings.stopping and time.monotonic() > until:
                    self._say(f"{e.message}; what was done is kept here")
                    return Result("released")
            self._happenings.get(wait_s)
            wait_s = min(2 * wait_s, 5.0)


def _now() -> datetime:
    return datetime.now(UTC)
