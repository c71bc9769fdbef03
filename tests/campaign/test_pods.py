"""What a pod is to a campaign: a holder of claims, and an allocation. And a job's allocation."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from lem.campaign.allocation import allocated, of_job
from lem.campaign.claims import Held, Holder, Lost
from lem.contract.order import Claim
from lem.contract.record import Gpu
from lem.errors import EnvironmentFault

JOB = "kubernetes lem-1-1-0"


def holder(token: str, goes_on: bool = False, of: str = JOB) -> Holder:
    return Holder(token * 32, of, goes_on)


def claim(folder: Path) -> Claim:
    return Claim.read(folder / "cluster" / "claims" / "0000.json")


def test_a_claim_passes_from_one_container_to_the_next(tmp_path: Path) -> None:
    first = Held(tmp_path, 0, "pod a", holder("a"), "node-1")
    before = claim(tmp_path)
    second = Held(tmp_path, 0, "pod a", holder("a", goes_on=True), "node-1")
    assert claim(tmp_path) == before
    first.check()
    second.check()


def test_another_pod_s_claim_ends_every_container(tmp_path: Path) -> None:
    first = Held(tmp_path, 0, "pod a", holder("a"))
    Held(tmp_path, 0, "pod b", holder("b"))
    with pytest.raises(Lost, match="pod b"):
        first.check()
    with pytest.raises(Lost, match="pod b"):
        Held(tmp_path, 0, "pod a", holder("a", goes_on=True))
    assert claim(tmp_path).by == "pod b"


def test_a_container_that_goes_on_needs_a_claim(tmp_path: Path) -> None:
    with pytest.raises(Lost):
        Held(tmp_path, 0, "pod a", holder("a", goes_on=True))
    assert not (tmp_path / "cluster" / "claims" / "0000.json").exists()


def test_how_often_a_job_was_begun_anew(tmp_path: Path) -> None:
    assert Held(tmp_path, 0, "pod a", holder("a")).restarts == 0
    # Its containers were started again after the node had been.
    assert Held(tmp_path, 0, "pod a", holder("a")).restarts == 0
    assert Held(tmp_path, 0, "pod b", holder("b")).restarts == 1
    assert Held(tmp_path, 0, "pod b", holder("b", goes_on=True)).restarts == 1
    assert Held(tmp_path, 0, "pod c", holder("c")).restarts == 2
    assert Held(tmp_path, 0, "pod d", holder("d", of="kubernetes lem-1-2-0")).restarts == 0
    assert Held(tmp_path, 0, "slurm 3_1").restarts == 0


def gpu(index: int, mig: bool = False) -> Gpu:
    return Gpu(index=index, name="H100", uuid=f"GPU-{index}", driver="1", memory_bytes=1, mig=mig)


def boards(*found: Gpu) -> "object":
    def seen(indices: Sequence[int] | None) -> list[Gpu]:
        assert indices is None
        return list(found)

    return seen


def test_a_pod_s_boards_are_those_that_it_sees() -> None:
    environ = {"LEM_POD_GPUS": "2", "NVIDIA_VISIBLE_DEVICES": "GPU-7,GPU-3"}
    assert allocated(environ, boards(gpu(1), gpu(0)), 2) == [0, 1]  # type: ignore[arg-type]
    assert allocated(environ, boards(gpu(1), gpu(0)), 1) == [0]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "found", "words"),
    [
        ("2", [gpu(0)], "asked for 2 GPUs and sees 1"),
        # A node whose runtime gives every board to every container: none of them is its own.
        ("1", [gpu(0), gpu(1)], "asked for 1 GPUs and sees 2"),
        ("0", [gpu(0)], "asked for 0 GPUs and sees 1"),
        ("x", [gpu(0)], "asked for x"),
        ("1", [gpu(0, mig=True)], "MIG"),
    ],
)
def test_a_pod_with_other_boards_measures_nothing(given: str, found: list[Gpu], words: str) -> None:
    with pytest.raises(EnvironmentFault, match=words):
        allocated({"LEM_POD_GPUS": given}, boards(*found), 1)  # type: ignore[arg-type]


def test_parts_of_a_board_are_refused_by_their_name_too() -> None:
    environ = {"LEM_POD_GPUS": "1", "NVIDIA_VISIBLE_DEVICES": "MIG-4"}
    with pytest.raises(EnvironmentFault, match="MIG"):
        allocated(environ, boards(gpu(0)), 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "node", "found"),
    [("16", 64, (16, 64)), ("64", 64, (64, 64)), ("", 64, (1, 64)), ("x", 8, (1, 8))],
)
def test_a_pod_that_asks_for_no_cpus_has_none_of_its_own(
    asked: str, node: int, found: tuple[int, int]
) -> None:
    given = of_job({"LEM_POD_UID": "a", "LEM_POD_CPUS": asked}, node, 3)
    assert given is not None and given.scheduler == "kubernetes"
    assert (given.cpus, given.node_cpus) == found
    assert given.restarts == 3


def test_a_job_s_boards_are_those_that_it_was_given() -> None:
    seen = boards(gpu(0), gpu(1), gpu(2, mig=True))
    for text, found in [("1,0", [1, 0]), ("GPU-1,0", [1, 0]), ("0,0,GPU-0,1", [0, 1])]:
        assert allocated({"CUDA_VISIBLE_DEVICES": text}, seen, 2) == found  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("0,0", "the job was given '0,0', of which it sees 1"),
        ("0,GPU-0", "it sees 1"),
        ("", "none"),
    ],
)
def test_one_board_is_not_two(given: str, words: str) -> None:
    with pytest.raises(EnvironmentFault, match=words):
        allocated({"CUDA_VISIBLE_DEVICES": given}, boards(gpu(0)), 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", ["0", "GPU-0", "MIG-4"])
def test_a_job_with_parts_of_a_board_measures_nothing(given: str) -> None:
    with pytest.raises(EnvironmentFault, match="MIG"):
        allocated({"CUDA_VISIBLE_DEVICES": given}, boards(gpu(0, mig=True)), 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(("told", "found"), [("16", 16), ("64", 64), ("", 1), ("x", 1), (None, 1)])
def test_a_job_that_is_not_told_its_cpus_has_none_of_its_own(told: str | None, found: int) -> None:
    environ = {"SLURM_JOB_ID": "7"} | ({} if told is None else {"SLURM_CPUS_ON_NODE": told})
    given = of_job(environ, 64)
    assert given is not None and given.scheduler == "slurm"
    assert (given.cpus, given.node_cpus) == (found, 64)
