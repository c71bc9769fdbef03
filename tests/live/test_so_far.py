"""What a run comes to by its agent's telling, of its windows alone."""

from typing import Any

import pytest

from lem.contract.live import Power, Tokens, Window
from lem.live.so_far import MAX_EDGES, RunSoFar

SECOND = 10**9


class Told:
    """Of a run with one GPU, by the agent's clock in seconds."""

    def __init__(self) -> None:
        self.run = RunSoFar(0, 0)
        self.power: Power | None = None
        self.tokens: Tokens | None = None

    def watts(self, t: float, w: float, device: str = "gpu0") -> Power:
        (found,) = self.run.power({"device": device, "power_w": w}, round(t * SECOND), 0)
        assert isinstance(found, Power)
        self.power = found
        return found

    def counted(self, t: float, n: int) -> Tokens:
        data = {"output_tokens": n, "tokens_per_s": 1}
        (found,) = self.run.tokens(data, round(t * SECOND), 0)
        assert isinstance(found, Tokens)
        self.tokens = found
        return found

    def edge(self, t: float, begins: bool, tokens: int = 0) -> Window:
        data = {"begins": begins, "output_tokens": tokens}
        (found,) = self.run.window(data, round(t * SECOND), 0)
        assert isinstance(found, Window)
        return found


def tenths(begin: float, end: float) -> list[float]:
    return [n / 10 for n in range(round(begin * 10) + 1, round(end * 10) + 1)]


def test_the_rests_of_whole_batches_and_all_that_is_no_window_count_for_nothing() -> None:
    told = Told()
    assert told.watts(0, 400).window_j is None
    for t in tenths(0, 5):
        told.watts(t, 400)  # warm-up
    # At rest nothing is told for two seconds; then a window of ten, and a rest again.
    told.edge(7, True)
    for t in tenths(7, 17):
        told.watts(t, 400)
    told.edge(17.05, False, 100)
    last = told.watts(19.2, 100)
    assert last.window_j == pytest.approx(4000 + 0.05 * 400, rel=1e-6)
    for t in tenths(19.2, 25):
        last = told.watts(t, 100)
    assert last.window_j == pytest.approx(4020, rel=1e-6)
    # Nor is energy made up where nothing was read.
    assert last.j == pytest.approx(5 * 400 + 9.9 * 400 + 5.8 * 100, rel=1e-6)


def test_edges_that_become_known_late_are_where_they_were() -> None:
    told = Told()

    def power(t: float) -> float:
        return 200 + 10 * t

    for t in tenths(0, 3):
        told.watts(t, power(t))
    told.edge(2.75, True)
    for t in tenths(3, 5.3):
        told.watts(t, power(t))
    told.edge(5.05, False, 30)
    # The next window begins where the last one ends.
    told.edge(5.05, True)
    first = (power(2.75) + power(5.05)) / 2 * 2.3
    since = told.watts(5.4, power(5.4)).window_j
    assert since == pytest.approx(first + (power(5.05) + power(5.4)) / 2 * 0.35, rel=2e-3)
    told.edge(5.4, False, 5)
    assert told.watts(9, 9).window_j == pytest.approx(since, rel=1e-9)


def test_a_window_between_two_readings_has_energy_too() -> None:
    told = Told()
    told.watts(0, 100)
    told.edge(0.2, True)
    told.edge(0.5, False, 3)
    assert told.watts(1, 100).window_j == pytest.approx(30)


def test_a_device_that_is_first_seen_within_a_window_counts_from_its_beginning() -> None:
    told = Told()
    told.edge(1, True)
    told.watts(1.2, 50, "cpu0")
    told.edge(2.2, False, 9)
    assert told.watts(3, 1, "cpu0").window_j == pytest.approx(60)


def test_what_was_not_read_for_over_a_second_is_in_no_energy() -> None:
    told = Told()
    told.watts(0, 100)
    told.edge(0, True)
    for t in tenths(0, 2):
        told.watts(t, 100)
    # Six seconds without a reading, within the window.
    for t in tenths(7.9, 10):
        last = told.watts(t, 100)
    assert last.j == pytest.approx(200 + 200, rel=1e-6)
    # Tokens of these seconds go on to count.
    assert last.window_j is None
    told.edge(14, False, 5)
    assert told.watts(14.1, 100).window_j is None


def test_the_last_reading_is_not_carried_on_for_long_to_a_windows_end() -> None:
    told = Told()
    told.edge(0, True)
    for t in tenths(0, 2):
        assert told.watts(t, 100).window_j is not None
    told.edge(6, False, 5)
    assert told.watts(6.1, 100).window_j is None


def test_a_device_that_is_first_seen_after_a_window_has_no_energy_of_windows() -> None:
    told = Told()
    told.edge(0, True)
    told.edge(1, False, 5)
    told.edge(2, True)
    assert told.watts(2.1, 100).window_j is None


def test_a_window_within_a_gap_has_no_energy() -> None:
    told = Told()
    told.watts(0, 100)
    told.edge(4, True)
    told.edge(5, False, 3)
    told.watts(9, 100)
    told.edge(9, True)
    last = told.watts(12, 100)
    assert (last.j, last.window_j) == (0, None)


def test_tokens_of_a_window_are_those_that_the_agent_counted_in_it() -> None:
    told = Told()
    assert told.counted(1, 500).window_n is None
    assert told.counted(2, 600).window_n is None
    # Known only now: half-way there were 550.
    assert told.edge(1.5, True) == Window(at=0, n=0, begins=True, tokens=0)
    assert told.counted(2.5, 650).window_n == 100
    assert told.edge(2.4, False, 93) == Window(at=0, n=0, begins=False, tokens=93)
    assert told.counted(3, 700).window_n == 93
    assert told.edge(4, True) == Window(at=0, n=1, begins=True, tokens=93)
    assert told.counted(5, 740).window_n == 133


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"begins": "yes", "output_tokens": 1},
        {"begins": True},
        {"begins": True, "output_tokens": -1},
        {"begins": True, "output_tokens": True},
        {"begins": True, "output_tokens": 10**400},
        {"begins": False, "output_tokens": 1},
    ],
)
def test_an_edge_that_cannot_be_is_none(data: dict[str, Any]) -> None:
    assert RunSoFar(0, 0).window(data, 5, 0) == []


def test_only_so_many_edges_and_no_reading_twice() -> None:
    told = Told()
    for n in range(MAX_EDGES // 2):
        told.edge(n, True)
        told.edge(n + 0.5, False)
    assert told.run.window({"begins": True, "output_tokens": 0}, 10**15, 0) == []
    told = Told()
    told.edge(0, True)
    for t in (1, 2, 2, 1.5, 2):
        told.watts(t, 10)
    assert told.watts(3, 10).window_j == pytest.approx(30)


@pytest.mark.parametrize(("period_s", "is_known"), [(1.0, True), (4.0, True), (0.1, False)])
def test_a_slow_meter_is_not_a_gap(period_s: float, is_known: bool) -> None:
    run = RunSoFar(0, 0)
    run.window({"begins": True, "output_tokens": 0}, 0, 0)
    step = 7 if period_s == 4 else 1.9
    for n in range(5):
        data = {"device": "node", "power_w": 100.0, "class": "node", "period_s": period_s}
        (power,) = run.power(data, round(n * step * SECOND), 0)
    assert isinstance(power, Power)
    assert (power.window_j is not None) == is_known
    if is_known:
        assert power.window_j == pytest.approx(100 * 4 * step)
