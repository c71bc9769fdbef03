import time

import pytest
import yaml

from lem.config import MeasureSpec, measurement, parse, preset_of
from lem.config.schema import duration_s
from lem.contract.spec import CoolDown, Measurement


@pytest.mark.parametrize(
    ("preset", "windows", "window_s", "idle_s", "blocks", "fixed"),
    [("quick", 1, 2, 1, 3, True), ("standard", 1, 10, 5, 5, False),
     ("publication", 3, 10, 10, 10, False)],
)  # fmt: skip
def test_presets_are_those_of_the_method(
    preset: str, windows: int, window_s: float, idle_s: float, blocks: int, fixed: bool
) -> None:
    spec = MeasureSpec.model_validate({"preset": preset})
    m = measurement(spec)
    assert (m.windows, m.window_s, m.idle_s) == (windows, window_s, idle_s)
    assert (preset_of(spec).blocks, preset_of(spec).fixed) == (blocks, fixed)
    assert preset != "quick" or m.warm_up_cap_s == 4
    assert not m.prefill_window and m.cool_down is None


def test_the_files_own_figures_come_first() -> None:
    spec = MeasureSpec.model_validate(
        {"preset": "quick", "windows": 2, "window_s": 0.5, "idle_s": 0, "warm_up_cap_s": 0,
         "settle_s": 0.25, "prefill_window": True, "cool_down": {"below_c": 40},
         "blocks": 7, "quality": ["nll"], "meters": ["rapl"], "watts_per_busy_core": 12.5}
    )  # fmt: skip
    assert measurement(spec) == Measurement(
        windows=2, window_s=0.5, idle_s=0, warm_up_cap_s=0, settle_s=0.25,
        prefill_window=True, cool_down=CoolDown(below_c=40.0, cap_s=300.0), quality=["nll"],
        meters=["rapl"], watts_per_busy_core=12.5,
    )  # fmt: skip
    assert preset_of(spec).blocks == 7
    assert preset_of(MeasureSpec(precision=0.005)).precision == 0.005
    assert preset_of(MeasureSpec(blocks=4)).fixed


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("30 min", 1800), ("2h", 7200), ("1.5h", 5400), ("1h30m", 5400),
     ("1d 1h 1m 1s", 90061), (" 5s ", 5)],
)  # fmt: skip
def test_durations(text: str, seconds: float) -> None:
    data = {"version": 1, "name": "t", "models": [{"id": "a/b"}], "backends": {"transformers": {}}}
    file = parse(yaml.safe_dump(data | {"measure": {"time_budget": text}}), "f")
    assert file.spec.measure.time_budget == seconds


@pytest.mark.parametrize(
    "text",
    ["1d" + " " * 200_000 + "x", "1" * 200_000, "1d" + "\t " * 2000 + "x", "1 0s", "1. 5h",
     "5 d 1x", "", " ", "1.2.3s", ".s", "0s", "s", "367d", "1s1h"],
)  # fmt: skip
def test_what_is_no_duration_is_refused_at_once(text: str) -> None:
    began = time.monotonic()
    with pytest.raises(ValueError, match=r"length of time|longer than 0 s"):
        duration_s(text)
    assert time.monotonic() - began < 1
