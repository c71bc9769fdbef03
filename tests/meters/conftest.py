"""The played NVML and the fixture trees that the meters are tested against."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.meters import played


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The played ``libnvidia-ml.so.1``, loaded into this process and built for its children."""
    library = played.build_library(tmp_path_factory.mktemp("nvml"))
    played.preload(library)
    return library


@pytest.fixture
def play(
    nvml_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[played.Play], played.Play]]:
    """Call it with what is to be played, here and in child processes."""
    config = tmp_path / "played.txt"
    for name, value in played.environment(nvml_library, config).items():
        monkeypatch.setenv(name, value)

    def begin(what: played.Play) -> played.Play:
        what.write(config)
        return what

    yield begin
