"""The setting that an engine refuses is found by its name in the message, or by leaving it out."""

from pathlib import Path
from typing import Any

import pytest
from backends.conformance import make_job

from lem.agent.blame import placed
from lem.contract.job import Job, Rejection
from lem.workloads.requests import Request


class Picky:
    """Refuses jobs that have ``cause`` set, with ``message``."""

    def __init__(self, cause: tuple[str, str], message: str) -> None:
        self.cause = cause
        self.message = message
        self.asked = 0

    def reject(self, job: Job) -> list[Rejection]:
        self.asked += 1
        section, name = self.cause
        if name not in getattr(job, section):
            return []
        return [Rejection(arm_id=job.arm_id, argument=None, message=self.message)]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return make_job(
        "picky",
        tmp_path,
        tmp_path,
        [Request("r0", [1], 1, "")],
        engine={"dtype": "bfloat16"},
        args={"max_num_seqs": -4, "swap_space": 2, "kv": 1},
        generate={"temperature": 0, "loudness": 11},
    )


def place_of(job: Job, cause: tuple[str, str], message: str) -> tuple[str | None, int]:
    backend: Any = Picky(cause, message)
    (rejection,) = backend.reject(job)
    return placed(backend, job, rejection).argument, backend.asked - 1


@pytest.mark.parametrize(
    ("cause", "message", "path"),
    [
        (("args", "max_num_seqs"), "max_num_seqs must be positive", "picky.args.max_num_seqs"),
        (("args", "max_num_seqs"), "argument --max-num-seqs: bad", "picky.args.max_num_seqs"),
        (("generate", "loudness"), "no parameter 'loudness'", "picky.generate.loudness"),
        (("engine", "dtype"), "dtype=bfloat16 needs a newer GPU", "picky.engine.dtype"),
    ],
)
def test_the_name_in_the_message_is_enough(
    job: Job, cause: tuple[str, str], message: str, path: str
) -> None:
    assert place_of(job, cause, message) == (path, 0)


def test_a_setting_that_the_message_does_not_name_is_found_by_leaving_it_out(job: Job) -> None:
    path, asked = place_of(job, ("args", "swap_space"), "Too large.")
    assert path == "picky.args.swap_space" and asked == 2


def test_of_several_names_the_one_that_makes_the_difference_is_blamed(job: Job) -> None:
    message = "swap_space and max_num_seqs exclude each other"
    assert place_of(job, ("args", "swap_space"), message)[0] == "picky.args.swap_space"


def test_a_part_of_a_longer_word_is_no_name(job: Job) -> None:
    assert place_of(job, ("args", "kv"), "kv_cache_dtype is unknown")[0] == "picky.args.kv"


def test_where_nothing_helps_no_line_is_named(job: Job) -> None:
    class Never(Picky):
        def reject(self, job: Job) -> list[Rejection]:
            return [Rejection(arm_id=job.arm_id, argument=None, message="No.")]

    backend: Any = Never(("args", "kv"), "")
    (rejection,) = backend.reject(job)
    assert placed(backend, job, rejection) == rejection
