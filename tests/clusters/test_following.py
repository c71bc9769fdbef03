"""Following a campaign on a real Slurm: from elsewhere, with few questions, and moving it."""

import json
import os
import subprocess
import time
from itertools import pairwise
from pathlib import Path

import pytest
from clusters.running import (
    SLOW,
    SLURM,
    Running,
    a_run_has_begun,
    campaign,
    lem,
    of_folder,
    once_each,
)
from clusters.testbed import SlurmCluster

from lem.stores.counted import counted as counted_outcomes
from lem.stores.folder import outcomes
from lem.stores.outcomes import Outcome

pytestmark = [pytest.mark.slow, pytest.mark.slurm]
ASKS = ("squeue", "sbatch", "scancel", "scontrol", "sinfo", "sacct")


@pytest.fixture
def counted(cluster: SlurmCluster, tmp_path: Path) -> tuple[SlurmCluster, Path]:
    """The cluster, and a file that gets a line for each of its commands that lem calls."""
    calls, tools = tmp_path / "calls", tmp_path / "tools"
    tools.mkdir()
    for name in ASKS:
        tool = tools / name
        tool.write_text(f'#!/bin/sh\ndate +"%s.%N {name}" >>{calls}\nexec /usr/bin/{name} "$@"\n')
        tool.chmod(0o755)
    environment = {**cluster.environment, "PATH": f"{tools}:{os.environ['PATH']}"}
    return SlurmCluster(cluster.folder, environment), calls


def test_the_scheduler_is_asked_once_in_ten_seconds_whoever_looks(
    counted: tuple[SlurmCluster, Path], tmp_path: Path
) -> None:
    cluster, calls = counted
    file = campaign(tmp_path, measure=SLOW | {"blocks": 6, "window_s": 4})
    with Running(cluster, tmp_path, "campaign", "run", file, "--out", "out") as running:
        cluster.wait(lambda: a_run_has_begun(tmp_path))
        seen = set()
        while running.process.poll() is None:
            said = json.loads(lem(cluster, tmp_path, "campaign", "status", "out", "--json"))
            seen |= {j["state"] for j in said["jobs"]}
            time.sleep(1)
        said = running.end()
    once_each(tmp_path, 6, said)
    assert seen == {"running", "waiting"}
    times = [float(line.split()[0]) for line in calls.read_text().splitlines()]
    names = [line.split()[1] for line in calls.read_text().splitlines()]
    assert names[0] == "sbatch" and set(names[1:]) == {"squeue"} and len(names) > 2
    between = [b - a for a, b in pairwise(times[1:])]
    assert min(between) >= 9.9, between


def test_status_follows_from_another_shell(cluster: SlurmCluster, tmp_path: Path) -> None:
    file = campaign(tmp_path, measure=SLOW)
    said = lem(cluster, tmp_path, "campaign", "run", file, "--out", "out", "--detach")
    assert "it goes on without this command" in said
    said = lem(cluster, tmp_path, "campaign", "status", "out", "--follow")
    assert "on n1, n2" in said or "on n2, n1" in said
    assert "9/9 runs done, complete" in said
    # Nothing is left for the command that goes on; it prints the table.
    said = lem(cluster, tmp_path, "campaign", "run", "out")
    assert "submitted" not in said
    once_each(tmp_path, 3, said)


def test_status_where_the_scheduler_is_not(cluster: SlurmCluster, tmp_path: Path) -> None:
    file = campaign(tmp_path, measure=SLOW)
    lem(cluster, tmp_path, "campaign", "run", file, "--out", "out", "--detach")
    elsewhere = SlurmCluster(
        cluster.folder, {**cluster.environment, "SLURM_CONF": str(tmp_path / "none")}
    )
    said = lem(elsewhere, tmp_path, "campaign", "status", "out")
    assert "its jobs are not to be seen from here: squeue: " in said
    lem(cluster, tmp_path, "campaign", "run", "out")


def test_a_campaign_moves_to_this_machine_once_its_jobs_are_over(
    cluster: SlurmCluster, tmp_path: Path
) -> None:
    file = campaign(tmp_path, launcher="process", measure=SLOW | {"window_s": 0.2})
    lem(
        cluster,
        tmp_path,
        "campaign",
        "run",
        file,
        "--out",
        "out",
        "--launcher",
        "slurm",
        "--detach",
    )
    command = ("campaign", "run", file, "--out", "out", "--launcher", "process")
    with Running(cluster, tmp_path, *command) as running:
        assert "given to a scheduler" in running.end(status=2)
    lem(cluster, tmp_path, "campaign", "run", "out")
    for path in (tmp_path / "out").glob("blocks/0002/*/*/record.json"):
        path.unlink()
    said = lem(cluster, tmp_path, *command)
    assert "submitted" not in said
    once_each(tmp_path, 3, said)
    found = [json.loads(p.read_text()) for p in (tmp_path / "out").glob("blocks/*/*/*/record.json")]
    given = {r["block"]: bool(r["environment"]["allocation"]) for r in found}
    assert given == {0: True, 1: True, 2: False}


def test_a_login_node_without_docker(cluster: SlurmCluster, tmp_path: Path) -> None:
    """``auto`` on the nodes is then what they have; the file is the same."""
    environment = {**cluster.environment, "DOCKER_HOST": f"unix://{tmp_path}/none.sock"}
    file = campaign(tmp_path, launcher=SLURM | {"container": "auto"}, measure=SLOW)
    done = subprocess.run(["which", "apptainer"], capture_output=True, check=False)
    assert done.returncode != 0, "these tests expect a machine without Apptainer"
    without = SlurmCluster(cluster.folder, {**environment, "PATH": str(no_containers(tmp_path))})
    said = lem(without, tmp_path, "campaign", "run", file, "--out", "out")
    once_each(tmp_path, 3, said)


def no_containers(tmp_path: Path) -> Path:
    """A folder of commands with Slurm's and a shell's, but without those of containers."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for place in os.environ["PATH"].split(":"):
        for command in Path(place).glob("*"):
            there = tools / command.name
            if not command.name.startswith(("ch-", "docker", "apptainer")) and not there.exists():
                there.symlink_to(command)
    return tools


def test_options_in_the_shell_s_environment_change_nothing(
    cluster: SlurmCluster, tmp_path: Path
) -> None:
    """Nor does a secret of the shell reach the job, nor is code run that lies in the folder."""
    shell = SlurmCluster(
        cluster.folder,
        {
            **cluster.environment,
            "SBATCH_EXPORT": "ALL",
            "SBATCH_ARRAY_INX": "0",
            "SBATCH_JOB_NAME": "mine",
            "SQUEUE_PARTITION": "other",
            "SQUEUE_FORMAT": "%i",
            "SCANCEL_PARTITION": "other",
            "HF_TOKEN": "hf_not_a_real_token",
        },
    )
    seen = tmp_path / "seen"
    slurm = SLURM | {"setup": [f"env >>{seen}"]}
    file = campaign(tmp_path, launcher=slurm, measure=SLOW)
    (tmp_path / "out").mkdir()
    for module in ("pydantic", "lem"):
        (tmp_path / "out" / f"{module}.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')\n")
    said = lem(shell, tmp_path, "campaign", "run", file, "--out", "out")
    once_each(tmp_path, 3, said)
    assert said.count("submitted") == 1 and "submitted 3 blocks" in said
    assert "HF_TOKEN" not in seen.read_text() and "SLURM_JOB_ID" in seen.read_text()
    assert not (tmp_path / "run").exists()


def test_a_job_that_was_submitted_by_hand_and_this_machine_share_no_block(
    cluster: SlurmCluster, tmp_path: Path
) -> None:
    measure = SLOW | {"blocks": 2, "window_s": 1}
    file = campaign(tmp_path, launcher="process", measure=measure)
    run = ("campaign", "run", file, "--out", "out", "--launcher")
    script = tmp_path / "job.sh"
    text = lem(cluster, tmp_path, "campaign", "render", file, "--out", "out", "--launcher", "slurm")
    script.write_text(text[text.index("#!") :])
    cluster.command("sbatch", str(script))
    cluster.wait(lambda: a_run_has_begun(tmp_path, "0000"))
    for _ in range(10):
        with Running(cluster, tmp_path, *run, "process") as running:
            status = running.process.wait(240)
            said = running.log.read_text()
        if status == 0:
            break
        # A job had a block that this machine began, or the other way round.
        assert status == 3 and "something else makes runs of this campaign too" in said, said
    cluster.wait(lambda: not of_folder(cluster, tmp_path, over=False))
    lem(cluster, tmp_path, *run, "process")
    once_each(tmp_path, 2, said)
    for block in range(2):
        paths = [tmp_path / "out" / o.path / "record.json" for o in counted_of(tmp_path, block)]
        spans = sorted((r["started_at"], r["ended_at"]) for p in paths if (r := read(p)))
        assert all(a[1] <= b[0] for a, b in pairwise(spans)), spans


def read(path: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(path.read_text())
    return found


def counted_of(folder: Path, block: int) -> list[Outcome]:
    return [o for o in counted_outcomes(outcomes(folder / "out")) if o.block == block]
