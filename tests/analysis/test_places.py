"""What blocks ran on, as far as records tell."""

from datetime import timedelta

import pytest

from lem.analysis.places import Places, before_on_the_same, places_of
from lem.stores.outcomes import Outcome
from lem.stores.rows import Row
from tests.records import START

ENERGY = "energy_per_output_token_j"
RATE = "output_throughput_tokens_per_s"


def row(block: int, boot: str, *boards: str, minute: int | None = None) -> Row:
    began = START + timedelta(minutes=block if minute is None else minute)
    ended = began + timedelta(seconds=30)
    times = (began.isoformat(), ended.isoformat())
    outcome = Outcome(
        "a", block, 0, 0, "record", None, "info", *times, boot, boards or ("cpu",), str(block)
    )
    return Row(outcome, "", "", "", 1, "", {}, (), "", {})


def blocks(spread):
    return [p.blocks for p in spread.places]


def test_on_one_set_of_boards_there_is_nothing_to_tell() -> None:
    rows = [row(b, "boot-1", "GPU-0", "GPU-1") for b in range(4)]
    assert places_of("c", rows) == Places()
    assert places_of("c", [row(b, "boot-1") for b in range(4)]) == Places()
    assert places_of("c", []) == Places()


def test_boards_of_two_nodes() -> None:
    rows = [row(b, f"boot-{b % 4 // 2}", f"GPU-{b % 4}") for b in range(8)]
    found = places_of("c", rows)
    assert found.boards is not None and found.nodes is not None
    assert blocks(found.boards) == [(0, 4), (1, 5), (2, 6), (3, 7)]
    assert blocks(found.nodes) == [(0, 1, 4, 5), (2, 3, 6, 7)]
    assert [p.boards for p in found.boards.places] == [1] * 4
    assert [p.boards for p in found.nodes.places] == [2, 2]
    nodes = [p.name for p in found.nodes.places]
    assert [p.node for p in found.boards.places] == [nodes[0], nodes[0], nodes[1], nodes[1]]
    # Boards read their own energy; all else is a matter of the node.
    assert found.of(ENERGY, "gpu") is found.boards
    assert found.of(ENERGY, "cpu") is found.nodes and found.of(RATE, "") is found.nodes


def test_boards_of_one_node_are_what_its_figures_depend_on() -> None:
    found = places_of("c", [row(b, "boot-1", f"GPU-{b % 2}") for b in range(4)])
    assert found.nodes is None
    assert found.of(ENERGY, "gpu") is found.of(ENERGY, "cpu") is found.of(RATE, "") is found.boards


def test_names_tell_no_identity_and_differ_between_campaigns() -> None:
    rows = [row(b, f"boot-{b}", f"GPU-{b}") for b in range(3)]
    one, other = places_of("c", rows), places_of("d", rows)
    for found in (one, other):
        names = [p.name for s in (found.boards, found.nodes) for p in s.places]
        assert len(set(names)) == 6 and all(len(n) == 6 and int(n, 16) >= 0 for n in names)
    assert {p.name for p in one.boards.places}.isdisjoint(p.name for p in other.boards.places)
    assert one == places_of("c", rows[::-1])


def test_a_machine_with_boards_that_was_restarted_is_one_node() -> None:
    rows = [row(b, f"boot-{b // 2}", "GPU-0") for b in range(4)]
    assert places_of("c", rows, placed=True) == Places()


def test_without_boards_boots_one_after_another_are_restarts_unless_a_scheduler_chose() -> None:
    rows = [row(b, f"boot-{b // 2}") for b in range(4)]
    assert places_of("c", rows) == Places(boots=2)
    placed = places_of("c", rows, placed=True)
    assert placed.boots == 1 and blocks(placed.nodes) == [(0, 1), (2, 3)] and placed.boards is None


@pytest.mark.parametrize("minutes", [(0, 0, 1, 1), (0, 1, 2, 3)])
def test_boots_that_take_turns_or_overlap_are_machines_of_their_own(minutes) -> None:
    rows = [row(b, f"boot-{b % 2}", minute=m) for b, m in enumerate(minutes)]
    assert blocks(places_of("c", rows).nodes) == [(0, 2), (1, 3)]


def test_sets_that_share_a_board_are_not_told_apart() -> None:
    rows = [row(0, "b", "GPU-0", "GPU-1"), row(1, "b", "GPU-1", "GPU-2"), row(2, "b", "GPU-2")]
    found = places_of("c", rows)
    assert found.boards.overlap and blocks(found.boards) == [(0, 1, 2)]
    assert found.of(ENERGY, "gpu") is found.boards and found.of(RATE, "") is None
    apart = places_of("c", [*rows, row(3, "b", "GPU-7", "GPU-8")])
    assert not apart.boards.overlap and blocks(apart.boards) == [(0, 1, 2), (3,)]
    assert [p.boards for p in apart.boards.places] == [3, 2]


def test_the_block_before_is_the_one_before_on_the_same_devices() -> None:
    rows = [row(b, "boot", f"GPU-{b % 2}") for b in range(5)]
    assert before_on_the_same([r.outcome for r in rows]) == {2: 0, 3: 1, 4: 2}
    # By time, not by number.
    late = [row(0, "boot", "GPU-0", minute=9), row(1, "boot", "GPU-0", minute=2)]
    assert before_on_the_same([r.outcome for r in late]) == {0: 1}


def test_the_block_before_had_ended_and_had_a_device_in_common() -> None:
    sets = [("GPU-0", "GPU-1"), ("GPU-2", "GPU-3"), ("GPU-1", "GPU-2"), ("GPU-0", "GPU-3")]
    rows = [row(b, "boot", *own) for b, own in enumerate(sets)]
    assert before_on_the_same([r.outcome for r in rows]) == {2: 1, 3: 1}
    # Two halves of one long block lie around a short one.
    long = [row(0, "boot", "GPU-0", minute=0), row(0, "boot", "GPU-0", minute=5)]
    rows = [*long, row(1, "boot", "GPU-0", minute=2), row(2, "boot", "GPU-0", minute=8)]
    assert before_on_the_same([r.outcome for r in rows]) == {2: 0}
