"""A campaign folder that came from somebody else leads nowhere else."""

from pathlib import Path

import pytest

from lem.campaign import Campaign
from lem.campaign.guard import OWN, alone, check_links
from lem.errors import BadInput

CAMPAIGN = """
version: 1
name: test
models: [{synthetic: {}}]
backends: {transformers: {}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "campaign").mkdir()
    return tmp_path / "campaign"


def test_the_lock_file_is_not_made_through_a_link(tmp_path: Path, folder: Path) -> None:
    (folder / ".lock").symlink_to(tmp_path / "nologin")
    with pytest.raises(OSError, match="symbolic links"), alone(folder):
        pass
    assert not (tmp_path / "nologin").exists()


@pytest.mark.parametrize("name", OWN)
def test_a_folder_with_links_in_it_is_refused(tmp_path: Path, folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    check_links(folder)
    (folder / name).symlink_to(tmp_path)
    with pytest.raises(BadInput, match=f"{name} is a link"):
        check_links(folder)


def test_nothing_is_staged_into_such_a_folder(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "c.yaml").write_text(CAMPAIGN)
    (tmp_path / "elsewhere").mkdir()
    (folder / "requests").symlink_to(tmp_path / "elsewhere")
    campaign = Campaign.load(tmp_path / "c.yaml", folder, launcher="process")
    with pytest.raises(BadInput, match="requests is a link"):
        campaign.stage(lambda _: None)


def test_the_folder_itself_may_be_a_link(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    check_links(tmp_path / "link")
    with alone(tmp_path / "link"):
        assert (folder / ".lock").is_file()
