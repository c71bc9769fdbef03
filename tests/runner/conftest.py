"""Servers and machines for tests of the runner."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.runner import standin
from tests.runner.machine import POLICY, Machine


@pytest.fixture
def server() -> Iterator[standin.Server]:
    with standin.server() as one:
        yield one


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Callable[..., Machine]]:
    """Makes machines; whatever is left of their runners ends with the test."""
    made: list[Machine] = []

    def make(name: str, url: str, token: str = standin.TOKEN, policy: str = POLICY) -> Machine:
        made.append(Machine(tmp_path / name, url, token, policy))
        return made[-1]

    yield make
    for one in made:
        if one.process is not None and one.process.poll() is None:
            one.kill()
