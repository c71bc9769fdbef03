"""The docker launcher, on a real engine."""

import json
import os
import pickle
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from launchers.conformance import Conformance, wait_for_events
from launchers.rig import Rig, owner_of, probe_of, stage
from tick_image import need_docker, tick_image

from lem import containers
from lem.errors import EnvironmentFault
from lem.launchers.docker import Docker
from lem.launchers.protocol import BackendSetup, Task

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    need_docker()
    launcher = Docker()
    prepared = launcher.prepare(BackendSetup("tick", image=tick_image()), print)
    return stage(launcher, prepared, tmp_path_factory.mktemp("docker"))


class TestDocker(Conformance):
    def inspected(self, rig: Rig, owner: str) -> str:
        (one,) = containers_of(owner)
        shown = [docker("inspect", one), docker("top", one, "-ef"), docker("diff", one)]
        return "".join(shown)

    def test_isolation(self, rig: Rig, tmp_path: Path) -> None:
        rig.run(tmp_path, {"probe": True})
        seen = probe_of(tmp_path)
        assert seen["capabilities"] == [0, 0, 0, 0]
        assert seen["no_new_privileges"] is True
        assert seen["interfaces"] == ["lo"]
        assert seen["connects"] is False
        assert seen["writable"] == []
        expected = (os.getuid(), os.getgid()) if os.getuid() else (65534, 65534)
        assert (seen["uid"], seen["gid"]) == expected
        # An init of its own, so that signals reach Python and orphans are reaped.
        assert seen["parent"] == 1

    def test_network_only_where_the_task_may(self, rig: Rig, tmp_path: Path) -> None:
        rig.run(tmp_path, {"probe": True}, network=True)
        seen = probe_of(tmp_path)
        assert "eth0" in seen["interfaces"]
        assert "HF_HUB_OFFLINE" not in seen["environ"]

    def test_kernel_kills_what_eats_too_much(self, rig: Rig, tmp_path: Path) -> None:
        end = rig.run(tmp_path, {"eat_memory": True}, memory_bytes=200 * 2**20)
        assert (end.status, end.out_of_memory) == (137, True)

    def test_limits_are_set(self, rig: Rig, tmp_path: Path) -> None:
        task = rig.task(tmp_path, {"hang": True}, pids=77, memory_bytes=2**29)
        with rig.launcher.start(task):
            (one,) = containers_of(owner_of(tmp_path))
            (found,) = json.loads(docker("inspect", one))
        host = found["HostConfig"]
        assert (host["PidsLimit"], host["Memory"]) == (77, 2**29)
        assert (host["ReadonlyRootfs"], host["NetworkMode"]) == (True, "none")
        assert (host["CapDrop"], host["SecurityOpt"]) == (["ALL"], ["no-new-privileges"])
        assert (host["Init"], host["Privileged"]) == (True, False)
        binds = {m["Destination"]: m["RW"] for m in found["Mounts"] if m["Type"] == "bind"}
        assert binds == {"/run": True, "/requests": False, "/models": False}

    def test_killed_from_outside(self, rig: Rig, tmp_path: Path) -> None:
        with rig.launcher.start(rig.task(tmp_path, {"hang": True})) as agent:
            wait_for_events(tmp_path, "load")
            (one,) = containers_of(owner_of(tmp_path))
            docker("kill", one)
            end = agent.wait(30)
        assert end is not None
        assert (end.status, end.out_of_memory) == (137, False)

    def test_leftovers_of_a_killed_host_are_reclaimed(self, rig: Rig, tmp_path: Path) -> None:
        run = tmp_path / "run"
        run.mkdir()
        task = rig.task(run, {"hang": True})
        host = start_a_host(task)
        wait_for_events(run, "load")
        host.send_signal(signal.SIGKILL)
        host.wait()
        assert len(containers_of(task.owner)) == 1
        assert rig.launcher.reclaim("another") == 0
        assert rig.launcher.reclaim(task.owner) == 1
        assert containers_of(task.owner) == []
        assert {p.stat().st_uid for p in (run, *run.rglob("*"))} == {os.getuid()}

    def test_staging_of_a_killed_host_is_reclaimed_by_the_next(
        self, rig: Rig, tmp_path: Path
    ) -> None:
        task = rig.task(tmp_path, {"hang": True}, owner="")
        host = start_a_host(task)
        wait_for_events(tmp_path, "load")
        assert rig.launcher.reclaim("the-next") == 0
        host.send_signal(signal.SIGKILL)
        host.wait()
        assert rig.launcher.reclaim("the-next") >= 1
        assert docker("ps", "-aq", "--filter", f"label=org.lem.run={tmp_path}") == ""

    @pytest.mark.skipif(os.getuid() != 0, reason="only root gives folders back: run it as root")
    def test_an_image_cannot_say_what_is_reclaimed(self, rig: Rig, tmp_path: Path) -> None:
        mine = tmp_path / "mallory"
        mine.mkdir()
        os.chown(mine, 1234, 1234)
        labels = {"org.lem.host": "another-boot/1/1/1", "org.lem.run": f"{mine}/.."}
        lines = [f"FROM {tick_image()}", *(f"LABEL {k}={v}" for k, v in labels.items())]
        (tmp_path / "image").mkdir()
        (tmp_path / "image" / "Dockerfile").write_text("\n".join(lines))
        with containers.connect() as engine:
            engine.build(tmp_path / "image", "lem-test/labels", {}, print)
        foreign = docker("create", "lem-test/labels").strip()
        docker("create", "--name", "lem-0123456789ab", "lem-test/labels")
        try:
            assert rig.launcher.reclaim("somebody") == 1
            assert docker("ps", "-aq", "--no-trunc", "--filter", f"id={foreign}").strip() == foreign
            assert tmp_path.stat().st_uid == 0
        finally:
            docker("rm", "-f", foreign)

    def test_nobody_s_leftovers_are_not_everybody_s(self, rig: Rig) -> None:
        assert rig.launcher.reclaim("") == 0


@pytest.mark.usefixtures("rig")
class TestPrepare:
    def test_image_that_is_nowhere(self) -> None:
        with pytest.raises(EnvironmentFault, match="cannot be pulled") as caught:
            Docker().prepare(BackendSetup("tick", image="lem-test/absent:1"), print)
        assert caught.value.kind == "image"
        assert caught.value.hint

    def test_image_that_talks_without_end(self, tmp_path: Path) -> None:
        script = "import sys, os; [os.write(1, b'x' * 2**20) for _ in range(600)]"
        labels = "org.lem.contract=1 org.lem.backend=tick"
        (tmp_path / "Dockerfile").write_text(
            f"FROM {base()}\nLABEL {labels}\nRUN mkdir -p /m/lem"
            f' && echo "{script}" > /m/lem/agent.py\nENV PYTHONPATH=/m'
        )
        with containers.connect() as engine:
            engine.build(tmp_path, "lem-test/talks", {}, print)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(EnvironmentFault, match="did not describe itself") as caught:
            Docker().prepare(BackendSetup("tick", image="lem-test/talks"), print)
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown_kib < 200 * 2**10
        assert len(caught.value.message) < 10_000

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            ({}, "is not an image of lem"),
            ({"org.lem.contract": "99", "org.lem.backend": "tick"}, "speaks contract 99"),
            ({"org.lem.contract": "1", "org.lem.backend": "vllm"}, "is for the backend vllm"),
        ],
    )
    def test_wrong_labels(self, labels: dict[str, str], message: str, tmp_path: Path) -> None:
        lines = [f"FROM {tick_image()}" if labels else f"FROM {base()}", "CMD true"]
        lines += [f"LABEL {k}={v}" for k, v in labels.items()]
        (tmp_path / "Dockerfile").write_text("\n".join(lines))
        with containers.connect() as engine:
            engine.build(tmp_path, "lem-test/wrong", {}, print)
        with pytest.raises(EnvironmentFault, match=message) as caught:
            Docker().prepare(BackendSetup("tick", image="lem-test/wrong"), print)
        assert caught.value.kind == "contract"
        assert "lem images build tick" in (caught.value.hint or "")

    def test_base_that_cannot_be_pulled(self) -> None:
        setup = BackendSetup("llama_cpp", base_image="lem-test/no-such-base:1")
        with pytest.raises(EnvironmentFault, match="base image lem-test/no-such-base") as caught:
            Docker().prepare(setup, print)
        assert caught.value.kind == "image"
        assert "--base-image" in (caught.value.hint or "")

    def test_gpu_where_docker_has_none(self) -> None:
        with containers.connect() as engine:
            nvidia = engine.facts.nvidia
        if nvidia:
            pytest.skip("this engine can give GPUs to containers")
        with pytest.raises(EnvironmentFault, match="GPU") as caught:
            Docker().prepare(BackendSetup("tick", image=tick_image(), gpu=True), print)
        assert "Container Toolkit" in (caught.value.hint or "")


HOST = """
import pickle, sys
from lem.launchers.docker import Docker
with Docker().start(pickle.load(sys.stdin.buffer)) as agent:
    agent.wait(600)
"""


def start_a_host(task: Task) -> "subprocess.Popen[bytes]":
    """Another process that starts the task, so that it can be killed."""
    host = subprocess.Popen([sys.executable, "-c", HOST], stdin=subprocess.PIPE)
    assert host.stdin is not None
    host.stdin.write(pickle.dumps(task))
    host.stdin.close()
    return host


def containers_of(owner: str) -> list[str]:
    return docker("ps", "-aq", "--filter", f"label=org.lem.owner={owner}").split()


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout


def base() -> str:
    return os.environ.get("LEM_TEST_BASE_IMAGE", "python:3.11-slim-bookworm")
