"""Over every fault of the oracle: no wrong number, and no missing one without a reason."""

import random
import re
from pathlib import Path

import pytest

from lem.contract.flags import worst
from tests.meters import faults, virtual_play
from tests.meters.faults import FAULTS, Fault, Mode

SEEDS = range(1000, 1005)
NO_FIGURE = {
    "frozen from the beginning": "counter_frozen",
    "jump forward by 1 MJ": "counter_implausible",
    "neither energy nor power": "no_meter",
}
"""Where there can be none, and why."""
HARMLESS = {
    "none",
    "gain 3 % up",
    "gain 3 % down",
    "offset of 3 W",
    "steps of 1 J",
    "no power reading",
}
"""Where there must be a figure, without a word."""


@pytest.fixture(scope="module")
def library(nvml_library: Path, tmp_path_factory: pytest.TempPathFactory) -> virtual_play.Library:
    return virtual_play.Library(nvml_library, tmp_path_factory.mktemp("faults") / "play.txt")


@pytest.mark.parametrize("mode", ["isolated", "window"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.name)
def test_no_number_is_wrong(library: virtual_play.Library, fault: Fault, mode: Mode) -> None:
    found = list(faults.cases(library, fault, mode, SEEDS))
    assert [c for c in found if c.wrong] == []
    assert [c for c in found if c.silent] == []
    if fault.name in NO_FIGURE:
        assert all(c.reading.energy_j is None for c in found)
        assert all(NO_FIGURE[fault.name] in c.reading.flags for c in found)
    if fault.name in HARMLESS:
        assert all(c.reading.energy_j is not None for c in found)
        assert all(c.reading.flags == [] for c in found)


@pytest.mark.parametrize("name", ["slow calls as of an H200", "slow calls, 13 ms"])
def test_polls_that_take_long_make_no_gaps_of_regular_rounds(
    library: virtual_play.Library, name: str
) -> None:
    fault = next(f for f in FAULTS if f.name == name)
    found = list(faults.cases(library, fault, "isolated", range(12)))
    assert all(c.reading.energy_j is not None for c in found)
    assert not [c.seed for c in found if "sampler_gap" in c.reading.flags]


def test_even_ticks_before_a_freeze_do_not_excuse_it(library: virtual_play.Library) -> None:
    """200 ms ticks of even idle power, all alike, then a freeze from before the work to after it:
    the change of the counter over the freeze says nothing of its smallest step."""
    fault = next(f for f in FAULTS if f.name == "freeze, and what it slept through is lost")
    (case,) = faults.cases(library, fault, "isolated", range(5041, 5042))
    assert case.reading.energy_j is None
    assert "counter_frozen" in case.reading.flags


def test_a_wrong_number_would_be_noticed(library: virtual_play.Library) -> None:
    """The measure itself: the same figure without its uncertainty, or with a truth elsewhere."""
    case = next(faults.cases(library, FAULTS[0], "isolated", range(1)))
    assert not case.wrong and not case.silent
    reading = case.reading.model_copy(update={"uncertainty_j": 0.0})
    assert case._replace(reading=reading).wrong
    assert case._replace(truth_j=2 * case.truth_j).wrong
    excluded = reading.model_copy(update={"flags": ["counter_disagrees"]})
    assert worst(excluded.flags) == "exclude" and not case._replace(reading=excluded).wrong
    missing = reading.model_copy(update={"energy_j": None})
    assert case._replace(reading=missing).silent


def test_every_fault_changes_what_is_played() -> None:
    """A misspelt option would play nothing at all."""
    names = _known_options()
    around = faults.Around(1.5, 3.5, 0.1)
    for fault in [*FAULTS, *faults.UNDECIDABLE]:
        given = fault.options(around, random.Random(1))
        assert set(given) <= names, fault.name
        assert given or fault.name == "none" or fault.polling != virtual_play.Polling()


def _known_options() -> set[str]:
    """The keys that played_trace.c knows."""
    text = (Path(__file__).parent / "played_trace.c").read_text()
    return set(re.findall(r"FIELD\((\w+)\)", text)) - {"name"}
