"""The table of how often submitters replicate each other is what the simulation says."""

from pathlib import Path

import numpy as np
import pytest

from coverage_study import replication as study
from lem.trust.replication import ABSOLUTE_MARGIN, Group, compare


def test_many_pairs_at_once_are_as_one_by_one() -> None:
    rng = np.random.default_rng(5)
    a = rng.normal(0.0, 0.04, (300, 4))
    b = 0.05 + rng.normal(0.0, 0.02, (300, 6))
    agree, disagree = study.verdicts(a, b, ABSOLUTE_MARGIN)

    def group(i: int, logs: object) -> Group:
        return Group(i, frozenset({str(i)}), "s", True, list(np.exp(logs)))  # type: ignore[arg-type]

    found = [compare(group(1, x), group(2, y)).verdict for x, y in zip(a, b, strict=True)]
    assert [v == "agrees" for v in found] == agree.tolist()
    assert [v == "disagrees" for v in found] == disagree.tolist()
    assert study.MARGIN == ABSOLUTE_MARGIN


def test_the_page_has_the_studys_table(root: Path) -> None:
    text = (root / "docs/trust.md").read_text(encoding="utf-8")
    assert study.REGION.search(text)
    assert study.filled(text) == text, "run scripts/generate.sh and commit what it writes"


def test_what_the_table_is_for() -> None:
    honest, _ = study.simulated(5, 0.01, 0.0)
    forged, shown = study.simulated(5, 0.01, 0.20)
    assert honest == pytest.approx(0.915, abs=0.02)
    assert forged < 0.03
    assert shown > 0.9
