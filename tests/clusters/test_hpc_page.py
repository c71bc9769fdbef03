"""docs/hpc.md, step by step as it stands there: on a cluster in a network of its own, without
Docker. What a reader replaces (places, a partition, boards) is replaced here."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from clusters.testbed import SCRIPT
from launchers.test_charliecloud import need_charliecloud
from tick_image import need_docker

pytestmark = [pytest.mark.slow, pytest.mark.slurm, pytest.mark.docker, pytest.mark.engines]
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "hpc.md"
ISOLATED = """
set -e
ip link set lo up
# Slurm's daemons want an address that is not the loopback's; it leads nowhere.
ip link add br9 type bridge
ip addr add 10.99.0.1/24 dev br9
ip link set br9 up
test -z "$(ip route show default)"
export DOCKER_HOST=unix:///nonexistent
{testbed} start 2
trap '{testbed} stop' EXIT
set -x
"""


def blocks(kind: str) -> list[str]:
    """The page's blocks of code, in order, without those of its last chapters."""
    text = PAGE.read_text().partition("## What the nodes must have")[0]
    return re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)


@pytest.mark.timeout(1500)
def test_every_step_of_the_page(tmp_path_factory: pytest.TempPathFactory) -> None:
    need_docker()
    need_charliecloud()
    place = tmp_path_factory.mktemp("page")
    for folder in (place, *place.parents):
        # The agent's user has to get there.
        if folder.stat().st_uid == os.getuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    clone, shared = place / "clone", place / "scratch"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    shared.mkdir()
    bring, login, run = blocks("sh")
    (settings,) = blocks("yaml")
    wheels = "pip download", "pip wheel"
    bring = bring.replace("rsync -a bring cluster:/scratch/ada/", f"cp -r bring {shared}/")
    assert str(shared) in bring and all(w in bring for w in wheels)
    path = f"{Path(os.environ.get('VIRTUAL_ENV', ROOT / '.venv'))}/bin:{os.environ['PATH']}"
    said = bash(f"set -ex\n{bring}", clone, os.environ | {"PATH": path})
    file = shared / "bring" / "campaign.yaml"
    assert file.exists(), said
    settings = settings.replace("/scratch/ada", str(shared))
    settings = settings.replace("partition: gpu", "partition: debug")
    text = file.read_text()
    own = "backends:\n  transformers: {}\n  llama_cpp: {}\n"
    assert own in text
    (shared / "campaign.yaml").write_text(text.replace(own, settings))
    login = login.replace("/scratch/ada", str(shared))
    # A node without a board says so, and goes on.
    assert "srun --gres=gpu:1 lem doctor" in login
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": str(place / "home"),
        "USER": "root",
        "PIP_CONFIG_FILE": "/dev/null",
        "LEM_SLURM_DIR": f"/var/tmp/lem-page-{os.getpid()}/s",
        "SLURM_CONF": f"/var/tmp/lem-page-{os.getpid()}/s/slurm.conf",
        "LEM_SLURM_PORT": "16900",
    }
    Path(environment["HOME"]).mkdir()
    Path(environment["LEM_SLURM_DIR"]).parent.mkdir(mode=0o755)
    # No engine is installed where only lem is: doctor says so by its exit status.
    login = login.replace("lem doctor ", "lem doctor || true ")
    steps = ISOLATED.format(testbed=SCRIPT) + login + run
    said = bash(steps, shared, environment, "unshare", "--net")
    assert "job/gpus" in said and "charliecloud" in said
    assert "on 4 nodes at once" in said
    assert "#SBATCH --array=0-2\n" in said
    assert "submitted 3 blocks as job" in said
    assert "transformers with batch size 16 uses" in said
    assert len([*(shared / "results" / "quickstart").glob("blocks/*/*/*/record.json")]) == 15


def bash(script: str, folder: Path, environment: dict[str, str], *before: str) -> str:
    done = subprocess.run(
        [*before, "bash", "-c", script],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout
