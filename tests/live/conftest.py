"""A campaign that was run, with all that its viewers were told."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import tick

from lem.campaign import Campaign
from lem.campaign.execute import Moment
from lem.contract import live
from lem.contract.record import Record
from lem.live.moments import ENERGY, Translator

MEASURE = {
    "preset": "quick",
    "window_s": 0.5,
    "idle_s": 0.05,
    "settle_s": 0,
    "warm_up_cap_s": 0.2,
}


@dataclass
class Made:
    """A campaign that was run, with what its viewers were told."""

    folder: Path
    told: list[live.LiveEvent] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)

    def of(self, kind: type[Any]) -> list[Any]:
        return [e for e in self.told if isinstance(e, kind)]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Made anew where the machine stood still in a window of it, whose run has no energy then."""
    for _ in range(4):
        found = _make(tmp_path_factory.mktemp("made"))
        results = [m.result for m in found.moments if m.kind == "end"]
        if all(isinstance(r, Record) and ENERGY in r.metrics for r in results):
            return found
    raise AssertionError([getattr(r, "flags", r) for r in results])


def _make(folder: Path) -> Made:
    file = tick.write_campaign(
        folder / "campaign.yaml",
        backends={"tick": {"args": {"token_ms": 4, "spoken": True}}},
        sweep={"engine.max_batch_size": [1, 4]},
        workload={
            "requests": 40,
            "dataset": {"kind": "random", "input_tokens": 8, "output_tokens": 60},
        },
        measure=MEASURE,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEM_CACHE", str(folder / "cache"))
        found = Made(folder / "out")
        translator = Translator(found.folder)

        def take(moment: Moment) -> None:
            found.moments.append(moment)
            found.told.extend(translator.events(moment))

        Campaign.load(file, found.folder, blocks=2).run(take, commentary_s=0.1)
    return found
