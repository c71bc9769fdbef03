"""What the host takes from a container that staged: files of their own, of bounded size."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from lem.campaign.lock import provisional_staging
from lem.campaign.sources import model_key
from lem.campaign.stage import _copy_list, _earlier, _stage_model, maker
from lem.config import parse
from lem.contract.spec import ModelSpec
from lem.contract.stage import Staged
from lem.errors import EnvironmentFault
from lem.launchers.protocol import BackendSetup, Folders, Launcher, Task
from lem.workloads.requests import MAX_LIST_BYTES

NAME = f"{'a' * 64}.jsonl.gz"


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    (tmp_path / "staged" / "requests").mkdir(parents=True)
    return tmp_path / "staged"


def test_a_list_is_copied_once(tmp_path: Path, staged: Path) -> None:
    target = tmp_path / "campaign" / "requests"
    content = os.urandom(2**20 + 1)
    for written in (content, b"later"):
        (staged / "requests" / NAME).write_bytes(written)
        _copy_list(staged, NAME, target)
    assert [(p.name, p.read_bytes()) for p in target.iterdir()] == [(NAME, content)]
    assert (target / NAME).stat().st_mode & 0o777 == 0o644


def a_link(place: Path) -> None:
    place.symlink_to(place.parents[2] / "secret")


def a_device(place: Path) -> None:
    place.symlink_to("/dev/zero")


def too_large(place: Path) -> None:
    with place.open("wb") as f:
        f.truncate(MAX_LIST_BYTES + 1)


def a_linked_folder(place: Path) -> None:
    place.parent.rmdir()
    (place.parents[2] / NAME).write_text("secret")
    place.parent.symlink_to(place.parents[2])


def nothing(place: Path) -> None:
    assert not place.exists()


@pytest.mark.parametrize(
    "leave", [a_link, a_device, too_large, a_linked_folder, nothing, os.mkfifo, Path.mkdir]
)
def test_what_is_no_list_is_not_taken(
    tmp_path: Path, staged: Path, leave: Callable[[Path], None]
) -> None:
    (tmp_path / "secret").write_text("of the host")
    leave(staged / "requests" / NAME)
    target = tmp_path / "campaign" / "requests"
    with pytest.raises(EnvironmentFault, match="left no request list"):
        _copy_list(staged, NAME, target)
    assert list(target.iterdir()) == []


def key(setup: BackendSetup, image: str = "sha256:1", trust: bool = False) -> str:
    file = parse(
        "{version: 1, name: x, models: [{id: org/model}], backends: {transformers: {}},"
        f" trust_remote_code: {str(trust).lower()}}}",
        "c.yaml",
    )
    (ready,) = provisional_staging(file).ready
    prepared = replace(ready.prepared, setup=setup, image=image)
    return model_key(ModelSpec(id="org/model"), None, maker(file, prepared))


def test_a_stranger_s_image_and_trusted_code_have_models_of_their_own() -> None:
    plain = key(BackendSetup("transformers"))
    keys = [
        plain,
        key(BackendSetup("transformers"), trust=True),
        key(BackendSetup("transformers", image="evil")),
        key(BackendSetup("transformers", base_image="evil"), image="sha256:2"),
        key(BackendSetup("transformers", image="evil"), trust=True),
    ]
    assert len(set(keys)) == len(keys)
    # A new build of lem's own image finds what the one before it made.
    assert key(BackendSetup("transformers"), image="sha256:3") == plain
    assert model_key(ModelSpec(id="org/model"), None) == plain


@pytest.mark.parametrize(
    ("path", "believed"), [("model", True), ("../model", False), ("model/../../..", False)]
)
def test_an_earlier_staging_cannot_lead_out_of_its_folder(
    tmp_path: Path, path: str, believed: bool
) -> None:
    target = tmp_path / "key" / "transformers"
    (target / "model").mkdir(parents=True)
    (target.parent / "model").mkdir()
    Staged(
        path=path,
        revision=None,
        content="sha256:1",
        weights="random",
        engine_version="1",
        requests=[],
    ).write(target / "staged.json")
    assert (_earlier(target / "staged.json", target) is not None) is believed


class Given(Exception):
    """The task that a launcher was to start."""

    def __init__(self, task: Task) -> None:
        self.task = task


class Looking:
    """A launcher that starts nothing."""

    def inside(self, folders: Folders) -> Folders:
        return folders

    def start(self, task: Task) -> Any:
        raise Given(task)


def test_what_stages_has_the_campaign_s_limits(tmp_path: Path) -> None:
    """What is staged is a stranger's, too: a model may be as large, and a list as long."""
    file = parse(
        "{version: 1, name: x, models: [{synthetic: {}}], backends: {transformers: {}},"
        " limits: {memory_bytes: 1000000, pids: 17}}",
        "c.yaml",
    )
    with pytest.raises(Given) as caught:
        _stage_model(
            file,
            file.drafts[0],
            cast(Launcher, Looking()),
            provisional_staging(file).ready[0].prepared,
            None,
            tmp_path,
            [],
            lambda _: None,
            None,
            False,
        )
    assert (caught.value.task.memory_bytes, caught.value.task.pids) == (1_000_000, 17)
