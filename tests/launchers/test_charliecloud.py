"""The charliecloud launcher, with real containers of Debian's Charliecloud."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from launchers.conformance import Conformance, shown_by_processes
from launchers.rig import Rig, probe_of, stage
from tick_image import need_docker, tick_image

from lem.errors import BadInput, EnvironmentFault
from lem.launchers import apart, charliecloud, rootfs
from lem.launchers.cache import cache_root
from lem.launchers.charliecloud import Charliecloud
from lem.launchers.converted import converted, of_id
from lem.launchers.process import leftovers
from lem.launchers.protocol import BackendSetup

pytestmark = [pytest.mark.docker, pytest.mark.slow]


def need_charliecloud() -> None:
    if shutil.which("ch-run") is None:
        how = "ch-run is not here: apt-get install --no-install-recommends charliecloud-runtime"
        if os.environ.get("CI") == "true":
            pytest.fail(how)
        pytest.skip(how)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    need_charliecloud()
    need_docker()
    launcher = Charliecloud()
    prepared = launcher.prepare(BackendSetup("tick", image=tick_image()), print)
    return stage(launcher, prepared, tmp_path_factory.mktemp("charliecloud"))


class TestCharliecloud(Conformance):
    def inspected(self, rig: Rig, owner: str) -> str:
        return shown_by_processes(owner)

    def test_isolation(self, rig: Rig, tmp_path: Path) -> None:
        rig.run(tmp_path, {"probe": True})
        seen = probe_of(tmp_path)
        assert seen["connects"] is False
        assert seen["writable"] == []
        assert seen["uid"] == (os.getuid() or 65534)
        assert seen["no_new_privileges"] and not any(seen["capabilities"][:2])

    def test_network_only_where_the_task_may(self, rig: Rig, tmp_path: Path) -> None:
        rig.run(tmp_path, {"probe": True}, network=True)
        assert "HF_HUB_OFFLINE" not in probe_of(tmp_path)["environ"]


def test_a_gpu_s_driver_is_the_node_s(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library stands for the driver's here: the engine finds it by its name."""
    theirs = Path("/lib/x86_64-linux-gnu/libz.so.1").resolve()
    monkeypatch.setattr("lem.launchers.driver.libraries", lambda: {"libcuda.so.1": theirs})
    task = rig.task(tmp_path, {"load_library": "libcuda.so.1", "probe": True})
    with rig.launcher.start(replace(task, gpus=(0,))) as agent:
        assert agent.wait(60) is not None
    assert "loaded libcuda.so.1" in (tmp_path / "agent.log").read_text().splitlines()
    assert probe_of(tmp_path)["writable"] == []


ATTACK = """
import json, os, pathlib, signal, sys
def can(what):
    try:
        what()
    except OSError as e:
        return e.strerror
    return True
shared = pathlib.Path("/dev/shm/lem-attack")
print(json.dumps({
    "uid": os.getuid(),
    "core_pattern": can(lambda: open("/proc/sys/kernel/core_pattern", "w")),
    "sysctl": can(lambda: open("/proc/sys/vm/drop_caches", "w")),
    "uevent": can(lambda: open("/sys/kernel/uevent_helper", "w")),
    "kmsg": can(lambda: open("/dev/kmsg", "w")),
    "kills": can(lambda: os.kill(int(sys.argv[1]), signal.SIGKILL)),
    "processes": sorted(int(p) for p in os.listdir("/proc") if p.isdigit()),
    "shared": os.listdir("/dev/shm"),
    "shares": can(lambda: shared.write_text("here")),
    "first": can(lambda: os.listdir("/proc/1/root")),
}))
"""


def attacked(rig: Rig, place: Path, victim: int) -> dict[str, Any]:
    tree = of_id(rig.prepared.image or "", rootfs.FORM, cache_root())
    done = subprocess.run(
        [
            *charliecloud.container(tree, place, {"PATH": "/usr/bin:/bin"}, [], False),
            *("python3", "-c", ATTACK, str(victim)),
        ],
        env={"PATH": os.environ["PATH"], "USER": "ada"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_an_agent_does_nothing_to_the_machine(rig: Rig) -> None:
    """What an agent of Charliecloud's own isolation could: write the kernel's settings where root
    started it, end its user's processes, and leave something in the machine's shared memory."""
    with (
        tempfile.TemporaryDirectory() as name,
        tempfile.NamedTemporaryFile(dir="/dev/shm", prefix="lem-others-") as others,
        subprocess.Popen(
            ["sleep", "60"], user=charliecloud.identity(os.getuid(), os.getgid())[0]
        ) as victim,
    ):
        try:
            found = attacked(rig, Path(name), victim.pid)
            assert victim.poll() is None
        finally:
            victim.kill()
        assert Path(others.name).exists()
    assert not Path("/dev/shm/lem-attack").exists()
    assert found["uid"] != 0
    refused = ("core_pattern", "sysctl", "uevent", "kmsg", "first")
    assert {k: found[k] for k in refused if found[k] is True} == {}
    assert found["kills"] == "No such process"
    # Two of them: the first, and the agent.
    assert len(found["processes"]) == 2 and found["shared"] == [] and found["shares"] is True


def test_without_processes_of_its_own_the_rest_holds(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a new ``/proc`` is refused."""
    every = charliecloud.apart_options()
    assert every is not None and "--shared-processes" not in every
    monkeypatch.setattr(charliecloud, "apart_options", lambda: (*every, "--shared-processes"))
    with tempfile.TemporaryDirectory() as name:
        found = attacked(rig, Path(name), 2**22)
    assert found["uid"] != 0 and found["core_pattern"] is not True
    assert found["shared"] == [] and len(found["processes"]) > 2


def test_nothing_outlives_what_stands_around_it(tmp_path: Path) -> None:
    """Not even what left its process group. SIGKILL, as when the machine runs out of memory."""
    need_charliecloud()
    assert charliecloud.apart_options() is not None
    mark = f"LEM_TEST={tmp_path}"
    words = ["env", mark, "sh", "-c", "setsid sleep 600 & exec sleep 600"]
    command = [*charliecloud._apart(charliecloud.apart_options() or ()), "--", *words]

    def left() -> list[int]:
        return leftovers(*mark.split("=", 1))

    with subprocess.Popen(command) as outermost:
        until = time.monotonic() + 20
        while len(left()) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        assert len(left()) == 2
        outermost.kill()
    until = time.monotonic() + 20
    while left() and time.monotonic() < until:
        time.sleep(0.05)
    assert left() == []


def test_root_s_agents_are_never_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charliecloud, "apart_options", lambda: None)
    charliecloud.check_rights(1000)
    with pytest.raises(EnvironmentFault, match="would be root"):
        charliecloud.check_rights(0)


def test_root_s_own_places_are_in_no_agent_s_way(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "own"
    place.mkdir(mode=0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    (tmp_path / "run").mkdir(mode=0o700)
    before = os.umask(0o077)
    try:
        assert rig.run(tmp_path / "run", {}).status == 0
    finally:
        os.umask(before)


def test_a_path_that_ch_run_would_cut_is_refused(rig: Rig, tmp_path: Path) -> None:
    tree = of_id(rig.prepared.image or "", rootfs.FORM, cache_root())
    folder = tmp_path / "a:b"
    folder.mkdir()
    with pytest.raises(BadInput, match="no path with ':'"):
        charliecloud.container(tree, tmp_path, {}, [(folder, "/run", True)], False)


UNPRIVILEGED = """
id -u
cat /proc/net/dev
touch /run/x /requests/y /etc/z
python3 -m lem.agent describe tick
"""


@pytest.mark.skipif(os.getuid() != 0, reason="the user is an unprivileged one already")
def test_an_unprivileged_user_can_start_it(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same command lines, as another user. Root's folders are closed to them, so that what they
    need lies elsewhere."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        place = Path(name)
        place.chmod(0o755)
        run, requests = place / "run", place / "requests"
        run.mkdir()
        requests.mkdir()
        shutil.copy(apart.__file__, place / "apart.py")
        monkeypatch.setattr(charliecloud, "APART", place / "apart.py")
        monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
        setup = BackendSetup("tick", image=tick_image())
        found = converted(setup, rootfs.FORM, place / "cache", print)
        os.chown(run, 1234, 1234)
        os.chown(requests, 1234, 1234)
        monkeypatch.setattr(charliecloud, "apart_options", lambda: ())
        mounts = [(run, "/run", True), (requests, "/requests", False)]
        command = [
            *("setpriv", "--reuid=1234", "--regid=1234", "--clear-groups"),
            *charliecloud.container(found, place, {"PATH": "/usr/bin:/bin"}, mounts, False),
            *("sh", "-c", UNPRIVILEGED),
        ]
        os.chown(place / "environment", 1234, 1234)
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
            env={"PATH": os.environ["PATH"], "USER": "ada"},
        )
        assert (run / "x").stat().st_uid == 1234
        assert list(requests.iterdir()) == []
        assert done.stderr.count("Read-only file system") == 2
        assert done.stdout.splitlines()[0] == "1234"
        assert "eth0" not in done.stdout
        assert '"backend":"tick"' in done.stdout.replace(" ", "")
