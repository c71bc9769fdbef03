"""From a campaign's keys to its experiments."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from lem.config import CampaignFile, Draft, parse, select
from lem.config.paths import parse_path, value_at
from lem.errors import BadInput


def campaign(**keys: Any) -> CampaignFile:
    data: dict[str, Any] = {
        "version": 1,
        "name": "test",
        "models": [{"id": "org/model"}],
        "backends": {"transformers": {}},
    }
    return parse(yaml.safe_dump(data | keys, sort_keys=False), "test.yaml")


BOTH: dict[str, Any] = {"transformers": {}, "llama_cpp": {}}


def batches(file: CampaignFile) -> list[tuple[str, Any]]:
    return [(d.backend, d.engine.get("max_batch_size")) for d in file.drafts]


def test_without_a_sweep_there_is_one_experiment_for_each_model_and_backend() -> None:
    file = campaign(models=[{"id": "a/b"}, {"id": "a/c"}], backends=BOTH)
    assert [(d.model.id, d.backend) for d in file.drafts] == [
        ("a/b", "llama_cpp"),
        ("a/b", "transformers"),
        ("a/c", "llama_cpp"),
        ("a/c", "transformers"),
    ]
    assert [d.label for d in file.drafts] == [
        "b · llama_cpp",
        "b · transformers",
        "c · llama_cpp",
        "c · transformers",
    ]
    assert file.baseline == 0


def test_a_grid_is_every_combination_in_the_order_of_paths_and_lists() -> None:
    file = campaign(sweep={"engine.max_batch_size": [4, 1], "args.x": [True, False]})
    assert [(d.args["x"], d.engine["max_batch_size"]) for d in file.drafts] == [
        (True, 4),
        (True, 1),
        (False, 4),
        (False, 1),
    ]
    assert file.drafts[1].settings == {"args.x": True, "engine.max_batch_size": 1}
    assert file.drafts[1].label == "x true · max_batch_size 1"


def test_an_axis_of_one_backend_leaves_one_experiment_on_the_others() -> None:
    file = campaign(
        backends=BOTH,
        sweep={"engine.max_batch_size": [1, 2], "llama_cpp.args.flash": [True, False]},
    )
    found = [(d.backend, d.engine["max_batch_size"], d.args) for d in file.drafts]
    assert found == [
        ("llama_cpp", 1, {"flash": True}),
        ("llama_cpp", 2, {"flash": True}),
        ("llama_cpp", 1, {"flash": False}),
        ("llama_cpp", 2, {"flash": False}),
        ("transformers", 1, {}),
        ("transformers", 2, {}),
    ]
    assert [d.label for d in file.drafts][-2:] == [
        "transformers · max_batch_size 1",
        "transformers · max_batch_size 2",
    ]
    assert len({d.label for d in file.drafts}) == 6


def test_swept_values_take_the_place_of_those_in_the_section() -> None:
    file = campaign(
        backends=BOTH,
        engine={"max_batch_size": 7, "dtype": "auto"},
        sweep={"llama_cpp.engine.max_batch_size": [1, 2]},
    )
    assert batches(file) == [("llama_cpp", 1), ("llama_cpp", 2), ("transformers", 7)]
    assert all(d.engine["dtype"] == "auto" for d in file.drafts)


def test_arguments_for_all_and_for_one_backend_come_together() -> None:
    file = campaign(args={"a": 1}, backends={"transformers": {"args": {"b": {"c": 2}}}},
                    sweep={"args.b.d": [3]})  # fmt: skip
    assert file.drafts[0].args == {"a": 1, "b": {"c": 2, "d": 3}}


def test_arguments_nest_and_are_swept_at_any_depth() -> None:
    config = {"pass_config": {"fuse_norm_quant": True, "sizes": [[1, 2], {"x": None}]}}
    path = "args.compilation_config.pass_config.fuse_norm_quant"
    file = campaign(args={"compilation_config": config}, sweep={path: [True, False]})
    on, off = file.drafts
    assert on.args == {"compilation_config": config}
    assert off.args == {
        "compilation_config": {"pass_config": config["pass_config"] | {"fuse_norm_quant": False}}
    }
    assert [d.label for d in file.drafts] == ["fuse_norm_quant true", "fuse_norm_quant false"]
    assert select({path: False}, file.drafts) == [1]
    deepest = "args" + ".x" * 9
    assert value_at(campaign(sweep={deepest: [7]}).drafts[0], parse_path(deepest, ())) == 7


def test_values_that_are_the_same_count_once() -> None:
    assert len(campaign(sweep={"args.x": [1, 1.0, 1e0]}).drafts) == 1
    assert len(campaign(sweep={"args.x": [1, True, "1", None]}).drafts) == 4


def test_null_leaves_an_engine_setting_to_the_engine() -> None:
    file = campaign(sweep={"engine.quantization": [None, "int8"]})
    assert [d.engine for d in file.drafts] == [{}, {"quantization": "int8"}]
    assert [d.label for d in file.drafts] == ["quantization default", "quantization int8"]


def test_the_workload_can_be_swept_even_in_its_kind() -> None:
    file = campaign(
        workload={"dataset": {"output_tokens": 8}, "arrival": {"kind": "concurrency"}},
        sweep={
            "workload.dataset.kind": ["random", "prompts"],
            "workload.arrival.concurrency": {"low": 1, "high": 4, "scale": "log2"},
        },
    )
    assert len(file.drafts) == 6
    assert {d.workload.dataset.kind for d in file.drafts} == {"random", "prompts"}
    assert all(d.workload.dataset.output_tokens == 8 for d in file.drafts)
    assert file.drafts[0].label == "concurrency 1 · kind random"


def test_exclude_takes_points_out_of_the_grid_but_not_explicit_ones() -> None:
    file = campaign(
        backends=BOTH,
        sweep={"engine.max_batch_size": [1, 2]},
        exclude=[{"backend": "llama_cpp"}],
        experiments=[
            {"backend": "llama_cpp", "engine.max_batch_size": 2},
            {"backend": "transformers", "engine.max_batch_size": 1},
        ],
    )
    assert batches(file) == [("transformers", 1), ("transformers", 2), ("llama_cpp", 2)]


def test_explicit_points_may_name_paths_of_one_backend() -> None:
    file = campaign(backends=BOTH, experiments=[{"llama_cpp.args.x": 5}])
    assert [d.args for d in file.drafts] == [{}, {}, {"x": 5}]
    assert [d.label for d in file.drafts] == ["llama_cpp", "transformers", "llama_cpp · x 5"]


def test_the_baseline_is_the_one_that_matches() -> None:
    file = campaign(
        backends=BOTH,
        sweep={"engine.max_batch_size": [1, 2]},
        baseline={"transformers.engine.max_batch_size": 2.0},
    )
    assert batches(file)[file.baseline] == ("transformers", 2)


def test_a_swept_launcher_makes_arms_of_each_experiment() -> None:
    file = campaign(sweep={"launcher": ["docker", "process"]})
    assert [d.launcher for d in file.drafts] == ["docker", "process"]
    assert [d.label for d in file.drafts] == ["launcher docker", "launcher process"]
    assert [d.launcher for d in campaign(launcher="docker").drafts] == [None]
    mixed = {"backends": BOTH, "sweep": {"llama_cpp.launcher": ["docker", "process"]}}
    assert [d.launcher for d in campaign(**mixed, launcher="process").drafts] == [
        "docker",
        "process",
        "process",
    ]
    with pytest.raises(BadInput, match="which the others use"):
        campaign(**mixed)


def test_models_of_one_name_are_told_apart() -> None:
    file = campaign(
        models=[{"id": "a/m"}, {"id": "b/m"}, {"id": "a/m", "revision": "v2"}, {"id": "c/other"}]
    )
    assert [d.label for d in file.drafts] == ["a/m@1", "b/m", "a/m@v2", "other"]


def test_paths_that_end_alike_are_told_apart() -> None:
    file = campaign(sweep={"args.a.x": [1, 2], "args.b.x": [1, 2]})
    assert file.drafts[0].label == "a.x 1 · b.x 1"


def test_local_models_are_found_from_the_files_folder() -> None:
    text = "version: 1\nname: t\nmodels: [{id: ./m}, {id: ../n.gguf}, {id: /abs/o}, {id: p/q}]\n"
    text += "backends: {transformers: {}}\nbaseline: {model.id: ./m}\n"
    file = parse(text, "/data/campaigns/c.yaml")
    assert [m.id for m in file.spec.models] == [
        "/data/campaigns/m",
        "/data/n.gguf",
        "/abs/o",
        "p/q",
    ]
    assert [d.model.id for d in file.drafts] == [m.id for m in file.spec.models]
    assert file.baseline == 0
    assert select({"model.id": "n.gguf"}, file.drafts) == [1]
    # Where the folder is does not matter to what the campaign is.
    assert parse(text, "elsewhere/c.yaml").digest == file.digest


def test_select_finds_by_any_path() -> None:
    drafts = campaign(
        backends=BOTH, sweep={"engine.max_batch_size": [1, 2], "llama_cpp.args.x": ["1", 1]}
    ).drafts

    def found(**selector: Any) -> list[str]:
        paths = {k.replace("__", "."): v for k, v in selector.items()}
        return [drafts[i].label for i in select(paths, drafts)]

    assert len(found(backend="transformers")) == 2
    assert len(found(engine__max_batch_size=2)) == 3
    assert len(found(args__x="1")) == len(found(args__x=1)) == 2
    assert found(args__x=None) == found(backend="transformers")
    assert found(llama_cpp__engine__max_batch_size=3) == []
    assert len(found(generate__temperature=0, workload__arrival__kind="offline")) == 6
    with pytest.raises(BadInput, match=r"did you mean 'engine\.dtype'"):
        select({"engine.dtpe": "auto"}, drafts)


def test_sections_left_empty_are_sections_left_out() -> None:
    text = """\
version: 1
name: test
models: [{id: org/model}]
backends:
  transformers:
engine:
sweep:
exclude:
experiments:
baseline:
workload: {dataset: , arrival: }
generate:
device:
measure:
"""
    assert parse(text, "a").digest == campaign().digest


def test_ten_thousand_experiments_are_all_there() -> None:
    file = campaign(
        sweep={f"args.x{i}": list(range(10)) for i in range(4)},
        baseline={"args.x0": 3, "args.x1": 1, "args.x2": 4, "args.x3": 1},
    )
    assert len({d.label for d in file.drafts}) == 10_000
    assert file.baseline == 3141


def test_where_points_into_the_file() -> None:
    text = """\
version: 1
name: test
models: [{id: org/model}]
backends:
  transformers: {}
  llama_cpp:
    args: {threads: 1}
engine:
  dtype: auto
  max_batch_size: 4
sweep:
  engine.max_batch_size: [1, 2]
  llama_cpp.args.flash: [true]
"""
    file = parse(text, "f.yaml")
    assert file.path == Path("f.yaml")
    assert file.where("engine.max_batch_size") == (12, 3)
    assert file.where("engine.dtype") == (9, 3)
    assert file.where("args.flash") == (13, 3)
    assert file.where("llama_cpp.args.flash") == (13, 3)
    assert file.where("args.threads") == (7, 12)
    assert file.where("backends.llama_cpp.args") == (7, 5)
    assert file.where("model.id") == (3, 1)
    assert file.where("backend") == (4, 1)
    assert file.where("device.power_limit_w") is None


def test_drafts_spell_out_what_is_the_same_everywhere() -> None:
    draft: Draft = campaign(generate={"top_k": 5.0, "repetition_penalty": 2.0}).drafts[0]
    assert draft.generate == {
        "temperature": 0.0,
        "ignore_eos": False,
        "top_k": 5,
        "repetition_penalty": 2.0,
    }
    # What goes on untouched keeps its type: some engines insist on a float.
    assert type(draft.generate["repetition_penalty"]) is float
    assert draft.workload.arrival.kind == "offline"


def test_shapes_are_swept_named_and_selected() -> None:
    file = campaign(
        sweep={"workload.dataset.shape": ["128/128", "512/256", "8192/1024"]},
        exclude=[{"workload.dataset.shape": "512/256"}],
        baseline={"workload.dataset.shape": "8192/1024"},
    )
    assert [d.label for d in file.drafts] == ["shape 128/128", "shape 8192/1024"]
    lengths = [(d.workload.dataset.input_tokens, d.workload.dataset.output_tokens)  # type: ignore[union-attr]
               for d in file.drafts]  # fmt: skip
    assert lengths == [(128, 128), (8192, 1024)]
    assert file.baseline == 1
    # An experiment of that shape is found however its file spells it.
    spelled = campaign(workload={"dataset": {"input_tokens": 8192, "output_tokens": 1024}})
    assert select({"workload.dataset.shape": "8192/1024"}, spelled.drafts) == [0]
    drawn = campaign(workload={"dataset": {"input_tokens": {"low": 1, "high": 9}}})
    assert select({"workload.dataset.shape": "null"}, drawn.drafts) == []


def test_lengths_are_swept_whole_or_by_one_end() -> None:
    file = campaign(
        sweep={"workload.dataset.input_tokens": {"low": 128, "high": 512, "scale": "log2"}}
    )
    assert [d.workload.dataset.input_tokens for d in file.drafts] == [128, 256, 512]  # type: ignore[union-attr]
    ends = campaign(
        workload={"dataset": {"input_tokens": {"low": 8, "high": 64}}},
        sweep={"workload.dataset.input_tokens.high": [64.0, 128]},
    )
    assert [d.workload.dataset.input_tokens.high for d in ends.drafts] == [64, 128]  # type: ignore[union-attr]
    taken = campaign(
        workload={"dataset": {"input_tokens": {"low": 8, "high": 64}}},
        sweep={"workload.dataset.input_tokens": [32]},
    )
    assert taken.drafts[0].workload.dataset.input_tokens == 32  # type: ignore[union-attr]


def test_kinds_of_data_sets_are_swept() -> None:
    file = campaign(sweep={"workload.dataset.kind": ["random", "prompts", "long_context"]})
    assert [d.label for d in file.drafts] == ["kind random", "kind prompts", "kind long_context"]
