"""Runs a command as the shell would, in this process."""

from pathlib import Path

import pytest

from lem.cli.main import main


def lem(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as e:
        main([str(a) for a in arguments])
    assert isinstance(e.value.code, int)
    return e.value.code
