"""An archive that answers, and a machine that knows nothing of it yet."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.submit import standin


@pytest.fixture
def archive() -> Iterator[standin.Archive]:
    with standin.archive() as server:
        yield server


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders for keys, settings and the outbox below one of its own."""
    home = tmp_path / "machine"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    for name in ("LEM_SERVER", "LEM_TOKEN", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    return home
