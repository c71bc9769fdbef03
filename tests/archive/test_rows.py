"""Which configuration a record is a run of, and which of its figures stand in the row."""

from collections.abc import Sequence

import pytest

from lem.archive.refused import Refused
from lem.archive.rows import config_of, device_of, figure, figures_of
from lem.workloads.datasets import NLL_SHA256
from tests import records

H100 = "NVIDIA H100 80GB HBM3"


def on(
    limit_w: float | None,
    name: str = H100,
    asked_w: int | None = None,
    mig: bool = False,
    parts: Sequence[str] = (),
):
    raw = records.experiment(device={"power_limit_w": asked_w, "sm_clock_mhz": None})
    board = {**records.gpu(name=name), "power_limit_w": limit_w, "mig": mig}
    board["partitions"] = list(parts)
    return records.record(energy={"gpu": 1.0}, gpus=[board], raw_experiment=raw)


@pytest.mark.parametrize(
    ("record", "shown"),
    [
        (on(700.0), H100),
        (on(None), f"{H100} at an unknown limit"),
        (on(None, asked_w=350), H100),
        (on(None, name="A board of tomorrow"), "A board of tomorrow"),
        (on(700.0, name=f" {H100.replace(' ', '  ')}"), H100),
        (on(700.0, name=H100.lower()), H100.lower()),
        (on(350.0), f"{H100} at 350 W"),
        (on(350.0, asked_w=350), H100),
        (on(350.0, mig=True), f"{H100} (MIG: parts unknown) at 350 W"),
        (on(700.0, mig=True, parts=["1g.10gb"]), f"{H100} (MIG: 1g.10gb)"),
        (on(700.0, mig=True, parts=["3g.40gb"]), f"{H100} (MIG: 3g.40gb)"),
        (
            on(700.0, mig=True, parts=["3g.40gb", *["1g.10gb"] * 4]),
            f"{H100} (MIG: 3g.40gb, 4 × 1g.10gb)",
        ),
        (on(250.0, name="A board of tomorrow"), "A board of tomorrow at 250 W"),
    ],
)
def test_a_board_under_another_power_limit_is_another_device(record, shown: str) -> None:
    assert device_of(record) == (shown, 1)


@pytest.mark.parametrize("name", [f"{H100}\u200b", H100.replace("H", "\u041d")])
def test_a_name_that_looks_like_another_is_refused(name: str) -> None:
    with pytest.raises(Refused) as e:
        config_of(on(700.0, name=name))
    assert e.value.reason == "bad_record"


@pytest.mark.parametrize("joules", [5e-324, 1e-31, 1e31])
def test_a_figure_that_nothing_measures_is_refused(joules: float) -> None:
    """The ratio of the smallest float to anything is none, and the smallest leads every board."""
    made = records.record(energy={"gpu": joules}, gpus=[records.gpu()])
    with pytest.raises(Refused) as e:
        figures_of(made, "gpu")
    assert e.value.reason == "bad_record"
    assert figures_of(records.record(energy={"gpu": 0.0}, gpus=[records.gpu()]), "gpu")


def test_runs_under_different_limits_are_of_different_configurations() -> None:
    assert len({config_of(on(limit)).hash for limit in (700.0, 350.0, 500.0)}) == 3
    assert config_of(on(700.0)).hash == config_of(on(700.4)).hash


@pytest.mark.parametrize(("text", "value"), [(NLL_SHA256, 2.5), (None, 2.5), ("7" * 64, None)])
def test_a_likelihood_of_another_text_is_no_figure(text, value) -> None:
    made = records.record(nll=2.5)
    other = made.quality.model_copy(update={"text_sha256": text})
    found = figure(made.model_copy(update={"quality": other}), "nll_per_token", "estimated")
    assert (None if found is None else found.value) == value
