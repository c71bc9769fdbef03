"""Whole small campaigns in real containers."""

import gzip
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tick import LEM, counted_places, environment, half_written, lem, write_campaign
from tick_image import need_docker, tick_image

from lem.contract.failure import Failure
from lem.contract.lock import Lock
from lem.contract.record import Record

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def image() -> str:
    need_docker()
    return tick_image()


def containers_of(out: Path) -> list[str]:
    """Containers, running or not, of this campaign folder."""
    owner = Lock.read(out / "campaign.lock.json").owner
    command = ["docker", "ps", "-aq", "--filter", f"label=org.lem.owner={owner}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def campaign(tmp_path: Path, image: str, **changes: object) -> Path:
    backends = {"tick": {"image": image}}
    return write_campaign(tmp_path / "c.yaml", backends=backends, launcher="docker", **changes)


def test_runs_in_containers(tmp_path: Path, image: str) -> None:
    file, out = campaign(tmp_path, image), tmp_path / "out"
    done = lem("campaign", "run", file, "--out", out, "--blocks", 2, cache=tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    assert len(counted_places(out)) == 6
    for path in out.rglob("record.json"):
        record = Record.read(path)
        assert record.environment.container is True
        assert record.environment.launcher == "docker"
        assert record.environment.image_digest is not None
    assert not containers_of(out)
    strangers = [p for p in out.rglob("*") if p.stat().st_uid != os.getuid()]
    assert not strangers


def test_a_data_sets_file_reaches_the_container_that_makes_the_lists(
    tmp_path: Path, image: str
) -> None:
    lines = [json.dumps({"prompt": f"say {i}", "output_tokens": 3}) for i in range(20)]
    (tmp_path / "chats.jsonl").write_text("\n".join(lines))
    (tmp_path / "chats.jsonl").chmod(0o600)
    dataset = {"kind": "jsonl", "path": "chats.jsonl"}
    file = campaign(tmp_path, image, sweep={}, workload={"requests": 20, "dataset": dataset})
    out = tmp_path / "out"
    done = lem("campaign", "stage", file, "--out", out, cache=tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    (made,) = (out / "requests").iterdir()
    listed = [json.loads(line) for line in gzip.decompress(made.read_bytes()).splitlines()]
    assert [r["text"] for r in listed] == [f"say {i}" for i in range(20)]
    assert (tmp_path / "chats.jsonl").stat().st_uid == os.getuid()


def test_the_launcher_as_what_is_compared(tmp_path: Path, image: str) -> None:
    file, out = campaign(tmp_path, image), tmp_path / "out"
    write_campaign(
        file,
        backends={"tick": {"image": image}},
        sweep={"launcher": ["process", "docker"]},
        baseline={"launcher": "process"},
        launcher="auto",
    )
    cache = tmp_path / "cache"
    for how in ([], ["--deep"]):
        assert lem("campaign", "validate", file, *how, cache=cache).returncode == 0
    planned = json.loads(lem("campaign", "plan", file, "--json", cache=cache).stdout)
    assert [a["label"] for a in planned["arms"]] == ["launcher process", "launcher docker"]
    refused = lem("campaign", "run", file, "--out", out, "--launcher", "docker", cache=cache)
    assert refused.returncode == 2
    assert "each arm has its own" in refused.stderr
    done = lem("campaign", "run", file, "--out", out, "--blocks", 2, cache=cache)
    assert done.returncode == 0, done.stderr
    lock = Lock.read(out / "campaign.lock.json")
    one = {a.experiment_id for a in lock.arms}
    assert len(one) == 1
    (identity,) = one
    assert lock.baseline == f"{identity}-process"
    assert {a.arm_id for a in lock.arms} == {f"{identity}-process", f"{identity}-docker"}
    assert lock.backends["tick"].digest is not None
    for path in out.rglob("record.json"):
        record = Record.read(path)
        assert record.arm_id == f"{record.experiment_id}-{record.environment.launcher}"
        assert (record.environment.image_digest is None) == record.arm_id.endswith("-process")
    assert len(counted_places(out)) == 4
    again = lem("campaign", "run", file, "--out", out, cache=cache)
    assert "nothing to do" in again.stderr
    status = lem("campaign", "status", out, cache=cache)
    assert status.returncode == 0
    compared = json.loads(lem("results", "compare", out, "--json", cache=cache).stdout)
    assert [a["name"] for a in compared["arms"]] == ["process", "docker"]
    (ratio,) = compared["arms"][1]["ratios"].values()
    assert ratio["n"] == 2
    assert any("confinement.seccomp" in note for note in compared["notes"])
    listed = lem("results", "list", out, cache=cache)
    assert "docker" in listed.stdout


def test_the_secret_token_is_nowhere(tmp_path: Path, image: str) -> None:
    file, out = campaign(tmp_path, image), tmp_path / "out"
    token = "hf_" + "secret" * 5
    env = environment(tmp_path / "cache") | {"HF_TOKEN": token}
    command = [*LEM, "campaign", "run", str(file), "--out", str(out), "--blocks", "1"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert token not in done.stdout + done.stderr
    for path in (*out.rglob("*"), *(tmp_path / "cache").rglob("*")):
        assert not path.is_file() or token.encode() not in path.read_bytes(), path


def test_ctrl_c_removes_the_container_within_ten_seconds(tmp_path: Path, image: str) -> None:
    file = campaign(tmp_path, image, sweep={}, args={"hang": True})
    out = tmp_path / "out"
    host = subprocess.Popen(
        [*LEM, "campaign", "run", str(file), "--out", str(out)],
        env=environment(tmp_path / "cache"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 60
    while not any(out.rglob("events.ndjson")):
        assert time.monotonic() < end, "the run did not begin within a minute"
        time.sleep(0.1)
    time.sleep(2)
    assert containers_of(out)
    host.send_signal(signal.SIGINT)
    _, stderr = host.communicate(timeout=10)
    assert host.returncode == 130
    assert not containers_of(out)
    assert "lem campaign run" in stderr
    assert Failure.read(next(out.rglob("failure.json"))).kind == "interrupted"


def test_memory_limit_is_a_typed_failure(tmp_path: Path, image: str) -> None:
    file = campaign(
        tmp_path,
        image,
        sweep={"args.token_ms": [1]},
        experiments=[{"args.eat_memory": True}],
        limits={"memory_bytes": 300_000_000, "load_s": 60, "run_s": 60},
    )
    out = tmp_path / "out"
    done = lem("campaign", "run", file, "--out", out, "--blocks", 1, cache=tmp_path / "cache")
    assert done.returncode == 1, done.stderr
    (failure,) = [Failure.read(p) for p in out.rglob("failure.json")]
    assert failure.kind == "out_of_memory"
    assert len(counted_places(out)) == 1


def test_a_missing_image_is_an_environment_error_with_its_fix(tmp_path: Path) -> None:
    need_docker()
    file = campaign(tmp_path, "lem/not-there:1")
    done = lem("campaign", "run", file, "--out", tmp_path / "out", cache=tmp_path / "cache")
    assert done.returncode == 3, done.stderr
    assert "lem/not-there:1" in done.stderr
    assert "fix:" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_image_of_another_contract_is_refused_with_the_rebuild_command(
    tmp_path: Path, image: str
) -> None:
    other = "lem-test/other-contract:1"
    dockerfile = f"FROM {image}\nLABEL org.lem.contract=99\n"
    build = ["docker", "build", "-q", "-t", other, "-"]
    subprocess.run(build, input=dockerfile, text=True, check=True, capture_output=True)
    file = campaign(tmp_path, other)
    done = lem("campaign", "run", file, "--out", tmp_path / "out", cache=tmp_path / "cache")
    assert done.returncode == 3, done.stderr
    assert "lem images build" in done.stderr


def test_deep_validation_shows_the_engines_words_at_the_line(tmp_path: Path, image: str) -> None:
    file = campaign(tmp_path, image, sweep={"args.unheard_of": [1]})
    done = lem("campaign", "validate", "--deep", file, cache=tmp_path / "cache", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "tick has no argument 'unheard_of'" in done.stderr
    line = next(i for i, t in enumerate(file.read_text().splitlines(), 1) if "args.unheard_of" in t)
    assert f"c.yaml:{line}:" in done.stderr
    out = tmp_path / "out"
    run = lem("campaign", "run", file, "--out", out, cache=tmp_path / "cache", cwd=tmp_path)
    assert run.returncode == 2, run.stderr
    assert f"c.yaml:{line}:" in run.stderr and "tick has no argument 'unheard_of'" in run.stderr
    assert not (out / "blocks").exists() and not (out / "campaign.lock.json").exists()


def test_a_finished_campaign_takes_away_what_a_killed_host_left(tmp_path: Path, image: str) -> None:
    cache, out = tmp_path / "cache", tmp_path / "out"
    file = campaign(tmp_path, image)
    again = ["campaign", "run", str(file), "--out", str(out), "--blocks", "1"]
    assert lem(*again, cache=cache).returncode == 0
    owner = Lock.read(out / "campaign.lock.json").owner
    labels = [f"--label=org.lem.owner={owner}", "--label=org.lem.host=gone/1/1/1"]
    left = ["docker", "create", "--name", "lem-0f0f0f0f0f0f", *labels, image, "true"]
    subprocess.run(left, check=True, stdout=subprocess.DEVNULL)
    assert containers_of(out)
    assert lem(*again, cache=cache).returncode == 0
    assert not containers_of(out)


@pytest.mark.slow
def test_killed_ten_times_with_real_containers(tmp_path: Path, image: str) -> None:
    draw = random.Random(7)
    cache, out = tmp_path / "cache", tmp_path / "out"
    file = campaign(tmp_path, image)
    command = [*LEM, "campaign", "run", str(file), "--out", str(out), "--blocks", "5"]
    for _ in range(10):
        host = subprocess.Popen(
            command, env=environment(cache), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(draw.uniform(0.5, 5.0))
        host.send_signal(signal.SIGKILL)
        host.wait()
    last = lem(*command[len(LEM) :], "--json", cache=cache)
    assert last.returncode == 0, last.stderr
    assert json.loads(last.stdout)["runs_missing"] == 0
    lock = Lock.read(out / "campaign.lock.json")
    wanted = sorted((b, a.arm_id) for b in range(5) for a in lock.arms)
    assert sorted(counted_places(out)) == wanted
    assert not half_written(out)
    assert not containers_of(out)
