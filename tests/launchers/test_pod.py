"""The pod launcher: in a pod it is the process launcher with the pod's own; where a campaign is
submitted, Docker stands in."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from launchers.conformance import SECRET, Conformance, shown_by_processes
from launchers.rig import Rig, probe_of, stage

from lem import containers
from lem.containers import Image
from lem.errors import BadInput, EnvironmentFault
from lem.launchers import pod
from lem.launchers.pod import ROOM_BYTES, Pod
from lem.launchers.process import Process
from lem.launchers.protocol import BackendSetup, Folders, Prepared, Say, Task

DIGEST = "sha256:" + "0123456789abcdef" * 4
NAME = "registry.example.org/lem/tick"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    prepared = replace(Process().prepare(BackendSetup("tick"), print), image=f"{NAME}@{DIGEST}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEM_POD_UID", "0b8e6f0e")
        patch.setenv("LEM_CONTAINER", "kubernetes")
        yield stage(Pod(), replace(prepared, digest=DIGEST), tmp_path_factory.mktemp("pod"))


class TestPod(Conformance):
    def inspected(self, rig: Rig, owner: str) -> str:
        return shown_by_processes(owner)

    def test_environment_is_clean(
        self, rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A container's environment is its image's and the manifest's: it is the agent's but for
        what tells of the pod and of the cluster."""
        monkeypatch.setenv("OF_THE_IMAGE", "1")
        monkeypatch.setenv("OMP_NUM_THREADS", "3")
        monkeypatch.setenv("LEM_POD_NAME", "lem-1-0")
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
        monkeypatch.setenv("JOB_COMPLETION_INDEX", "0")
        rig.run(tmp_path, {"probe": True})
        environ = probe_of(tmp_path)["environ"]
        assert environ["OF_THE_IMAGE"] == "1" and environ["OMP_NUM_THREADS"] == "3"
        assert environ["HF_HUB_OFFLINE"] == "1" and environ["LEM_CONTAINER"] == "kubernetes"
        assert environ["HOME"] not in ("/tmp", "/root")
        assert not [n for n in environ if n.startswith(("LEM_POD_", "KUBERNETES_", "JOB_"))]
        assert SECRET not in environ.values()

    def test_room_is_left_below_the_pod_s_limit(
        self, rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where the container runs out of memory, the kernel ends all that is in it."""
        monkeypatch.setenv("LEM_POD_MEMORY_BYTES", str(ROOM_BYTES + 600 * 2**20))
        end = rig.run(tmp_path, {"eat_memory": True})
        assert end.status != 0
        assert "out_of_memory" in (tmp_path / "failure.json").read_text()

    def test_the_record_tells_the_image(self, rig: Rig, tmp_path: Path) -> None:
        rig.run(tmp_path, {})
        text = (tmp_path / "record.json").read_text()
        assert DIGEST in text and '"launcher":"pod"' in text.replace(" ", "")


class Engine:
    def __init__(self, *references: str) -> None:
        self.references = references

    def image(self, name: str) -> Image:
        return Image(name, name, (), {}, 0, "", self.references)


def played(monkeypatch: pytest.MonkeyPatch, *references: str) -> None:
    @contextmanager
    def connect() -> Iterator[Any]:
        yield Engine(*references)

    monkeypatch.setattr(containers, "connect", connect)


@pytest.mark.parametrize(
    ("named", "references", "pinned"),
    [
        (f"{NAME}:1.0@{DIGEST}", (), f"{NAME}@{DIGEST}"),
        (f"{NAME}@{DIGEST}", (), f"{NAME}@{DIGEST}"),
        (f"{NAME}:1.0", (f"other/tick@{DIGEST}x", f"{NAME}@{DIGEST}"), f"{NAME}@{DIGEST}"),
        (
            "localhost:5000/tick",
            (f"localhost:5000/tick@{DIGEST}",),
            f"localhost:5000/tick@{DIGEST}",
        ),
        ("localhost:5000/t:1", (f"localhost:5000/t@{DIGEST}",), f"localhost:5000/t@{DIGEST}"),
        ("docker.io/lem/tick:1", (f"lem/tick@{DIGEST}",), f"docker.io/lem/tick@{DIGEST}"),
    ],
)
def test_an_image_is_named_for_good(
    monkeypatch: pytest.MonkeyPatch, named: str, references: tuple[str, ...], pinned: str
) -> None:
    played(monkeypatch, *references)
    assert pod._pinned(named, "sha256:id") == pinned


@pytest.mark.parametrize("references", [(), (f"other/tick@{DIGEST}",), (f"{NAME}@md5:0",)])
def test_an_image_that_no_registry_has_is_refused(
    monkeypatch: pytest.MonkeyPatch, references: tuple[str, ...]
) -> None:
    played(monkeypatch, *references)
    with pytest.raises(EnvironmentFault, match="only on this machine") as e:
        pod._pinned(f"{NAME}:1.0", "sha256:id")
    assert e.value.hint == f"docker push {NAME}:1.0"


@pytest.fixture
def submits(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A machine that submits to a cluster; which images the cluster was asked about."""
    asked: list[str] = []

    class Other(Process):
        def prepare(self, setup: BackendSetup, say: Say) -> Prepared:
            asked.append(setup.image or "")
            assert setup.gpu is False
            found = super().prepare(BackendSetup(setup.name), say)
            return replace(found, image=f"{NAME}@{DIGEST}")

    monkeypatch.delenv("LEM_POD_UID", raising=False)
    token = pod.STAND_IN.set(Other)
    yield asked
    pod.STAND_IN.reset(token)


def test_an_image_has_to_be_named(submits: list[str]) -> None:
    with pytest.raises(BadInput, match="name one") as e:
        Pod().prepare(BackendSetup("tick"), print)
    assert "backends.tick.image" in str(e.value)
    assert submits == []


def test_without_docker_the_cluster_is_asked(
    submits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pod, "_docker_answers", lambda: False)
    found = Pod().prepare(BackendSetup("tick", image=f"{NAME}:1.0", gpu=True), print)
    assert submits == [f"{NAME}:1.0"]
    assert (found.image, found.digest) == (f"{NAME}@{DIGEST}", DIGEST)
    assert found.setup.gpu and found.setup.image == f"{NAME}:1.0"


def test_it_is_no_launcher_for_this_machine(submits: list[str], tmp_path: Path) -> None:
    token = pod.STAND_IN.set(None)
    with pytest.raises(BadInput, match="nowhere else"):
        Pod().prepare(BackendSetup("tick", image=f"{NAME}@{DIGEST}"), print)
    pod.STAND_IN.reset(token)
    prepared = Process().prepare(BackendSetup("tick"), print)
    task = Task("run", prepared, Folders(tmp_path), "job.json")
    with pytest.raises(EnvironmentFault, match="nothing is measured here"), Pod().start(task):
        pass
