"""The reference names every key there is."""

import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

import lem
from lem.config import parse
from lem.config.example import shipped_names
from lem.config.kubernetes_spec import KubernetesSpec, Toleration
from lem.config.measure import PRESETS
from lem.config.objectives import SLO_PRESETS
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
from lem.contract.spec import DeviceSettings, Limits, ModelSpec, Synthetic, WheelFile
from lem.contract.workload import (
    MAX_REQUEST_TOKENS,
    Concurrency,
    Constant,
    Dataset,
    Gamma,
    JsonlDataset,
    LogNormal,
    LongContextDataset,
    Poisson,
    PromptsDataset,
    RandomDataset,
    Search,
    ShareGptDataset,
    Slo,
    TraceArrival,
    TraceDataset,
    Uniform,
    Workload,
)
from lem.workloads.datasets.file import MAX_FILE_BYTES, MAX_LINE_BYTES
from lem.workloads.datasets.sharegpt import LEAST_TOKENS

TEXT = (Path(lem.__file__).parent.parent / "docs" / "campaign-file.md").read_text()


@pytest.mark.parametrize(
    "model",
    [CampaignSpec, BackendSpec, EngineSettings, GenerateSettings, MeasureSpec, Range, ModelSpec,
     Synthetic, WheelFile, Workload, RandomDataset, PromptsDataset, LongContextDataset,
     JsonlDataset, ShareGptDataset, TraceDataset, Uniform, LogNormal, Concurrency, Constant,
     Poisson, Gamma, TraceArrival, Search, Slo,
     DeviceSettings, Limits, KubernetesSpec, Toleration],
)  # fmt: skip
def test_every_key_is_in_the_reference(model: type[BaseModel]) -> None:
    code = " ".join(re.findall(r"`([^`]+)`", TEXT))
    words = set(re.findall(r"[a-z][a-z0-9_]*", code))
    assert set(model.model_fields) - words == set()


def test_every_example_of_a_data_set_is_one_and_every_kind_has_one() -> None:
    (section,) = re.findall(r"\n## Data sets\n(.*?)\n## ", TEXT, re.DOTALL)
    rows = [r for r in section.splitlines() if r.startswith("| ") and "{kind: " in r]
    examples = [e for r in rows for e in re.findall(r"`(\{kind: .*?\})`", r)]
    kinds = set()
    for example in examples:
        file = parse(
            "{version: 1, name: x, models: [{id: a/b}], backends: {transformers: {}}, "
            f"workload: {{dataset: {example}}}}}",
            "docs",
        )
        kinds.add(file.drafts[0].workload.dataset.kind)
    assert len(examples) == 10 and kinds == {
        get_args(d.model_fields["kind"].annotation)[0] for d in get_args(get_args(Dataset)[0])
    }


def test_every_example_is_listed() -> None:
    (section,) = re.findall(r"\n## Examples\n(.*?)\n## ", TEXT, re.DOTALL)
    listed = re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)
    assert sorted(listed) == list(shipped_names())


def test_defaults_of_data_sets_are_as_the_reference_says() -> None:
    random, prompts, long = RandomDataset(), PromptsDataset(), LongContextDataset()
    assert (
        f"`random` has {random.input_tokens} tokens in and {random.output_tokens} out, `prompts` "
        f"{prompts.output_tokens} out, `long_context` {long.input_tokens} in and "
        f"{long.output_tokens} out"
    ) in TEXT


def test_the_limits_of_files_are_as_the_reference_says() -> None:
    assert f"of 1 to {MAX_REQUEST_TOKENS:,} tokens" in TEXT
    assert "at most 1 GiB" in TEXT and MAX_FILE_BYTES == 2**30
    assert "a line at most 16 MiB" in TEXT and MAX_LINE_BYTES == 2**24
    assert f"fewer than {LEAST_TOKENS} tokens" in TEXT


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


def test_the_reference_has_the_presets_of_objectives() -> None:
    for name, slo in SLO_PRESETS.items():
        assert re.search(rf"`{re.escape(name)}`\s+{slo['ttft_ms']:g}/{slo['itl_ms']:g}", TEXT), name


def test_every_section_of_paths_is_in_the_reference() -> None:
    for section in {p.split(".")[0] for p in fixed_paths()} | {"args"}:
        assert f"`{section}" in TEXT
