"""What Slurm itself says of a job's energy is kept beside lem's figures, and in none of them."""

import json
import os
from pathlib import Path

import pytest
from clusters.running import campaign, lem, once_each
from clusters.testbed import SlurmCluster

from lem.clusters.slurm_energy import parsed


@pytest.mark.parametrize(
    ("said", "joules"),
    [
        ("184230\n", 184230.0),
        ("0\n", None),
        ("", None),
        ("18446744073709551614\n", None),
        ("-5", None),
        ("12.5K", None),
        ("nan", None),
    ],
)
def test_what_sstat_says(said: str, joules: float | None) -> None:
    assert parsed(said) == joules


@pytest.mark.slow
@pytest.mark.slurm
def test_where_the_site_accounts_for_energy(cluster: SlurmCluster, tmp_path: Path) -> None:
    """No plugin of Slurm's reads anything on a machine without counters: a script stands for
    ``sstat``, on nodes that are otherwise real."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "sstat").write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\necho 1500\n')
    (tools / "sstat").chmod(0o755)
    metered = SlurmCluster(
        cluster.folder, {**cluster.environment, "PATH": f"{tools}:{os.environ['PATH']}"}
    )
    said = lem(metered, tmp_path, "campaign", "run", campaign(tmp_path), "--out", "out")
    once_each(tmp_path, 4, said)
    # The last job may still be writing its own when its runs are there.
    place = tmp_path / "out" / "cluster" / "accounted"
    cluster.wait(lambda: len([*place.glob("*.json")]) == 4)
    found = [json.loads(p.read_text()) for p in place.glob("*.json")]
    assert {f["consumed_j"] for f in found} == {1500.0}
    assert all(".batch" in line for line in (tmp_path / "asked").read_text().splitlines())
    again = lem(metered, tmp_path, "campaign", "run", tmp_path / "out")
    assert "by Slurm's own accounting 4 jobs used 6 kJ (sstat ConsumedEnergyRaw: whole" in again
    records = [p.read_text() for p in (tmp_path / "out").glob("blocks/*/*/*/record.json")]
    assert records and not [r for r in records if "ConsumedEnergy" in r]
