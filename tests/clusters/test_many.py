"""Many blocks: no more jobs at a time than a scheduler takes."""

import re
from pathlib import Path

import pytest
from clusters.running import campaign, lem, once_each
from clusters.testbed import SlurmCluster

pytestmark = [pytest.mark.slow, pytest.mark.slurm]
TINY = {
    "preset": "quick", "blocks": 500, "window_s": 0.02, "idle_s": 0, "settle_s": 0,
    "warm_up_cap_s": 0.02,
}  # fmt: skip


def test_more_blocks_than_a_scheduler_takes_go_one_order_after_the_other(
    cluster: SlurmCluster, tmp_path: Path
) -> None:
    slurm = {"kind": "slurm", "container": "process", "blocks_per_job": 2}
    file = campaign(tmp_path, measure=TINY | {"blocks": 10}, launcher=slurm)
    # A scheduler that takes two jobs of a campaign at a time.
    code = (
        "import lem.campaign.spread as s; s.MAX_JOBS = 2; s.BETWEEN_ORDERS_S = 1.0;"
        "from lem.cli.main import main; main()"
    )
    said = lem(cluster, tmp_path, "campaign", "run", file, "--out", "out", code=code)
    once_each(tmp_path, 10, said)
    orders = [int(n) for n in re.findall(r"submitted (\d+) blocks? as job", said)]
    assert sum(orders) == 10 and orders[0] == 4 and max(orders) == 4, said
