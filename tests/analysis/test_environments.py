"""What is said of two arms that are one experiment, started in different ways."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lem import verified
from lem.analysis.comparison import ArmInfo
from lem.analysis.environments import around, differences, found_in_caches, unproven
from lem.analysis.results import open_results
from lem.contract.record import Gpu, Record
from tests import records

ID = "e" * 64
ARMS = {name: f"{ID}-{name}" for name in ("process", "docker")}
NAMES = {arm_id: name for name, arm_id in ARMS.items()}
ARM_INFOS = [ArmInfo(arm_id, ID, name, {"launcher": name}, {}) for name, arm_id in ARMS.items()]


def run(launcher: str, block: int = 0, meter: str = "a test meter", **changes: Any) -> Record:
    began = records.START + timedelta(minutes=[*ARMS].index(launcher))
    made = records.record(arm_id=ARMS[launcher], experiment_id=ID, block=block, started=began)
    environment = made.environment.model_copy(update={"launcher": launcher, **changes})
    meters = [m.model_copy(update={"description": meter}) for m in made.meters]
    return made.model_copy(update={"environment": environment, "meters": meters})


def said(*runs: Record) -> list[str]:
    return differences(ARM_INFOS, runs, NAMES)


def test_nothing_is_said_where_only_the_launcher_differs() -> None:
    docker = run("docker", image_digest="sha256:1", container=True)
    assert said(run("process", container=False), docker) == []


def test_unlike_shares_of_prompts_found_in_caches_are_said() -> None:
    def found(rates: dict[str, float | None]) -> list[str]:
        made = [run(n, engine_resolved={"prefix_cache_hit_rate": r}) for n, r in rates.items()]
        return found_in_caches(made, NAMES)

    (note,) = found({"process": None, "docker": 0.734})
    assert note.endswith("(one run of each): docker 73 %, process nothing told.")
    assert found({"process": 0.70, "docker": 0.734}) == []
    assert found({"process": None, "docker": 0.04}) == []
    assert found_in_caches([], NAMES) == []


def test_counts_of_a_prefix_cache_are_no_difference_around_arms() -> None:
    counted = [
        run(n, engine_resolved={"prefix_cache_hit_tokens": i, "prefix_cache_hit_rate": i / 10})
        for i, n in enumerate(ARMS)
    ]
    assert said(*counted) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"python": "3.11.7"}, "python: 3.11.7 (process), 3.11.2 (docker)"),
        ({"libraries": {}}, "libraries.torch: missing (process), 2.13.0 (docker)"),
        ({"engine_version": "5.22.0"}, "engine_version: 5.22.0 (process), 5.23.0 (docker)"),
        (
            {"engine_resolved": {"dtype": "bfloat16"}},
            "engine_resolved.dtype: bfloat16 (process), float32 (docker)",
        ),
        ({"cpu_count": 4}, "cpu_count: 4 (process), 2 (docker)"),
        (
            {"meter": "CPU time of the process tree"},
            "meter estimate estimated0: CPU time of the process tree (process), a test meter"
            " (docker)",
        ),
    ],
)
def test_each_difference_is_named_with_both_values(change: dict[str, Any], words: str) -> None:
    (note,) = said(run("process", **change), run("docker"))
    assert note.startswith("the arms of one experiment differ in more than how they are started")
    assert note.endswith(words)


def test_confinement_is_part_of_what_is_compared() -> None:
    free, bound = {"seccomp": "off"}, {"seccomp": "filter"}
    notes = said(run("process", confinement=free), run("docker", confinement=bound))
    assert notes == [
        "part of what is compared: confinement.seccomp: off (process), filter (docker)"
    ]


def test_a_change_between_blocks_shows_as_both_values() -> None:
    runs = [run("process", b, kernel=k) for b, k in enumerate(("6.1", "6.2"))]
    (note,) = said(*runs, run("docker"))
    assert note.endswith("kernel: 6.1 or 6.2 (process), 6.1 (docker)")


def test_different_experiments_are_expected_to_differ() -> None:
    infos = [ArmInfo(ARMS["process"], "f" * 64, "a", {}, {}), ARM_INFOS[1]]
    assert differences(infos, [run("process", python="3.14.0"), run("docker")], NAMES) == []


def test_what_is_swept_or_a_block_s_affair_is_no_difference() -> None:
    assert not {"launcher", "container", "image_digest", "boot_id"} & around(run("docker")).keys()


def test_the_comparison_says_it(tmp_path: Path) -> None:
    for block in range(3):
        records.place(tmp_path, run("process", block, python="3.11.7"))
        records.place(tmp_path, run("docker", block))
    (campaign,) = open_results(tmp_path).campaigns
    said = campaign.compare(baseline="launcher=process").notes
    (note,) = [n for n in said if not n.startswith("conformance suite")]
    assert note.endswith("python: 3.11.2 (docker), 3.11.7 (process)")


def test_it_says_which_engine_never_ran_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One note for each engine version and kind of hardware without a conformance record."""
    monkeypatch.setattr(verified, "records", tuple)
    found = [run("process", 0), run("process", 1)]
    (note,) = unproven(found)
    version = found[0].environment.engine_version
    assert note == f"conformance suite, transformers {version} on a CPU: never run on hardware"
    board = Gpu(index=0, name="NVIDIA L4", uuid="GPU-0", driver="575.57", memory_bytes=2**34)
    (note,) = unproven([run("process", gpus=[board])])
    assert note == f"conformance suite, transformers {version} on a GPU: never run on hardware"
