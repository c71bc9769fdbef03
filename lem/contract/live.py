"""What is told of a campaign while it runs, for whoever watches: short events, in batches.

They are for the eye alone: no figure is ever derived from them. Whatever a runner sends is parsed
as these kinds and written anew; model output is text and is never shown as anything else. Names are
short because there are many: ten samples a second of each device. Lists and mappings end at their
first error: half a megabyte can be wrong in very many places.
"""

from typing import Annotated, Literal

from pydantic import FailFast, Field

from lem.contract.base import Document, Part, Scalar
from lem.contract.event import Phase
from lem.contract.queue import Fence, QueuedId
from lem.contract.submission import ArmId

MAX_EVENTS = 500
"""In one batch."""
MAX_BATCH_BYTES = 512 * 1024
"""Enough for a table of as many arms as there may be."""
MAX_TEXT = 2000
"""Characters of an answer, or of a message."""

Short = Annotated[str, Field(max_length=200)]
Message = Annotated[str, Field(max_length=MAX_TEXT)]
At = Annotated[int, Field(ge=0, le=2**53)]
"""Milliseconds since the epoch, by the runner's clock."""
Amount = Annotated[float, Field(ge=0, le=1e15)]
Index = Annotated[int, Field(ge=0, le=10**8)]
DeviceClass = Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,19}$")]


class Interval(Part):
    """A figure with its interval; both ends null where there is none yet."""

    value: Amount
    low: Amount | None = None
    high: Amount | None = None


class ShownArm(Part):
    arm_id: ArmId
    experiment_id: Annotated[str, Field(max_length=64)]
    label: Short
    backend: Short
    model: Short
    settings: Annotated[dict[Short, Scalar], FailFast(), Field(max_length=50)] = {}
    requests: Annotated[str, Field(max_length=80)] = ""
    """Hash of its request list; empty where it is not told."""


class Campaign(Part):
    """What there is to run. Again when it grows."""

    k: Literal["campaign"] = "campaign"
    at: At
    name: Short
    arms: Annotated[list[ShownArm], FailFast(), Field(max_length=1000)]
    """Later events name an arm by its place here."""
    baseline: Index


class Plan(Part):
    """How far it is: before each block, and at the end."""

    k: Literal["plan"] = "plan"
    at: At
    blocks: Index
    pilot: bool
    """Whether more than these may follow: blocks, or experiments that are still to be chosen."""
    reason: Message
    """Why there are so many."""
    left: Index
    """Runs that are missing."""
    block: Index | None = None
    """The first block that is not whole: what was told of it and of later ones counts no more where
    somebody else goes on. Null where none is missing, or it is not told."""


class State(Part):
    """What is going on beside runs."""

    k: Literal["state"] = "state"
    at: At
    state: Literal["queued", "claimed", "staging", "running", "lost", "done", "failed", "cancelled"]
    message: Message = ""


class Begin(Part):
    k: Literal["begin"] = "begin"
    at: At
    arm: Index
    block: Index
    attempt: Index


class PhaseBegins(Part):
    k: Literal["phase"] = "phase"
    at: At
    phase: Phase


class Window(Part):
    """A measured window of the run begins or ends. Between those two, and nowhere else, what goes
    by belongs to the run's figures."""

    k: Literal["window"] = "window"
    at: At
    n: Index
    """Counted from 0."""
    begins: bool
    tokens: Index
    """Output tokens in the run's windows up to here."""


class Power(Part):
    """Power of one device now, and its energy: power integrated over time, which is not what the
    record has. Where nothing was read for over a second, nothing is added."""

    k: Literal["power"] = "power"
    at: At
    device: Annotated[str, Field(max_length=40)]
    device_class: DeviceClass
    estimated: bool
    w: Amount
    j: Amount
    """Since the run's first sample."""
    window_j: Amount | None = None
    """Within the run's windows so far; null before the first one, and for good once a part of one
    was not read."""


class Tokens(Part):
    """Output tokens of this run so far, and how many come a second now."""

    k: Literal["tokens"] = "tokens"
    at: At
    n: Index
    per_s: Amount
    window_n: Index | None = None
    """Within the run's windows so far; null before the first one."""


class Text(Part):
    """A piece of a model's answer, to be shown as text only. The next one of the same request goes
    on where it stops, until one has ``end``; pieces may be missing where answers came too fast."""

    k: Literal["text"] = "text"
    at: At
    request: Annotated[str, Field(max_length=80)]
    text: Message
    end: bool


class Flag(Part):
    k: Literal["flag"] = "flag"
    at: At
    flag: Short
    message: Message


class End(Part):
    """A run ended. Its figures are those of its record, by device class, with U (k = 2)."""

    k: Literal["end"] = "end"
    at: At
    arm: Index
    block: Index
    attempt: Index
    outcome: Literal["record", "failure"]
    consequence: Literal["info", "exclude", "void"] = "info"
    failure: Short = ""
    message: Message = ""
    energy_per_output_token_j: Annotated[
        dict[DeviceClass, Interval], FailFast(), Field(max_length=10)
    ] = {}
    output_tokens: Index = 0
    output_throughput_tokens_per_s: Amount | None = None
    hardware: Short = ""
    """What its block was made on: GPUs, processor. Energies of different hardware are not
    compared."""
    meters: Annotated[
        dict[DeviceClass, Annotated[str, Field(max_length=100)]], FailFast(), Field(max_length=8)
    ] = {}
    """Device class → the meters whose energy counted, such as ``nvml``. Energies by different
    meters are not compared."""


class Row(Part):
    arm: Index
    blocks: Index
    energy_per_output_token_j: Interval | None
    """With its expanded uncertainty (k = 2), which is no interval of the table's level."""
    ratio: Interval | None
    """To the baseline."""


class Table(Part):
    """The comparison so far, as ``lem`` itself works it out after each block."""

    k: Literal["table"] = "table"
    at: At
    provisional: bool
    device_class: DeviceClass
    estimated: bool
    level: Annotated[float, Field(gt=0, lt=1)]
    """Of the ratios' intervals: 0.95."""
    rows: Annotated[list[Row], FailFast(), Field(max_length=1000)]


LiveEvent = Annotated[
    Campaign
    | Plan
    | State
    | Begin
    | PhaseBegins
    | Window
    | Power
    | Tokens
    | Text
    | Flag
    | End
    | Table,
    Field(discriminator="k"),
]


class Batch(Document):
    """``POST /runners/events``. Numbered from 0 within one lease: one that is there already changes
    nothing, one that leaves a gap is not taken. Each is answered by :class:`Taken` with the number
    that is wanted next; a runner that has that one no more sends it without events."""

    schema_version: Literal[1] = 1
    queued: QueuedId
    fence: Fence
    number: Annotated[int, Field(ge=0, le=2**53)]
    events: Annotated[list[LiveEvent], FailFast(), Field(max_length=MAX_EVENTS)]


class Taken(Document):
    """What a server answers to a batch."""

    schema_version: Literal[1] = 1
    next: int
    """The number of the batch that it waits for."""
