"""Boards that are played, and a folder of their own for what lem notes of them."""

from pathlib import Path

import pytest

from tests.meters.conftest import nvml_library, play

__all__ = ["nvml_library", "play"]


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    monkeypatch.setenv("LEM_STATE", str(folder))
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Where ``play`` writes what is played."""
    return tmp_path / "played.txt"
