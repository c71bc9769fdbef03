"""What the builder's page offers is what lem has."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from lem.backends.sglang.arguments import NAMES as SGLANG
from lem.backends.tensorrt_llm.arguments import NAMES as TENSORRT_LLM
from lem.backends.vllm.arguments import SHARED as VLLM
from lem.config import check_available, parse
from lem.config.example import QUICKSTART_MODEL
from lem.config.schema import EngineSettings
from lem.server.platform.build import SMALL, START

ROOT = Path(__file__).parents[2]
ENGINES: dict[str, dict[str, str]] = json.loads(
    (ROOT / "web/src/builder/engines.json").read_text("utf-8")
)


@pytest.mark.parametrize(
    ("backend", "names"),
    [
        ("vllm", VLLM),
        ("sglang", {k: v[0] for k, v in SGLANG.items()}),
        ("tensorrt_llm", {k: v[0] for k, v in TENSORRT_LLM.items()}),
    ],
)
def test_settings_are_called_what_the_engine_calls_them(
    backend: str, names: dict[str, Any]
) -> None:
    # Threads of a CPU are no argument of these engines: vLLM reads them from its environment.
    assert {k: v for k, v in ENGINES[backend].items() if k != "threads"} == names


def test_every_setting_with_a_name_is_one() -> None:
    known = set(EngineSettings.model_fields)
    assert all(set(names) <= known for names in ENGINES.values())


def test_it_begins_with_a_campaign_that_runs() -> None:
    campaign = parse(START, "start")
    check_available(campaign)
    assert len(campaign.drafts) == 6
    assert max(len(line) for line in START.splitlines() if line.startswith("#")) <= 46


def test_the_small_model_is_that_of_the_quickstart() -> None:
    quickstart = yaml.safe_load((ROOT / "configs/quickstart.yaml").read_text("utf-8"))
    assert yaml.safe_load(QUICKSTART_MODEL) == quickstart["models"] == [SMALL]
