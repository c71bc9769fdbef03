"""What engines compile is kept for the same image and the same model alone."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from lem.contract.stage import Described
from lem.launchers import compiled
from lem.launchers.protocol import BackendSetup, Prepared

DESCRIBED = Described(
    contract_version=1, lem_version="1", backend="vllm", engine_version="1", libraries={}
)
IMAGE = "sha256:" + "ab" * 32
PREPARED = Prepared(BackendSetup("vllm"), DESCRIBED, image=IMAGE, digest=IMAGE)
PROCESS = Prepared(BackendSetup("vllm", python="/opt/a/python"), DESCRIBED, None, None)


def test_images_models_and_interpreters_share_nothing(tmp_path: Path) -> None:
    other = "sha256:" + "cd" * 32
    places = [
        compiled.place(tmp_path, PREPARED, "m1/vllm"),
        compiled.place(tmp_path, PREPARED, "m2/vllm"),
        compiled.place(tmp_path, replace(PREPARED, image=other), "m1/vllm"),
        compiled.place(tmp_path, PROCESS, "m1/vllm"),
        compiled.place(
            tmp_path,
            replace(PROCESS, setup=BackendSetup("vllm", python="/opt/b/python")),
            "m1/vllm",
        ),
        compiled.place(
            tmp_path,
            replace(PROCESS, described=DESCRIBED.model_copy(update={"engine_version": "2"})),
            "m1/vllm",
        ),
    ]
    assert len(set(places)) == len(places)
    for a in places:
        assert not any(a in b.parents for b in places)
    assert compiled.place(tmp_path, PREPARED, "m1/vllm") == places[0]


def test_the_folder_is_its_user_s_alone(tmp_path: Path) -> None:
    place = compiled.place(tmp_path / "cache", PREPARED, "m1/vllm")
    uid, gid = (65534, 65534) if os.getuid() == 0 else (os.getuid(), os.getgid())
    compiled.make(place, uid, gid)
    (place / "kernel").write_text("x")
    compiled.make(place, uid, gid)
    assert (place.stat().st_uid, (place / "kernel").read_text()) == (uid, "x")
    above = tmp_path / "cache" / "compiled"
    assert above.stat().st_uid == os.getuid()
    assert {p.stat().st_mode & 0o777 for p in (above, place.parent, place)} == {0o700}


def test_what_images_left_goes_with_them(tmp_path: Path) -> None:
    gone = replace(PREPARED, image="sha256:" + "ef" * 32)
    for prepared in (PREPARED, gone, PROCESS):
        compiled.make(compiled.place(tmp_path, prepared, "m"), os.getuid(), os.getgid())
    assert compiled.forget(tmp_path, [IMAGE]) == 1
    assert {p.name for p in (tmp_path / "compiled").iterdir()} == {
        compiled.key(PREPARED),
        compiled.key(PROCESS),
    }
    assert compiled.forget(tmp_path / "nothing", []) == 0


@pytest.mark.parametrize("name", sorted(compiled.VARIABLES))
def test_every_variable_leads_into_the_folder(name: str) -> None:
    place = Path(compiled.environment(Path("/compiled"))[name])
    assert place.parent == Path("/compiled") and place.name
