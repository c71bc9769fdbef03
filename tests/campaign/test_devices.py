"""Which GPUs runs use: as a rule by itself, and in whole campaigns on four played boards."""

from pathlib import Path
from typing import Any

import pytest
from records import experiment, lock
from tick import counted_places, write_campaign

from lem.analysis.results import open_results
from lem.campaign import devices
from lem.config import load
from lem.contract.flags import worst
from lem.contract.record import Gpu, Record
from lem.errors import BadInput, EnvironmentFault
from tests.campaign.bench import Bench, bench
from tests.meters import played

__all__ = ["bench"]

TP: dict[str, Any] = {"sweep": {"engine.tensor_parallel_size": [1, 2, 4]}}


def gpus(n: int) -> list[Gpu]:
    return [
        Gpu(index=i, name="Played GPU", uuid=f"GPU-{i}", driver="0", memory_bytes=1)
        for i in range(n)
    ]


@pytest.mark.parametrize(
    ("engine", "args", "needed"),
    [
        ({}, {}, 1),
        ({"tensor_parallel_size": 4}, {}, 4),
        ({"tensor_parallel_size": 2}, {"pipeline_parallel_size": 3}, 6),
        ({}, {"pp_size": 2}, 2),
        ({"tensor_parallel_size": 2}, {"data_parallel_size": 2}, 4),
        ({"tensor_parallel_size": None}, {"pipeline_parallel_size": "two"}, 1),
        ({}, {"pipeline_parallel_size": True}, 1),
        ({}, {"tensor_parallel_size": 4}, 4),
        ({}, {"tp_size": 2, "dp_size": 2}, 4),
        ({}, {"tensor_parallel_size": "4"}, 4),
        ({}, {"tensor_parallel_size": 4.0}, 4),
        ({}, {"tensor_parallel_size": [4], "pipeline_parallel_size": -2}, 1),
    ],
)
def test_an_engine_uses_the_product_of_its_parallel_sizes(
    engine: dict[str, Any], args: dict[str, Any], needed: int
) -> None:
    assert devices.gpus_needed("tick", engine, args) == needed


@pytest.mark.parametrize(
    ("backend", "engine", "args", "needed"),
    [
        ("transformers", {}, {}, 1),
        ("transformers", {}, {"device_map": "auto"}, None),
        ("transformers", {"tensor_parallel_size": 2}, {"device_map": "auto"}, 2),
        ("llama_cpp", {}, {}, 1),
        ("llama_cpp", {}, {"split_mode": "none"}, 1),
        ("llama_cpp", {}, {"split_mode": "row"}, None),
        ("llama_cpp", {}, {"split_mode": "layer", "tensor_split": [3, 1, 1]}, 3),
        ("vllm", {}, {}, 1),
        ("vllm", {"tensor_parallel_size": 2}, {}, 2),
        ("vllm", {}, {"tensor_parallel_size": 4}, 4),
        ("vllm", {}, {"tensor_parallel_size": "4"}, 4),
        ("vllm", {"tensor_parallel_size": 2}, {"pipeline_parallel_size": 2}, 4),
        ("vllm", {}, {"data_parallel_size": 2, "tensor_parallel_size": 2}, 4),
        ("vllm", {}, {"prefill_context_parallel_size": 2, "tensor_parallel_size": 2}, 4),
        ("vllm", {}, {"decode_context_parallel_size": 2, "tensor_parallel_size": 2}, 2),
        ("vllm", {}, {"enable_expert_parallel": True, "tensor_parallel_size": 2}, 2),
        ("sglang", {}, {}, 1),
        ("sglang", {"tensor_parallel_size": 2}, {"pp_size": 2}, 4),
        ("sglang", {}, {"tp_size": 4}, 4),
        ("sglang", {}, {"tp_size": 2, "pp_size": 2, "dp_size": 2}, 8),
        ("sglang", {}, {"tp_size": 4, "dp_size": 2, "enable_dp_attention": True}, 4),
        ("sglang", {}, {"tp_size": 4, "dp_size": 2, "enable_dp_attention": False}, 8),
        ("sglang", {}, {"tp_size": 4, "attn_dp_size": 2}, 4),
        ("sglang", {}, {"tp_size": 4, "dwdp_size": 4, "dp_size": 4}, 4),
        ("sglang", {}, {"tp_size": 4, "ep_size": 4, "attn_cp_size": 2, "dcp_size": 2}, 4),
        ("tensorrt_llm", {}, {}, 1),
        ("tensorrt_llm", {"tensor_parallel_size": 2}, {}, 2),
        ("tensorrt_llm", {}, {"tensor_parallel_size": 2, "pipeline_parallel_size": 2}, 4),
        ("tensorrt_llm", {"tensor_parallel_size": 2}, {"context_parallel_size": 2}, 4),
        ("tensorrt_llm", {}, {"tensor_parallel_size": 4, "moe_expert_parallel_size": 4}, 4),
    ],
)
def test_a_backend_may_know_better(
    backend: str, engine: dict[str, Any], args: dict[str, Any], needed: int | None
) -> None:
    assert devices.gpus_needed(backend, engine, args) == needed


def file_of(tmp_path: Path, **changes: Any) -> Any:
    return load(write_campaign(tmp_path / "c.yaml", **(TP | changes)))


def test_a_block_runs_on_as_many_as_the_largest_needs(tmp_path: Path) -> None:
    file = file_of(tmp_path)
    assert devices.device_set(file, gpus(8)) == [0, 1, 2, 3]
    assert devices.counts(file, [0, 1, 2, 3]) == [1, 2, 4]


def test_those_that_are_named_in_their_order(tmp_path: Path) -> None:
    file = file_of(tmp_path, gpus=[6, 2, 4, 0, 1])
    assert devices.device_set(file, gpus(8)) == [6, 2, 4, 0]


def test_without_gpus_everything_runs_on_the_cpu(tmp_path: Path) -> None:
    file = file_of(tmp_path)
    assert devices.device_set(file, []) == []
    assert devices.counts(file, []) == [0, 0, 0]


def test_none_named_is_the_cpu_also_beside_gpus(tmp_path: Path) -> None:
    file = file_of(tmp_path, gpus=[])
    assert devices.device_set(file, gpus(8)) == []
    assert devices.counts(file, []) == [0, 0, 0]


def test_too_few_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="needs 4 GPUs; this machine has 2"):
        devices.device_set(file_of(tmp_path), gpus(2))
    with pytest.raises(BadInput, match="needs 4 GPUs; `gpus` names 2"):
        devices.device_set(file_of(tmp_path, gpus=[0, 1]), gpus(8))
    with pytest.raises(EnvironmentFault, match="no GPU 9"):
        devices.device_set(file_of(tmp_path, gpus=[9]), gpus(8))


def test_a_lock_from_before_uses_all_its_gpus() -> None:
    arm = {"arm_id": "a", "label": "a", "settings": {}, "experiment": experiment()}
    old = lock([arm]).model_copy(update={"gpus": [0, 1]})
    assert old.gpus_of(old.arms[0]) == [0, 1]
    new = old.arms[0].model_copy(update={"gpu_count": 1})
    assert old.gpus_of(new) == [0]


def by_size(records: list[Record]) -> dict[int, list[Record]]:
    found: dict[int, list[Record]] = {}
    for r in records:
        size = r.experiment.engine["tensor_parallel_size"]
        assert isinstance(size, int)
        found.setdefault(size, []).append(r)
    return found


def test_where_none_is_named_a_machine_s_boards_are_left_alone(bench: Bench) -> None:
    measure = {"preset": "quick", "window_s": 0.5, "idle_s": 0.5, "settle_s": 0}
    file = write_campaign(bench.folder / "c.yaml", gpus=[], measure=measure)
    done = bench.lem("campaign", "run", file, "--out", bench.out, "--blocks", 1)
    assert done.returncode == 0, done.stderr
    records = bench.records()
    assert records
    for r in records:
        assert (r.environment.gpus, r.environment.device_set) == ([], ["cpu"])
        assert all(e.device_class != "gpu" for w in r.windows for e in w.energy)
        assert any(e.device_class == "estimated" for w in r.windows for e in w.energy)


def test_each_arm_meters_the_gpus_that_it_uses(bench: Bench) -> None:
    """Boards draw 250, 150, 100 and 50 W; the first reads 3 % too much."""
    boards = {
        i: played.Board([(played.NEVER, w, w)], {"gain": 1.03 if i == 0 else 1.0})
        for i, w in enumerate((250.0, 150.0, 100.0, 50.0))
    }
    bench.play(boards, devices=4)
    measure = {
        "preset": "quick",
        "window_s": 1.0,
        "idle_s": 0.5,
        "settle_s": 0,
        "warm_up_cap_s": 0.1,
    }
    file = write_campaign(bench.folder / "c.yaml", **TP, measure=measure)
    done = bench.lem("campaign", "run", file, "--out", bench.out, "--blocks", 2)
    assert done.returncode == 0, done.stderr
    assert len(bench.records()) == 6
    # On a machine that does much else a reading may come too late for a window; such runs say so.
    good = {arm for _, arm in counted_places(bench.out)}
    assert len(good) == 3
    uuids = [f"GPU-00000000-0000-0000-0000-{i:012d}" for i in range(4)]
    for size, runs in by_size(bench.records()).items():
        read_w = sum((257.5, 150.0, 100.0, 50.0)[:size])
        for r in runs:
            assert [g.uuid for g in r.environment.gpus] == uuids[:size]
            assert r.environment.device_set == uuids
            assert r.environment.device_set_names == ["Played GPU"] * 4
            if worst(r.flags) != "info":
                continue
            gpu = [e for e in r.windows[0].energy if e.device_class == "gpu"]
            assert [e.device for e in gpu] == [f"gpu{i}" for i in range(size)]
            power = r.metrics["mean_power_w"]
            assert isinstance(power, dict)
            assert power["gpu"].value == pytest.approx(read_w, rel=0.03)
    compared = open_results(bench.out).compare()
    assert compared.hardware.startswith("4 × Played GPU")
    key = "energy_per_output_token_j.gpu"
    shared = {a.name: a.ratios[key].shared_log for a in compared.arms if not a.baseline}
    # Shares of 257.5 : 150 : 100 : 50; the baseline has all of it on the first board.
    two = [257.5 / 407.5 - 1, 150 / 407.5]
    four = [257.5 / 557.5 - 1, 150 / 557.5, 100 / 557.5, 50 / 557.5]
    for arm, contrast in zip(sorted(shared, key=lambda n: n[-1]), (two, four), strict=True):
        expected = 0.034 * sum(c * c for c in contrast) ** 0.5
        assert shared[arm] == pytest.approx(expected, rel=0.03)
    assert "gains cancel only in part" in " ".join(done.stdout.split())


def test_a_board_that_is_lost_leaves_no_figure_of_the_others_alone(bench: Bench) -> None:
    bench.play({1: played.Board(options={"no_energy": 1, "no_power": 1})}, devices=2)
    file = write_campaign(bench.folder / "c.yaml", sweep={"engine.tensor_parallel_size": [1, 2]})
    bench.lem("campaign", "run", file, "--out", bench.out, "--blocks", 1)
    found = by_size(bench.records())
    assert "no_meter" not in found[1][0].flags
    assert "no_meter" in found[2][0].flags
    for metric in ("energy_per_output_token_j", "mean_power_w"):
        values = found[2][0].metrics.get(metric, {})
        assert isinstance(values, dict) and "gpu" not in values


def test_power_limits_are_set_on_the_boards_of_the_run_alone(bench: Bench) -> None:
    bench.play(devices=3)
    file = write_campaign(
        bench.folder / "c.yaml",
        sweep={"engine.tensor_parallel_size": [1, 2]},
        experiments=[{"engine.tensor_parallel_size": 2, "device.power_limit_w": 300}],
    )
    done = bench.lem("campaign", "run", file, "--out", bench.out, "--blocks", 1)
    assert done.returncode == 0, done.stderr
    limits = {
        (
            r.experiment.engine["tensor_parallel_size"],
            tuple(g.power_limit_w for g in r.environment.gpus),
        )
        for r in bench.records()
    }
    assert limits == {(1, (700.0,)), (2, (700.0, 700.0)), (2, (300.0, 300.0))}
    assert played.settings(bench.config)[:3] == [(700_000, 0), (700_000, 0), (0, 0)]
