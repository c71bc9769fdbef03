"""A campaign as a compose file: a golden file, names that could be taken for something else, and
what is refused."""

import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from tick import environment, lem, write_campaign

from lem.campaign.composed import compose
from lem.contract.lock import Lock
from lem.errors import BadInput

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parents[1] / "clusters" / "golden" / "compose.yaml"


def lock(gpus: tuple[int, ...] = ()) -> Lock:
    made = SimpleNamespace(name="precision", owner="0123456789abcdef", gpus=list(gpus))
    return cast(Lock, made)


def text(folder: str = "/srv/lem/precision", **settings: str) -> str:
    return compose(lock((0, 1)), Path(folder), Path("/srv/lem/cache"), settings)


def service(made: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(made)["services"]["campaign"]
    return found


def test_the_file_is_as_it_was_read() -> None:
    assert text(OMP_NUM_THREADS="8") == GOLDEN.read_text()


def test_it_is_as_shut_in_as_the_runner() -> None:
    """Who starts containers by a machine's Docker is root there; nothing else is let through."""
    runner = yaml.safe_load((ROOT / "compose" / "compose.yaml").read_text())["services"]["runner"]
    own = service(text())
    for name in ("read_only", "cap_drop", "cap_add", "security_opt", "user", "init", "tmpfs"):
        assert own[name] == runner[name], name
    assert own["network_mode"] == "none"
    assert "deploy" in own
    assert "deploy" not in service(compose(lock(), Path("/a"), Path("/b"), {}))


def compose_command() -> list[str]:
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if plugin.returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    pytest.skip("neither docker compose nor docker-compose is here")


@pytest.mark.docker
@pytest.mark.parametrize(
    "folder", ["/srv/$HOME", "/srv/${HOME}", "/srv/$$x", "/srv/a b", "/srv/ü#"]
)
def test_compose_reads_a_folder_s_name_as_it_is(folder: str, tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(text(folder))
    done = subprocess.run(
        [*compose_command(), "-p", "x", "-f", str(file), "config"],
        capture_output=True,
        text=True,
        check=False,
        env=environment(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    # What it prints is a compose file again, where a plain $ is written twice.
    assert service(done.stdout)["command"][-1].replace("$$", "$") == folder


@pytest.mark.parametrize("folder", ["/srv/a\nb", "/srv/a:b"])
def test_a_name_that_no_file_has_is_refused(folder: str) -> None:
    with pytest.raises(BadInput, match="no compose file"):
        text(folder)


def test_images_are_to_be_named(tmp_path: Path) -> None:
    """Which one lem would build depends on the machine that builds it."""
    file = write_campaign(tmp_path / "campaign.yaml", launcher="docker")
    done = lem("campaign", "render", file, "--format", "compose", cache=tmp_path, cwd=tmp_path)
    assert done.returncode == 2
    assert "the images of tick are to be named" in done.stderr
    assert "backends.tick.image" in done.stderr
