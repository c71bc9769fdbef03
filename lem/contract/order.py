"""``cluster/N.json`` of a campaign folder: blocks that were given to a scheduler, with what a node
needs to run them."""

from typing import Annotated, Literal

from pydantic import Field

from lem.contract.base import Document, Part, Positive, Sha256
from lem.contract.stage import Described

Block = Annotated[int, Field(ge=0, lt=10**9)]


class Placed(Part):
    """A backend that staging made ready, for one launcher."""

    launcher: str
    backend: str
    image: str | None
    digest: str | None
    described: Described


class Order(Document):
    schema_version: Literal[1] = 1
    contract_version: int
    number: Positive
    campaign_digest: Sha256
    blocks: Annotated[list[Block], Field(min_length=1)]
    blocks_per_job: Positive
    gpus: Annotated[int, Field(ge=0)]
    """How many a block is given."""
    placed: list[Placed]
    cache: str
    """Where models and images lie: the same path on every node."""
    dropped: dict[str, str] = {}
    """Arm → kind of the failure for which it is not tried again."""
    forgive: list[str] = []
    """Folders of failures whose runs are made again."""
    commentary_s: Annotated[float, Field(gt=0)] = 1.0

    @property
    def tasks(self) -> int:
        """Jobs that the order is made of."""
        return -(-len(self.blocks) // self.blocks_per_job)

    def of_task(self, index: int) -> list[int]:
        """The blocks of one of its jobs, counted from 0. Raises :class:`IndexError`."""
        if not 0 <= index < self.tasks:
            raise IndexError(index)
        return self.blocks[index * self.blocks_per_job : (index + 1) * self.blocks_per_job]


class Claim(Document):
    """Who runs a block now: the newest claim counts, and who finds another one stops."""

    schema_version: Literal[1] = 1
    token: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    by: str
    """The scheduler's name of the job: ``slurm 4711_3``."""
    of: str = ""
    """The same without what tells one start of it from the next, where the scheduler does not count
    them; else empty."""
    start: Annotated[int, Field(ge=0)] = 0
    """How often that one had been begun before."""
    host: str
    at: str


class Submitted(Part):
    """An order that the scheduler has taken."""

    number: Positive
    job: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$")]
    """The scheduler's name for it."""
    blocks: list[Block]
    blocks_per_job: Positive
    at: str


class Jobs(Document):
    """``cluster/jobs.json``: what was submitted and is not known to be over."""

    schema_version: Literal[1] = 1
    kind: Literal["slurm", "kubernetes"]
    orders: list[Submitted]
    over: list[Positive] = []
    """Numbers of the orders that were submitted and are over."""


class Accounted(Document):
    """``cluster/accounted/N-T-JOB.json``: energy of a job of an order by the scheduler's own
    accounting, from its beginning to its end. It is of whole nodes, loading and waiting included,
    with no uncertainty stated: shown beside lem's figures, in none of them."""

    schema_version: Literal[1] = 1
    order: Positive
    task: Annotated[int, Field(ge=0)]
    job: str
    host: str
    started_at: str
    ended_at: str
    consumed_j: Annotated[float, Field(gt=0)]
    source: str
    """How it was asked for, in the scheduler's words."""
