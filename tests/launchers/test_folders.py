"""Folders are checked, handed over and taken back; secrets lie in memory and vanish."""

import os
import subprocess
from pathlib import Path

import pytest

from lem.errors import EnvironmentFault
from lem.launchers.folders import check_writable, disarm, give, handed_over, secrets_folder

needs_root = pytest.mark.skipif(
    os.getuid() != 0, reason="only root hands folders over: run this test as root"
)


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="cannot be written") as caught:
        check_writable(tmp_path / "absent")
    assert (caught.value.kind, caught.value.exit_code) == ("disk", 3)


@needs_root
@pytest.mark.parametrize(
    ("options", "message"), [("ro", "Read-only file system"), ("size=1m", "MiB left")]
)
def test_disk_that_cannot_take_it(tmp_path: Path, options: str, message: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", tmp_path], check=True)
    try:
        with pytest.raises(EnvironmentFault, match=message) as caught:
            check_writable(tmp_path)
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    assert caught.value.kind == "disk"


@needs_root
def test_handed_over_and_back(tmp_path: Path) -> None:
    run, outside = tmp_path / "run", tmp_path / "outside"
    (run / "sub").mkdir(parents=True)
    outside.write_text("not theirs")
    (run / "sub" / "file").touch()
    with pytest.raises(KeyboardInterrupt), handed_over([run], 65534, 65534):
        assert {p.stat().st_uid for p in (run, run / "sub", run / "sub" / "file")} == {65534}
        # What an agent may do in its folder must not reach beyond it.
        (run / "link").symlink_to(outside)
        (run / "later").touch()
        os.chown(run / "later", 65534, 65534)
        raise KeyboardInterrupt
    assert {p.lstat().st_uid for p in (run, *run.rglob("*"))} == {0}
    give(run, 65534, 65534)
    assert outside.stat().st_uid == 0


@needs_root
def test_a_file_with_another_name_elsewhere_is_not_given(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "mine").touch()
    os.link(tmp_path / "mine", tmp_path / "run" / "mine")
    give(tmp_path / "run", 65534, 65534)
    assert (tmp_path / "mine").stat().st_uid == 0


def test_nothing_is_left_that_lends_its_owner_s_rights(tmp_path: Path) -> None:
    (tmp_path / "run" / "sub").mkdir(parents=True)
    outside = tmp_path / "outside"
    modes = {
        tmp_path / "run" / "a": 0o4755,
        tmp_path / "run" / "sub" / "b": 0o6711,
        outside: 0o4755,
    }
    for path, mode in modes.items():
        path.touch()
        path.chmod(mode)
    (tmp_path / "run" / "link").symlink_to(outside)
    disarm(tmp_path / "run")
    assert [p.stat().st_mode & 0o7777 for p in modes] == [0o755, 0o711, 0o4755]


def test_secrets_are_for_one_reader_and_vanish(tmp_path: Path) -> None:
    secrets = {"HF_TOKEN": "hf_x=y z", "OTHER": ""}
    with secrets_folder(secrets, os.getuid(), os.getgid(), tmp_path) as folder:
        assert folder is not None and folder.parent == tmp_path
        (file,) = folder.iterdir()
        assert file.read_text() == "HF_TOKEN=hf_x=y z\nOTHER=\n"
        assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    assert list(tmp_path.iterdir()) == []


def test_no_secrets_no_folder(tmp_path: Path) -> None:
    with secrets_folder({}, 0, 0, tmp_path) as folder:
        assert folder is None


@pytest.mark.parametrize("value", ["a\nPATH=/evil", "a\rb", "a\u2028b", "a\0b"])
def test_a_secret_can_not_become_two(tmp_path: Path, value: str) -> None:
    with (
        pytest.raises(EnvironmentFault, match="line break") as caught,
        secrets_folder({"TOKEN": value}, 0, 0, tmp_path),
    ):
        pass
    assert "evil" not in str(caught.value)
