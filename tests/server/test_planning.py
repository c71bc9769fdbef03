"""Reading campaigns takes neither all threads nor the database from anybody else."""

import threading
import time

import pytest

from lem.server import planning
from lem.server.problems import HttpProblem


def test_a_few_are_read_at_once_a_few_wait_and_the_rest_is_told_to_come_again() -> None:
    inside, most, refused = 0, 0, []
    lock, go_on = threading.Lock(), threading.Event()

    def one() -> None:
        nonlocal inside, most
        try:
            with planning.turn():
                with lock:
                    inside += 1
                    most = max(most, inside)
                assert go_on.wait(30)
                with lock:
                    inside -= 1
        except HttpProblem as e:
            refused.append(e)

    threads = [threading.Thread(target=one) for _ in range(30)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 30
    while len(refused) < 30 - planning.PLACES and time.monotonic() < until:
        time.sleep(0.01)
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert most == planning.AT_ONCE
    assert len(refused) == 30 - planning.PLACES
    assert {(e.status, e.headers["Retry-After"]) for e in refused} == {(503, "2")}
    with planning.turn():
        pass


def test_a_place_is_free_again_whatever_happens() -> None:
    for _ in range(2 * planning.PLACES):
        with pytest.raises(ValueError), planning.turn():
            raise ValueError
