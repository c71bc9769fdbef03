"""The AMD meter: the real Python package over a played library, with its faults."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lem.contract.record import EnergyReading, MeterInfo
from lem.errors import MeterUnavailable
from lem.meters import readings
from lem.meters.amd import Amd
from lem.meters.protocol import MeterSettings, Sample
from tests.meters import played_amd
from tests.meters.played_amd import Play

RESOLUTION_UJ = 15.3


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = played_amd.build_library(tmp_path_factory.mktemp("amd"))
    played_amd.preload(made)
    return made


@pytest.fixture
def play(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Play], Play]]:
    config = tmp_path / "played.txt"
    monkeypatch.setenv("LEM_PLAYED_AMD", str(config))

    def begin(what: Play) -> Play:
        what.write(config)
        return what

    yield begin


def opened(settings: MeterSettings | None = None) -> tuple[Amd, list[MeterInfo]]:
    meter = Amd()
    return meter, [readings.info_of(d) for d in meter.open(settings or MeterSettings())]


def read_for(seconds: float, period_s: float = 0.02) -> tuple[list[MeterInfo], list[Sample]]:
    meter, infos = opened()
    samples = meter.read("full")
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        time.sleep(period_s)
        samples += meter.read("steady")
    samples += meter.read("full")
    meter.close()
    return infos, samples


def reading(infos: list[MeterInfo], samples: list[Sample], device: str = "gpu0") -> EnergyReading:
    """Between 0.3 s after the first sample and 0.1 s before the last."""
    info = next(i for i in infos if i.device == device)
    start_ns, end_ns = samples[0].t_ns + 300_000_000, samples[-1].t_ns - 100_000_000
    own = readings.of_device(samples, info)
    return Amd().energy(info, own, start_ns, end_ns)


def test_the_accumulator_is_scaled_by_the_resolution_that_the_library_tells(
    play: Callable[[Play], Play],
) -> None:
    for resolution_uj in (15.3, 30.5):
        play(Play(200, 200, options={"resolution_uj": resolution_uj}))
        infos, samples = read_for(1.2)
        assert infos[0].quantity == "energy_uj"
        r = reading(infos, samples)
        span_s = (samples[-1].t_ns - samples[0].t_ns - 400_000_000) / 1e9
        assert r.energy_j == pytest.approx(200 * span_s, rel=0.01)
        assert r.flags == []


def test_a_counter_that_stands_still_is_frozen(play: Callable[[Play], Play]) -> None:
    """As on MI100 and MI210 (ROCm/amdsmi issues 22 and 38)."""
    play(Play(options={"freeze_s": 0.2}))
    infos, samples = read_for(1.6)
    r = reading(infos, samples)
    assert (r.energy_j, r.uncertainty_j, r.flags) == (None, None, ["counter_frozen"])


def test_a_counter_that_goes_back_gives_no_figure(play: Callable[[Play], Play]) -> None:
    """As in ROCm/amdsmi issue 115."""
    play(Play(options={"back_s": 0.7, "back_j": 80}))
    infos, samples = read_for(1.4)
    r = reading(infos, samples)
    assert r.energy_j is None
    assert r.flags == ["counter_backwards"]


def test_a_board_lost_in_the_run_takes_only_its_own_figure(play: Callable[[Play], Play]) -> None:
    play(Play(options={"devices": 2, "lost_s": 0.7}))
    infos, samples = read_for(1.4)
    lost, other = reading(infos, samples, "gpu0"), reading(infos, samples, "gpu1")
    assert (lost.energy_j, lost.flags) == (None, ["meter_lost"])
    assert other.energy_j is not None and other.flags == []


@pytest.mark.parametrize("averages", [0, 1])
def test_power_is_integrated_where_there_is_no_counter(
    play: Callable[[Play], Play], averages: int
) -> None:
    """MI300 tells its current power, older boards an average; the other one is "N/A"."""
    play(Play(149, 151, 0.2, options={"no_energy": 1, "averages": averages}))
    infos, samples = read_for(1.2)
    assert infos[0].quantity == "power_w"
    r = reading(infos, samples)
    span_s = (samples[-1].t_ns - samples[0].t_ns - 400_000_000) / 1e9
    assert r.energy_j == pytest.approx(150 * span_s, rel=0.01)
    assert r.flags == ["power_integrated"]
    assert r.uncertainty_j is not None and r.uncertainty_j > 0.2 * r.energy_j


def test_a_board_with_neither_says_so(play: Callable[[Play], Play]) -> None:
    play(Play(options={"no_energy": 1, "no_power": 1}))
    infos, samples = read_for(0.6)
    assert infos[0].quantity == "none"
    assert reading(infos, samples).flags == ["no_meter"]


def test_heat_throttles_and_a_power_limit_does_not(play: Callable[[Play], Play]) -> None:
    for bits, flags in (
        (1 << 36, ["throttled"]),
        (1 << 0 | 1 << 16, []),
        (0, []),
    ):
        play(Play(options={"throttle_bits": bits}))
        infos, samples = read_for(1.3)
        assert reading(infos, samples).flags == flags


def test_another_process_is_told_of(play: Callable[[Play], Play]) -> None:
    for vram, flags in ((1 << 20, ["foreign_gpu_process"]), (0, [])):
        play(Play(options={"pid": 1, "vram_bytes": vram}))
        infos, samples = read_for(1.3)
        assert reading(infos, samples).flags == flags


def test_a_driver_that_lists_nothing_leaves_neighbours_unknown(
    play: Callable[[Play], Play], monkeypatch: pytest.MonkeyPatch
) -> None:
    import amdsmi

    def refuse(board: object) -> None:
        raise amdsmi.AmdSmiLibraryException(2)

    monkeypatch.setattr(amdsmi, "amdsmi_get_gpu_process_list", refuse)
    play(Play())
    infos, samples = read_for(1.3)
    assert reading(infos, samples).flags == ["neighbours_unknown"]


def test_a_gpu_that_is_not_there_is_refused(play: Callable[[Play], Play]) -> None:
    play(Play())
    with pytest.raises(MeterUnavailable, match="GPU 3 is not here; AMD SMI sees 1"):
        opened(MeterSettings(gpus=(3,)))


def test_a_library_that_will_not_start_says_why(play: Callable[[Play], Play]) -> None:
    play(Play(options={"init_error": 34}))
    with pytest.raises(MeterUnavailable, match=r"AMD SMI: .*34") as caught:
        opened()
    assert "amd-smi list" in (caught.value.hint or "")


def test_no_gpu_at_all(play: Callable[[Play], Play]) -> None:
    play(Play(options={"devices": 0}))
    with pytest.raises(MeterUnavailable, match="sees no GPU"):
        opened()


OPEN = """
import sys
if sys.argv[1] == "package":
    sys.modules["amdsmi"] = None
from lem.errors import MeterUnavailable
from lem.meters.amd import Amd
from lem.meters.protocol import MeterSettings
try:
    Amd().open(MeterSettings())
except MeterUnavailable as e:
    print(e.message, "|", e.hint)
"""


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ("library", "AMD's library libamd_smi.so is not here | install ROCm's amd-smi-lib"),
        ("package", "the Python package amdsmi is not installed | pip install the amdsmi"),
    ],
)
def test_what_is_missing_is_named(missing: str, says: str) -> None:
    """In a process of its own, which has no played library; nothing else is printed."""
    done = subprocess.run(
        [sys.executable, "-c", OPEN, missing],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.startswith(says)
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    "said",
    [
        {"energy_accumulator": 5, "counter_resolution": 0.0},
        {"energy_accumulator": 5, "counter_resolution": float("nan")},
        {"energy_accumulator": -5, "counter_resolution": 15.3},
        {"energy_accumulator": 2**64 - 1, "counter_resolution": 15.3},
        {"energy_accumulator": "N/A", "counter_resolution": 15.3},
        {"counter_resolution": 15.3},
        {},
    ],
)
def test_what_is_no_count_is_never_taken_for_one(said: dict[str, object]) -> None:
    class Smi:
        AmdSmiException = RuntimeError

        def amdsmi_get_energy_count(self, board: object) -> dict[str, object]:
            return said

    meter = Amd()
    meter._smi = Smi()
    assert meter._energy_uj(None) is None


def test_the_older_name_of_the_count_is_known() -> None:
    """Before ROCm 6.1 the accumulator was called power."""

    class Smi:
        AmdSmiException = RuntimeError

        def amdsmi_get_energy_count(self, board: object) -> dict[str, object]:
            return {"power": 8152136, "counter_resolution": RESOLUTION_UJ}

    meter = Amd()
    meter._smi = Smi()
    assert meter._energy_uj(None) == pytest.approx(8152136 * RESOLUTION_UJ)
