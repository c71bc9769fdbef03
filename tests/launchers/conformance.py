"""What every launcher must do, checked with the real agent and the test backend.

A launcher's test class takes these tests by inheriting :class:`Conformance` and says by the
fixture ``rig`` what is to be started.
"""

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from launchers.rig import Rig, owner_of, probe_of

from lem.contract.failure import Failure
from lem.contract.record import Record
from lem.errors import EnvironmentFault
from lem.launchers.log import LIMIT_BYTES
from lem.launchers.process import OWNER, leftovers

SECRET = "hf_Zq9-not-a-real-token"


class Conformance:
    def test_describes_the_backend(self, rig: Rig) -> None:
        described = rig.prepared.described
        assert (described.backend, described.engine_version) == ("tick", "1.0")

    def test_a_run_leaves_a_record(self, rig: Rig, tmp_path: Path) -> None:
        end = rig.run(tmp_path, {"print": "good morning"})
        assert (end.status, end.out_of_memory) == (0, False)
        record = Record.read(tmp_path / "record.json")
        assert record.run_id == "0" * 24
        assert record.environment.launcher == rig.launcher.name
        # A bare process may itself be in someone's container.
        assert record.environment.container or rig.launcher.name != "docker"
        assert "good morning" in (tmp_path / "agent.log").read_text().splitlines()

    def test_files_belong_to_the_invoking_user(self, rig: Rig, tmp_path: Path) -> None:
        rig.run(tmp_path, {})
        everything = [tmp_path, *tmp_path.rglob("*"), *rig.models.rglob("*")]
        assert {(p.stat().st_uid, p.stat().st_gid) for p in everything} == {
            (os.getuid(), os.getgid())
        }
        assert len(everything) > 5

    def test_a_failure_is_typed(self, rig: Rig, tmp_path: Path) -> None:
        end = rig.run(tmp_path, {"raise": "the engine is unwell"})
        assert end.status == 1
        failure = Failure.read(tmp_path / "failure.json")
        assert failure.kind == "engine_error"
        assert "the engine is unwell" in failure.message

    def test_exit_status_passes_through(self, rig: Rig, tmp_path: Path) -> None:
        end = rig.run(tmp_path, {"exit_code": 42, "print": "last words"})
        assert (end.status, end.out_of_memory) == (42, False)
        assert "last words" in end.last_lines

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
    def test_death_by_signal(self, rig: Rig, tmp_path: Path, number: int) -> None:
        end = rig.run(tmp_path, {"crash_signal": int(number)})
        assert (end.status, end.out_of_memory) == (128 + number, False)
        assert not (tmp_path / "record.json").exists()

    def test_wait_gives_none_while_it_runs(self, rig: Rig, tmp_path: Path) -> None:
        with rig.launcher.start(rig.task(tmp_path, {"hang": True})) as agent:
            assert agent.wait(0.05) is None

    def test_stop_is_gentle_first(self, rig: Rig, tmp_path: Path) -> None:
        task = rig.task(tmp_path, {"token_ms": 60_000})
        with rig.launcher.start(task) as agent:
            wait_for_events(tmp_path, "warm_up")
            end = agent.stop(grace_s=30)
            assert agent.wait(0) == end
        assert end.status == 1
        assert Failure.read(tmp_path / "failure.json").kind == "interrupted"

    def test_stop_ends_a_deaf_agent(self, rig: Rig, tmp_path: Path) -> None:
        with rig.launcher.start(rig.task(tmp_path, {"hang": True, "when": "load"})) as agent:
            wait_for_events(tmp_path, "load")
            time.sleep(0.5)
            end = agent.stop(grace_s=0.2)
        assert (end.status, end.out_of_memory) == (137, False)
        assert rig.launcher.reclaim(owner_of(tmp_path)) == 0

    def test_leaving_ends_it(self, rig: Rig, tmp_path: Path) -> None:
        with (
            pytest.raises(KeyboardInterrupt),
            rig.launcher.start(rig.task(tmp_path, {"hang": True})),
        ):
            wait_for_events(tmp_path, "load")
            raise KeyboardInterrupt
        assert rig.launcher.reclaim(owner_of(tmp_path)) == 0
        assert {p.stat().st_uid for p in tmp_path.rglob("*")} == {os.getuid()}

    def test_memory_limit(self, rig: Rig, tmp_path: Path) -> None:
        end = rig.run(tmp_path, {"eat_memory": True}, memory_bytes=600 * 2**20)
        assert end.status != 0
        if not end.out_of_memory:
            assert Failure.read(tmp_path / "failure.json").kind == "out_of_memory"

    def test_secrets_arrive_and_are_nowhere_written(self, rig: Rig, tmp_path: Path) -> None:
        end = rig.run(tmp_path, {"print_variable": "HF_TOKEN"}, secrets={"HF_TOKEN": SECRET})
        assert end.status == 0
        assert "it is [secret]" in (tmp_path / "agent.log").read_text().splitlines()
        for path in tmp_path.rglob("*"):
            assert SECRET.encode() not in path.read_bytes()
        assert SECRET not in "".join(end.last_lines)

    def test_a_proxy_s_password_is_nowhere_written(
        self, rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:{SECRET}@proxy:1")
        end = rig.run(tmp_path, {"print_variable": "HTTPS_PROXY"}, network=True)
        assert "it is http://me:[secret]@proxy:1" in (tmp_path / "agent.log").read_text()
        assert SECRET not in "".join(end.last_lines)

    def test_secrets_can_not_be_inspected(self, rig: Rig, tmp_path: Path) -> None:
        # Other sessions have secrets of their own.
        secret = SECRET + owner_of(tmp_path)
        task = rig.task(tmp_path, {"hang": True, "when": "load"}, secrets={"HF_TOKEN": secret})
        with rig.launcher.start(task):
            wait_for_events(tmp_path, "load")
            assert SECRET not in self.inspected(rig, owner_of(tmp_path))
        assert not [p for p in hidden_files() if secret.encode() in p]

    def inspected(self, rig: Rig, owner: str) -> str:
        """Everything about the running agent that its launcher's own tools show."""
        raise NotImplementedError

    def test_environment_is_clean(
        self, rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        monkeypatch.setenv("OMP_NUM_THREADS", "3")
        rig.run(tmp_path, {"probe": True})
        environ = probe_of(tmp_path)["environ"]
        assert SECRET not in environ.values()
        assert environ["OMP_NUM_THREADS"] == "3"
        assert environ["HF_HUB_OFFLINE"] == "1"
        assert environ["HOME"] != os.environ["HOME"]

    def test_log_is_bounded(self, rig: Rig, tmp_path: Path) -> None:
        end = rig.run(tmp_path, {"print_bytes": LIMIT_BYTES + 2**20, "exit_code": 3})
        assert (tmp_path / "agent.log").stat().st_size + 100 >= LIMIT_BYTES
        assert (tmp_path / "agent.log").stat().st_size < LIMIT_BYTES + 2**17
        assert end.last_lines[-1].endswith(str((LIMIT_BYTES + 2**20) // 100 - 1))

    def test_a_busy_place_to_write_is_typed(self, rig: Rig, tmp_path: Path) -> None:
        task = rig.task(tmp_path, {})
        (tmp_path / "agent.log").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(EnvironmentFault) as caught, rig.launcher.start(task):
            pass
        assert caught.value.kind == "disk"

    def test_several_at_once(self, rig: Rig, tmp_path: Path) -> None:
        ends = {}

        def one(name: str) -> None:
            (tmp_path / name).mkdir()
            ends[name] = rig.run(tmp_path / name, {"print": name}).last_lines

        threads = [threading.Thread(target=one, args=(name,)) for name in ("first", "second")]
        for t in threads:
            t.start()
        for t in threads:
            t.join(120)
        assert {k: k in v for k, v in ends.items()} == {"first": True, "second": True}


def shown_by_processes(owner: str) -> str:
    """What ``/proc`` shows of the running agent's processes."""
    found = leftovers(OWNER, owner)
    assert found
    names = ("environ", "cmdline")
    return b"".join((Path(f"/proc/{p}") / n).read_bytes() for p in found for n in names).decode()


def hidden_files() -> list[bytes]:
    """What lies in memory where secrets pass."""
    found = []
    for file in Path("/dev/shm").glob("lem-*/*"):
        with suppress(FileNotFoundError):
            found.append(file.read_bytes())
    return found


def wait_for_events(folder: Path, phase: str) -> None:
    """Until the agent says that it is in this phase (or has been)."""
    for _ in range(1200):
        with_events = folder / "events.ndjson"
        if with_events.exists() and f'"{phase}"' in with_events.read_text():
            return
        time.sleep(0.05)
    raise AssertionError(f"the agent did not reach {phase}: {[*folder.iterdir()]}")
