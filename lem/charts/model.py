"""A chart as data: what it says, its marks, and the uncertainty of each. Nothing here knows how a
chart is drawn; ``svg``, ``table``, ``data`` and ``png`` make of it what is shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Interval = tuple[float, float] | None
"""Lower and upper end in the unit of the value; None where none is known."""


@dataclass(frozen=True)
class Target:
    """Where a mark leads: a page by its name. It becomes an address only where it is drawn, since
    addresses differ between a server and a folder of files."""

    page: str
    params: Mapping[str, str] = field(default_factory=dict)
    query: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Axis:
    """What lies along one side."""

    label: str
    unit: str
    """As in ``mJ/token``; empty for a ratio. Values are in this unit: charts don't rescale."""
    log: bool = False
    share: bool = False
    """Values are from 0 to 1 and are shown in per cent."""
    zero: bool = True
    """Whether a linear axis begins at 0."""
    positive: bool = False
    """Nothing can lie below 0: an interval that reaches further is cut there, and marked so."""
    ticks: tuple[float, ...] = ()
    """Where ticks are wanted, if they have room; none: at round numbers."""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """What every chart says in words."""

    id: str
    """Within its page, as in an address: ``ratios``, ``energy-gpu``."""
    title: str
    """The finding, as a sentence."""
    subtitle: str
    """What is drawn, its unit, and what is estimated or provisional in it."""
    source: str = ""
    """The campaign or archive, and what the intervals are."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mark:
    """A point of a scatter. One whose ``x`` or ``y`` is None or not finite is left out, and a note
    says how many are. One without an interval is drawn hollow."""

    label: str
    """Beside the mark, where there is room."""
    x: float | None
    y: float | None
    x_interval: Interval = None
    y_interval: Interval = None
    target: Target | None = None
    title: str = ""
    """Shown where the pointer rests on it; empty: the label and its values."""
    emphasis: bool = False
    estimated: bool = False


@dataclass(frozen=True)
class Series:
    """Marks of one colour."""

    name: str
    marks: tuple[Mark, ...]
    joined: bool = False
    steps: bool = False
    """Joined by steps, as the edge of what a front dominates."""
    hollow: bool = False
    dashed: bool = False
    colour: int | None = None
    """1 to 7, as ``theme.colour_of`` gives for a backend; 0 is grey; None: by order."""


@dataclass(frozen=True, kw_only=True)
class Scatter(Chart):
    x: Axis
    y: Axis
    series: tuple[Series, ...]


@dataclass(frozen=True)
class Row:
    """One line of a chart of intervals or bars."""

    label: str
    value: float | None
    """None or not finite: the row stays, without a mark, and says so."""
    interval: Interval = None
    text: str = ""
    """The value as it is to be read, with its unit; empty: made of value, interval and unit."""
    sublabel: str = ""
    target: Target | None = None
    emphasis: bool = False
    estimated: bool = False
    rank: str = ""
    """Rows after each other with the same rank lie on one band."""
    colour: int | None = None
    exact: bool = False
    """Whether the value has no uncertainty of its own, as a part of a budget: it is then filled
    though it has no interval."""


@dataclass(frozen=True, kw_only=True)
class Intervals(Chart):
    """Dots with whiskers, one row each: leaderboards, ratios, budgets."""

    axis: Axis
    rows: tuple[Row, ...]
    reference: float | None = None
    """Where a line across all rows is drawn, such as a ratio of 1."""
    reference_label: str = ""
    band: Interval = None
    """What counts as the same as the reference; shaded."""


@dataclass(frozen=True, kw_only=True)
class Bars(Chart):
    """Bars from zero, with whiskers: shares."""

    axis: Axis
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class SlopeLine:
    """One thing under two choices."""

    label: str
    left: float | None
    right: float | None
    left_interval: Interval = None
    right_interval: Interval = None
    emphasis: bool = False
    estimated: bool = False
    colour: int | None = None
    target: Target | None = None


@dataclass(frozen=True, kw_only=True)
class Slope(Chart):
    """What changes between two levels of one choice, all else being equal along a line."""

    axis: Axis
    left: str
    right: str
    lines: tuple[SlopeLine, ...]


@dataclass(frozen=True)
class Phase:
    """A stretch of time with a name, such as ``window 0``."""

    name: str
    start_s: float
    end_s: float
    measured: bool = False
    """Whether its energy is what the run reports; such phases are shaded."""


@dataclass(frozen=True)
class TimeLine:
    """A quantity over time. A value that is not finite is a gap in the line."""

    name: str
    t_s: Sequence[float]
    """Seconds since the chart's zero, ascending."""
    values: Sequence[float]
    device_class: str = ""
    """``gpu``, ``cpu``, …; ``estimated`` is drawn dashed."""
    colour: int | None = None


@dataclass(frozen=True, kw_only=True)
class Traces(Chart):
    """Quantities over time with the phases of a run."""

    axis: Axis
    """Of the values; time in seconds lies along the other side."""
    lines: tuple[TimeLine, ...]
    phases: tuple[Phase, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Headline(Chart):
    """Two named configurations, and in big type how many times one is the other."""

    axis: Axis
    first: Row
    second: Row
    ratio: float
    """What the big figure says, as a ratio of the two: usually above 1."""
    ratio_interval: Interval = None
    ratio_text: str = ""
    """Such as ``4.8 ×``; empty: made of the ratio and its interval."""
    ratio_label: str = ""
    """Such as ``less energy per token``."""


AnyChart = Scatter | Intervals | Bars | Slope | Traces | Headline
