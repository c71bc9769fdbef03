"""A request list, handed out again and again."""

from lem.workloads.requests import Request
from lem.workloads.stock import Stock, conversations

TALKS = [
    Request("a1", [1], 4, ""),
    Request("a2", [1], 4, "", after="a1"),
    Request("b1", [1], 4, ""),
    Request("a3", [1], 4, "", after="a2"),
    Request("b2", [1], 4, "", after="b1"),
    Request("c1", [1], 4, ""),
]


def some(n: int) -> list[Request]:
    return [Request(f"r{i}", [1, 2, 3], 4, "") for i in range(n)]


def test_stock_begins_anew_with_fresh_ids() -> None:
    stock = Stock(some(2))
    assert [stock.next().id for _ in range(2)] == ["r0", "r1"]
    assert not stock.exhausted
    assert [stock.next().id for _ in range(3)] == ["r0#2", "r1#2", "r0#3"]
    assert stock.exhausted


def test_conversations_are_kept_together_and_in_order() -> None:
    found = [[r.id for r in c] for c in conversations(TALKS)]
    assert found == [["a1", "a2", "a3"], ["b1", "b2"], ["c1"]]


def test_the_second_time_round_a_turn_follows_the_same_time_round() -> None:
    stock = Stock(TALKS)
    for _ in TALKS:
        stock.next()
    again = [stock.next() for _ in TALKS]
    assert [(r.id, r.after) for r in again[:2]] == [("a1#2", None), ("a2#2", "a1#2")]
    assert {r.nth for r in again} == {2} and {r.nth for r in TALKS} == {1}


def test_every_sending_of_a_prompt_has_its_own_number() -> None:
    twice = [Request("a", [1], 1, ""), Request("b", [2], 1, ""), Request("c", [1], 1, "", nth=2)]
    stock = Stock(twice)
    sent = [stock.next() for _ in range(9)]
    assert [r.nth for r in sent if r.input_ids == [1]] == [1, 2, 3, 4, 5, 6]
    assert len({r.nth for r in sent if r.input_ids == [2]}) == 3


def test_requests_that_do_not_belong_together_are_used_once_by_both_kinds_of_phase() -> None:
    stock = Stock(some(4))
    first = [stock.conversation()[0].id, stock.next().id, stock.conversation()[0].id]
    assert first == ["r0", "r1", "r2"] and not stock.exhausted


def test_passing_requests_over_is_not_using_them_twice() -> None:
    stock = Stock(some(4))
    stock.skip_to(3)
    assert [stock.next().id for _ in range(4)] == ["r3", "r0#2", "r1#2", "r2#2"]
    assert not stock.exhausted
    stock.skip_to(2)
    assert stock.next().id == "r3#2" and stock.exhausted
