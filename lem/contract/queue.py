"""What a runner and a server say to each other: who runs, what is claimed, how it ended.

A queued campaign is claimed for a while (a *lease*), which heartbeats prolong. Each claim of it has
a higher number than the one before, its *fence*: whoever comes with a lower one has lost it, and
nothing that he sends is taken.
"""

from typing import Annotated, Literal

from pydantic import Field

from lem.contract.base import Document, Name, Part, Positive, Sha256
from lem.contract.submission import ArmId

QueuedId = Annotated[str, Field(pattern=r"^q[0-9a-f]{20}$")]
RunnerId = Annotated[str, Field(pattern=r"^r[0-9a-f]{20}$")]
Instance = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Word = Annotated[str, Field(min_length=1, max_length=120)]
Reason = Annotated[str, Field(max_length=2000)]
Fence = Annotated[int, Field(ge=1, le=2**53)]

MAX_CAMPAIGN_BYTES = 256 * 1024
MAX_PAUSE_S = 7 * 86_400.0

QueueState = Literal["queued", "running", "done", "failed", "cancelled"]
"""``queued``: nobody runs it now; somebody may have begun it."""


class Device(Part):
    model: Word
    count: Positive
    memory_bytes: Annotated[int, Field(ge=0)] | None = None


class Hardware(Part):
    """A runner's machine, without anything that tells whose it is."""

    cpu: Word
    cores: Positive
    memory_bytes: Annotated[int, Field(ge=0)]
    devices: Annotated[list[Device], Field(max_length=64)] = []
    """GPUs; none: what runs there runs on the CPU."""
    meters: Annotated[list[Name], Field(max_length=20)] = []
    """That work there."""


class Accepts(Part):
    """What its owner lets a runner run, for whoever builds a campaign: in short, and without names
    of people. The runner itself holds every campaign against all of its policy."""

    models: Annotated[list[Word], Field(max_length=100)]
    """Patterns of ids, such as ``Qwen/*``."""
    backends: Annotated[list[Name], Field(max_length=50)]
    max_hours: Annotated[float, Field(gt=0)] | None = None
    max_energy_kwh: Annotated[float, Field(gt=0)] | None = None
    hours: Annotated[str, Field(max_length=200)] = ""
    """When it runs, in words; empty: always."""


class Hello(Document):
    """``POST /runners/register``: at the start, and again whenever anything of it changes."""

    schema_version: Literal[1] = 1
    instance: Instance
    """Random, kept in the runner's folder: the same runner after it was started anew."""
    name: Word
    lem_version: Word
    key: Sha256
    """The key that signs what it submits; enrolled at this archive."""
    launcher: Name
    hardware: Hardware
    accepts: Accepts


class Welcome(Document):
    schema_version: Literal[1] = 1
    runner: RunnerId
    lease_s: Annotated[float, Field(gt=0)]
    heartbeat_s: Annotated[float, Field(gt=0)]
    """How often to say that it goes on; well within ``lease_s``."""
    poll_s: Annotated[float, Field(gt=0)]
    """How often to ask for work."""


class Wanted(Document):
    """``POST /runners/claim``. Answered by :class:`Claimed`, or 204 where there is nothing."""

    schema_version: Literal[1] = 1
    runner: RunnerId
    queued: QueuedId | None = None
    """One that this runner has begun and would go on with; None: whatever comes next."""


class Person(Part):
    """Who queued it."""

    id: Annotated[str, Field(pattern=r"^p[0-9a-f]{20}$")]
    """The same in all that one account queues here."""
    name: Word


class Claimed(Document):
    schema_version: Literal[1] = 1
    queued: QueuedId
    fence: Fence
    lease_s: Annotated[float, Field(gt=0)]
    owner: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    """``Lock.owner``, for every runner of it: all that is submitted of it is of one campaign."""
    person: Person
    campaign: Annotated[str, Field(max_length=MAX_CAMPAIGN_BYTES)]
    """YAML, as it was queued. Hostile until it is parsed."""
    begun: bool
    """Whether blocks of it were submitted already: :class:`Handover` has them."""
    others_fence: Annotated[int, Field(ge=0, le=2**53)] | None = None
    """The last fence that another runner held, 0 where none did: whose own last one is higher may
    go on with what it has. None: not told."""


class Heartbeat(Document):
    """``POST /runners/heartbeat``: also without a campaign."""

    schema_version: Literal[1] = 1
    runner: RunnerId
    queued: QueuedId | None = None
    fence: Fence | None = None
    doing: Annotated[str, Field(max_length=200)] = ""
    """In a few words."""


class Standing(Document):
    """What a heartbeat is answered."""

    schema_version: Literal[1] = 1
    lease_s: float | None = None
    """From now on; None: there is no lease, or not any more."""
    cancel: bool = False
    """Whether somebody wants it to end now."""


class Finish(Document):
    """``POST /runners/finish``: the lease ends.

    ``done``: every run is made and submitted; where the archive has not all of it, it waits again.
    ``failed``: it cannot be run, anywhere, says this runner: that ends it where a runner with
    another token says so, too, or where there is no other. ``cancelled``: ended as it was told.
    ``declined``: this runner's policy refuses it. ``unfit``: this runner cannot, another may.
    ``released``: this runner stops; it, or another, goes on.
    """

    schema_version: Literal[1] = 1
    queued: QueuedId
    fence: Fence
    outcome: Literal["done", "failed", "cancelled", "declined", "unfit", "released"]
    reason: Reason = ""
    not_before_s: Annotated[float, Field(gt=0, le=MAX_PAUSE_S)] | None = None
    """Of ``released``: so long it is not offered to this runner. Another may have it at once."""
    tried: bool = True
    """Of ``released``: whether a run was begun. If not, the claim is not counted as a try."""


class Finished(Document):
    schema_version: Literal[1] = 1
    state: QueueState


class HandedRun(Part):
    """An attempt that was submitted before, by whomever: base64 of its gzip, as it was sent."""

    block: Annotated[int, Field(ge=0)]
    arm_id: ArmId
    attempt: Annotated[int, Field(ge=0)]
    record: str | None = None
    failure: str | None = None


class Handover(Document):
    """``GET /runners/handover?queued=…&fence=…``: what was submitted of a campaign that was begun.
    The runs are public documents: boards and boots by their hashes."""

    schema_version: Literal[1] = 1
    queued: QueuedId
    lock: str
    """Base64 of the gzip of ``campaign.lock.json`` as it was submitted: what is submitted from now
    on names the same."""
    runs: list[HandedRun]
