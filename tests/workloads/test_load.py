"""The log: who was sent when, and each token's time."""

from concurrent.futures import ThreadPoolExecutor

from lem.workloads.load import Log, Response
from lem.workloads.requests import Request


def test_a_requests_history() -> None:
    now = [0]
    ended: list[Response] = []
    log = Log(clock=lambda: now[0], watch=ended.append)
    log.sent([Request("r0", [1], 3, ""), Request("r1", [1], 3, "")])
    now[0] = 5
    log.token("r0")
    now[0] = 9
    log.token("r0", 2)
    log.done("r0", "text")
    log.failed("r1", "too long")
    assert log.responses["r0"] == Response(
        Request("r0", [1], 3, ""), 0, [5, 9, 9], 9, "done", "text"
    )
    assert (log.responses["r1"].status, log.responses["r1"].text) == ("failed", "too long")
    assert log.tokens == 3 and [r.request.id for r in ended] == ["r0", "r1"]


def test_a_request_may_have_been_sent_earlier() -> None:
    log = Log(clock=lambda: 100)
    log.sent([Request("r0", [1], 1, "")], at_ns=40)
    assert log.responses["r0"].sent_ns == 40


def test_no_token_is_lost_between_threads() -> None:
    log = Log()
    log.sent([Request(f"r{i}", [1], 1, "") for i in range(8)])

    def tell(i: int) -> None:
        for _ in range(5000):
            log.token(f"r{i}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(tell, range(8)))
    assert log.tokens == 40_000
    assert all(len(r.token_ns) == 5000 for r in log.responses.values())
