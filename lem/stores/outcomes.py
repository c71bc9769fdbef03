"""What the plan needs to know of each attempt that was made."""

from typing import Literal, NamedTuple

from lem.contract.flags import Consequence
from lem.errors import FailureKind


class Cost(NamedTuple):
    """One figure of a record that decides how many blocks are needed."""

    metric: str
    part: str
    """Device class; empty where the metric has none."""
    meter: str
    """Names of the meters behind it: figures of different ones are not compared."""
    value: float
    """Positive, in the metric's unit."""


class Outcome(NamedTuple):
    """One attempt on disk: a record, a failure, or (``open``) a job without either."""

    arm_id: str
    block: int
    block_pass: int
    attempt: int
    kind: Literal["record", "failure", "open"]
    failure_kind: FailureKind | None
    consequence: Consequence
    """Of a record's flags; ``info`` for failures."""
    started_at: str
    ended_at: str
    boot_id: str
    device_set: tuple[str, ...]
    path: str
    """The attempt's folder, relative to the campaign folder."""
    costs: tuple[Cost, ...] = ()
    """Of a record: what the number of blocks is computed from; sorted."""
