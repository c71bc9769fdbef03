"""The container image of the test backend, and how the Docker tests find an engine."""

import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest

import lem
from lem import containers
from lem.contract.base import CONTRACT_VERSION
from lem.errors import EnvironmentFault
from lem.launchers import image
from lem.launchers.wheel import agent_wheel

PLUGIN = Path(__file__).parent / "plugins" / "lem_tick"
NAME = "lem-test/tick"


@cache
def tick_image() -> str:
    """The name of the image; built once a session, quickly where nothing has changed."""
    with tempfile.TemporaryDirectory() as place, containers.connect() as engine:
        folder = Path(place)
        shutil.copy(PLUGIN / "Dockerfile", folder)
        name, wheel = agent_wheel()
        (folder / name).write_bytes(wheel)
        (folder / "lem_tick-1.0-py3-none-any.whl").write_bytes(tick_wheel())
        pip = image.pip_configuration(os.environ)
        engine.build(
            folder,
            NAME,
            {
                "BASE_IMAGE": os.environ.get("LEM_TEST_BASE_IMAGE", image.DEFAULT_BASE),
                "LEM_VERSION": lem.__version__,
                "LEM_CONTRACT": str(CONTRACT_VERSION),
                **image.pip_arguments(pip, print),
                **{k: os.environ[k] for k in image.PROXIES if k in os.environ},
            },
            print,
        )
    return NAME


@cache
def tick_wheel() -> bytes:
    """The plugin's wheel, made by its own build system."""
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
        subprocess.run(
            [*command, "--no-build-isolation", "--wheel-dir", place, str(PLUGIN)],
            check=True,
            env={**os.environ, "SOURCE_DATE_EPOCH": "315532800"},
        )
        (wheel,) = Path(place).glob("*.whl")
        return wheel.read_bytes()


def need_docker() -> None:
    """Fail, and say how to get it, where no engine answers: a test that needs one never passes
    for want of it."""
    try:
        with containers.connect() as engine:
            base = os.environ.get("LEM_TEST_BASE_IMAGE", image.DEFAULT_BASE)
            if engine.image(base) is None:
                pytest.fail(f"there is no image {base}: run scripts/docker-testbed.sh", False)
    except EnvironmentFault as e:
        pytest.fail(f"{e.message}: run scripts/docker-testbed.sh", pytrace=False)
