"""The batch script: a golden file, and names that could be taken for something else."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from lem.clusters.protocol import Work
from lem.clusters.slurm_script import script
from lem.config.clusters import SlurmSpec
from lem.contract.base import CONTRACT_VERSION
from lem.contract.order import Order
from lem.errors import BadInput

GOLDEN = Path(__file__).parent / "golden"
FULL = SlurmSpec(
    kind="slurm",
    container="apptainer",
    partition="gpu",
    account="project_465",
    qos="normal",
    constraint="h100&nvme",
    gres="gpu:h100:2",
    time="1-02:30:00",
    exclusive=True,
    blocks_per_job=2,
    setup=["module purge", "module load apptainer"],
    python="/project/lem/bin/python",
    extra=["--reservation=energy", "--mail-type=END"],
)


def work(folder: str = "/scratch/ada/results/precision", at_once: int | None = 4) -> Work:
    order = Order(
        contract_version=CONTRACT_VERSION,
        number=1,
        campaign_digest="0" * 64,
        blocks=list(range(12)),
        blocks_per_job=2,
        gpus=2,
        placed=[],
        cache="/scratch/ada/lem",
    )
    variables = {"PATH": "/usr/bin:/bin", "HOME": "/home/ada"}
    return Work(Path(folder), "lem-0123456789abcdef-1", order, at_once, 64 * 2**30, variables)


def test_the_script_is_as_it_was_read() -> None:
    assert script(work(), FULL) == (GOLDEN / "full.sh").read_text()


@pytest.mark.parametrize("folder", ["/a\nid", "/a\rid", "/a\x00"])
def test_a_name_of_several_lines_is_refused(folder: str) -> None:
    with pytest.raises(BadInput, match="no script"):
        script(work(folder), FULL)


@pytest.mark.parametrize("name", ["x\nid", "x;id", "$(id)", "a b", "-x", "", "x" * 101])
def test_a_job_s_name_is_a_word(name: str) -> None:
    with pytest.raises(BadInput, match="no name of a job"):
        script(replace(work(), name=name), FULL)


@pytest.mark.parametrize("name", ["A B", "A;id", "1A", "", "A=B"])
def test_a_variable_s_name_is_one(name: str) -> None:
    with pytest.raises(BadInput, match="no name of a variable"):
        script(replace(work(), variables={name: "x"}), FULL)


def test_where_nothing_is_said() -> None:
    plain = SlurmSpec(kind="slurm", python="/usr/bin/python3")
    assert script(work(at_once=None), plain) == (GOLDEN / "plain.sh").read_text()


@pytest.mark.parametrize("folder", ["/a b/c", "/a'b", '/a"b', "/a%j", "/a$(id)", "/a`id`", "/ü"])
def test_a_folder_s_name_is_only_a_name(folder: str, tmp_path: Path) -> None:
    text = script(work(folder), SlurmSpec(kind="slurm", python="/bin/echo"))
    text = text.replace("cd ", "true ")
    said = subprocess.run(
        ["bash", "-c", text],
        env={"SLURM_ARRAY_TASK_ID": "3"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == f"-P -m lem.campaign.node {folder} 1 3"
