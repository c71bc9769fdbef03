"""One attempt as comparisons see it."""

from typing import NamedTuple

from lem.stores.answering import Answering
from lem.stores.outcomes import Outcome
from lem.stores.scored import Scored
from lem.stores.shares import Share


class Figure(NamedTuple):
    """``uncertainty`` is expanded (k = 2), in the value's unit; None where none is stated."""

    value: float
    uncertainty: float | None


class Row(NamedTuple):
    """One attempt with what comparing needs of its record (empty for failures and open ones)."""

    outcome: Outcome
    run_id: str
    experiment_id: str
    campaign: str
    semantics: int
    """``metric_semantics_version``; 0 where there is no record."""
    hardware: str
    meters: dict[str, str]
    """Device class → names of the meters that read it; ``nvml (power)`` where there was no
    counter."""
    flags: tuple[str, ...]
    message: str
    """A failure's message, or why a document cannot be used."""
    metrics: dict[str, dict[str, Figure]]
    """Metric → part → value. The part is the device class, the statistic of a distribution
    (``mean``, ``p50``, ``p90``, ``p95``, ``p99``), or empty."""
    shares: dict[str, dict[str, Share]] = {}
    """Device class → device → how much of the energy it drew, and how well its gain is known."""
    answering: Answering | None = None
    """How its questions were answered; None where there were none."""
    scored: Scored | None = None
    """Of what its NLL per token is; None where it has none."""
    commentary_s: float | None = None
    """How often its agent told what it does; None where that is not known."""
