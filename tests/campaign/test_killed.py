"""The host is killed outright at random moments; running again must put everything right.

``LEM_KILL_SEEDS`` says how many times fifty kills (four and more before a release; two here).
"""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tick import LEM, counted_places, environment, half_written, lem, processes_of, write_campaign

from lem.contract.base import Document
from lem.contract.failure import Failure
from lem.contract.job import Job
from lem.contract.lock import Lock
from lem.contract.record import Record

KINDS: dict[str, type[Document]] = {
    "job.json": Job,
    "record.json": Record,
    "failure.json": Failure,
    "campaign.lock.json": Lock,
}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(int(os.environ.get("LEM_KILL_SEEDS", "2"))))
def test_killed_fifty_times_every_run_counts_once(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    cache, out = tmp_path / "cache", tmp_path / "out"
    file = write_campaign(tmp_path / "c.yaml", sweep={"engine.max_batch_size": [1, 2, 3, 4]})
    command = [*LEM, "campaign", "run", str(file), "--out", str(out), "--blocks", "12"]
    for _ in range(50):
        host = subprocess.Popen(
            command,
            env=environment(cache),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(draw.uniform(0.05, 2.5))
        host.send_signal(signal.SIGKILL)
        host.wait()
    last = lem(*command[len(LEM) :], cache=cache)
    assert last.returncode == 0, last.stderr
    lock = Lock.read(out / "campaign.lock.json")
    wanted = sorted((b, a.arm_id) for b in range(12) for a in lock.arms)
    assert sorted(counted_places(out)) == wanted
    assert not half_written(out)
    assert not processes_of(out)
    for name, kind in KINDS.items():
        for path in out.rglob(name):
            kind.read(path)
