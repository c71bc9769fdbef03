"""What the runs of a campaign say of each other."""

import hashlib
from datetime import timedelta

from records import START, experiment, lock

from lem.campaign.plan import order
from lem.contract.lock import Lock
from lem.meters.protocol import Sample
from lem.trust import traits
from lem.trust.judge import across
from lem.trust.traits import Traits
from lem.trust.traits import across as of_campaign

ARMS = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(4)]
SECOND = 1_000_000_000


def campaign(blocks: int = 3) -> tuple[Lock, list[Traits]]:
    """One after the other, each in the order that was drawn; 40 s each."""
    arms = [{"arm_id": a, "label": a, "settings": {}, "experiment": experiment()} for a in ARMS]
    locked = lock(arms, blocks=blocks)
    runs = []
    for block in range(blocks):
        for arm in order(locked.seed, block, 0, ARMS):
            at = 40 * len(runs)
            name = f"{block}/{arm}"
            runs.append(
                Traits(
                    block=block,
                    block_pass=0,
                    arm_id=arm,
                    attempt=0,
                    started_at=(START + timedelta(seconds=at)).isoformat(),
                    ended_at=(START + timedelta(seconds=at + 35)).isoformat(),
                    load_s=5.0,
                    boot_id="boot-1",
                    device_set=("GPU-1",),
                    trace_sha256=hashlib.sha256(name.encode()).hexdigest(),
                    begin_ns=(1000 + at + 6) * SECOND,
                    end_ns=(1000 + at + 34) * SECOND,
                    shape_sha256=hashlib.sha256(f"shape {name}".encode()).hexdigest(),
                )
            )
    return locked, runs


def rules(runs: list[Traits], locked: Lock | None = None) -> list[str]:
    return [f.rule for f in across(runs, locked)]


def test_an_honest_campaign() -> None:
    locked, runs = campaign()
    assert across(runs, locked) == []
    assert across(reversed(runs), locked) == []


def test_a_trace_under_two_runs() -> None:
    _, runs = campaign()
    runs[7] = runs[7]._replace(trace_sha256=runs[2].trace_sha256)
    (found,) = across(runs)
    assert (found.rule, found.consequence) == ("trace_repeated", "reject")
    assert (found.block, found.arm_id) == (runs[7].block, runs[7].arm_id)


def test_a_trace_with_its_times_moved_has_the_same_shape() -> None:
    _, runs = campaign()
    runs[7] = runs[7]._replace(shape_sha256=runs[2].shape_sha256)
    assert rules(runs) == ["trace_shape_repeated"]

    def shape(shift_ns: int, start: float, factor: int = 1) -> str | None:
        values = [start + factor * (i * 25_000 + i * i % 97) for i in range(40)]
        samples = [
            Sample(shift_ns + i * 100_000_000, "nvml", "gpu0", "energy_mj", v)
            for i, v in enumerate(values)
        ]
        return traits.shape(samples)

    assert shape(0, 0.0) == shape(5 * SECOND, 1e6)
    assert shape(0, 0.0) != shape(0, 0.0, factor=2)
    assert traits.shape([]) is None


def test_a_series_under_two_runs_beside_another_that_was_changed() -> None:
    """The best block's board, say, with one step of CPU time of its own."""
    _, runs = campaign()
    runs[2] = runs[2]._replace(series=("a" * 64, "b" * 64))
    runs[7] = runs[7]._replace(series=("b" * 64, "c" * 64))
    (found,) = across(runs)
    assert (found.rule, found.consequence) == ("trace_shape_repeated", "reject")
    assert (found.block, found.arm_id) == (runs[7].block, runs[7].arm_id)


def test_runs_that_used_one_board_at_once() -> None:
    _, runs = campaign()
    late = (START + timedelta(seconds=60)).isoformat()
    runs[0] = runs[0]._replace(ended_at=late)
    assert rules(runs) == ["runs_overlap"]
    # Blocks beside each other are on other boards.
    runs[0] = runs[0]._replace(device_set=("GPU-2",))
    assert rules(runs) == []


def test_clocks_that_do_not_go_together() -> None:
    """A trace from another day of this boot; sleeping machines' wall clocks run ahead."""
    _, runs = campaign()
    hour = 3600 * SECOND
    t = runs[3]
    early = t._replace(begin_ns=t.begin_ns + hour, end_ns=t.end_ns + hour)  # type: ignore[operator]
    assert rules([*runs[:3], early, *runs[4:]]) == ["clocks_disagree"]
    awake_ns = 200 * SECOND
    slept = [
        r._replace(begin_ns=r.begin_ns - awake_ns) if i >= 6 else r  # type: ignore[operator]
        for i, r in enumerate(runs)
    ]
    assert rules(slept) == []


def test_runs_that_were_not_made_in_the_order_that_was_drawn() -> None:
    """So a block under another number is found, as are blocks that were put together."""
    locked, runs = campaign()
    swapped = runs[:4]
    a, b = swapped[0], swapped[1]
    swapped[0] = a._replace(arm_id=b.arm_id)
    swapped[1] = b._replace(arm_id=a.arm_id)
    assert rules(swapped, locked) == ["arms_not_in_order"]
    renumbered = [r._replace(block=0) for r in runs[4:8]]
    assert order(locked.seed, 0, 0, ARMS) != order(locked.seed, 1, 0, ARMS)
    assert rules(renumbered, locked) == ["arms_not_in_order"]


def test_what_is_made_again_after_a_failure_comes_when_it_comes() -> None:
    """A failure leaves no trace, so that the second attempt is the first that has one."""
    locked, runs = campaign(1)
    late = (START + timedelta(hours=0.1)).isoformat()
    later = (START + timedelta(hours=0.11)).isoformat()
    again = runs[0]._replace(attempt=1, started_at=late, ended_at=later, begin_ns=None)
    known = {(0, 0, again.arm_id): 0}
    assert [r for r, _, _ in of_campaign([*runs[1:], again], locked)] == ["arms_not_in_order"]
    assert list(of_campaign([*runs[1:], again], locked, known)) == []


def test_a_series_is_known_again_under_another_name_and_time() -> None:
    """What a thief of a published trace changes first."""

    def run(
        shift_ns: int = 0, device: str = "gpu0", start: float = 0, step: int = 0
    ) -> list[Sample]:
        values = [start + i * 25_000 + i * i % 97 + step * (i > 30) for i in range(40)]
        return [
            Sample(shift_ns + i * 100_000_000, "nvml", device, "energy_mj", v)
            for i, v in enumerate(values)
        ]

    known = traits.series(run())
    assert len(known) == 1
    assert traits.series(run(7, "gpu3", 1e6)) == known
    more = [Sample(5, "nvml", "gpu1", "energy_mj", float(i * i)) for i in range(50)]
    assert set(known) < set(traits.series(run() + more))
    assert traits.series(run(step=1)) != known
    assert traits.series(run()[:10]) == ()


def test_a_counter_at_rest_is_of_no_run_alone() -> None:
    steady = [Sample(i, "nvml", "gpu0", "energy_mj", 2000.0 * i) for i in range(200)]
    assert traits.series(steady) == ()


def test_power_that_repeats_itself_is_of_no_run_alone() -> None:
    """A meter of whole watts at rest reads the same on every machine."""
    flat = [Sample(i, "ipmi", "node", "power_mw", 30_000.0 + 1000 * (i % 2)) for i in range(500)]
    assert traits.series(flat) == ()
    lively = [Sample(i, "nvml", "gpu0", "power_mw", 30_000.0 + i * i % 997) for i in range(500)]
    assert len(traits.series(lively)) == 1
