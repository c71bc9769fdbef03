"""The reference names every key there is."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

import lem
from lem.config.measure import PRESETS
from lem.config.paths import fixed_paths
from lem.config.schema import (
    BackendSpec,
    CampaignSpec,
    EngineSettings,
    GenerateSettings,
    MeasureSpec,
    Range,
)
from lem.config.yaml_source import scalar
from lem.contract.spec import (
    Concurrency,
    DeviceSettings,
    Limits,
    ModelSpec,
    PromptsDataset,
    RandomDataset,
    Slo,
    Synthetic,
    WheelFile,
    Workload,
)

TEXT = (Path(lem.__file__).parent.parent / "docs" / "campaign-file.md").read_text()


@pytest.mark.parametrize(
    "model",
    [CampaignSpec, BackendSpec, EngineSettings, GenerateSettings, MeasureSpec, Range, ModelSpec,
     Synthetic, WheelFile, Workload, RandomDataset, PromptsDataset, Concurrency, Slo,
     DeviceSettings, Limits],
)  # fmt: skip
def test_every_key_is_in_the_reference(model: type[BaseModel]) -> None:
    code = " ".join(re.findall(r"`([^`]+)`", TEXT))
    words = set(re.findall(r"[a-z][a-z0-9_]*", code))
    assert set(model.model_fields) - words == set()


def test_defaults_and_presets_are_as_the_reference_says() -> None:
    def figures(row: str) -> list[float]:
        return [float(n) for n in re.findall(r"\d+", row)]

    (row,) = re.findall(r"override the preset's: (.*?) \|", TEXT)
    expected = [
        n
        for p in PRESETS.values()
        for n in (p.windows, p.window_s, p.idle_s, p.warm_up_cap_s, p.settle_s)
    ]
    assert figures(row) == expected
    limits = Limits()
    (row,) = re.findall(r"`\{load_s, run_s, memory_bytes, pids\}` \| (.*?) \|", TEXT)
    assert figures(row) == [limits.load_s, limits.run_s, limits.pids]


def test_what_the_table_of_traps_refuses_is_refused() -> None:
    rows = [r for r in TEXT.splitlines() if r.startswith("| `") and "| refused" in r]
    spelled = [w for r in rows for w in re.findall(r"`([^`]+)`", r.split("|")[1])]
    scalars = [w for w in spelled if not w.startswith(("!!", "revision", '"'))]
    assert {"yes", "010", "1:30", ".nan", "1e999"} <= set(scalars)
    for word in scalars:
        with pytest.raises(ValueError):
            scalar(word)


def test_every_section_of_paths_is_in_the_reference() -> None:
    for section in {p.split(".")[0] for p in fixed_paths()} | {"args"}:
        assert f"`{section}" in TEXT
