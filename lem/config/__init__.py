"""Campaign files: strict reading, the experiments they mean, and what identifies each."""

from lem.config.available import check_available
from lem.config.contents import check_files, keep_files
from lem.config.identity import PROVISIONAL, arm_id, experiment_id, experiment_of, model_name
from lem.config.load import CampaignFile, load, parse
from lem.config.measure import PRESETS, Preset, measurement, preset_of
from lem.config.paths import Draft, select
from lem.config.schema import BackendSpec, CampaignSpec, MeasureSpec
from lem.config.yaml_source import scalar

__all__ = [
    "PRESETS",
    "PROVISIONAL",
    "BackendSpec",
    "CampaignFile",
    "CampaignSpec",
    "Draft",
    "MeasureSpec",
    "Preset",
    "arm_id",
    "check_available",
    "check_files",
    "experiment_id",
    "experiment_of",
    "keep_files",
    "load",
    "measurement",
    "model_name",
    "parse",
    "preset_of",
    "scalar",
    "select",
]
