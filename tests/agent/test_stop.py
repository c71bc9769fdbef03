"""SIGTERM and time-outs become exceptions, in a process of their own."""

import signal
import subprocess
import sys

import pytest

from lem.agent.stop import Stop, deadline, stoppable

PROGRAM = """
import os, signal, sys, time
from lem.agent.stop import Stop, deadline, stoppable
try:
    with stoppable():
        try:
            {body}
        except Stop as e:
            print("first", e.reason.kind, e.reason.message, flush=True)
            {afterwards}
        print("written down", flush=True)
except Stop as e:
    print("escaped", e.reason.kind)
"""


def outcome(body: str, afterwards: str = "pass") -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(body=body, afterwards=afterwards)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == "" and done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_is_an_interruption(name: str) -> None:
    said = outcome(f"os.kill(os.getpid(), signal.{name}); time.sleep(30)")
    assert said == [f"first interrupted stopped by {name}", "written down"]


def test_an_engine_that_catches_every_exception_is_stopped_all_the_same() -> None:
    stubborn = [
        "while True:",
        " try: os.kill(os.getpid(), signal.SIGTERM); time.sleep(30)",
        " except Exception: pass",
    ]
    said = outcome(f"exec({chr(10).join(stubborn)!r})")
    assert said == ["first interrupted stopped by SIGTERM", "written down"]


def test_a_second_signal_does_not_keep_the_first_from_being_written_down() -> None:
    said = outcome(
        "os.kill(os.getpid(), signal.SIGTERM); time.sleep(30)",
        "os.kill(os.getpid(), signal.SIGTERM); os.kill(os.getpid(), signal.SIGINT)",
    )
    assert said == ["first interrupted stopped by SIGTERM", "written down"]


def test_a_deadline_is_a_time_out_that_names_what_took_too_long() -> None:
    said = outcome("""exec("with deadline(0.05, 'loading'): time.sleep(30)")""")
    assert said == ["first timeout loading took longer than 0.05 s", "written down"]


def test_a_deadline_that_is_kept_does_nothing_later() -> None:
    with deadline(0.05, "this"):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_the_time_out_says_how_to_mend_it() -> None:
    with pytest.raises(Stop) as e, deadline(0.01, "this"):
        signal.pause()
    reason = e.value.reason
    assert reason.kind == "timeout" and "limits.run_s" in (reason.hint or "")
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_handlers_are_as_before_afterwards() -> None:
    before = [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)]
    with stoppable(), deadline(10, "this"):
        assert signal.getsignal(signal.SIGTERM) != before[0]
    assert [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)] == before
