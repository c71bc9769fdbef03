"""A machine with played boards, on which whole campaigns run as processes."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from tick import LEM, environment

from lem.contract.record import Record
from tests.meters import played


class Bench:
    """A machine with played boards."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        self.out = folder / "out"
        self.state = folder / "state"
        self.config = folder / "played.txt"
        self.library = played.build_library(folder)
        self.play()

    def play(
        self, boards: Mapping[int, played.Board] = MappingProxyType({}), **options: float
    ) -> None:
        played.Play([(played.NEVER, 250.0, 250.0)], options, boards=boards).write(self.config)

    def environment(self) -> dict[str, str]:
        # Agents are not told where the played file is: it lies beside the library.
        paths = {"LD_LIBRARY_PATH": str(self.library.parent), "LEM_STATE": str(self.state)}
        return environment(self.cache) | paths

    def lem(self, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*LEM, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=300,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def begin(self, *arguments: str | Path) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*LEM, *map(str, arguments)],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            env=self.environment(),
        )

    def records(self) -> list[Record]:
        return [Record.read(p) for p in sorted(self.out.rglob("record.json"))]

    def notes(self) -> list[Path]:
        return list(self.state.glob("*.json"))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)
