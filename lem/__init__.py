"""Measure what LLM inference costs in energy, with a stated uncertainty.

The names that a script needs: :class:`lem.Campaign` to plan and run a campaign file,
:func:`lem.open` to read the records of one, and ``with lem.meter() as m:`` to measure what a
stretch of code draws (:class:`lem.meters.session.Meter`). They are loaded on first use, because
the measurement agent imports this package where only pydantic is installed.
"""

from typing import Any

__version__ = "0.1.0"
__all__ = ["Campaign", "__version__", "meter", "open"]


def __getattr__(name: str) -> Any:
    if name == "Campaign":
        from lem.campaign import Campaign

        return Campaign
    if name == "open":
        from lem.analysis.results import open_results

        return open_results
    if name == "meter":
        from lem.meters.session import Meter

        return Meter
    raise AttributeError(f"module 'lem' has no attribute {name!r}")
