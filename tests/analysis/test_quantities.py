"""Every metric has a short name, and what cannot be compared is said as it is."""

import pytest

from lem.analysis.quantities import quantity_of
from lem.analysis.results import open_results
from lem.contract.metrics import METRICS
from lem.errors import BadInput
from tests import records

VALUES = {1: [0.02, 0.021], 4: [0.009, 0.0092]}


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_has_a_name_that_fits_over_a_table(name: str) -> None:
    part = {"by_class": "gpu", "distribution": "p50"}.get(METRICS[name].shape, "")
    assert len(quantity_of(name, part).title) <= 50


def test_a_figure_that_runs_lack_is_no_zero(tmp_path) -> None:
    records.campaign(tmp_path, VALUES)
    with pytest.raises(BadInput, match="4 of 4 runs have no goodput_per_s"):
        open_results(tmp_path).compare(metric="goodput_per_s")


def test_there_is_no_ratio_to_zero(tmp_path) -> None:
    records.campaign(tmp_path, VALUES, goodput=(0.0, 0.0))
    with pytest.raises(BadInput, match="goodput_per_s is 0 in 4 of 4 runs") as e:
        open_results(tmp_path).compare(metric="goodput_per_s")
    assert e.value.hint is not None and "beside the energy" in e.value.hint
