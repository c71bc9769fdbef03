"""Runs a campaign's blocks on other machines: gives them to a scheduler, follows, and gives what is
missing again, until nothing is.

Nothing is remembered but what lies in the folder (``cluster/``): the same command goes on from any
machine that sees it. Blocks that are submitted twice, by whatever mishap, are run once (see
:mod:`lem.campaign.claims`).
"""

import os
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lem.campaign.asked import ASK_S, Asked
from lem.campaign.claims import FOLDER
from lem.campaign.execute import Grow, Ready
from lem.campaign.guard import alone, terminable
from lem.campaign.logs import last_lines, newest_log
from lem.campaign.orders import Orders
from lem.campaign.plan import Plan, plan
from lem.clusters.protocol import Cluster, Task, Work
from lem.contract.base import CONTRACT_VERSION
from lem.contract.lock import Lock
from lem.contract.order import Order, Placed, Submitted
from lem.errors import EnvironmentFault, Interrupted
from lem.launchers import environment
from lem.launchers.cache import cache_root
from lem.launchers.protocol import Say
from lem.stores.counted import ended_by_itself
from lem.stores.index import Index
from lem.stores.outcomes import Outcome

LOOK_S = 1.0
"""The folder is read no oftener, and for no more than a twentieth of the time."""
BETWEEN_ORDERS_S = 30.0
MAX_JOBS = 1000
"""Of one campaign with a scheduler at a time: as many as an array of Slurm's has by default."""
MAX_FRUITLESS = 3
"""So many orders in a row from which no run came to its end are the last."""
PASSED_ON = ("HOME", "PYTHONPATH", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "LEM_METERS")
"""Of the submitting shell's environment, beside what an agent is given; no secret is among them."""

Answer = Literal["go on", "leave", "cancel"]


@dataclass(frozen=True)
class Terms:
    """How blocks are given away."""

    cluster: Cluster
    blocks_per_job: int
    at_once: int | None
    gpus: int


@dataclass(frozen=True)
class Standing:
    """How a campaign stands that others run."""

    todo: Plan
    outcomes: list[Outcome]
    tasks: list[Task]


def spread(
    folder: Path,
    lock: Lock,
    ready: Ready,
    terms: Terms,
    retry_failed: bool,
    say: Say,
    on_standing: Callable[[Standing], None],
    interrupted: Callable[[], Answer],
    detach: bool = False,
    grow: Grow = lambda lock: lock,
    commentary_s: float = 1.0,
) -> list[Outcome]:
    """Give away what is missing and follow it until nothing is; returns every outcome.

    ``interrupted``: asked on Ctrl-C or SIGTERM. ``detach``: submit, and come back at once.
    Raises :class:`Interrupted` where that was answered by leaving or cancelling,
    :class:`EnvironmentFault` where the scheduler refuses or nothing comes of what it runs.
    """
    terms.cluster.check()
    folder = folder.absolute()
    with alone(folder), terminable():
        one = _Spread(folder, lock, ready, terms, say, commentary_s)
        forgive = frozenset(o.path for o in one.outcomes() if o.kind == "failure" and retry_failed)
        while True:
            try:
                standing = one.look(forgive)
                on_standing(standing)
                if one.give(standing, forgive) and detach:
                    return standing.outcomes
                # A job whose blocks are all there may not have ended yet: nobody waits for that.
                if not standing.todo.runs:
                    outcomes = one.outcomes()
                    if plan(one.lock, outcomes, None, forgive).runs:
                        continue
                    standing = Standing(standing.todo, outcomes, standing.tasks)
                    if (grown := grow(one.lock)) is one.lock:
                        one.forget()
                        return standing.outcomes
                    one.lock = grown
                    continue
                if detach:
                    return standing.outcomes
                one.check_cancelled(standing)
                time.sleep(one.pause_s)
            except KeyboardInterrupt:
                answer = interrupted()
                if answer == "cancel":
                    one.cancel()
                if answer != "go on":
                    raise Interrupted(
                        "its jobs are cancelled" if answer == "cancel" else "its jobs go on"
                    ) from None


def rendered(
    folder: Path, lock: Lock, ready: Ready, terms: Terms, say: Say
) -> tuple[str, Path] | None:
    """What would be submitted for the blocks that are missing, and the order that it reads, which
    is written; None where nothing is missing."""
    folder = folder.absolute()
    with alone(folder):
        one = _Spread(folder, lock, ready, terms, say, 1.0, finds=False)
        todo = plan(lock, one.outcomes(), None)
        blocks = sorted({r.block for r in todo.runs})[: MAX_JOBS * terms.blocks_per_job]
        if not blocks:
            return None
        order = one.order(blocks, todo, ())
        work = one.work(order, todo, terms.at_once)
        return terms.cluster.render(work), folder / FOLDER / f"{order.number}.json"


class _Spread:
    def __init__(
        self,
        folder: Path,
        lock: Lock,
        ready: Ready,
        terms: Terms,
        say: Say,
        commentary_s: float,
        finds: bool = True,
    ) -> None:
        """``finds``: whether the scheduler may be asked for what was submitted before."""
        self.lock = lock
        self._folder = folder
        self._ready = ready
        self._terms = terms
        self._say = say
        self._commentary_s = commentary_s
        self._place = folder / FOLDER
        self._orders = Orders(folder, lock.owner)
        self._orders.make_places()
        if finds:
            self._orders.recall(terms.cluster)
        self._last = float("-inf")
        self._asked = Asked(folder, terms.cluster, say)
        self._tasks: list[Task] = []
        self._before: set[int] = set()
        """Blocks that were with somebody when the scheduler was asked the time before: one answer
        alone may be wrong."""
        self._unasked: set[int] = {b for o in self._orders.away for b in o.blocks}
        """Blocks that were submitted since the scheduler was last asked, or whose order it did not
        know for the first time."""
        self._unknown: dict[str, float] = {}
        """Job → when the scheduler first did not know it any more."""
        self.pause_s = LOOK_S
        self._fruitless = 0
        self._ended: dict[int, int] = {}
        """Order → how many runs of its blocks had come to their end when it was submitted."""

    def outcomes(self, glance: bool = False) -> list[Outcome]:
        with Index(self._folder) as index:
            index.refresh(over=glance)
            return list(index.outcomes())

    def look(self, forgive: frozenset[str]) -> Standing:
        """Ask the scheduler, then read the folder: so what is over has left its documents."""
        away = self._orders.away
        seen, new = self._asked.about(self._orders.names())
        if new:
            self._before = self._with_somebody(self._tasks)
        self._tasks = seen.of([o.job for o in away])
        began = time.monotonic()
        outcomes = self.outcomes(glance=True)
        self.pause_s = min(ASK_S, max(LOOK_S, 20 * (time.monotonic() - began)))
        alive = {t.job for t in self._tasks}
        self._unknown = {
            o.job: self._unknown.get(o.job, seen.at)
            for o in away
            if o.job in seen.jobs and o.job not in alive
        }
        over = [o for o in away if seen.at - self._unknown.get(o.job, seen.at) >= ASK_S - 1]
        if over:
            for o in over:
                self._weigh(o, outcomes)
            self._orders.drop(over, self._terms.cluster)
        self._unasked = {
            b
            for o in self._orders.away
            if o.job not in seen.jobs or o.job in self._unknown
            for b in o.blocks
        }
        tasks = [t for t in self._tasks if t.state != "cancelled"]
        return Standing(plan(self.lock, outcomes, None, forgive), outcomes, tasks)

    def give(self, standing: Standing, forgive: frozenset[str]) -> bool:
        """Submit the blocks that are missing and with nobody; whether there were any."""
        # Not those that were just submitted and not asked about yet, nor those that were cancelled.
        away = self._with_somebody(self._tasks) | self._before | self._unasked
        blocks = sorted({r.block for r in standing.todo.runs} - away)
        if not blocks or time.monotonic() - self._last < BETWEEN_ORDERS_S:
            return False
        if self._fruitless >= MAX_FRUITLESS:
            raise self._nothing_comes()
        per_job = self._terms.blocks_per_job
        alive = len(standing.tasks) + -(-len(self._unasked) // per_job)
        room = MAX_JOBS - alive
        at_once = None if self._terms.at_once is None else self._terms.at_once - alive
        if room <= 0 or (at_once is not None and at_once <= 0):
            return False
        blocks = blocks[: room * per_job]
        order = self.order(blocks, standing.todo, forgive)
        job = self._terms.cluster.submit(self.work(order, standing.todo, at_once))
        self._orders.take(order, job, self._terms.cluster)
        self._ended[order.number] = _ended(order.blocks, standing.outcomes)
        many = f"{len(blocks)} blocks" if len(blocks) > 1 else "1 block"
        self._say(f"submitted {many} as job {job} of {self._terms.cluster.kind}")
        self._unasked |= set(blocks)
        self._last = time.monotonic()
        return True

    def check_cancelled(self, standing: Standing) -> None:
        """Blocks that somebody has cancelled at the scheduler are not given away again by the
        same command. Raises :class:`EnvironmentFault` once nothing else is going on."""
        cancelled = [t for t in self._tasks if t.state == "cancelled"]
        lost = self._with_somebody(cancelled) & {r.block for r in standing.todo.runs}
        if lost and not standing.tasks and not self._unasked:
            self.forget()
            many = f"{len(lost)} blocks were" if len(lost) > 1 else "1 block was"
            raise EnvironmentFault(
                f"{many} cancelled at the scheduler",
                hint="run the same command again to submit what is missing",
            )

    def cancel(self) -> None:
        self._terms.cluster.cancel(self._orders.names())
        self.forget()

    def forget(self) -> None:
        """Nothing is with the scheduler any more."""
        self._orders.drop(self._orders.away, self._terms.cluster)

    def work(self, order: Order, todo: Plan, at_once: int | None) -> Work:
        backend_of = {a.arm_id: a.experiment.backend for a in self.lock.arms}
        return Work(
            folder=self._folder,
            name=self._orders.name(order.number),
            order=order,
            at_once=at_once,
            memory_bytes=self.lock.limits.memory_bytes,
            variables={
                **environment.of_process(os.environ),
                **environment.settings(os.environ),
                **{n: v for n in PASSED_ON if (v := os.environ.get(n))},
            },
            settings=environment.settings(os.environ),
            turns=[
                [backend_of[r.arm_id] for r in todo.runs if r.block == block]
                for block in order.blocks
            ],
        )

    def order(self, blocks: Sequence[int], todo: Plan, forgive: Collection[str]) -> Order:
        """A new order of these blocks, written."""
        order = Order(
            contract_version=CONTRACT_VERSION,
            number=self._orders.reserve(),
            campaign_digest=self.lock.campaign_digest,
            blocks=list(blocks),
            blocks_per_job=self._terms.blocks_per_job,
            gpus=self._terms.gpus,
            placed=[
                Placed(
                    launcher=launcher,
                    backend=backend,
                    image=p.image,
                    digest=p.digest,
                    described=p.described,
                )
                for (launcher, backend), p in sorted(self._ready.items())
            ],
            cache=str(cache_root().absolute()),
            dropped=todo.dropped,
            forgive=sorted(forgive),
            commentary_s=self._commentary_s,
        )
        self._orders.write(order)
        return order

    def _weigh(self, order: Submitted, outcomes: Sequence[Outcome]) -> None:
        """Whether anything came of an order that is over."""
        before = self._ended.pop(order.number, None)
        if before is not None and _ended(order.blocks, outcomes) <= before:
            self._fruitless += 1
        else:
            self._fruitless = 0

    def _with_somebody(self, tasks: Sequence[Task]) -> set[int]:
        of_job = {o.job: o for o in self._orders.away}
        away: set[int] = set()
        for t in tasks:
            if (o := of_job.get(t.job)) is not None:
                first = t.number * o.blocks_per_job
                away.update(o.blocks[first : first + o.blocks_per_job])
        return away

    def _nothing_comes(self) -> EnvironmentFault:
        log = newest_log(self._place / "logs")
        last = [] if log is None else [f"    {line[:300]}" for line in last_lines(log)]
        return EnvironmentFault(
            "\n".join(
                [
                    f"{MAX_FRUITLESS} times in a row the jobs ended and no run had come to its end",
                    *([f"  the last lines of {log}:", *last] if last else []),
                ]
            ),
            hint="mend what the log says (a longer launcher.time, a path that the nodes don't "
            "have), then run the same command again",
        )


def _ended(blocks: Collection[int], outcomes: Sequence[Outcome]) -> int:
    of = set(blocks)
    return sum(o.block in of and ended_by_itself(o) for o in outcomes)
