"""What an engine rejects, without a container: each thing once."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tick import lem, write_campaign

from lem.campaign import deep
from lem.campaign.generations import generations, to_stage
from lem.campaign.lock import make_lock, provisional_staging
from lem.config import load
from lem.contract.job import Rejection
from lem.contract.lock import Arm, Overrides
from lem.errors import Problem


def test_one_rejection_of_many_experiments_is_said_once(tmp_path: Path) -> None:
    sweep = {"args.unheard_of": [1], "engine.max_batch_size": [1, 4]}
    file = write_campaign(tmp_path / "c.yaml", sweep=sweep)
    done = lem("campaign", "validate", "--deep", file, cache=tmp_path / "cache", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    (line,) = [t for t in done.stderr.splitlines() if "unheard_of" in t]
    number = 1 + file.read_text().splitlines().index("  args.unheard_of:")
    assert f"c.yaml:{number}:" in line and ", among others)" in line


def test_an_experiment_is_named_where_its_name_says_more_than_the_backend() -> None:
    campaign: Any = SimpleNamespace(
        file=SimpleNamespace(where=lambda _: (4, 31), path=Path("c.yaml"))
    )
    said = [Rejection(arm_id="a", argument="args.x", message="no x")]
    for label, which in (("vllm", ""), ("vllm · dtype float16", " (vllm · dtype float16)")):
        (problem,) = deep._problems(campaign, "vllm", said, {"a": label})
        assert problem.message == f"vllm rejects this{which}: no x"


PARETO = {"kind": "pareto", "budget": 6, "generation": 1, "seed": 1}


def asked_about(
    path: Path, monkeypatch: pytest.MonkeyPatch, **spec: Any
) -> tuple[list[Problem], list[str], int]:
    """What is said of a campaign whose engine has 512 slots at most, and wants its budget of tokens
    for a step to hold them all; and how many sets of arguments it was asked about."""
    file = load(write_campaign(path, **spec))
    staging = provisional_staging(to_stage(file))
    launchers = dict.fromkeys(range(len(file.drafts)), "process")
    lock = make_lock(file, staging, Overrides(), launchers, [], ["cpu"], [0] * len(file.drafts))
    asked: list[Arm] = []

    def engine(lock: Any, launcher: Any, prepared: Any, arms: list[Arm], *_: Any) -> Any:
        asked.extend(arms)
        for arm in arms:
            slots = int(arm.experiment.engine.get("max_batch_size", 1))  # type: ignore[arg-type]
            budget = int(arm.experiment.args.get("token_budget", 512))  # type: ignore[arg-type]
            if slots > 512:
                name = "engine.max_batch_size"
                yield Rejection(arm_id=arm.arm_id, argument=name, message="no more than 512 slots")
            elif slots > budget:
                yield Rejection(arm_id=arm.arm_id, argument=None, message=f"{budget} are too few")

    monkeypatch.setattr(deep, "_ask", lambda *a: list(engine(*a)))
    campaign: Any = SimpleNamespace(file=file, folder=path.parent)
    said: list[str] = []
    later = generations(file, staging, "process", 0)
    ready: Any = {
        ("process", "tick"): SimpleNamespace(described=SimpleNamespace(engine_version="1"))
    }
    problems = deep.rejected(campaign, lock, ready, later, said.append)
    return problems, said, len(asked)


def line_of(path: Path, key: str) -> int:
    return 1 + path.read_text().splitlines().index(f"  {key}:")


def test_a_wrong_end_of_bounds_is_told_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is drawn first lies within what the engine takes; 1024 slots do not."""
    path = tmp_path / "c.yaml"
    (problem,), _, _ = asked_about(
        path,
        monkeypatch,
        baseline={"engine.max_batch_size": 1},
        sweep={"engine.max_batch_size": {"low": 1, "high": 1024, "scale": "log"}},
        sampler=PARETO,
    )
    assert problem.line == line_of(path, "engine.max_batch_size")
    assert "max_batch_size 1024" in problem.message
    assert "no more than 512 slots" in problem.message


def test_values_that_do_not_go_together_are_only_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """512 slots and 8 tokens in a step are refused, yet each value goes with another."""
    problems, said, _ = asked_about(
        tmp_path / "c.yaml",
        monkeypatch,
        baseline={"engine.max_batch_size": 1, "args.token_budget": 512},
        sweep={
            "engine.max_batch_size": {"low": 1, "high": 512, "scale": "log"},
            "args.token_budget": [512, 8],
        },
        sampler=PARETO,
    )
    assert problems == []
    (told,) = [line for line in said if "not together" in line]
    assert "8 are too few" in told and "max_batch_size 512" in told
    assert "Not asked about: values between bounds" in said[-1]


def test_a_wrong_value_of_a_list_is_told_although_no_first_experiment_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c.yaml"
    (problem,), _, asked = asked_about(
        path,
        monkeypatch,
        baseline={"engine.max_batch_size": 4, "args.token_budget": 512},
        sweep={
            "engine.max_batch_size": [4, 8, 16],
            "args.token_budget": [512, 256, 128, 64, 32, 2],
        },
        sampler=PARETO,
    )
    assert problem.line == line_of(path, "args.token_budget")
    assert "token_budget 2" in problem.message
    # 6 budgets with 4 slots, 8 and 16 with the lowest, (16, 512), and what was drawn first if it
    # is another.
    assert 9 <= asked <= 10


def test_of_a_wide_space_a_bounded_number_is_asked_about_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, said, asked = asked_about(
        tmp_path / "c.yaml",
        monkeypatch,
        sweep={f"args.axis_{i}": [0, 1, 2] for i in range(8)},
        sampler=PARETO,
    )
    assert deep.MOST <= asked <= deep.MOST + 1
    assert f"the first {deep.MOST} of each model and backend" in said[-1]


def test_other_axes_are_not_the_engines_business(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is excluded with the lowest rate is asked about with the highest."""
    path = tmp_path / "c.yaml"
    (problem,), _, asked = asked_about(
        path,
        monkeypatch,
        baseline={"engine.max_batch_size": 1, "workload.requests": 20},
        sweep={"engine.max_batch_size": [1, 2, 1024], "workload.requests": [20, 40, 60]},
        exclude=[{"engine.max_batch_size": 1024, "workload.requests": 20}],
        sampler={**PARETO, "seed": 2},
    )
    assert "max_batch_size 1024" in problem.message
    assert asked == 3


BOTH_WAYS: dict[str, Any] = {
    "sweep": {"workload.arrival.kind": ["offline", "concurrency"], "engine.max_batch_size": [1, 2]}
}


def test_each_way_of_driving_an_engine_is_asked_about_once(tmp_path: Path) -> None:
    """Its batch interface and its server take different arguments; which kind of load a server
    gets is nothing to either."""
    poisson = {"workload.arrival.kind": "poisson", "workload.arrival.rate": 2}
    file = load(
        write_campaign(
            tmp_path / "c.yaml",
            experiments=[{"engine.max_batch_size": 1, **poisson}],
            **BOTH_WAYS,
        )
    )
    staging = provisional_staging(file)
    launchers = dict.fromkeys(range(len(file.drafts)), "process")
    lock = make_lock(file, staging, Overrides(), launchers, [], ["cpu"], [0] * len(file.drafts))
    assert len(lock.arms) == 5
    asked = [a.experiment for a in deep._distinct(lock.arms)]
    assert [(e.engine["max_batch_size"], e.workload.arrival.kind) for e in asked] == [
        *((1, "offline"), (1, "concurrency")),
        *((2, "offline"), (2, "concurrency")),
    ]


def test_also_where_experiments_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, asked = asked_about(
        tmp_path / "c.yaml",
        monkeypatch,
        baseline={"engine.max_batch_size": 1, "workload.arrival.kind": "offline"},
        sampler={**PARETO, "budget": 2},
        **BOTH_WAYS,
    )
    assert asked == 4


def test_the_command_says_what_was_asked(tmp_path: Path) -> None:
    file = write_campaign(
        tmp_path / "c.yaml",
        sweep={"engine.max_batch_size": {"low": 1, "high": 8}},
        sampler={**PARETO, "budget": 2},
    )
    done = lem("campaign", "validate", "--deep", file, cache=tmp_path / "cache", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "more sets of arguments, which the sweep allows later" in done.stderr
