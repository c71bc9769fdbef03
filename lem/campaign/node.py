"""What a scheduler's job runs on its node: ``python -m lem.campaign.node FOLDER ORDER TASK``.

Where the scheduler itself starts the images (Kubernetes), each container of a block's pod says
``--backend NAME``, and all but the first ``--goes-on``: it makes the runs that are next while they
are of its backend, and leaves the rest to those that follow.

It makes the runs of the blocks of one task of an order (:class:`lem.contract.order.Order`), with
the same code as ``lem campaign run`` on one machine, and leaves them in the campaign's folder. What
it needs was staged before: no network, no scheduler.

Exit status as lem's: 0 all made or failed by themselves, 1 claimed by another job since, 3 the
node lacks something, 130 told to end.
"""

import hashlib
import io
import os
import socket
import sys
import traceback
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from itertools import takewhile
from pathlib import Path
from typing import TextIO

from lem import boards, plugins
from lem.agent.environment import gpus
from lem.analysis.blocks import Blocks
from lem.campaign.allocation import POD_UID, allocated, of_job
from lem.campaign.attempt import close_open
from lem.campaign.claims import FOLDER, Held, Holder, Lost
from lem.campaign.execute import Execution, Moment, Ready, present
from lem.campaign.guard import check_links, terminable
from lem.campaign.plan import Plan, Run, of_block
from lem.clusters.slurm_energy import SOURCE, consumed_j
from lem.contract.base import CONTRACT_VERSION, utc_now
from lem.contract.failure import Failure
from lem.contract.lock import Lock
from lem.contract.order import Accounted, Order
from lem.errors import BadInput, EnvironmentFault, Interrupted, LemError
from lem.launchers.protocol import BackendSetup, Launcher, Prepared
from lem.stores.folder import outcomes_of

LOCK = "campaign.lock.json"
ACCOUNTED, NONE = "accounted", "none"


def run_task(
    folder: Path,
    number: int,
    task: int,
    by: str,
    backend: str | None = None,
    holder: Holder | None = None,
) -> None:
    """Make what is missing of a task's blocks. ``by``: the scheduler's name of this job.
    ``backend``: only those runs that are next and of it.

    Raises :class:`Lost` where another job has claimed a block since, :class:`Interrupted` where
    it was told to end, :class:`EnvironmentFault` where the node lets it down.
    """
    check_links(folder)
    order = Order.read(folder / FOLDER / f"{number}.json")
    lock = Lock.read(folder / LOCK)
    _check(order, lock)
    os.environ["LEM_CACHE"] = order.cache
    boards.put_back(say)
    here = allocated(os.environ, gpus, order.gpus)
    lock = lock.model_copy(update={"gpus": here})
    launchers: dict[str, Launcher] = {
        name: plugins.load("launchers", name)() for name in {p.launcher for p in order.placed}
    }
    with terminable():
        for block in order.of_task(task):
            _run_block(folder, order, lock, launchers, block, by, backend, holder)


def _run_block(
    folder: Path,
    order: Order,
    lock: Lock,
    launchers: dict[str, Launcher],
    block: int,
    by: str,
    backend: str | None,
    holder: Holder | None,
) -> None:
    held = Held(folder, block, by, holder, os.environ.get("LEM_POD_NODE", ""))
    backend_of = {a.arm_id: a.experiment.backend for a in lock.arms}
    # Two blocks of a campaign may share a node: neither removes what the other has started.
    lock = lock.model_copy(update={"owner": f"{lock.owner}-{block}"})
    for launcher in launchers.values():
        if left := launcher.reclaim(lock.owner):
            say(f"removed {left} left over from a run that was killed")
    close_open(folder, outcomes_of(folder, block), present(lock.gpus))
    execution = Execution(
        folder,
        lock,
        launchers,
        _ready(order, lock),
        _tell,
        order.commentary_s,
        check=held.check,
        allocation=of_job(os.environ, os.cpu_count() or 1, held.restarts),
    )
    forgive = frozenset(order.forgive)
    gone = dict(order.dropped)
    taken = 0
    while True:
        outcomes = outcomes_of(folder, block)
        state, runs = of_block(lock, block, outcomes, present(lock.gpus), gone, forgive)
        if state.void is not None and runs:
            say(f"block {block:04d} begins anew: {state.void}")
        if not runs:
            return
        here = [r._replace(attempt=r.attempt + taken) for r in runs]
        try:
            if refused := execution.skip_refused(_plan(order, here, gone), say):
                gone |= {r.arm_id: "device_setting" for r in refused}
                continue
            if backend is not None:
                here = list(takewhile(lambda r: backend_of[r.arm_id] == backend, here))
            if not here:
                return
            todo = _plan(order, here, gone)
            for outcome in execution.block(todo):
                forgive -= {outcome.path}
                if outcome.kind != "record" or outcome.consequence == "void":
                    break
        except FileExistsError:
            # Another node's, which this one does not see yet (a network file system's cache).
            taken += 1
            if taken > 100:
                raise


def _plan(order: Order, runs: list[Run], gone: dict[str, str]) -> Plan:
    return Plan(runs, Blocks(max(order.blocks) + 1, True), {}, {}, gone)


def _check(order: Order, lock: Lock) -> None:
    if order.contract_version != CONTRACT_VERSION:
        raise EnvironmentFault(
            "this node has another version of lem than the one that submitted the job",
            hint="build the backends' images anew with this version of lem, and push them"
            if POD_UID in os.environ
            else "set launcher.python to an interpreter that every node sees",
            kind="contract",
        )
    if order.campaign_digest != lock.campaign_digest:
        raise BadInput("the order is of another campaign than the folder's lock")


def _ready(order: Order, lock: Lock) -> Ready:
    found: Ready = {}
    for p in order.placed:
        b = lock.backends[p.backend]
        setup = BackendSetup(p.backend, b.image, b.base_image, b.python, order.gpus > 0)
        found[p.launcher, p.backend] = Prepared(setup, p.described, p.image, p.digest)
    return found


def say(text: str) -> None:
    print(text, flush=True)


def _tell(moment: Moment) -> None:
    """A line for each run, in the job's log."""
    if moment.run is None or moment.arm is None:
        return
    place = f"block {moment.run.block:04d}, {moment.arm.label}"
    if moment.kind == "begin":
        say(f"{place}: begun on {os.environ.get('LEM_POD_NODE') or socket.gethostname()}")
    elif moment.kind == "end":
        failed = isinstance(moment.result, Failure)
        why = f"failed ({moment.result.kind}): {moment.result.message}" if failed else "done"  # type: ignore[union-attr]
        say(f"{place}: {why}")


def main(arguments: Sequence[str]) -> int:
    given = _arguments(arguments)
    began = utc_now()
    with _told_in(given.folder, given.number, given.task):
        try:
            return _ended(given)
        finally:
            _account(given, began)


def _arguments(arguments: Sequence[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m lem.campaign.node", description="Runs a task's blocks.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("number", type=int)
    parser.add_argument("task", type=int)
    parser.add_argument("--backend")
    parser.add_argument("--goes-on", action="store_true")
    return parser.parse_args(arguments)


def _ended(given: Namespace) -> int:
    try:
        by, holder = _job(os.environ), _holder(os.environ, given.task, given.goes_on)
        run_task(given.folder, given.number, given.task, by, given.backend, holder)
    except Interrupted:
        say("told to end: the run that went on does not count, and its block is run again")
        return Interrupted.exit_code
    except Lost as e:
        say(f"ended: {e}")
        return 1
    except LemError as e:
        say(f"error: {e}")
        return e.exit_code
    return 0


def _account(given: Namespace, began: str) -> None:
    """Leave what the scheduler says that this job has used, where it says so."""
    if "SLURM_JOB_ID" not in os.environ:
        return
    place = given.folder / FOLDER / ACCOUNTED
    if (place / NONE).exists():
        return
    if (consumed := consumed_j(os.environ)) is None:
        with suppress(OSError):
            # Nobody need ask again.
            (place / NONE).touch()
        return
    job = os.environ["SLURM_JOB_ID"]
    found = Accounted(
        order=given.number,
        task=given.task,
        job=job,
        host=socket.gethostname(),
        started_at=began,
        ended_at=utc_now(),
        consumed_j=consumed,
        source=SOURCE,
    )
    try:
        found.write(place / f"{given.number}-{given.task}-{job}.json")
    except (OSError, LemError) as e:
        say(f"Slurm's accounting could not be written down: {e}")


@contextmanager
def _told_in(folder: Path, number: int, task: int) -> Iterator[None]:
    """What a pod says is also left in the campaign's folder, as Slurm does by itself."""
    if POD_UID not in os.environ:
        yield
        return
    path = folder / FOLDER / "logs" / f"{number}-{task}.log"
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    with ExitStack() as stack:
        try:
            log = stack.enter_context(os.fdopen(os.open(path, flags, 0o644), "w", buffering=1))
        except OSError as e:
            say(f"{path} cannot be written: {e.strerror}")
        else:
            stack.enter_context(redirect_stdout(_Both(sys.stdout, log)))
        try:
            yield
        except BaseException:
            traceback.print_exc(file=sys.stdout)
            raise


class _Both(io.TextIOBase):
    """Writes to two places."""

    def __init__(self, *places: TextIO) -> None:
        self._places = places

    def write(self, text: str) -> int:
        for place in self._places:
            place.write(text)
        return len(text)

    def flush(self) -> None:
        for place in self._places:
            place.flush()


def _holder(environ: Mapping[str, str], task: int, goes_on: bool) -> Holder | None:
    """The pod that this container is in, if it is in one."""
    if not (pod := environ.get(POD_UID)):
        return None
    token = hashlib.sha256(pod.encode()).hexdigest()[:32]
    return Holder(token, f"kubernetes {environ.get('LEM_POD_JOB', '')}-{task}", goes_on)


def _job(environ: Mapping[str, str]) -> str:
    """The scheduler's name for this job, for people."""
    if POD_UID in environ:
        return f"kubernetes pod {environ.get('LEM_POD_NAME', '')}"
    array, task = environ.get("SLURM_ARRAY_JOB_ID"), environ.get("SLURM_ARRAY_TASK_ID")
    if array and task:
        return f"slurm {array}_{task}, start {1 + int(environ.get('SLURM_RESTART_COUNT') or 0)}"
    if job := environ.get("SLURM_JOB_ID"):
        return f"slurm {job}"
    return f"process {os.getpid()}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
