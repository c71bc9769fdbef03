"""Boards' gains in ratios between arms on different boards: by hand, and in simulated campaigns."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from records import START, experiment, gpu, lock, place, record

from lem.analysis.boards import gains_on
from lem.analysis.gains import gains_of, has_gain, shared_log
from lem.analysis.places import Place, Spread
from lem.analysis.quantities import quantity_of
from lem.analysis.results import open_results
from lem.contract.record import Record
from lem.meters.nvml_energy import GAIN
from lem.report.footnotes import footnotes
from lem.stats import ratios, verdict, with_shared
from lem.stores.outcomes import Outcome
from lem.stores.rows import Row
from lem.stores.shares import Share, shares_of
from tests import spread_records

METRIC = "energy_per_output_token_j"
Shares = Mapping[str, Share]


def row(shares: Shares) -> Row:
    outcome = Outcome("a", 0, 0, 0, "record", None, "info", "", "", "", (), "")
    return Row(outcome, "", "", "", 1, "", {}, (), "", {}, {"gpu": dict(shares)})


def even(boards: int, gain: float = GAIN, first: int = 0) -> Shares:
    return {f"GPU-{i}": Share(1 / boards, gain) for i in range(first, first + boards)}


def shared(own: Sequence[Shares], base: Sequence[Shares], metric: str = METRIC) -> float:
    rows = ({b: row(s) for b, s in enumerate(of)} for of in (own, base))
    return shared_log(*rows, metric, "gpu")


def test_on_the_same_boards_alike_the_gains_cancel() -> None:
    for boards in (1, 2, 4):
        assert shared([even(boards)] * 3, [even(boards)] * 3) == 0


@pytest.mark.parametrize(
    ("boards", "factor"),
    # (½, −½); (¾, −¼, −¼, −¼); all of eight
    [(2, math.sqrt(1 / 2)), (4, math.sqrt(3 / 4)), (8, math.sqrt(7 / 8))],
)
def test_one_board_beside_several(boards: int, factor: float) -> None:
    assert shared([even(boards)], [even(1)]) == pytest.approx(GAIN * factor)
    assert shared([even(1)], [even(boards)]) == pytest.approx(GAIN * factor)


def test_on_other_boards_altogether_nothing_cancels() -> None:
    assert shared([even(1, first=1)], [even(1)]) == pytest.approx(GAIN * math.sqrt(2))
    assert shared([even(2, first=2)], [even(2)]) == pytest.approx(GAIN)


def test_the_same_boards_with_unlike_loads_cancel_in_part() -> None:
    uneven = {"GPU-0": Share(0.6, GAIN), "GPU-1": Share(0.4, GAIN)}
    assert shared([uneven], [even(2)]) == pytest.approx(GAIN * math.hypot(0.1, 0.1))


def test_blocks_on_different_boards_average_over_their_gains() -> None:
    own, base = [even(2), even(2, first=2)], [even(1), even(1, first=2)]
    assert shared(own, base) == pytest.approx(GAIN * math.sqrt(1 / 2) / math.sqrt(2))


def test_a_calibration_lessens_it() -> None:
    assert shared([even(2, 0.004)], [even(1, 0.004)]) == pytest.approx(0.004 * math.sqrt(0.5))
    # Board 0 calibrated alone: what they share may not cancel, being known of one only.
    mixed = {"GPU-0": Share(0.5, 0.004), "GPU-1": Share(0.5, GAIN)}
    assert shared([mixed], [even(1, 0.004)]) == pytest.approx(math.hypot(0.002, 0.017))


def test_what_is_no_energy_has_no_gain() -> None:
    assert shared([even(2)], [even(1)], "output_throughput_tokens_per_s") == 0
    assert shared([even(2)], [even(1)], "peak_memory_bytes") == 0
    assert has_gain("mean_power_w") and has_gain("energy_per_request_j")


def test_shares_are_of_energy_and_go_by_the_boards_uuid() -> None:
    """In a container a board is gpu0, whatever it is called outside."""
    made = record(energy={"gpu": 2.0}, gpus=[gpu(5) | {"index": 0}, gpu(7) | {"index": 1}])
    (reading,) = made.windows[0].energy
    readings = [
        reading.model_copy(update={"energy_j": 30.0, "budget_j": {"gain": 0.9}}),
        reading.model_copy(
            update={"device": "gpu1", "energy_j": 10.0, "budget_j": {"gain": 0.1, "tick": 5.0}}
        ),
    ]
    found = shares_of(with_readings(made, readings))["gpu"]
    assert found["GPU-5"] == pytest.approx(Share(0.75, 0.03))
    assert found["GPU-7"] == pytest.approx(Share(0.25, 0.01))
    readings[1] = readings[1].model_copy(update={"energy_j": None})
    assert shares_of(with_readings(made, readings)) == {}


def test_of_several_arms_the_same_errors_as_of_two() -> None:
    """The difference of two rows is what :func:`shared_log` has the standard uncertainty of."""
    arms = [
        {b: row(even(n, first=first)) for b in range(2)} for n, first in ((1, 0), (2, 0), (4, 2))
    ]
    apart, together = gains_of(arms, METRIC, "gpu")
    assert [len(r) for r in apart] == [6, 6, 6] and [len(r) for r in together] == [1, 1, 1]
    for i, own in enumerate(arms):
        assert sum(apart[i]) == pytest.approx(together[i][0]) == pytest.approx(GAIN)
        for j, base in enumerate(arms):
            difference = math.hypot(*(a - b for a, b in zip(apart[i], apart[j], strict=True)))
            assert difference == pytest.approx(shared_log(own, base, METRIC, "gpu"))
    assert gains_of(arms, "output_throughput_tokens_per_s", "") == []
    assert gains_of(arms, METRIC, "cpu") == []


def with_readings(made: Record, readings: list[Any]) -> Record:
    window = made.windows[0].model_copy(update={"energy": readings})
    return made.model_copy(update={"windows": [window]})


Gains = Callable[[np.random.Generator, int], Any]


def independent(rng: np.random.Generator, boards: int) -> Any:
    return rng.normal(0, GAIN, boards)


def alike(rng: np.random.Generator, boards: int) -> Any:
    """Half of the variance is common to boards of one kind."""
    return rng.normal(0, GAIN * math.sqrt(0.5)) + rng.normal(0, GAIN * math.sqrt(0.5), boards)


def covered(sizes: Sequence[int], blocks: int, noise: float, gains: Gains, widen: bool) -> float:
    """The share of campaigns whose intervals of all arms hold the true ratios. An arm runs on the
    first ``sizes[i]`` boards, whose counters are off by their gains for the whole campaign."""
    rng = np.random.default_rng(7)
    truth = {0: 1.0, 1: 1.3, 2: 2.1}
    rows = [{b: row(even(n)) for b in range(blocks)} for n in sizes]
    campaigns, held = 1500, 0
    for _ in range(campaigns):
        off = 1 + gains(rng, max(sizes))
        table = {
            arm: {
                b: truth[arm] * off[:n].mean() * math.exp(rng.normal(0, noise))
                for b in range(blocks)
            }
            for arm, n in enumerate(sizes)
        }
        found = ratios(table, 0)
        good = True
        for arm, estimate in found.items():
            if widen:
                estimate = with_shared(estimate, shared_log(rows[arm], rows[0], METRIC, "gpu"))
            assert estimate.low is not None and estimate.high is not None
            good &= estimate.low <= truth[arm] <= estimate.high
        held += good
    return held / campaigns


@pytest.mark.parametrize(
    ("sizes", "blocks", "noise", "gains"),
    [
        ((1, 2), 3, 0.01, independent),
        ((1, 2), 10, 0.01, independent),
        ((1, 2, 4), 5, 0.01, independent),
        ((1, 2, 4), 20, 0.002, independent),
        ((1, 2, 4), 5, 0.05, independent),
        ((4, 2, 1), 5, 0.01, independent),
        ((1, 2, 4), 5, 0.01, alike),
        ((2, 2, 2), 5, 0.01, independent),
    ],
)
def test_intervals_cover_whatever_the_boards_gains(
    sizes: Sequence[int], blocks: int, noise: float, gains: Gains
) -> None:
    """1,500 campaigns: at 95 % three standard errors are 1.7 %."""
    assert covered(sizes, blocks, noise, gains, widen=True) >= 0.933


def test_without_it_they_would_not() -> None:
    assert covered((1, 2, 4), 10, 0.01, independent, widen=False) < 0.35


def test_no_number_of_blocks_decides_what_the_gains_hide() -> None:
    values = {0: dict.fromkeys(range(6), 1.0), 1: {b: 1.03 + 0.001 * b for b in range(6)}}
    bare = ratios(values, 0)[1]
    assert verdict(bare, 0.02).says == "more"
    wide = with_shared(bare, GAIN * math.sqrt(0.5))
    found = verdict(wide, 0.02)
    assert (found.says, found.more_blocks) == ("cannot_tell", None)
    assert wide.half_width_log == pytest.approx(
        math.hypot(bare.half_width_log or 0, 1.959964 * GAIN * math.sqrt(0.5))
    )


def test_more_blocks_are_counted_without_what_they_do_not_lessen() -> None:
    """1.5 times as wide as the ratio is far from 1, a third of it shared: by hand."""
    values = {0: dict.fromkeys(range(4), 1.0), 1: dict(enumerate([1.0, 1.1, 1.02, 1.08]))}
    bare = ratios(values, 0)[1]
    wide = with_shared(bare, 0.01)
    centre = math.log(wide.ratio)
    assert bare.half_width_log is not None
    needed = 4 * bare.half_width_log**2 / (centre**2 - (1.959964 * 0.01) ** 2)
    more = verdict(wide).more_blocks
    assert more == math.floor(needed) + 1 - 4


def on_one_and_two_boards(
    folder: Any, joules: tuple[float, float], seconds: tuple[float, float] = (0.01, 0.01)
) -> None:
    """A campaign of two arms, on one and on two of a machine's boards."""
    arms = [
        {"arm_id": f"{i:064x}", "label": f"tp {n}", "settings": {"engine.tensor_parallel_size": n}}
        | {"experiment": experiment(n)}
        for i, n in enumerate((1, 2))
    ]
    lock(arms, blocks=3).write(folder / "campaign.lock.json")
    both = [gpu(0), gpu(1)]
    for block in range(3):
        for i, n in enumerate((1, 2)):
            made = record(
                arm_id=arms[i]["arm_id"],
                block=block,
                energy={"gpu": joules[i] * (1 + 0.002 * block * (1 - 2 * i))},
                tpot_s=seconds[i] * (1 + 0.001 * block * (1 - 2 * i)),
                gpus=both[:n],
                device_set=["GPU-0", "GPU-1"],
                started=START.replace(minute=block, second=30 * i),
                raw_experiment=experiment(n),
            )
            names = {"device_set_names": [g["name"] for g in both]}
            made = made.model_copy(
                update={"environment": made.environment.model_copy(update=names)}
            )
            (reading,) = made.windows[0].energy
            parts = [
                reading.model_copy(
                    update={
                        "device": f"gpu{k}",
                        "energy_j": (reading.energy_j or 0) / n,
                        "budget_j": {"gain": GAIN * (reading.energy_j or 0) / n},
                    }
                )
                for k in range(n)
            ]
            place(folder, with_readings(made, parts))


def test_a_comparison_says_what_the_boards_leave(tmp_path: Any) -> None:
    """Arms on one and on two of a machine's boards are compared, and it is said how far that
    goes."""
    on_one_and_two_boards(tmp_path, (1.0, 0.9))
    compared = open_results(tmp_path).compare()
    assert compared.hardware.startswith("2 × NVIDIA Test 80GB")
    found = compared.arms[1].ratios[f"{METRIC}.gpu"]
    assert found.n == 3
    assert found.shared_log == pytest.approx(GAIN * math.sqrt(0.5))
    assert found.low is not None and found.high is not None
    assert found.low < found.ratio * math.exp(-0.047)
    assert found.high > found.ratio * math.exp(0.047)
    (said,) = [line for line in footnotes(compared) if line.startswith("Boards")]
    assert "±4.8 %" in said


@pytest.mark.parametrize(("joules", "state"), [(0.98, "cannot_tell"), (0.85, "dominated")])
def test_no_arm_is_dominated_by_what_the_boards_gains_may_be(
    tmp_path: Any, joules: float, state: str
) -> None:
    """On two boards a token is faster, and takes 2 % less by counters that may be 5 % apart."""
    on_one_and_two_boards(tmp_path, (1.0, joules), (0.010, 0.008))
    found = {p.arm_id: p.state for p in open_results(tmp_path).pareto().points}
    assert found == {f"{0:064x}": state, f"{1:064x}": "front"}


def test_arms_without_a_common_block_have_their_boards_too() -> None:
    one, two = {0: row(even(1)), 1: row(even(1))}, {2: row(even(2))}
    u = GAIN * math.sqrt(0.5)
    assert shared_log(one, two, METRIC, "gpu") == pytest.approx(u)
    assert shared_log(one, {2: row(even(1))}, METRIC, "gpu") == 0


def on_pairs(gains: Gains, pairs: int = 4, blocks: int = 12) -> Iterator[tuple[Any, Any]]:
    """Campaigns of an arm on one and one on both boards of several pairs; each with its ratio
    when gains of pairs are known, and when they are not."""
    rng = np.random.default_rng(11)
    rows = [{b: row(even(n, first=2 * (b % pairs))) for b in range(blocks)} for n in (1, 2)]
    on = {b: f"pair{b % pairs}" for b in range(blocks)}
    places = [Place(f"pair{k}", "n", 2, tuple(range(k, blocks, pairs))) for k in range(pairs)]
    by_arm = {str(a): own for a, own in enumerate(rows)}
    explained = gains_on(by_arm, "0", quantity_of(METRIC, "gpu"), Spread("board", tuple(places)))
    u = shared_log(rows[1], rows[0], METRIC, "gpu")
    for _ in range(200):
        off = 1 + gains(rng, 2 * pairs)
        read = [off[::2], (off[::2] + off[1::2]) / 2]
        table = {
            str(a): {b: own[b % pairs] * math.exp(rng.normal(0, 0.003)) for b in range(blocks)}
            for a, own in enumerate(read)
        }
        known, blind = (ratios(table, "0", boards=on, gains=g)["1"] for g in (explained, None))
        yield with_shared(known, u), with_shared(blind, u)


@pytest.mark.parametrize("gains", [independent, alike])
def test_gains_of_pairs_of_boards_are_no_disagreement(gains: Gains) -> None:
    known, blind = zip(*on_pairs(gains), strict=True)
    assert sum(r.method == "boards" for r in blind) > 180
    assert sum(r.on_boards.noticed for r in known) <= 10
    assert sum(r.low <= 1 <= r.high for r in known) >= 184
    for r in (*known, *blind):
        wide = math.log(r.on_boards.high / r.on_boards.low) / 2
        assert wide >= r.half_width_log - 1e-12
    assert sum(r.on_boards.low <= 1 <= r.on_boards.high for r in known) >= 184
    # What gains do is in the scatter of boards already.
    for r in blind:
        if r.method == "boards":
            assert r.half_width_log == pytest.approx(math.log(r.on_boards.high / r.ratio))


def test_a_pair_that_is_further_off_than_its_gains_is_named(tmp_path) -> None:
    rng = np.random.default_rng(3)
    on = [("boot", [f"GPU-{2 * (b % 4)}", f"GPU-{2 * (b % 4) + 1}"]) for b in range(12)]
    for off, noticed in ((0.03, False), (0.3, True)):
        figures = {
            n: [2 / n * (1 + (off if n == 2 and b % 4 == 1 else 0) + 0.003 * rng.normal())
                for b in range(12)]
            for n in (1, 2)
        }  # fmt: skip
        folder = tmp_path / str(off)
        spread_records.campaign(folder, figures, on, gain=GAIN, uses={1: 1, 2: 2})
        c = open_results(folder).compare()
        found = c.arms[1].ratios[f"{METRIC}.gpu"]
        assert found.shared_log > 0.01 and found.on_boards.noticed is noticed
        said = " ".join(footnotes(c))
        assert "boards like these" in said and "whose gains cancel" not in said
