"""A calibration file: what it does to a reading, and what is refused."""

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lem.config import load, measurement
from lem.errors import BadInput
from lem.meters import calibration, readings
from lem.meters.nvml import Nvml
from lem.meters.protocol import Device, MeterSettings, Sample
from lem.meters.sampler import Sampler
from lem.meters.sampling import trace
from tests.meters import played

Begin = Callable[[played.Play], played.Play]
UUID = "GPU-00000000-0000-0000-0000-000000000000"
BOARD = {"gain": 1.05, "uncertainty": 0.004, "date": "2026-03-02", "against": "WT5000, all rails"}


def write(folder: Path, boards: Any, **more: Any) -> Path:
    path = folder / "boards.json"
    path.write_text(json.dumps({"schema_version": 1, "boards": boards, **more}))
    return path


def test_a_board_that_reads_five_per_cent_too_much_is_corrected(
    play: Begin, tmp_path: Path
) -> None:
    """Through the sampler's process; the assumed 3.4 % give way to the calibration's 0.4 %."""
    path = write(tmp_path, {UUID: BOARD})
    what = play(played.Play(((played.NEVER, 300.0, 300.0),), {"gain": 1.05}))
    settings = MeterSettings(calibration=calibration.load(path).model_dump(), process=os.getpid())
    with Sampler(["nvml"], settings, tmp_path / "trace.csv.gz") as sampler:
        start_ns = sampler.mark()
        time.sleep(1.0)
        end_ns = sampler.mark()
        infos = sampler.infos
    (applied,) = [i.calibration for i in infos]
    assert applied is not None
    assert applied.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert applied.model_dump(exclude={"sha256"}) == BOARD
    samples = trace.read(tmp_path / "trace.csv.gz")
    (r,) = readings.readings(infos, samples, start_ns, end_ns)
    assert r.energy_j == pytest.approx(what.energy_j(start_ns, end_ns), rel=0.01)
    assert r.budget_j["gain"] == pytest.approx(0.004 / 1.05 * r.energy_j)
    assert readings.stated_uncertainty(infos[0]) == "±0.76 %"


def test_another_board_is_left_as_it_is(play: Begin, tmp_path: Path) -> None:
    play(played.Play())
    path = write(tmp_path, {UUID.replace("0000-0000", "0000-0001", 1): BOARD})
    meter = Nvml()
    (device,) = meter.open(MeterSettings(calibration=calibration.load(path).model_dump()))
    meter.close()
    assert device.calibration is None


def test_integrated_power_is_not_corrected_by_the_counters_gain(
    play: Begin, tmp_path: Path
) -> None:
    play(played.Play(options={"no_energy": 1}))
    gains = calibration.load(write(tmp_path, {UUID: BOARD})).model_dump()
    meter = Nvml()
    (device,) = meter.open(MeterSettings(calibration=gains))
    meter.close()
    assert device.quantity == "power_mw"
    assert device.calibration is None


@pytest.mark.parametrize(
    ("board", "where"),
    [
        ({"gain": 0.0}, "gain"),
        ({"gain": -1.0}, "gain"),
        ({"gain": 1000.0}, "gain"),
        ({"gain": "1.05"}, "gain"),
        ({"gain": None}, "gain"),
        ({"gain": True}, "gain"),
        ({"uncertainty": 0.0}, "uncertainty"),
        ({"uncertainty": 0.5}, "uncertainty"),
        ({"date": "yesterday"}, "date"),
        ({"against": ""}, "against"),
        ({"against": "x" * 500}, "against"),
        ({"offset": 3}, "offset"),
    ],
)
def test_values_that_are_no_calibration_are_refused(
    tmp_path: Path, board: dict[str, Any], where: str
) -> None:
    with pytest.raises(BadInput, match=rf"boards.json: boards\.{UUID}\.{where}"):
        calibration.load(write(tmp_path, {UUID: BOARD | board}))


@pytest.mark.parametrize("missing", sorted(BOARD))
def test_everything_has_to_be_said(tmp_path: Path, missing: str) -> None:
    with pytest.raises(BadInput, match=missing):
        calibration.load(write(tmp_path, {UUID: {k: v for k, v in BOARD.items() if k != missing}}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no JSON"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"[]", "is not a JSON object"),
        (b"{}", "schema_version is None"),
        (b'{"schema_version": 2, "boards": {}}', "schema_version is 2"),
        (b'{"schema_version": true, "boards": {"x": 1}}', "schema_version is True"),
        (b'{"schema_version": 1, "boards": {}}', "no board"),
        (b'{"schema_version": 1, "boards": 3}', "boards"),
        (b'{"schema_version": 1, "boards": {"gpu0": {}}}', "boards.gpu0"),
        (b'{"schema_version": 1, "schema_version": 1, "boards": {}}', "given twice"),
        (b'{"schema_version": 1, "boards": {"GPU-12345678": {"gain": NaN}}}', "NaN is no number"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"schema_version": 1' + b"0" * 10_000 + b"}", "number that is too long"),
        (b" " * (2**20 + 1), "larger than 1 MiB"),
    ],
)
def test_a_hostile_file_is_refused_in_one_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "boards.json"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=message) as caught:
        calibration.load(path)
    assert all(len(p.message) < 200 for p in caught.value.problems)


def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "none", Path("/dev/zero"), Path("a\0b")):
        with pytest.raises(BadInput):
            calibration.load(path)


def campaign(folder: Path, named: str) -> Path:
    path = folder / "c.yaml"
    base = {"version": 1, "name": "t", "models": [{"synthetic": {}}]}
    rest = {"backends": {"transformers": {}}, "measure": {"calibration": named}}
    path.write_text(yaml.safe_dump(base | rest))
    return path


def test_a_campaign_carries_the_files_content(tmp_path: Path) -> None:
    """Relative to the campaign's file; another content is another campaign."""
    write(tmp_path, {UUID: BOARD})
    first = load(campaign(tmp_path, "boards.json"))
    assert first.calibration is not None
    given = measurement(first.spec.measure, first.calibration).calibration
    assert given is not None
    assert given.boards[UUID].gain == 1.05
    write(tmp_path, {UUID: BOARD | {"gain": 1.06}})
    assert load(campaign(tmp_path, "boards.json")).digest != first.digest


def test_a_campaign_with_a_broken_calibration_is_refused_at_its_line(tmp_path: Path) -> None:
    write(tmp_path, {UUID: BOARD | {"gain": 9}})
    with pytest.raises(BadInput, match=r"c.yaml:\d+:\d+: .*boards.json: boards.*gain"):
        load(campaign(tmp_path, "boards.json"))
    with pytest.raises(BadInput, match="cannot be read"):
        load(campaign(tmp_path, "elsewhere.json"))


def test_a_home_that_nobody_has_is_a_path_like_any_other(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"~nobody-has-this.*cannot be read"):
        load(campaign(tmp_path, "~nobody-has-this/boards.json"))


def test_the_correction_divides_counter_and_its_other_uncertainties() -> None:
    """100 W read as 105 W over 10 s."""
    plain = readings.info_of(_device(None))
    corrected = readings.info_of(_device(BOARD | {"sha256": "0" * 64}))
    samples = [Sample(i * 10**8, "nvml", "gpu0", "energy_mj", 1e6 + i * 10_500) for i in range(150)]
    raw, r = (Nvml().energy(info, samples, 2 * 10**9, 12 * 10**9) for info in (plain, corrected))
    assert raw.energy_j == pytest.approx(1050)
    assert r.energy_j == pytest.approx(1000)
    for part in ("tick", "sampling"):
        assert r.budget_j[part] == pytest.approx(raw.budget_j[part] / 1.05)


def _device(gain: dict[str, Any] | None) -> Device:
    return Device("nvml", "gpu0", "gpu", "energy_mj", "mJ", "", 0.1, gain)
