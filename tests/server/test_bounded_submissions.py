"""Submissions that wait for their turn."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from server.conftest import Serve, Served
from server.test_front import is_problem

from lem.server.settings import Bounds

API = "/api/v1"
TAR = {"Content-Type": "application/x-tar"}


def post(served: Served) -> Any:
    return served.client.post(f"{API}/submissions", content=b"x", headers=TAR)


def fill(served: Served) -> int:
    n = 0
    while served.service.receiving.acquire(blocking=False):
        n += 1
    return n


def test_they_keep_no_other_request_waiting(lite: Served) -> None:
    """More of them than there are threads."""
    taken = fill(lite)
    with ThreadPoolExecutor(51) as pool:
        waiting = [pool.submit(post, lite) for _ in range(50)]
        time.sleep(1)
        others = pool.submit(lite.client.get, f"{API}/archive")
        try:
            assert others.result(5).status_code == 200
            assert not any(w.done() for w in waiting)
        finally:
            lite.service.receiving.release(taken)
        answers = [w.result() for w in waiting]
    assert all(is_problem(a, 422, "bad_submission") for a in answers)
    assert fill(lite) == taken


def test_those_whose_turn_does_not_come_are_told_to_come_again(serve: Serve) -> None:
    served = serve(bounds=Bounds(request_s=0.4))
    fill(served)
    answer = post(served)
    assert is_problem(answer, 503, "busy")
    assert answer.headers["retry-after"] == "5"
