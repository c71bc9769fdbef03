"""One claimed campaign: judged, run in a process of its own, submitted block by block, and ended.

Whatever happens comes through one queue: what the process says, what heartbeats are answered,
signals. Between those the runner sleeps.
"""

import queue
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from lem.contract.base import write_atomic
from lem.contract.lock import Lock
from lem.contract.queue import Claimed
from lem.errors import BadInput, LemError
from lem.runner import child as processes
from lem.runner import sending
from lem.runner.child import Child
from lem.runner.energy import J_PER_KWH
from lem.runner.home import GB, Begun, Home, free_bytes, used_bytes
from lem.runner.hours import is_open
from lem.runner.judge import judged
from lem.runner.ledger import Ledger, counted
from lem.runner.orders import Orders, campaign_path
from lem.runner.policy import Policy
from lem.runner.posting import Posts
from lem.runner.sending import Sending
from lem.runner.server import LOST, Server
from lem.runner.told import Censor
from lem.runner.uploads import Uploads
from lem.submit.bundle import LOCK
from lem.submit.client import Declined

Outcome = Literal["done", "failed", "cancelled", "declined", "unfit", "released", "lost"]
TICK_S = 1.0
LOOK_S = 10.0
"""How often limits of room are looked at while nothing is measured."""
PAY_S = 60.0
BETWEEN_BLOCKS_S = 20.0
"""The next block waits no longer for a server that is slow or away."""
AT_AN_END_S = 10.0
ROOM_S, MORE_ROOM_S = 3600.0, 86_400.0
"""Before it is looked again: whether the disk has room, and the runner's folder for this one."""
FLUSH_S = 5.0
KILL_S = 20.0
LONGEST_WAIT_S = 60.0


@dataclass(frozen=True)
class Result:
    outcome: Outcome
    reason: str = ""
    not_before_s: float | None = None
    """Of ``released``: it is not for this runner for so long."""
    tried: bool = True
    """Of ``released``: whether it got so far that it is one of the tries that it has."""


@dataclass
class Happenings:
    """What a job waits for, from several threads and signal handlers."""

    inbox: "queue.SimpleQueue[dict[str, Any]]" = field(default_factory=queue.SimpleQueue)
    stopping: bool = False
    """Whether the runner itself is to end …"""
    killing: bool = False
    """… at once, in whatever order."""

    def put(self, **what: Any) -> None:
        self.inbox.put(what)

    def get(self, timeout_s: float) -> dict[str, Any]:
        """What happened; empty where nothing did."""
        try:
            return self.inbox.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            return {}


@dataclass(frozen=True)
class Runs:
    """What a runner is: the same for all its jobs."""

    server: Server
    token: str
    plain_http: bool
    home: Home
    policy: Policy
    launcher: str
    name: str
    environ: dict[str, str]
    say: Callable[[str], None]
    doing: Callable[[str], None]


class Job:
    def __init__(
        self, runs: Runs, claimed: Claimed, begun: Begun, goes_on: bool, happenings: Happenings
    ) -> None:
        self._runs = runs
        self._claimed = claimed
        self._begun = begun
        self._goes_on = goes_on
        self._happenings = happenings
        self._policy, self._home = runs.policy, runs.home
        self._folder = runs.home.campaign(claimed.queued)
        self._censor = Censor()
        self._ledger = Ledger(runs.home.root / "ledger.json")
        self._paid_at = self._began_at = self._looked_at = time.monotonic()
        self._since = time.time()
        self._left: set[int] | None = None
        """Blocks that are not done, as the process said last."""
        self._why: Result | None = None
        """Why the process was told to end."""
        self._told_end = 0.0
        self._measuring = False
        self._sending = Sending(
            runs.server.url,
            runs.token,
            runs.plain_http,
            claimed.queued,
            claimed.fence,
            self._folder,
            runs.home.outbox(),
            runs.home.handed(claimed.queued),
            runs.name,
        )

    def run(self) -> Result:
        """Everything, to the end of the lease."""
        if not self._goes_on:
            sending.forget(self._sending, self._claimed.owner)
        if (refusal := self._refusal()) is not None:
            return refusal
        try:
            orders = self._prepared()
        except BadInput as e:
            return Result("unfit", self._censor.error(e))
        except LemError as e:
            self._runs.say(e.message)
            if isinstance(e, Declined):
                return Result("lost") if e.reason == LOST else Result("unfit", e.message[:500])
            return Result("released", "what was done before could not be fetched", tried=False)
        self._pay(0.0)
        return self._ended(self._processed(orders))

    def _refusal(self) -> Result | None:
        claimed, policy = self._claimed, self._policy
        name = str(campaign_path(self._folder))
        verdict = judged(claimed.campaign, name, policy, self._runs.launcher)
        if verdict.unfit:
            return Result("unfit", self._censor.words(verdict.unfit))
        if verdict.declined:
            return Result("declined", self._censor.words("; ".join(verdict.declined), 1900))
        if policy.people != "everyone" and claimed.person.id not in policy.people:
            return Result("declined", "this runner is not for everyone")
        return self._limit()

    def _limit(self) -> Result | None:
        """Why it may not go on: time, energy, or what its person has had."""
        begun, policy = self._begun, self._policy
        if policy.max_duration is not None and begun.spent_s >= policy.max_duration:
            return self._too_much(f"{policy.max_duration / 3600:g} hours")
        if policy.max_energy_kwh is not None and begun.spent_kwh >= policy.max_energy_kwh:
            return self._too_much(f"{policy.max_energy_kwh:g} kWh", f"; {counted(begun.spent_kwh)}")
        now = _now()
        if why := self._ledger.refusal(begun.person, begun.queued, policy.quotas, now):
            return self._given_back(why, self._ledger.again_in_s(begun.person, now))
        if why := self._ledger.exhausted(policy.quotas.total, now):
            return self._given_back(why, self._ledger.again_in_s(None, now))
        return None

    def _too_much(self, most: str, why: str = "") -> Result:
        rest = f"; {len(self._left)} of its blocks are not measured" if self._left else ""
        return Result("declined", f"it takes more than the {most} that it gets here{why}{rest}")

    def _given_back(self, why: str, not_before_s: float | None = None) -> Result:
        """In order, for another runner, or for this one later."""
        return Result("released", why, not_before_s, tried=self._measuring)

    def _too_little_room(self) -> Result | None:
        policy, home = self._policy, self._home
        if free_bytes(home.root) < policy.min_free_gb * GB:
            return self._given_back("this runner has too little room on its disk", ROOM_S)
        return None

    def _too_much_room(self) -> Result | None:
        """Looked at only while nothing is measured: it reads folders."""
        policy, home = self._policy, self._home
        models = home.cache / "models"
        for folder in models.glob("*/*") if models.is_dir() else ():
            is_new = folder.stat().st_mtime > self._since
            if is_new and used_bytes(folder) > policy.models.max_gb * GB:
                return Result("declined", f"a model is larger than {policy.models.max_gb:g} GB")
        if used_bytes(home.root) > policy.max_disk_gb * GB:
            return self._given_back("it takes more room than there is for it here", MORE_ROOM_S)
        return None

    def _prepared(self) -> Orders:
        """The campaign's folder, with what others have done of it."""
        claimed, folder, home = self._claimed, self._folder, self._home
        folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        handed = home.handed(claimed.queued)
        if claimed.begun and not self._goes_on:
            self._runs.say("others have begun it: fetching what they have done")
            self._runs.server.handover(claimed.queued, claimed.fence).write(handed)
        if (folder / LOCK).exists() and Lock.read(folder / LOCK).owner != claimed.owner:
            raise BadInput("its folder here is another campaign's")
        write_atomic(campaign_path(folder), claimed.campaign.encode())
        self._begun = self._begun.model_copy(update={"whole": True})
        home.keep(self._begun)
        return Orders(
            campaign=claimed.campaign,
            owner=claimed.owner,
            launcher=self._runs.launcher,
            policy=self._policy,
            spent_s=self._begun.spent_s,
            handed=str(handed) if handed.exists() else None,
        )

    # -- while its process runs -----------------------------------------------------------------

    def _processed(self, orders: Orders) -> Result:
        """Run the process to its end; how it ended."""
        runs = self._runs
        variables = processes.variables(
            runs.environ, self._policy, self._home.root, self._home.cache
        )
        claimed, put = self._claimed, self._happenings.put
        posts = Posts(runs.server.fresh(), runs.token)
        uploads = Uploads(posts, claimed.queued, claimed.fence, lambda: put(lost=True))
        child = Child(
            self._folder, orders, variables, uploads.add, lambda message: put(child=message)
        )
        runs.doing("preparing a campaign")
        said = Result("released", "its process ended without a word")
        try:
            while True:
                happened = self._happenings.get(TICK_S)
                message = happened.get("child", {})
                self._of_the_runner(happened, child)
                if "end" in message:
                    said = _said(message)
                    if message["hint"]:
                        runs.say(message["hint"])
                elif "gone" in message:
                    break
                else:
                    self._of_the_process(message, child)
                self._look(child)
        finally:
            if self._happenings.killing:
                child.kill()
            child.close()
            lost = self._why is not None and self._why.outcome == "lost"
            uploads.close(0 if lost else FLUSH_S)
            self._pay(0.0)
            processes.reclaim(claimed.owner, self._launchers(), runs.say)
        if self._why is not None and (lost or said.outcome == "released"):
            return self._why
        return said

    def _launchers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([self._runs.launcher, *self._policy.launchers]))

    def _of_the_process(self, message: dict[str, Any], child: Child) -> None:
        if "say" in message:
            self._runs.say(message["say"])
        elif "left" in message:
            if not self._measuring:
                self._runs.doing("running a campaign")
            self._measuring, self._left = True, set(message["left"])
        elif "spent_j" in message:
            self._pay(message["spent_j"])
            if (limit := self._limit()) is not None:
                self._end(child, limit)
        elif "submit" in message:
            if (limit := self._too_much_room()) is not None:
                self._end(child, limit)
            sent = self._submit(BETWEEN_BLOCKS_S, child)
            if sent.refused:
                self._end(child, self._unsent(sent))
            self._pay(0.0)
            if (limit := self._limit()) is not None:
                self._end(child, limit)
            child.acknowledge()

    def _of_the_runner(self, happened: dict[str, Any], child: Child) -> None:
        if "lost" in happened:
            self._runs.say("the lease is lost: stopping at once")
            self._end(child, Result("lost"))
        elif "cancel" in happened:
            self._runs.say("cancelled by whoever queued it")
            self._end(child, Result("cancelled"))
        elif "signal" in happened or self._happenings.stopping:
            self._end(child, self._given_back("the runner was stopped"))

    def _look(self, child: Child) -> None:
        """What only time brings."""
        now = time.monotonic()
        policy = self._policy
        if self._told_end and now - self._told_end > KILL_S:
            child.kill()
        if now - self._paid_at > PAY_S:
            self._pay(0.0)
            if (limit := self._limit()) is not None:
                self._end(child, limit)
        left_s = (policy.max_duration or 0) - self._begun.spent_s - (now - self._paid_at)
        if policy.max_duration is not None and left_s < 0 and self._why is None:
            self._pay(0.0)
            self._end(child, self._limit() or Result("released"))
        if now - self._looked_at > LOOK_S:
            self._looked_at = now
            found = self._too_little_room()
            if found is None and not self._measuring:
                found = self._too_much_room()
            if found is not None:
                self._end(child, found)
            if self._why is None and not is_open(policy.hours, policy.time_zone, _now()):
                self._why = self._given_back("outside the hours of this runner")
                child.stop_after_this_run()

    def _end(self, child: Child, why: Result) -> None:
        weight = {"lost": 2, "cancelled": 1}
        if self._why is None or weight.get(why.outcome, 0) > weight.get(self._why.outcome, 0):
            self._why = why
        # Once: a second signal would disturb its clearing up.
        if not self._told_end:
            self._told_end = time.monotonic()
            child.interrupt()

    def _pay(self, joules: float) -> None:
        """Note what was used since the last time, so that no restart gives it anew."""
        now = time.monotonic()
        took_s, kwh = now - self._paid_at, joules / J_PER_KWH
        self._paid_at = now
        begun = self._begun
        more = {"spent_s": begun.spent_s + took_s, "spent_kwh": begun.spent_kwh + kwh}
        self._begun = begun.model_copy(update=more)
        self._home.keep(self._begun)
        self._ledger.pay(begun.person, begun.queued, took_s, kwh, _now())

    # -- afterwards -----------------------------------------------------------------------------

    def _submit(self, within_s: float, child: Child | None = None) -> sending.Sent:
        left = self._left
        if left is None:
            return sending.Sent()
        sent = sending.submit(
            self._sending, within_s, lambda block: block not in left, self._runs.say
        )
        if sent.runs:
            self._runs.say(f"submitted {sent.runs} runs")
        if sent.lost and child is not None:
            self._happenings.put(lost=True)
        return sent

    def _ended(self, result: Result) -> Result:
        """Submit what there is to submit of it, as is fitting."""
        self._used_models()
        if result.outcome == "lost":
            return result
        if result.outcome != "done":
            sent = self._submit(AT_AN_END_S)
            return Result("lost") if sent.lost else result
        self._left = set()
        wait_s = 2.0
        while True:
            sent = self._submit(BETWEEN_BLOCKS_S)
            if sent.lost:
                return Result("lost")
            if sent.refused:
                return self._unsent(sent)
            if sent.whole:
                return result
            until = time.monotonic() + wait_s
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            while (left_s := until - time.monotonic()) > 0:
                happened = self._happenings.get(left_s)
                if "lost" in happened:
                    return Result("lost")
                if "signal" in happened or self._happenings.stopping:
                    return Result("released", "the runner was stopped")

    def _unsent(self, sent: sending.Sent) -> Result:
        outcome: Outcome = "unfit" if sent.elsewhere else "failed"
        return Result(outcome, self._censor.words(sent.refused))

    def _used_models(self) -> None:
        try:
            lock = Lock.read(self._folder / LOCK)
        except LemError:
            return
        self._home.used_models({a.model.folder for a in lock.arms})


def _said(message: dict[str, Any]) -> Result:
    """How the process says that it ended."""
    if message["end"] == "stopped":
        return Result("released", "its process was stopped")
    return Result(message["end"], message["reason"])


def _now() -> datetime:
    return datetime.now(UTC)
