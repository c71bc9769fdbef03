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
    """A file stays with one worker, so that what its tests share is made once; so does a folder of
    ``TOGETHER``."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            folder = next((f for f in TOGETHER if nodeid.startswith(f)), None)
            return folder or nodeid.partition("::")[0]

    return ByFile(config, log)
