"""The orders of a campaign folder: numbered, written once, and which of them a scheduler has.

``cluster/N.json`` is an order, ``cluster/jobs.json`` says what was submitted. Both may be lost or
come from elsewhere: jobs are found again by their names, and a job of another name is nobody's.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from lem.campaign.claims import FOLDER
from lem.campaign.guard import typed_disk_errors
from lem.clusters.protocol import Cluster
from lem.contract.base import utc_now
from lem.contract.order import Jobs, Order, Submitted
from lem.errors import BadInput

JOBS = "jobs.json"
LOOKED_FOR = 8
"""Orders of which nothing is known (rendered, or their host was killed) that are looked for at the
scheduler: the newest so many."""
_NUMBER = re.compile(r"([1-9][0-9]{0,8})\.json")


class Orders:
    """Those of one folder."""

    def __init__(self, folder: Path, owner: str) -> None:
        self._folder = folder
        self._place = folder / FOLDER
        self._owner = owner
        self.away: list[Submitted] = []
        """What is with the scheduler, as far as is known."""
        self._over: set[int] = set()

    def make_places(self) -> None:
        """The folders that jobs write to; nobody else may, whatever the umask."""
        with typed_disk_errors(self._folder):
            for place in (self._place, *(self._place / n for n in ("claims", "logs", "accounted"))):
                place.mkdir(exist_ok=True)
                place.chmod(place.stat().st_mode & 0o7755)

    def recall(self, cluster: Cluster) -> None:
        """What was submitted before, also by a host that was killed before it could write it down.

        Raises :class:`BadInput` where it is with another scheduler.
        """
        path = self._place / JOBS
        if path.exists():
            try:
                jobs = Jobs.read(path)
            except BadInput as e:
                raise BadInput(
                    f"{path} cannot be read: {e.message}",
                    hint="remove it: jobs that still run are found by their names",
                ) from e
            if jobs.orders and jobs.kind != cluster.kind:
                raise BadInput(
                    f"{self._folder}: its blocks are with {jobs.kind}",
                    hint=f"go on there, or cancel them there and remove {path}",
                )
            self.away, self._over = list(jobs.orders), set(jobs.over)
        known = self._over | {o.number for o in self.away}
        for number in sorted(set(self.numbers()) - known)[-LOOKED_FOR:]:
            job = cluster.find(self.name(number))
            if job is None:
                continue
            try:
                order = Order.read(self._place / f"{number}.json")
            except BadInput:
                continue
            self._add(order, job)

    def numbers(self) -> list[int]:
        found = (_NUMBER.fullmatch(p.name) for p in self._place.iterdir())
        return sorted(int(m[1]) for m in found if m)

    def reserve(self) -> int:
        """A number that no other host has, nor will have."""
        number = max(self.numbers(), default=0)
        with typed_disk_errors(self._folder):
            while True:
                number += 1
                try:
                    with (self._place / f"{number}.json").open("x"):
                        return number
                except FileExistsError:
                    continue

    def write(self, order: Order) -> Path:
        path = self._place / f"{order.number}.json"
        with typed_disk_errors(self._folder):
            order.write(path)
        return path

    def name(self, number: int) -> str:
        """Of an order's jobs."""
        return f"lem-{self._owner}-{number}"

    def names(self) -> dict[str, str]:
        """Job → the name that it must have."""
        return {o.job: self.name(o.number) for o in self.away}

    def take(self, order: Order, job: str, cluster: Cluster) -> None:
        self._add(order, job)
        self._write(cluster)

    def drop(self, orders: Sequence[Submitted], cluster: Cluster) -> None:
        """They are over."""
        gone = {o.number for o in orders}
        self.away = [o for o in self.away if o.number not in gone]
        self._over |= gone
        self._write(cluster)

    def _add(self, order: Order, job: str) -> None:
        self.away.append(
            Submitted(
                number=order.number,
                job=job,
                blocks=order.blocks,
                blocks_per_job=order.blocks_per_job,
                at=utc_now(),
            )
        )

    def _write(self, cluster: Cluster) -> None:
        with typed_disk_errors(self._folder):
            jobs = Jobs(kind=cluster.kind, orders=self.away, over=sorted(self._over))
            jobs.write(self._place / JOBS)


def names_of(folder: Path, owner: str) -> Mapping[str, str]:
    """Job → its name, of what was submitted and is not known to be over."""
    path = folder / FOLDER / JOBS
    if not path.exists():
        return {}
    return {o.job: f"lem-{owner}-{o.number}" for o in Jobs.read(path).orders}
