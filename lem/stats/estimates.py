"""What the statistics say about one campaign: plain values, nothing imported but the standard
library, so that tables and reports can use them without the cost of numpy."""

from dataclasses import dataclass, field
from typing import Any, Literal

FEW_BOARDS = 10
"""Of fewer than so many boards (or nodes) an expanded uncertainty is rough."""
Method = Literal["t", "dunnett", "boards"]
"""``t``: one comparison, Student's t interval of the within-block log-ratios. ``dunnett``: several,
Dunnett's quantile and variances between each arm's own and the pooled one. ``boards``: boards
disagree about the ratio, so they are the unit of repetition, not blocks."""


@dataclass(frozen=True)
class OneBoard:
    """A board (or set of boards, or node) beside all others of a campaign, on the logarithmic
    scale."""

    name: str
    blocks: int
    deviation_log: float | None
    """Mean of its blocks less the mean of those of all others that are not apart themselves."""
    half_width_log: float | None
    """Of intervals that hold jointly; None where the board, or those others together, have but one
    block."""
    apart: bool
    """Whether it differs from the others; of two boards that differ both do."""


@dataclass(frozen=True)
class Between:
    """By how much boards differ beyond what blocks on one board do: a standard deviation of
    logarithms. None where no board has two blocks, so that it cannot be told from scatter."""

    sd_log: float | None
    low_log: float | None
    """With ``high_log`` its 95 % interval."""
    high_log: float | None
    most_log: float | None
    """It is below this with 95 % confidence."""

    @property
    def seen(self) -> bool:
        return self.low_log is not None and self.low_log > 0


@dataclass(frozen=True)
class OnBoards:
    """What boards (or nodes) make of a ratio, where its blocks were spread over several."""

    boards: int
    between: Between
    low: float | None
    """With ``high`` the interval of the ratio on boards like these, boards being repeated; None
    where there is none."""
    high: float | None
    each: tuple[OneBoard, ...]

    @property
    def noticed(self) -> bool:
        """Whether a board is apart from the others."""
        return any(b.apart for b in self.each)


@dataclass(frozen=True)
class RatioEstimate:
    """An arm's ratio to the baseline. ``low`` and ``high`` are None where there is no interval;
    ``reason`` then says why."""

    ratio: float
    low: float | None
    high: float | None
    n: int
    """Blocks in which both were counted."""
    sd_log: float | None
    """Standard deviation of the within-block log-ratios (n − 1 in the denominator)."""
    level: float
    """Joint confidence of all ``comparisons`` intervals together."""
    comparisons: int
    reason: str | None = None
    method: Method | None = None
    """How the interval was made; None without one."""
    df: float | None = None
    """Degrees of freedom of the variance that decided its width."""
    half_width_log: float | None = None
    """Half of the interval's width on the logarithmic scale: low, high = ratio·exp(∓ this)."""
    half_width_same_log: float | None = None
    """The same for the two one-sided tests of equivalence, each at 1 − level (narrower)."""
    target: float | None = None
    """Half-width that the campaign was asked for, as a share (0.01 is ±1 %)."""
    shared_log: float = 0.0
    """Standard uncertainty of the log-ratio that all blocks share (gains of boards that differ
    between the arms); the half-widths hold it."""
    shared_half_log: float = 0.0
    """What ``half_width_log`` would be with any number of blocks."""
    shared_half_same_log: float = 0.0
    """The same for ``half_width_same_log``."""
    on_boards: OnBoards | None = None
    """Where blocks were spread over boards that were told apart. The interval is then of the ratio
    on these boards, and where one of them disagrees (``method`` is ``boards``) on boards like
    them."""

    @property
    def reached(self) -> bool | None:
        """Whether the interval is as narrow as was asked; None where nothing was asked."""
        if self.target is None or self.half_width_log is None:
            return None
        return self.half_width_log <= self.target * (1 + 1e-9)


@dataclass(frozen=True)
class BlocksNeeded:
    """How many blocks a campaign needs, from its pilot."""

    n: int | None
    """In all, the pilot's included; None where the pilot cannot tell (``reason``)."""
    method: Method | None
    half_width: float | None
    """The logarithmic half-width expected with ``n`` blocks, the widest of all comparisons."""
    reason: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What an interval says of an arm beside the baseline."""

    says: Literal["less", "more", "same", "cannot_tell"]
    more_blocks: int | None
    """About how many more blocks would decide, if the ratio stayed what it is; None where decided,
    or where no number of blocks can be named."""
    margin: float | None
    """The margin of "same", as a share (0.02 is ±2 %)."""
    hidden: bool = False
    """Whether it would be "same" but for what carry-over may have hidden."""


@dataclass(frozen=True)
class Absolute:
    """A mean over blocks: its repeatability (type A) and its expanded uncertainty. Two numbers,
    never one."""

    mean: float
    n: int
    """Blocks that entered."""
    u_a: float | None
    """Standard uncertainty of the mean from scatter between blocks; None for one block."""
    u_b: float | None
    """Standard uncertainty that all runs share (meter); None where a run states none."""
    expanded: float | None
    """U = √((k_A·u_A)² + (2·u_B)²); with one block, of the meter alone."""
    few_blocks: bool
    """True below 60 blocks: slow drift could have gone unnoticed; the interval allows for it."""
    low: float | None = None
    """Repeatability interval of the mean; None with ``reason``."""
    high: float | None = None
    level: float = 0.95
    merged: int = 1
    """How many neighbouring blocks were averaged into one before the interval."""
    lag1: float | None = None
    """Autocorrelation of neighbouring blocks."""
    slope: float | None = None
    """Change over the campaign as a share of the mean, from a straight line."""
    reason: str | None = None
    boards: int | None = None
    """Of how many boards (or nodes) its blocks are, where of several: u_a and the interval are then
    for boards like these."""
    k_a: float = 2.0
    """Coverage factor of u_a in U: more than 2 where it rests on few boards (Student's t)."""

    @property
    def few_boards(self) -> bool:
        """Whether U rests on so few boards that it is rough."""
        return self.boards is not None and self.boards < FEW_BOARDS


@dataclass(frozen=True)
class CarryOver:
    """How far a run's figure follows that of the run before it: a bias of ratios, not noise.

    ``share`` is the part of the previous run's difference (in logarithms) that is still seen; None
    where runs and order do not tell it."""

    share: float | None
    bound: float
    """|share| is below this with the stated confidence; 1 where it is not known."""
    level: float
    runs: int
    """Runs that had another before them."""
    bias: dict[Any, float]
    """Arm → bound on the bias of its log-ratio to the baseline. A limit, not a standard deviation:
    add it to an expanded uncertainty."""
    noticed: bool
    """Whether the share differs from 0 with the stated confidence."""
    pull: dict[Any, float] = field(default_factory=dict)
    """Where the share is not known: arm → how far its log-ratio would have been drawn, and which
    way, if a run showed all of the difference of the one before it."""
