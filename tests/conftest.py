"""What holds for every test."""

from contextlib import suppress
from typing import Any

import pytest

# The engines' images, where the backends' tests run too, come without it.
with suppress(ImportError):
    from hypothesis import settings

    # A test that is slow on a busy machine is not wrong.
    settings.register_profile("unhurried", deadline=None)
    settings.load_profile("unhurried")

TOGETHER = ("tests/browser/",)
"""Folders whose files share what takes long to make."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``--dist loadfile`` a folder of ``TOGETHER`` stays with one worker, too."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            folder = next((f for f in TOGETHER if nodeid.startswith(f)), None)
            return folder or super()._split_scope(nodeid)

    return ByFile(config, log)
