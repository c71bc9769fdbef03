"""What every engine behind a server of its own must do besides (:mod:`tests.backends.conformance`):
under a closed loop, and under a schedule."""

import os
import signal
import time
from itertools import islice
from pathlib import Path

import pytest

from lem.agent.operating_point import load_held
from lem.backends.protocol import Apart, Backend, Engine
from lem.contract.workload import Concurrency, Constant, Poisson
from lem.errors import RunFailed
from lem.workloads import latency
from lem.workloads.load import Log
from lem.workloads.requests import Request
from lem.workloads.schedules import at_rate
from lem.workloads.sources import OpenLoop, arriving
from lem.workloads.steady import Counts, count
from lem.workloads.stock import Stock

from .conformance import Conformance, make_job

CLIENTS = 4
SEED = 5
"""Of schedules."""


def living(group: int) -> list[int]:
    """Processes of a group that run; a dead one may wait for long until somebody collects it."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, theirs = stat.read_text().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue
        if int(theirs) == group and state not in "ZX":
            found.append(int(stat.parent.name))
    return found


class OpenLoad(Conformance):
    """Requests come by a schedule of their own, whatever the answers do."""

    HELD = 0.5
    TOO_MUCH = 6.0
    """Parts of the requests a second that the engine answers in a closed loop."""

    def scheduled(
        self, engine: Engine, requests: list[Request], arrival: Constant | Poisson, limit: int
    ) -> tuple[OpenLoop, Counts]:
        """What an open loop of so many requests was, and what fell into its schedule."""
        log = Log()
        source = arriving(arrival, Stock(requests), log, limit, seed=SEED)
        assert isinstance(source, OpenLoop)
        engine.serve(source, log)
        assert [r.status for r in source.sent] == ["done"] * limit
        assert source.sent == list(log.responses.values())
        return source, count(source.sent, source.due[0], source.due[-1])

    @pytest.fixture(scope="class")
    @classmethod
    def short(cls, requests: list[Request]) -> list[Request]:
        """So that a few seconds hold enough of them to tell overload from chance."""
        return [r._replace(output_tokens=2) for r in requests]

    @pytest.fixture(scope="class")
    @classmethod
    def answered_per_s(cls, engine: Engine, short: list[Request]) -> float:
        log = Log()
        engine.serve(arriving(Concurrency(concurrency=CLIENTS), Stock(short), log, 20), log)
        ends = sorted(r.end_ns for r in log.responses.values() if r.end_ns is not None)
        # The first clients' answers are the engine's ramp-up.
        return (len(ends) - CLIENTS) / ((ends[-1] - ends[CLIENTS - 1]) / 1e9)

    @pytest.mark.parametrize(("kind", "limit"), [(Constant, 32), (Poisson, 12)])
    def test_a_schedule_that_can_be_held_is_kept(
        self,
        engine: Engine,
        short: list[Request],
        answered_per_s: float,
        kind: type[Constant] | type[Poisson],
        limit: int,
    ) -> None:
        arrival = kind(rate=self.HELD * answered_per_s)
        source, counts = self.scheduled(engine, short, arrival, limit)
        planned = list(islice(at_rate(arrival, self.HELD * answered_per_s, SEED), limit))
        # Each counts from its time in the schedule, to the nanosecond, and none leaves before it.
        sent = [r.sent_ns for r in source.sent]
        assert sent == source.due
        after = [round((p - planned[0]) * 1e9) for p in planned]
        assert [s - sent[0] for s in sent] == pytest.approx(after, abs=2)
        for r in source.sent:
            assert r.written_ns is not None
            assert r.sent_ns <= r.written_ns <= r.token_ns[0] <= r.token_ns[-1]
        # Everything that was sent is counted, and every latency begins when it should have been.
        assert counts.sent == limit - 1 and counts.failed == counts.timed_out == 0
        assert latency.ttft_s(source.sent) == [
            (r.token_ns[0] - r.sent_ns) / 1e9 for r in source.sent
        ]
        assert len(latency.tpot_s(source.sent)) == limit
        # Two tokens that a busy machine reads at once have one time and no gap.
        assert 0 < len(latency.itl_s(source.sent)) <= limit
        if kind is Constant:
            assert "overloaded" not in load_held(source, [counts])

    def test_more_than_it_can_answer_is_overload(
        self, engine: Engine, short: list[Request], answered_per_s: float
    ) -> None:
        arrival = Constant(rate=self.TOO_MUCH * answered_per_s)
        source, counts = self.scheduled(engine, short, arrival, 60)
        assert "overloaded" in load_held(source, [counts])
        # Nobody waited to send, and the waiting is in the latencies: all have come in a small part
        # of the time that the answers take, so that the last ones' is most of it.
        assert [r.sent_ns for r in source.sent] == source.due
        took_s = (max(r.token_ns[-1] for r in source.sent) - source.due[0]) / 1e9
        assert max(latency.ttft_s(source.sent[-10:])) > took_s / 2


class Served(OpenLoad):
    """The suite for an engine's own server, with one client more than it has slots."""

    arrival = Concurrency(concurrency=CLIENTS)

    def test_its_work_is_done_in_processes_of_its_own(self, engine: Engine) -> None:
        assert isinstance(engine, Apart)
        assert engine.process != os.getpid() and not engine.atomic_batches
        # Among others: the server counts its tokens itself, and no others than were asked for.
        assert engine.flags() == set()

    def test_tokens_come_one_after_another(self, engine: Engine, requests: list[Request]) -> None:
        """On a busy machine a server may put several tokens into one chunk; never all of them."""
        longest = max(requests, key=lambda r: r.output_tokens)
        times = self.serve(engine, requests).responses[longest.id].token_ns
        assert len(set(times)) > 1

    def test_there_are_never_more_requests_than_clients(
        self, engine: Engine, requests: list[Request]
    ) -> None:
        log = Log()
        engine.serve(arriving(self.arrival, Stock(requests), log, 3 * len(requests)), log)
        ends = sorted(r.end_ns for r in log.responses.values() if r.end_ns is not None)
        starts = sorted(r.sent_ns for r in log.responses.values())
        assert len(starts) == len(ends) == 3 * len(requests)
        for i, start in enumerate(starts):
            assert i + 1 - sum(end <= start for end in ends) <= CLIENTS

    def test_serving_can_be_broken_off(self, engine: Engine, requests: list[Request]) -> None:
        log = Log()
        inner = arriving(self.arrival, Stock(requests), log)

        class Gone(Exception):
            pass

        class Breaking:
            def take(self, room: int, busy: int) -> list[Request] | None:
                if log.tokens > 5:
                    raise Gone
                return inner.take(room, busy)

            def due_ns(self) -> int | None:
                return None

        with pytest.raises(Gone):
            engine.serve(Breaking(), log)
        assert "open" not in {r.status for r in log.responses.values()}
        after = self.serve(engine, requests)
        assert {r.status for r in after.responses.values()} == {"done"}

    def test_a_killed_server_is_a_failure_with_a_name(
        self, backend: Backend, model: Path, requests: list[Request], tmp_path: Path
    ) -> None:
        engine = backend.load(
            make_job(
                self.name,
                model,
                tmp_path,
                requests,
                self.settings,
                self.arguments,
                arrival=self.arrival,
            )
        )
        assert isinstance(engine, Apart)
        log = Log()
        inner = arriving(self.arrival, Stock(requests), log)

        class Killing:
            def take(self, room: int, busy: int) -> list[Request] | None:
                if log.tokens > 5:
                    os.killpg(engine.process, signal.SIGKILL)
                    time.sleep(0.2)
                return inner.take(room, busy)

            def due_ns(self) -> int | None:
                return None

        try:
            with pytest.raises(RunFailed) as e:
                engine.serve(Killing(), log)
            assert e.value.kind == "engine_error" and "SIGKILL" in e.value.message
            assert "open" not in {r.status for r in log.responses.values()}
        finally:
            engine.close()
        assert living(engine.process) == []
