"""Figures of configurations, as answers show them."""

import pytest

from lem.archive.queries.figures import figure
from lem.archive.schema import HEADLINE, RECOMPUTED


@pytest.mark.parametrize(
    ("metric", "tier"),
    [("energy_per_output_token_j", "recomputed"), ("nll_per_token", "self-reported")],
)
def test_what_no_file_shows_has_no_tier_of_its_runs(metric: str, tier: str) -> None:
    row = {
        "metric": HEADLINE.index(metric),
        "tier": RECOMPUTED,
        "mean": 2.5,
        "expanded": 0.1,
        "why_none": 0,
        "n": 3,
        "submitters": 1,
        "best": 2.4,
        "last": 2.5,
    }
    found = figure(row, "gpu")
    assert (found.metric, found.tier, found.value) == (metric, tier, 2.5)
