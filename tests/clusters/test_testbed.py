"""The cluster that tests start: only in a folder of one's own."""

import os
import subprocess
from pathlib import Path

import pytest
from clusters.testbed import SCRIPT


def refused(folder: Path) -> str:
    done = subprocess.run(
        ["sh", SCRIPT, "stop"],
        env={"PATH": os.environ["PATH"], "LEM_SLURM_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    return done.stderr


def test_a_folder_that_others_can_write_to_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "slurm"
    folder.mkdir()
    (folder / "kept").touch()
    folder.chmod(0o777)
    assert "others can write" in refused(folder)
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert "is no folder" in refused(link)
    assert (folder / "kept").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="gives a folder to somebody else")
def test_a_folder_that_somebody_else_has_made_is_left_alone(tmp_path: Path) -> None:
    """Its configuration would be run as root."""
    folder = tmp_path / "slurm"
    folder.mkdir(mode=0o755)
    os.chown(folder, 65534, 65534)
    assert "is not yours" in refused(folder)
    assert folder.exists()
