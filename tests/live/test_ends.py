"""What is told of a run's record when it has ended."""

from lem.campaign.plan import Run
from lem.contract.live import End
from lem.contract.record import Record
from lem.live.moments import _ended
from tests import records


def ended(record: Record) -> End:
    return _ended(Run("a" * 64, 0, 0, 0), 0, record, 1)


def test_what_it_was_made_on_and_which_meters_counted() -> None:
    made = records.record(energy={"gpu": 0.5}, gpus=[records.gpu()])
    window = made.windows[0]
    (reading,) = window.energy
    more = [
        reading,
        reading.model_copy(update={"meter": "amd", "device": "gpu1"}),
        reading.model_copy(update={"meter": "rapl", "device_class": "cpu", "energy_j": None}),
        *(reading.model_copy(update={"device_class": c * 20}) for c in "bcdefghij"),
    ]
    windows = [window.model_copy(update={"energy": more}), *made.windows[1:]]
    told = ended(made.model_copy(update={"windows": windows}))
    assert records.gpu()["name"] in told.hardware and len(told.hardware) <= 200
    assert told.meters["gpu"] == "amd, nvml"
    assert "cpu" not in told.meters
    assert len(told.meters) <= 8
    assert End.model_validate_json(told.model_dump_json()) == told


def test_long_names_are_cut() -> None:
    made = records.record()
    environment = made.environment.model_copy(update={"cpu_model": "x" * 500})
    told = ended(made.model_copy(update={"environment": environment}))
    assert len(told.hardware) == 200
    assert End.model_validate_json(told.model_dump_json()) == told
