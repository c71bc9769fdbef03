"""How long the answers were of which the arms' energy per request is. Pure."""

from collections.abc import Mapping
from statistics import fmean

from lem.stores.rows import Row

PER_REQUEST = "energy_per_request_j"
PER_TOKEN = "energy_per_output_token_j"
MATTERS = 0.02
"""A smaller difference between mean lengths is not worth a word."""


def of_answers(
    by_arm: Mapping[str, Mapping[int, Row]], names: Mapping[str, str], metric: str | None
) -> list[str]:
    """A note where energy per request is compared and the windows of one arm held longer answers
    than those of another: a slow engine answers a few requests of the list, a fast one thousands.

    ``by_arm``: arm id → block → the run that counts. ``names``: arm id → how the arm is called.
    """
    if metric != PER_REQUEST:
        return []
    found = {
        names[arm]: fmean(lengths)
        for arm, own in by_arm.items()
        if (lengths := [n for row in own.values() if (n := _tokens(row)) is not None])
    }
    if len(found) < 2 or max(found.values()) <= (1 + MATTERS) * min(found.values()):
        return []
    said = ", ".join(f"{name} {tokens:.3g}" for name, tokens in sorted(found.items()))
    return [
        "The answers in the windows differ in length, which is part of these ratios, and which ± "
        f"and intervals hardly show. Output tokens per request: {said}. Energy per output token "
        "leaves it out."
    ]


def _tokens(row: Row) -> float | None:
    """Output tokens per request of a run's windows: the same energy, divided by either."""
    for part, per_request in row.metrics.get(PER_REQUEST, {}).items():
        per_token = row.metrics.get(PER_TOKEN, {}).get(part)
        if per_token is not None and per_token.value and per_request.value:
            return per_request.value / per_token.value
    return None
