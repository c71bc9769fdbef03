"""The measurement presets (shared by every campaign), and what the agent gets of them."""

from dataclasses import dataclass

from lem.config.schema import MeasureSpec
from lem.contract.spec import Accuracy, Calibration, Measurement


@dataclass(frozen=True)
class Preset:
    """``blocks`` are all there are where ``fixed``, else the pilot from which n is computed for the
    half-width ``precision``. Lengths in seconds."""

    blocks: int
    fixed: bool
    precision: float | None
    windows: int
    window_s: float
    idle_s: float
    warm_up_cap_s: float
    settle_s: float


PRESETS: dict[str, Preset] = {
    "quick": Preset(3, True, None, 1, 2.0, 1.0, 4.0, 1.0),
    "standard": Preset(5, False, 0.02, 1, 10.0, 5.0, 60.0, 3.0),
    "publication": Preset(10, False, 0.01, 3, 10.0, 10.0, 120.0, 5.0),
}


def measurement(
    spec: MeasureSpec, calibration: Calibration | None = None, accuracy: Accuracy | None = None
) -> Measurement:
    """What the agent needs to know: the preset's figures, overridden by those given.

    ``calibration`` is the content of the file that ``spec`` names, ``accuracy`` what
    ``spec.accuracy`` is without its folders.
    """
    preset = PRESETS[spec.preset]
    return Measurement(
        windows=preset.windows if spec.windows is None else spec.windows,
        window_s=preset.window_s if spec.window_s is None else spec.window_s,
        idle_s=preset.idle_s if spec.idle_s is None else spec.idle_s,
        warm_up_cap_s=preset.warm_up_cap_s if spec.warm_up_cap_s is None else spec.warm_up_cap_s,
        settle_s=preset.settle_s if spec.settle_s is None else spec.settle_s,
        prefill_window=spec.prefill_window,
        cool_down=spec.cool_down,
        sample_interval_s=spec.sample_interval_s,
        quality=spec.quality,
        accuracy=accuracy,
        meters=spec.meters,
        watts_per_busy_core=spec.watts_per_busy_core,
        calibration=calibration,
    )


def preset_of(spec: MeasureSpec) -> Preset:
    """The preset with the file's own number of blocks or precision in it."""
    preset = PRESETS[spec.preset]
    fixed = preset.fixed or spec.blocks is not None
    return Preset(
        blocks=min(spec.blocks or preset.blocks, spec.max_blocks),
        fixed=fixed,
        precision=None if fixed else spec.precision or preset.precision,
        windows=preset.windows,
        window_s=preset.window_s,
        idle_s=preset.idle_s,
        warm_up_cap_s=preset.warm_up_cap_s,
        settle_s=preset.settle_s,
    )
