"""What becomes of an attempt: the agent's document if it can be believed, else the host's."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import records
from records import arm_name, experiment

from lem.campaign.attempt import (
    attempt_folder,
    close_open,
    make_job,
    outcome_of,
    remove_asides,
    result_of,
)
from lem.campaign.plan import Here, Run
from lem.contract.failure import Failure
from lem.contract.job import Job
from lem.contract.lock import Lock
from lem.contract.record import Gpu, Record
from lem.launchers.protocol import Exit, Folders
from lem.stores.folder import MAX_RECORD_BYTES, outcomes

HERE = Here("2026-05-04T12:10:00.000+00:00", "boot-1", ("cpu",))
ENDED = Exit(status=0, out_of_memory=False, last_lines=["first", "last"])
ARM = arm_name(0)
RUN = Run(ARM, block=2, block_pass=1, attempt=3)


def the_lock() -> Lock:
    arm = {"arm_id": ARM, "label": "one", "settings": {}, "experiment": experiment()}
    return records.lock([arm])


class Inside:
    """A launcher whose agent sees the run's folders at fixed places."""

    name = "test"
    powercap_root = "/powercap"

    def inside(self, folders: Folders) -> Folders:
        return Folders(Path("/run"), Path("/requests"), Path("/models"))

    def gpus_inside(self, gpus: Sequence[int]) -> list[int]:
        return list(range(len(gpus)))


@pytest.fixture
def job(tmp_path: Path) -> Job:
    lock = the_lock()
    here = Folders(tmp_path)
    made: Job = make_job(lock, lock.arms[0], RUN, Inside(), here, digest=None)  # type: ignore[arg-type]
    return made


@pytest.fixture
def folder(tmp_path: Path, job: Job) -> Path:
    place = attempt_folder(tmp_path, RUN)
    job.write(place / "job.json")
    return place


def record_of(job: Job, **changes: Any) -> Record:
    made = records.record(
        arm_id=job.arm_id, block=job.block, block_pass=job.block_pass, attempt=job.attempt
    )
    own = {"run_id": job.run_id, "experiment": job.experiment, "campaign": job.campaign}
    return made.model_copy(update=own | changes)


def failure_of(job: Job, **changes: Any) -> Failure:
    made = records.failure(
        arm_id=job.arm_id, block=job.block, block_pass=job.block_pass, attempt=job.attempt
    )
    return made.model_copy(update={"run_id": job.run_id} | changes)


def result(folder: Path, job: Job, end: Exit | None = ENDED, timed_out: bool = False) -> Any:
    """The result, after checking that the store sees the same."""
    found = result_of(folder, job, end, timed_out, HERE, HERE.now)
    campaign = folder.parents[3]
    seen = outcomes(campaign)
    assert seen == [outcome_of(found, str(folder.relative_to(campaign)))]
    return found


def test_the_folder_of_an_attempt() -> None:
    assert attempt_folder(Path("c"), RUN) == Path(f"c/blocks/0002/{ARM}/3")


def test_the_job_has_paths_as_the_agent_sees_them(job: Job) -> None:
    assert job.model == "/models"
    assert job.requests == f"/requests/{'b' * 64}.jsonl.gz"
    assert job.powercap_root == "/powercap"
    assert (job.arm_id, job.block, job.block_pass, job.attempt) == RUN
    assert job.experiment == the_lock().arms[0].experiment
    assert len(job.run_id) == 24


def test_every_job_has_its_own_run_id(tmp_path: Path) -> None:
    lock = the_lock()
    jobs = [
        make_job(lock, lock.arms[0], RUN, Inside(), Folders(tmp_path), None)  # type: ignore[arg-type]
        for _ in range(50)
    ]
    assert len({j.run_id for j in jobs}) == 50


def test_a_good_record_is_the_result(folder: Path, job: Job) -> None:
    record_of(job).write(folder / "record.json")
    assert result(folder, job) == record_of(job)
    assert not (folder / "failure.json").exists()


def test_a_record_stands_even_if_the_agent_then_hung(folder: Path, job: Job) -> None:
    record_of(job).write(folder / "record.json")
    assert isinstance(result(folder, job, timed_out=True), Record)


def test_a_good_failure_is_the_result(folder: Path, job: Job) -> None:
    failure_of(job, kind="meter", message="no").write(folder / "failure.json")
    assert result(folder, job) == failure_of(job, kind="meter", message="no")


def test_of_both_the_failure_counts(folder: Path, job: Job) -> None:
    record_of(job).write(folder / "record.json")
    failure_of(job).write(folder / "failure.json")
    assert isinstance(result(folder, job), Failure)


def test_nothing_at_all_is_a_lost_agent(folder: Path, job: Job) -> None:
    lost = result(folder, job, Exit(137, False, [str(n) for n in range(100)]))
    assert lost.kind == "agent_lost" and lost.written_by == "host"
    assert "exit status 137" in lost.message
    assert lost.last_lines == [str(n) for n in range(60, 100)]
    assert (lost.boot_id, lost.device_set) == ("boot-1", ["cpu"])
    assert (lost.run_id, lost.block_pass, lost.attempt) == (job.run_id, 1, 3)


def test_a_killed_agent_that_ran_out_of_memory(folder: Path, job: Job) -> None:
    lost = result(folder, job, Exit(137, True, []))
    assert lost.kind == "out_of_memory" and "smaller" in lost.hint


def test_a_time_out_names_the_limits(folder: Path, job: Job) -> None:
    lost = result(folder, job, Exit(137, False, []), timed_out=True)
    assert lost.kind == "timeout"
    assert "5400 s" in lost.message and "limits.run_s" in lost.hint


def test_an_agent_stopped_for_taking_too_long_was_not_interrupted(folder: Path, job: Job) -> None:
    failure_of(job, kind="interrupted").write(folder / "failure.json")
    assert result(folder, job, timed_out=True).kind == "timeout"


def test_the_agents_own_time_out_is_kept(folder: Path, job: Job) -> None:
    own = failure_of(job, kind="timeout", phase="load", message="loading took longer than 5 s")
    own.write(folder / "failure.json")
    assert result(folder, job, timed_out=True) == own


@pytest.mark.parametrize("name", ["record.json", "failure.json"])
@pytest.mark.parametrize(
    "change",
    [{"run_id": "other"}, {"arm_id": arm_name(7)}, {"block": 0}, {"block_pass": 0}, {"attempt": 0}],
    ids=str,
)
def test_a_document_about_another_run_is_refused(
    folder: Path, job: Job, name: str, change: dict[str, Any]
) -> None:
    made = record_of(job, **change) if name == "record.json" else failure_of(job, **change)
    made.write(folder / name)
    refused = result(folder, job)
    assert refused.kind == "contract" and refused.written_by == "host"
    assert "another run" in refused.message


@pytest.mark.parametrize("change", [{"experiment_id": arm_name(7)}, {"campaign": "other"}], ids=str)
def test_a_record_of_another_experiment_is_refused(
    folder: Path, job: Job, change: dict[str, Any]
) -> None:
    record_of(job, **change).write(folder / "record.json")
    assert result(folder, job).kind == "contract"


def test_a_record_of_other_settings_is_refused(folder: Path, job: Job) -> None:
    other = job.experiment.model_copy(update={"engine": {"max_batch_size": 64}})
    record_of(job, experiment=other).write(folder / "record.json")
    assert result(folder, job).kind == "contract"


def rewrite(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"surprise": 1},
        {"windows": []},
        {"schema_version": 99},
        {"started_at": "yesterday"},
        {"ended_at": "2026-05-04T12:00:00"},
        {"metrics": {"mean_power_w": "lots"}},
    ],
    ids=str,
)
def test_an_invalid_record_is_a_contract_failure_that_says_why(
    folder: Path, job: Job, changes: dict[str, Any]
) -> None:
    record_of(job).write(folder / "record.json")
    rewrite(folder / "record.json", **changes)
    refused = result(folder, job)
    assert refused.kind == "contract"
    assert refused.message.startswith("the agent's document is not valid: ")


@pytest.mark.parametrize("name", ["record.json", "failure.json"])
@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b'{"schema_version": NaN}'])
def test_junk_is_a_contract_failure(folder: Path, job: Job, name: str, data: bytes) -> None:
    (folder / name).write_bytes(data)
    assert result(folder, job).kind == "contract"


def test_a_link_is_no_document(folder: Path, job: Job, tmp_path: Path) -> None:
    """Otherwise a container could have the host read any of the user's files."""
    record_of(job).write(tmp_path / "elsewhere.json")
    (folder / "record.json").symlink_to(tmp_path / "elsewhere.json")
    assert result(folder, job).kind == "agent_lost"


def test_a_link_is_not_written_through(folder: Path, job: Job, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (folder / "failure.json").symlink_to(precious)
    assert result(folder, job).kind == "agent_lost"
    assert precious.read_text() == "mine"
    assert not (folder / "failure.json").is_symlink()


@pytest.mark.parametrize("name", ["record.json", "failure.json"])
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_no_document(folder: Path, job: Job, name: str, make: Any) -> None:
    make(folder / name)
    assert result(folder, job).kind == "agent_lost"


def test_a_folder_in_the_way_of_the_failure_is_removed_with_its_content(
    folder: Path, job: Job
) -> None:
    (folder / "failure.json" / "deep").mkdir(parents=True)
    (folder / "failure.json" / "deep" / "file").write_text("x")
    assert result(folder, job).kind == "agent_lost"


def test_a_record_that_the_store_would_not_read_is_refused(folder: Path, job: Job) -> None:
    record_of(job).write(folder / "record.json")
    with (folder / "record.json").open("ab") as f:
        f.write(b" " * MAX_RECORD_BYTES)
    refused = result(folder, job)
    assert refused.kind == "contract" and "larger than 16 MiB" in refused.message


def test_open_attempts_are_closed_as_interrupted(tmp_path: Path, folder: Path, job: Job) -> None:
    (folder / ".record.json.x1").write_text("half a")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "file").write_text("an engine's own")
    assert close_open(tmp_path, outcomes(tmp_path), HERE) == 1
    failure = Failure.read(folder / "failure.json")
    assert (failure.kind, failure.written_by) == ("interrupted", "host")
    assert failure.run_id == job.run_id
    assert sorted(p.name for p in folder.iterdir()) == ["failure.json", "job.json"]
    (outcome,) = outcomes(tmp_path)
    assert (outcome.failure_kind, outcome.block_pass) == ("interrupted", 1)
    assert close_open(tmp_path, [outcome], HERE) == 0


def test_an_invalid_record_found_later_is_closed_too(tmp_path: Path, folder: Path) -> None:
    (folder / "record.json").write_text("{}")
    assert close_open(tmp_path, outcomes(tmp_path), HERE) == 1
    assert [o.kind for o in outcomes(tmp_path)] == ["failure"]


@pytest.mark.parametrize("content", [None, "", "{", '{"schema_version": 1}'])
def test_an_attempt_that_never_had_a_whole_job_leaves_nothing(
    tmp_path: Path, content: str | None
) -> None:
    place = attempt_folder(tmp_path, RUN)
    place.mkdir(parents=True)
    if content is not None:
        (place / "job.json").write_text(content)
    assert close_open(tmp_path, outcomes(tmp_path), HERE) == 0
    assert not place.exists()


def test_a_job_that_was_tampered_with_cannot_close_another_attempt(
    tmp_path: Path, folder: Path, job: Job
) -> None:
    job.model_copy(update={"block": 0}).write(folder / "job.json")
    assert close_open(tmp_path, outcomes(tmp_path), HERE) == 0
    assert outcomes(tmp_path) == []


@pytest.mark.parametrize(
    ("arm", "path"),
    [
        ("a", "../home"),
        ("../../../home", "blocks/0000/../../../home/1"),
        ("a", "blocks/0000/link/1"),
        ("link", "blocks/0000/link/1"),
    ],
)
def test_nothing_is_removed_outside_of_the_folder(tmp_path: Path, arm: str, path: str) -> None:
    campaign, home = tmp_path / "campaign", tmp_path / "home"
    (campaign / "blocks" / "0000").mkdir(parents=True)
    (home / "1").mkdir(parents=True)
    (home / ".profile").touch()
    (campaign / "blocks" / "0000" / "link").symlink_to(home)
    records.campaign(tmp_path / "other", {1: [0.02]})
    (outcome,) = outcomes(tmp_path / "other")
    here = outcome._replace(arm_id=arm, block=0, attempt=1, kind="open", path=path)
    assert close_open(campaign, [here], HERE) == 0
    assert sorted(p.name for p in home.iterdir()) == [".profile", "1"]


def test_finished_attempts_are_left_alone(tmp_path: Path, folder: Path, job: Job) -> None:
    record_of(job).write(folder / "record.json")
    assert close_open(tmp_path, outcomes(tmp_path), HERE) == 0
    assert not (folder / "failure.json").exists()


@pytest.mark.parametrize(
    ("flags", "consequence"),
    [([], "info"), (["throttled"], "exclude"), (["suspended", "throttled"], "void")],
)
def test_the_outcome_of_a_record(job: Job, flags: list[str], consequence: str) -> None:
    found = outcome_of(record_of(job, flags=flags), "blocks/0002/x/3")
    assert (found.kind, found.consequence) == ("record", consequence)
    assert (found.boot_id, found.device_set) == ("boot-1", ("cpu",))


def test_only_what_was_being_written_aside_is_removed(tmp_path: Path) -> None:
    sha = "a" * 64
    index = ".index-0123abcd.sqlite"
    asides = [".campaign.lock.json.x1", f"{index}.x-journal", f"requests/.{sha}.jsonl.gz.7"]
    kept = [
        ".lock",
        index,
        ".gitignore",
        "campaign.lock.json",
        f"requests/{sha}.jsonl.gz",
    ]
    (tmp_path / "requests").mkdir()
    for name in asides + kept:
        (tmp_path / name).write_text("")
    remove_asides(tmp_path)
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert left == set(kept)


def test_a_run_has_the_gpus_that_its_arm_needs(tmp_path: Path) -> None:
    """As the launcher's agent counts them, and which boards those are; the block's beside them."""
    lock = the_lock()
    arm = lock.arms[0].model_copy(update={"gpu_count": 2})
    lock = lock.model_copy(update={"gpus": [4, 2, 7], "arms": [arm]})
    boards = [Gpu.model_validate(records.gpu(i)) for i in lock.gpus]
    made = make_job(lock, arm, RUN, Inside(), Folders(tmp_path), None, boards)  # type: ignore[arg-type]
    assert made.gpus == [0, 1]
    assert made.gpu_uuids == ["GPU-4", "GPU-2"]
    assert made.device_set == ["GPU-4", "GPU-2", "GPU-7"]
    assert made.device_set_names == ["NVIDIA Test 80GB"] * 3
