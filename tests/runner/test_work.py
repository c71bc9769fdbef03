"""The process that runs a campaign: what it takes from its folder, and what it never looks at."""

import os
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import yaml

from lem.campaign import Campaign
from lem.campaign.lock import make_lock
from lem.config import parse
from lem.contract.lock import Overrides
from lem.errors import BadInput
from lem.live.moments import Translator
from lem.runner.orders import Orders
from lem.runner.pipe import Pipe
from lem.runner.policy import Policy
from lem.runner.told import Censor
from lem.runner.work import Control, Work, campaign_of
from lem.workloads.datasets import file as data_file
from tests.campaign.test_lock import staged

EXCLUDED: dict[str, Any] = {
    "version": 1,
    "name": "x",
    "models": [{"synthetic": {}}],
    "backends": {"transformers": {}},
    "sweep": {"workload.arrival.kind": ["trace"], "workload.arrival.path": ["/etc/passwd"]},
    "exclude": [{"workload.arrival.kind": "trace"}],
    "experiments": [{"backend": "transformers"}],
}
"""A campaign that names a file in experiments which are not made."""


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []

    def digest(path: Path, name: str) -> str:
        found.append(str(path))
        return "0" * 64

    monkeypatch.setattr(data_file, "digest", digest)
    return found


def campaign(folder: Path, text: str, orders: Orders) -> Campaign:
    (folder / "campaign.yaml").write_text(text)
    pipe = Pipe(os.open(os.devnull, os.O_WRONLY))
    control = Control(BytesIO(), lambda: None)
    return campaign_of(orders, folder, Work(orders, pipe, control, Translator(folder), Censor()))


def orders(text: str) -> Orders:
    return Orders(campaign=text, owner="ab" * 8, launcher="process", policy=Policy())


def test_no_file_is_looked_at_that_a_campaign_names(tmp_path: Path, looked_at: list[str]) -> None:
    text = yaml.safe_dump(EXCLUDED)
    with pytest.raises(BadInput, match="names a file, which no campaign may do here"):
        campaign(tmp_path, text, orders(text))
    assert looked_at == []


def test_not_by_whoever_goes_on_either(tmp_path: Path, looked_at: list[str]) -> None:
    text = yaml.safe_dump(EXCLUDED)
    file = parse(text, str(tmp_path / "campaign.yaml"))
    (tmp_path / "campaign.yaml").write_text(text)
    lock = make_lock(file, staged(file), Overrides(), {0: "process"}, [], ["cpu"])
    Campaign(file, tmp_path, Overrides()).check(lock)
    assert looked_at == []


def test_another_file_than_the_one_that_was_checked_is_not_run(tmp_path: Path) -> None:
    text = yaml.safe_dump({**EXCLUDED, "sweep": {}, "exclude": []})
    assert campaign(tmp_path, text, orders(text)).file.text == text
    with pytest.raises(BadInput, match="not the one that was checked"):
        campaign(tmp_path, text + "# more", orders(text))
