"""A machine of one's own and an archive, for the commands that submit."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.submit import standin


@pytest.fixture
def archive() -> Iterator[standin.Archive]:
    with standin.archive() as server:
        yield server


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("LEM_SERVER", "LEM_TOKEN", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path
