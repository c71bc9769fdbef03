"""The apptainer launcher: its command lines, and Apptainer itself where it is installed."""

import os
import shutil
from pathlib import Path

import pytest
from launchers.conformance import Conformance, shown_by_processes
from launchers.rig import Rig, stage
from tick_image import need_docker, tick_image

from lem.errors import BadInput, EnvironmentFault
from lem.launchers import apptainer, sif
from lem.launchers.apptainer import Apptainer, inside
from lem.launchers.flatten import Archive
from lem.launchers.protocol import BackendSetup

GOLDEN = Path(__file__).parent / "golden" / "apptainer.txt"


def test_the_command_lines_are_as_they_were_read(tmp_path: Path) -> None:
    """``apptainer exec`` and ``build``: what a person has looked at. Options as in Apptainer 1.3's
    reference."""
    mounts = [
        (Path("/data/run"), "/run", True),
        (Path("/data/models, all"), "/models", False),
        (Path("/data/requests"), "/requests", False),
    ]
    variables = {"HOME": "/tmp", "QUOTED": "it's $HOME", "OMP_NUM_THREADS": "2"}
    every = [
        inside("apptainer", Path("/cache/sif/0/image.sif"), tmp_path, variables, mounts),
        inside("singularity", Path("/i.sif"), tmp_path, {}, [], gpu=True, network=True),
        sif.words("apptainer", Path("/x/vllm.tar"), Path("/cache/image.sif")),
    ]
    shown = "\n".join(" ".join(words).replace(str(tmp_path), "PLACE") for words in every) + "\n"
    assert shown == GOLDEN.read_text()


def test_variables_are_words_for_the_shell_that_reads_them(tmp_path: Path) -> None:
    inside("apptainer", Path("/i"), tmp_path, {"A": "it's $HOME `id`", "B": "two\nlines"}, [])
    assert (tmp_path / "environment").read_text() == """A='it'"'"'s $HOME `id`'\n"""


def test_where_there_is_none_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apptainer.shutil, "which", lambda _: None)
    with pytest.raises(EnvironmentFault, match="Apptainer is not here"):
        Apptainer().prepare(BackendSetup("tick"), print)


def test_root_s_agents_are_never_root(monkeypatch: pytest.MonkeyPatch) -> None:
    apptainer.check_rights(1000)
    monkeypatch.setattr(apptainer.shutil, "which", lambda _: "/usr/bin/apptainer")
    monkeypatch.setattr(apptainer.os, "getuid", lambda: 0)
    with pytest.raises(EnvironmentFault, match="would be root"):
        Apptainer().prepare(BackendSetup("tick"), print)


def test_a_path_that_it_would_cut_is_refused(tmp_path: Path) -> None:
    """``docker-archive:PATH:TAG``."""
    place = tmp_path / "a:b.tar"
    archive = Archive(place, "sha256:" + "0" * 64, {}, {}, (), ())
    with pytest.raises(BadInput, match="':' in its path"):
        sif.build("apptainer", archive, tmp_path)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    need_docker()
    launcher = Apptainer()
    prepared = launcher.prepare(BackendSetup("tick", image=tick_image()), print)
    return stage(launcher, prepared, tmp_path_factory.mktemp("apptainer"))


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() == 0, reason="Apptainer is not for root")
@pytest.mark.skipif(
    shutil.which("apptainer") is None,
    reason="Apptainer is not installed (no package of Debian 12): https://apptainer.org",
)
class TestApptainer(Conformance):
    def inspected(self, rig: Rig, owner: str) -> str:
        return shown_by_processes(owner)
