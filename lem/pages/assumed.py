"""That a figure is an estimate, and what it assumes, in one sentence."""

from lem.archive.queries.assumed import Assumed
from lem.contract.spec import Measurement
from lem.meters.estimate import RELATIVE_UNCERTAINTY
from lem.web.strings import text

DEFAULT = Assumed(
    float(Measurement.model_fields["watts_per_busy_core"].default), RELATIVE_UNCERTAINTY
)
"""What lem assumes where a campaign says nothing else."""


def sentence(assumed: Assumed | None) -> str:
    """Without numbers where none are stated."""
    if assumed is None:
        return text("estimate.unstated")
    if assumed.relative is None:
        return text("estimate.power", **numbers(assumed))
    return text("estimate.stated", **numbers(assumed))


def numbers(assumed: Assumed) -> dict[str, str]:
    """``watts``, and ``percent`` where it is stated."""
    found = {"watts": f"{assumed.watts:g}"}
    if assumed.relative is not None:
        found["percent"] = f"{100 * assumed.relative:g}"
    return found
