"""The charliecloud launcher, with real containers of Debian's Charliecloud."""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from launchers.conformance import Conformance
from launchers.rig import Rig, probe_of, stage
from tick_image import need_docker, tick_image

from lem.launchers import apart, charliecloud, rootfs
from lem.launchers.charliecloud import Charliecloud
from lem.launchers.converted import converted
from lem.launchers.process import OWNER, leftovers
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
        found = leftovers(OWNER, owner)
        assert found
        shown = [
            (Path(f"/proc/{pid}") / name).read_bytes()
            for pid in found
            for name in ("environ", "cmdline")
        ]
        return b"".join(shown).decode()

    def test_isolation(self, rig: Rig, tmp_path: Path) -> None:
        rig.run(tmp_path, {"probe": True})
        seen = probe_of(tmp_path)
        assert seen["connects"] is False
        assert seen["writable"] == []

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
        command = [
            *("setpriv", "--reuid=1234", "--regid=1234", "--clear-groups"),
            *charliecloud.around(False, [requests]),
            *charliecloud.inside(
                found, place, {"PATH": "/usr/bin:/bin"}, [(run, "/run"), (requests, "/requests")]
            ),
            *("sh", "-c", UNPRIVILEGED),
        ]
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
