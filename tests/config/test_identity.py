"""What makes two experiments, or two files, the same."""

import hashlib
import itertools
import random
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lem.config import (
    CampaignFile,
    arm_id,
    experiment_id,
    experiment_of,
    model_name,
    parse,
)
from lem.contract.spec import Experiment, ExperimentModel, ModelSpec

COMMIT = "c1899de289a04d12100db370d81485cdf75e47ca"
MODEL = ExperimentModel(
    id="Qwen/Qwen3-0.6B", revision=COMMIT, content=f"hub:{COMMIT}", weights="trained"
)

GOLDEN_FILE = """\
version: 1
name: golden
models: [{id: Qwen/Qwen3-0.6B, revision: main}]
backends:
  transformers: {args: {attn_implementation: sdpa, nested: {b: 1.5, a: null}, list: [2, 1]}}
engine: {dtype: bfloat16, max_batch_size: 4}
workload:
  requests: 200
  dataset: {kind: random, input_tokens: 512, output_tokens: 128}
  arrival: {kind: concurrency, concurrency: 8}
  slo: {ttft_ms: 500}
generate: {temperature: 0, ignore_eos: true, top_p: 0.9}
device: {power_limit_w: 250}
"""

GOLDEN_JSON = (
    '{"args":{"attn_implementation":"sdpa","list":[2,1],"nested":{"a":null,"b":1.5}},'
    '"backend":"transformers",'
    '"device":{"power_limit_w":250},'
    '"engine":{"dtype":"bfloat16","max_batch_size":4},'
    '"engine_version":"5.5.0",'
    '"generate":{"ignore_eos":true,"temperature":0,"top_p":0.9},'
    '"model":{"content":"hub:c1899de289a04d12100db370d81485cdf75e47ca"},'
    '"requests_sha256":"abababababababababababababababababababababababababababababababab",'
    '"workload":{"arrival":{"concurrency":8,"kind":"concurrency"},'
    '"dataset":{"input_tokens":512,"kind":"random","output_tokens":128},'
    '"requests":200,"slo":{"ttft_ms":500}}}'
)
"""Written by hand: what an experiment's id is the SHA-256 of."""

GOLDEN_ID = "aa9669fd3f260b70620028f553c980d4a1788e7886abf05d6bfdca4ceb76a829"
"""Results all over the world go by such ids. If this test fails, the change must not be made."""

GOLDEN_DIGEST = "d17e8e5ec58534d50186b8db3ec415f409a707ad07ec22bd6c2947c3aaeab546"


def experiment(file: CampaignFile, i: int = 0, model: ExperimentModel = MODEL) -> Experiment:
    return experiment_of(file.drafts[i], model, "5.5.0", "ab" * 32)


def ids(file: CampaignFile) -> set[str]:
    return {experiment_id(experiment(file, i)) for i in range(len(file.drafts))}


def test_an_id_never_changes() -> None:
    file = parse(GOLDEN_FILE, "golden.yaml")
    assert experiment_id(experiment(file)) == GOLDEN_ID
    assert hashlib.sha256(GOLDEN_JSON.encode()).hexdigest() == GOLDEN_ID


def test_a_digest_never_changes() -> None:
    assert parse(GOLDEN_FILE, "golden.yaml").digest == GOLDEN_DIGEST


def test_a_model_goes_by_its_content_not_its_name() -> None:
    file = parse(GOLDEN_FILE, "golden.yaml")
    copy = MODEL.model_copy(update={"id": "/home/me/qwen", "revision": None})
    assert experiment_id(experiment(file, 0, copy)) == GOLDEN_ID
    other = MODEL.model_copy(update={"content": "hub:" + "0" * 40})
    assert experiment_id(experiment(file, 0, other)) != GOLDEN_ID


def test_a_provisional_id_goes_by_name() -> None:
    file = parse(GOLDEN_FILE, "golden.yaml")
    before = MODEL.model_copy(update={"content": "provisional"})
    renamed = before.model_copy(update={"id": "a/b"})
    found = {experiment_id(experiment(file, 0, m)) for m in (MODEL, before, renamed)}
    assert len(found) == 3


def test_arms() -> None:
    assert arm_id(GOLDEN_ID, None) == GOLDEN_ID
    assert arm_id(GOLDEN_ID, "process") == GOLDEN_ID + "-process"


def test_a_local_models_name_tells_nothing_of_its_machine() -> None:
    assert model_name(ModelSpec(id="/home/me/models/qwen")) == "qwen"
    assert model_name(ModelSpec(id="org/name")) == "org/name"


def test_an_id_with_deeper_arguments_is_the_hash_of_its_json_too() -> None:
    """However its mappings are ordered and its whole numbers are written."""
    canonical = '{"a":{"fuse":true,"sizes":[1,{"a":null,"b":2}]},"b":1.5}'
    expected = GOLDEN_JSON.replace('{"a":null,"b":1.5}', canonical)
    assert canonical in expected
    for nested in (
        "{b: 1.5, a: {sizes: [1, {b: 2.0, a: null}], fuse: true}}",
        "{a: {fuse: true, sizes: [1.0, {a: null, b: 2}]}, b: 1.5}",
    ):
        text = GOLDEN_FILE.replace("{b: 1.5, a: null}", nested)
        assert nested in text
        found = experiment_id(experiment(parse(text, "golden.yaml")))
        assert found == hashlib.sha256(expected.encode()).hexdigest()


SPELLED_OUT: dict[str, Any] = {
    "engine": {"quantization": None, "tensor_parallel_size": None},
    "args": {},
    "sampler": {"kind": "grid"},
    "exclude": [],
    "experiments": [],
    "generate": {"top_k": None, "seed": None},
    "device": {"sm_clock_mhz": None},
    "measure": {"preset": "standard", "precision": 0.02, "max_blocks": 40, "time_budget": None,
                "seed": 1, "quality": [], "windows": 1, "window_s": 10, "idle_s": 5.0},
    "gpus": "auto",
    "parallel_blocks": "auto",
    "launcher": {"kind": "auto"},
    "submit": "ask",
    "trust_remote_code": False,
    "limits": {"load_s": 1800, "run_s": 3600, "memory_bytes": None, "pids": 4096},
}  # fmt: skip

PLAIN: dict[str, Any] = {
    "version": 1,
    "name": "same",
    "models": [{"id": "a/b"}, {"id": "a/c", "revision": "main"}],
    "backends": {"transformers": {"args": {"x": 1, "y": {"p": 2, "q": 0.5}}}, "llama_cpp": {}},
    "engine": {"dtype": "auto", "max_model_len": 4096},
    "sweep": {
        "engine.max_batch_size": [1, 4, 16],
        "llama_cpp.args.flash": [True, False],
        "generate.temperature": {"low": 0, "high": 1, "num": 2},
    },
    "baseline": {"backend": "transformers", "engine.max_batch_size": 1, "model.id": "a/b",
                 "generate.temperature": 0},
    "workload": {"requests": 10, "dataset": {"kind": "random", "output_tokens": 5}},
    "generate": {"ignore_eos": True, "penalty": 2},
    "limits": {"run_s": 3600},
}  # fmt: skip


def respelled(value: Any, rng: random.Random) -> Any:
    """The same meaning in another spelling: keys in another order, 1 as 1.0 and back."""
    if isinstance(value, dict):
        items = [(k, respelled(v, rng)) for k, v in value.items()]
        rng.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        return [respelled(v, rng) for v in value]
    if isinstance(value, int) and not isinstance(value, bool) and rng.random() < 0.5:
        return float(value)
    return value


def merged(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    both = {**b, **a}
    for key in a.keys() & b.keys():
        if isinstance(a[key], dict) and isinstance(b[key], dict):
            both[key] = merged(a[key], b[key])
    return both


@settings(max_examples=40)
@given(st.randoms(use_true_random=False), st.sets(st.sampled_from(sorted(SPELLED_OUT))))
def test_spelling_makes_no_difference(rng: random.Random, sections: set[str]) -> None:
    plain = parse(yaml.safe_dump(PLAIN, sort_keys=False), "plain.yaml")
    data = merged(PLAIN, {k: SPELLED_OUT[k] for k in sections})
    text = yaml.safe_dump(respelled(data, rng), sort_keys=False, indent=rng.choice([2, 4]))
    text = "# a comment\n" + text
    other = parse(text, "other.yaml")
    assert other.digest == plain.digest
    assert [d.label for d in other.drafts] == [d.label for d in plain.drafts]
    assert other.baseline == plain.baseline
    assert ids(other) == ids(plain)


def test_every_default_spelled_out_is_the_default() -> None:
    text = yaml.safe_dump(merged(PLAIN, SPELLED_OUT))
    assert parse(text, "a").digest == parse(yaml.safe_dump(PLAIN), "b").digest


CHANGES: list[tuple[str, Any]] = [
    ("name", "other"),
    ("engine.dtype", "float16"),
    ("engine.max_model_len", 4097),
    ("backends.transformers.args.x", 2),
    ("backends.transformers.args.x", "1"),
    ("backends.transformers.args.x", True),
    ("backends.transformers.args.y.q", 0.25),
    ("backends.transformers.args.z", None),
    ("backends.transformers.base_image", "python:3.11"),
    ("workload.requests", 11),
    ("workload.dataset.output_tokens", 6),
    ("workload.arrival", {"kind": "concurrency"}),
    ("workload.slo", {"itl_ms": 50}),
    ("generate.ignore_eos", False),
    ("generate.penalty", 2.5),
    ("generate.top_p", 1),
    ("device.sm_clock_mhz", 1200),
    ("models", [{"id": "a/b"}, {"id": "a/c"}]),
    ("baseline.engine.max_batch_size", 4),
    ("measure.seed", 2),
    ("measure.preset", "publication"),
    ("measure.blocks", 5),
    ("limits.run_s", 3601),
    ("gpus", [0]),
    ("trust_remote_code", True),
    ("launcher", "process"),
]


def changed(path: str, value: Any) -> CampaignFile:
    data: dict[str, Any] = yaml.safe_load(yaml.safe_dump(PLAIN))
    inner = data
    *parents, last = path.split(".", 1) if path.startswith("baseline") else path.split(".")
    for key in parents:
        inner = inner.setdefault(key, {})
    inner[last] = value
    return parse(yaml.safe_dump(data), "changed.yaml")


def test_every_difference_makes_a_difference() -> None:
    digests = [changed(path, value).digest for path, value in CHANGES]
    digests.append(parse(yaml.safe_dump(PLAIN), "plain").digest)
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize("path", ["name", "measure.seed", "limits.run_s", "launcher",
                                  "backends.transformers.base_image"])  # fmt: skip
def test_how_it_is_measured_is_no_part_of_an_experiment(path: str) -> None:
    (value,) = [v for p, v in CHANGES if p == path]
    assert ids(changed(path, value)) == ids(parse(yaml.safe_dump(PLAIN), "plain"))


def test_what_is_submitted_is_no_part_of_what_is_measured() -> None:
    assert changed("submit", "never").digest == changed("submit", "always").digest


def test_experiments_that_differ_have_different_ids() -> None:
    file = parse(yaml.safe_dump(PLAIN), "plain")
    own = [d for d in file.drafts if d.model.id == "a/b"]
    found = [experiment_id(experiment_of(d, MODEL, "1", "cd" * 32)) for d in own]
    # 3 batch sizes × 2 temperatures, twice as many for llama_cpp with and without flash.
    assert len(set(found)) == len(found) == 18
    versions = itertools.product(("1", "2"), ("ab" * 32, "cd" * 32))
    assert len({experiment_id(experiment_of(own[0], MODEL, v, r)) for v, r in versions}) == 4


FILE_JSON = (
    '{"args":{},"backend":"transformers","device":{},"engine":{},"engine_version":"5.5.0",'
    '"generate":{"ignore_eos":false,"temperature":0},'
    '"model":{"content":"hub:c1899de289a04d12100db370d81485cdf75e47ca"},'
    '"requests_sha256":"abababababababababababababababababababababababababababababababab",'
    '"workload":{"arrival":{"kind":"trace","sha256":"' + "d" * 64 + '","speed":2},'
    '"dataset":{"kind":"trace","max_input_tokens":4096,"sha256":"' + "d" * 64 + '"},'
    '"requests":50,"slo":{}}}'
)
"""Written by hand: files go by their content."""


def test_an_id_with_files_never_changes() -> None:
    file = parse(
        "version: 1\nname: x\nmodels: [{id: a/b}]\nbackends: {transformers: {}}\n"
        "workload:\n  requests: 50\n"
        f"  dataset: {{kind: trace, path: t.jsonl, sha256: {'d' * 64}, max_input_tokens: 4096}}\n"
        f"  arrival: {{kind: trace, path: x/u.jsonl, sha256: {'d' * 64}, speed: 2}}\n",
        "x.yaml",
    )
    assert experiment_id(experiment(file)) == hashlib.sha256(FILE_JSON.encode()).hexdigest()


def with_dataset(dataset: str, rest: str = "") -> CampaignFile:
    return parse(
        "{version: 1, name: x, models: [{id: a/b}], backends: {transformers: {}}, "
        f"workload: {{dataset: {dataset}}}{rest}}}",
        "x.yaml",
    )


def test_a_shape_is_its_lengths() -> None:
    spelled = with_dataset("{kind: random, input_tokens: 2048, output_tokens: 512}")
    for shaped in (
        with_dataset("{kind: random, shape: 2048/512}"),
        with_dataset("{shape: 2048/512}"),
    ):
        assert ids(shaped) == ids(spelled) and shaped.digest == spelled.digest
    swept = with_dataset("{}", ", sweep: {workload.dataset.shape: [2048/512]}")
    assert ids(swept) == ids(spelled)
    over = with_dataset("{shape: 1/1}", ", sweep: {workload.dataset.shape: [2048/512]}")
    assert ids(over) == ids(spelled)


def test_data_sets_that_differ_have_different_ids() -> None:
    drawn = "{distribution: uniform, low: 1, high: 512}"
    log = "{distribution: lognormal, median: 99, sigma: 1, high: 512}"
    datasets = [
        "{}", "{kind: prompts}", "{kind: long_context}", f"{{input_tokens: {drawn}}}",
        f"{{output_tokens: {drawn}}}", f"{{input_tokens: {log}}}", "{turns: 2}", "{turns: 3}",
        "{prefix_tokens: 9}", "{prefix_tokens: 9, prefixes: 2}",
        *(f"{{kind: {k}, path: a, sha256: {s * 64}}}" for k in ("jsonl", "sharegpt", "trace")
          for s in "ab"),
        f"{{kind: sharegpt, path: a, sha256: {'a' * 64}, turns: 2}}",
        f"{{kind: sharegpt, path: a, sha256: {'a' * 64}, max_total_tokens: 2048}}",
    ]  # fmt: skip
    found = [ids(with_dataset(d)) for d in datasets]
    assert len(set().union(*found)) == len(datasets)


def test_spelling_out_what_a_distribution_is_by_default_makes_no_difference() -> None:
    short = with_dataset("{input_tokens: {low: 1, high: 9}}")
    assert ids(short) == ids(
        with_dataset("{input_tokens: {distribution: uniform, low: 1.0, high: 9}}")
    )
