"""Which plugins exist is an input of the loader; here it is always the same."""

from collections.abc import Iterator

import pytest

from lem import plugins

NAMES = {
    "backends": ("llama_cpp", "transformers"),
    "launchers": ("docker", "process"),
    "meters": ("estimate", "nvml", "rapl"),
}


@pytest.fixture(autouse=True, scope="module")
def plugin_names() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "names", NAMES.__getitem__)
        yield
