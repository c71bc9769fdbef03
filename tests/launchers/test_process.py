"""The process launcher, with real processes."""

import os
import pickle
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from launchers.conformance import Conformance, shown_by_processes, wait_for_events
from launchers.rig import Rig, owner_of, stage

from lem.errors import EnvironmentFault
from lem.launchers import supervise
from lem.launchers.process import OWNER, Process, leftovers, oom_kills
from lem.launchers.protocol import BackendSetup


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    launcher = Process()
    prepared = launcher.prepare(BackendSetup("tick"), print)
    return stage(launcher, prepared, tmp_path_factory.mktemp("process"))


HOST = """
import pickle, sys
from lem.launchers.process import Process
with Process().start(pickle.load(sys.stdin.buffer)) as agent:
    agent.wait(600)
"""


class TestProcess(Conformance):
    def inspected(self, rig: Rig, owner: str) -> str:
        return shown_by_processes(owner)

    def test_ends_with_its_host(self, rig: Rig, tmp_path: Path) -> None:
        task = rig.task(tmp_path, {"hang": True})
        host = subprocess.Popen([sys.executable, "-c", HOST], stdin=subprocess.PIPE)
        assert host.stdin is not None
        host.stdin.write(pickle.dumps(task))
        host.stdin.close()
        wait_for_events(tmp_path, "load")
        host.send_signal(signal.SIGKILL)
        host.wait()
        assert gone(task.owner)

    def test_ends_with_a_host_that_is_gone_before_the_agent_began(self) -> None:
        # Many times, because whether the agent has its group by then is a race.
        script = Path(supervise.__file__)
        for _ in range(30):
            read, write = os.pipe()
            command = [sys.executable, "-I", "-S", script, str(write), "0", "/bin/sleep", "600"]
            subprocess.run(
                command, stdin=subprocess.DEVNULL, pass_fds=[write], timeout=30, check=True
            )
            os.close(write)
            with os.fdopen(read) as report:
                assert report.read() == "137\n"

    def test_leftovers_are_reclaimed(self, rig: Rig) -> None:
        owner = uuid.uuid4().hex
        left = subprocess.Popen(["sleep", "600"], env={**os.environ, OWNER: owner})
        # A process that has just been started shows no environment for a moment.
        limit = time.monotonic() + 10
        while not leftovers(OWNER, owner) and time.monotonic() < limit:
            time.sleep(0.01)
        assert rig.launcher.reclaim("another") == 0
        assert rig.launcher.reclaim("") == 0
        assert rig.launcher.reclaim(owner) == 1
        assert left.wait() == -signal.SIGKILL

    def test_supervisor_killed(self, rig: Rig, tmp_path: Path) -> None:
        with rig.launcher.start(rig.task(tmp_path, {"hang": True})) as agent:
            wait_for_events(tmp_path, "load")
            supervisors = [
                pid
                for pid in leftovers(OWNER, owner_of(tmp_path))
                if b"supervise.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
            ]
            os.kill(min(supervisors), signal.SIGKILL)
            end = agent.wait(30)
        assert end is not None and end.status == 137
        assert gone(owner_of(tmp_path))

    def test_descendants_that_left_the_group_are_killed(self, tmp_path: Path) -> None:
        supervisor = Path(sys.modules[Process.__module__].__file__ or "").with_name("supervise.py")
        runaway = "setsid sleep 600 & setsid sh -c 'setsid sleep 600 & wait' & sleep 0.3; exit 5"
        owner = uuid.uuid4().hex
        read, write = os.pipe()
        done = subprocess.Popen(
            [sys.executable, supervisor, str(write), "0", "/bin/sh", "-c", runaway],
            stdin=subprocess.PIPE,
            env={**os.environ, OWNER: owner},
            pass_fds=(write,),
        )
        os.close(write)
        assert os.read(read, 64) == b"5\n"
        assert done.wait(10) == 0
        assert leftovers(OWNER, owner) == []
        os.close(read)

    def test_interpreter_without_lem(self, tmp_path: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path], check=True)
        python = str(tmp_path / "bin" / "python")
        with pytest.raises(EnvironmentFault, match="has no lem agent") as caught:
            Process().prepare(BackendSetup("tick", python=python), print)
        assert "pip install" in (caught.value.hint or "")

    def test_interpreter_that_is_none(self) -> None:
        with pytest.raises(EnvironmentFault, match="cannot be run"):
            Process().prepare(BackendSetup("tick", python="/nowhere/python"), print)


def test_oom_kills_are_counted_by_the_kernel(tmp_path: Path) -> None:
    assert oom_kills(tmp_path) is None
    (tmp_path / "vmstat").write_text("nr_free_pages 5\noom_kill 3\n")
    assert oom_kills(tmp_path) == 3


def gone(owner: str) -> bool:
    """Whether nothing of that owner is left, within ten seconds."""
    for _ in range(200):
        if not leftovers(OWNER, owner):
            return True
        time.sleep(0.05)
    return False
