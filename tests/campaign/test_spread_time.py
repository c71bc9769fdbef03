"""How long a campaign takes on several nodes."""

import pytest

from lem.campaign.overview import spread_s


@pytest.mark.parametrize(
    ("jobs", "nodes", "seconds"),
    [
        ([], 4, 0),
        ([10, 10, 10, 10], 1, 40),
        ([10, 10, 10, 10], 2, 20),
        ([10, 10, 10], 2, 20),
        ([10, 10, 10], 8, 10),
        # The third begins where the short one has ended.
        ([30, 5, 10], 2, 30),
    ],
)
def test_jobs_begin_on_the_node_that_is_free_first(
    jobs: list[float], nodes: int, seconds: float
) -> None:
    assert spread_s(jobs, nodes) == seconds
