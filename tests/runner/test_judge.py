"""Campaigns of strangers against a runner's policy."""

import copy
import random
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lem.config import parse as parse_campaign
from lem.contract.lock import Overrides
from lem.contract.queue import MAX_CAMPAIGN_BYTES
from lem.runner import names
from lem.runner.judge import Verdict, judged, of_experiment, refusals
from lem.runner.policy import Policy, parse
from tests.campaign.test_lock import staged

SHA = "0" * 64
DEFAULTS = Policy()


def campaign(**changes: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "version": 1,
        "name": "harmless",
        "models": [{"id": "Qwen/Qwen3-0.6B"}],
        "backends": {"vllm": {}},
        "sweep": {"engine.max_batch_size": [1, 4]},
        "workload": {"requests": 20, "dataset": {"kind": "random", "input_tokens": 8}},
    }
    return {**copy.deepcopy(spec), **changes}


def verdict(
    spec: dict[str, Any] | str, policy: Policy = DEFAULTS, launcher: str = "docker"
) -> Verdict:
    text = spec if isinstance(spec, str) else yaml.safe_dump(spec)
    return judged(text, "campaign.yaml", policy, launcher)


def test_a_harmless_campaign_may_be_run() -> None:
    found = verdict(
        campaign(
            models=[
                {"id": "Qwen/Qwen3-0.6B", "revision": "releases/1.0"},
                {"synthetic": {"layers": 2}},
            ],
            backends={"vllm": {"args": {"enforce_eager": True}}, "transformers": {}},
            engine={"quantization": "awq", "dtype": "bfloat16"},
            sweep={"vllm.args.max_num_batched_tokens": [512, 1024], "generate.top_p": [0.5, 1]},
            measure={"preset": "quick", "quality": ["nll", "agreement"]},
        )
    )
    assert found.file is not None and not found.declined and not found.unfit


HOSTILE: dict[str, dict[str, Any]] = {
    "folder": {"models": [{"id": "/etc"}]},
    "folder here": {"models": [{"id": "./secrets"}]},
    "folder above": {"models": [{"id": "../../root/.ssh"}]},
    "home": {"models": [{"id": "~/models/x"}]},
    "gguf file": {"models": [{"id": "models/x.gguf"}], "backends": {"llama_cpp": {}}},
    "gguf in a repository": {"models": [{"id": "Qwen/x", "gguf_file": "/etc/passwd"}]},
    "unknown publisher": {"models": [{"id": "mallory/pickle"}]},
    "nearly a publisher": {"models": [{"id": "Qwen-/x"}]},
    "revision": {"models": [{"id": "Qwen/x", "revision": "../../../etc"}]},
    "revision with a blank": {"models": [{"id": "Qwen/x", "revision": "main --upload-pack=x"}]},
    "revision that anybody makes": {"models": [{"id": "Qwen/x", "revision": "refs/pr/1"}]},
    "revision by its short name": {"models": [{"id": "Qwen/x", "revision": "pr/1"}]},
    "wheel": {"models": [{"wheel": {"package": "evil", "version": "1", "file": "m.gguf",
                                    "sha256": SHA}}]},
    "wheel under a good name": {"models": [{"id": "Qwen/x", "wheel": {
        "package": "evil", "version": "1", "file": "m.gguf", "sha256": SHA}}]},
    "synthetic giant": {"models": [{"synthetic": {"layers": 128, "hidden_size": 16384}}]},
    "synthetic layers": {"models": [{"synthetic": {"layers": 10**7}}]},
    "synthetic heads": {"models": [{"synthetic": {"heads": 4, "kv_heads": 1000}}]},
    "synthetic heads that are wide": {"models": [{"synthetic": {"config": {"head_dim": 2**20}}}]},
    "synthetic experts": {"models": [{"synthetic": {
        "architecture": "qwen3_moe", "hidden_size": 2048, "layers": 48}}]},
    "synthetic config": {"models": [{"synthetic": {"config": {"auto_map": {"A": "x.y"}}}}]},
    "synthetic config value": {"models": [{"synthetic": {"config": {"hidden_act": "../x"}}}]},
    "synthetic architecture": {"models": [{"synthetic": {"architecture": "../../x"}}]},
    "image": {"backends": {"vllm": {"image": "mallory/vllm"}}},
    "base image": {"backends": {"vllm": {"base_image": "mallory/base"}}},
    "python": {"backends": {"vllm": {"python": "/tmp/python"}}},
    "backend": {"backends": {"openai": {"args": {"base_url": "http://127.0.0.1:1/v1"}}},
                "workload": {"arrival": {"kind": "concurrency"}}},
    "remote code": {"trust_remote_code": True},
    "remote code as an argument": {"args": {"trust_remote_code": True}},
    "argument": {"args": {"tokenizer": "mallory/x"}},
    "argument of one backend": {"backends": {"vllm": {"args": {"chat_template": "{{ 7 * 7 }}"}}}},
    "swept argument": {"sweep": {"args.speculative_config": [None, "x"]}},
    "swept argument of one backend": {"sweep": {"vllm.args.download_dir": ["/", "/root"]}},
    "argument inside": {"sweep": {"args.kv_transfer_config.kv_connector": ["x"]}},
    "argument of an experiment": {"experiments": [{"backend": "vllm", "args.lora_modules": "x"}]},
    "value with a place": {"args": {"quantization": "/root/.ssh/id"}},
    "value with a hub's code": {"backends": {"transformers": {
        "args": {"attn_implementation": "mallory/kernel"}}}},
    "value with more inside": {"args": {"kv_cache_dtype": {"path": "/"}}},
    "value as JSON": {"args": {"kv_cache_dtype": '{"a": 1}'}},
    "value that goes up": {"args": {"quantization": "a..b"}},
    "list as a value": {"args": {"dtype": ["a", "--host"]}},
    "option as a value": {"args": {"dtype": "--host"}},
    "load format": {"args": {"load_format": "pt"}},
    "worker": {"args": {"worker_cls": "os.system"}},
    "generate": {"generate": {"custom_generate": "mallory/x"}},
    "generate, swept": {"sweep": {"generate.assistant_model": ["x"]}},
    "generate, a template": {"generate": {"guided_regex": "(a+)+"}},
    "engine": {"engine": {"quantization": "/etc/passwd"}},
    "data set": {"workload": {"dataset": {"kind": "jsonl", "path": "/etc/passwd"}}},
    "conversations": {"workload": {"dataset": {"kind": "sharegpt", "path": "x.json"}}},
    "trace": {"workload": {"dataset": {"kind": "trace", "path": "x.jsonl"}}},
    "swept data set": {"workload": {"dataset": {"kind": "jsonl", "path": "a"}},
                       "sweep": {"workload.dataset.path": ["/etc/shadow"]}},
    "data set that is excluded": {
        "workload": {}, "experiments": [{"backend": "vllm"}],
        "sweep": {"workload.dataset.kind": ["jsonl"], "workload.dataset.path": ["/etc/shadow"]},
        "exclude": [{"workload.dataset.kind": "jsonl"}]},
    "arrivals that are excluded": {
        "experiments": [{"backend": "vllm"}], "exclude": [{"workload.arrival.kind": "trace"}],
        "sweep": {"workload.arrival.kind": ["trace"], "workload.arrival.path": ["/dev/zero"]}},
    "whether a file has this content": {
        "workload": {}, "experiments": [{"backend": "vllm"}],
        "sweep": {"workload.dataset.kind": ["jsonl"], "workload.dataset.path": ["x"],
                  "workload.dataset.sha256": [SHA]},
        "exclude": [{"workload.dataset.sha256": SHA}]},
    "arrivals": {"workload": {"arrival": {"kind": "trace", "path": "/dev/zero"}}},
    "calibration": {"measure": {"calibration": "/etc/passwd"}},
    "questions": {"measure": {"accuracy": {"path": "/etc/passwd"}}},
    "task": {"measure": {"accuracy": {"task": "gsm8k"}}},
    "tasks of one's own": {"measure": {"accuracy": {"task": "x", "include_path": "/tmp"}}},
    "power limit": {"device": {"power_limit_w": 100}},
    "swept clock": {"sweep": {"device.sm_clock_mhz": [1000, 2000]}},
    "launcher": {"launcher": "process"},
    "swept launcher": {"sweep": {"launcher": ["docker", "process"]}},
    "boards": {"gpus": [0, 1]},
    "meters": {"measure": {"meters": ["estimate"]}},
    "estimated power": {"measure": {"watts_per_busy_core": 0.001}},
    "many experiments": {"sweep": {"engine.max_batch_size": list(range(1, 70))}},
    "many chosen": {"sampler": {"kind": "random", "budget": 65},
                    "sweep": {"engine.max_batch_size": {"low": 1, "high": 4000}}},
    "many chosen later": {"sampler": {"kind": "pareto", "budget": 70},
                          "sweep": {"engine.max_batch_size": {"low": 1, "high": 4000}}},
    "chosen later, too much": {"sampler": {"kind": "pareto", "budget": 4},
                               "sweep": {"engine.max_batch_size": {"low": 1, "high": 9000}}},
    "chosen later, an argument": {"sampler": {"kind": "pareto", "budget": 4},
                                  "sweep": {"args.model_impl": ["a", "b", "c", "d"]}},
    "prepared, an argument": {
        "sampler": {"kind": "pareto", "budget": 2},
        "sweep": {"workload.requests": [10, 20], "engine.max_batch_size": [1, 2],
                  "generate.custom_generate": ["evil", None, 1, 2, 3]},
        "exclude": [{"generate.custom_generate": "evil", "engine.max_batch_size": 1}]},
    "many request lists": {"sampler": {"kind": "pareto", "budget": 4},
                           "sweep": {"workload.requests": list(range(1, 70))}},
    "many tokens": {"workload": {"requests": 5000, "dataset": {
        "kind": "random", "input_tokens": 131_072, "output_tokens": 8192, "turns": 32}}},
    "requests": {"workload": {"requests": 10**6}},
    "swept requests": {"sweep": {"workload.requests": [10, 10**6]}},
    "long prompts": {"workload": {"dataset": {"kind": "random", "input_tokens": 2**24}}},
    "long prompts, drawn": {"workload": {"dataset": {"kind": "random", "input_tokens": {
        "distribution": "lognormal", "median": 10, "sigma": 1, "high": 2**24}}}},
    "long answers": {"workload": {"dataset": {"kind": "random", "output_tokens": {
        "low": 1, "high": 2**24}}}},
    "shape": {"workload": {}, "sweep": {"workload.dataset.shape": ["8/8", "8/99999"]}},
    "rate": {"workload": {"arrival": {"kind": "poisson", "rate": 1e6}}},
    "rate searched": {"workload": {"slo": {"ttft_ms": 1}, "arrival": {
        "kind": "poisson", "rate": {"search": "goodput", "low": 1, "high": 1e6}}}},
    "trials": {"workload": {"slo": {"ttft_ms": 1}, "arrival": {
        "kind": "poisson", "rate": {"search": "goodput", "trial_s": 1e6}}}},
    "windows": {"measure": {"windows": 1000}},
    "window": {"measure": {"window_s": 86_000}},
    "samples": {"measure": {"sample_interval_s": 0.001}},
    "blocks": {"measure": {"blocks": 10_000, "max_blocks": 10_000}},
    "memory share": {"args": {"gpu_memory_utilization": 0.999}},
    "memory share as a word": {"args": {"gpu_memory_utilization": "nan"}},
}  # fmt: skip


@pytest.mark.parametrize("which", HOSTILE)
def test_what_the_policy_does_not_allow_is_declined_in_words(which: str) -> None:
    found = verdict(campaign(**HOSTILE[which]))
    assert found.declined or found.unfit, which
    assert all(0 < len(reason) < 300 for reason in found.declined)


def test_each_of_these_is_a_campaign_that_lem_would_read() -> None:
    """Else it would not be the policy that refuses them."""
    every = {which: verdict(campaign(**changes)) for which, changes in HOSTILE.items()}
    unread = {which: found.unfit for which, found in every.items() if found.file is None}
    assert not unread


def test_every_listed_value_of_an_engine_is_looked_at_though_none_of_its_experiments_is() -> None:
    """They are chosen while it runs."""
    found = verdict(
        campaign(
            sweep={"engine.quantization": ["awq", "../../etc"], "engine.max_batch_size": [1, 2]},
            sampler={"kind": "pareto", "budget": 2, "generation": 1},
            exclude=[
                {"engine.quantization": "../../etc", "engine.max_batch_size": n} for n in (1, 2)
            ],
        )
    )
    assert any("engine.quantization" in why and "no plain value" in why for why in found.declined)


def test_an_owner_may_let_campaigns_choose_their_meters() -> None:
    policy = parse("meters: true", "policy.yaml")
    for which in ("meters", "estimated power"):
        assert not verdict(campaign(**HOSTILE[which]), policy).declined


def test_synthetic_models_of_any_size_that_is_allowed() -> None:
    for model in (
        {"architecture": "mixtral"},
        {"architecture": "qwen3", "hidden_size": 4096, "layers": 36, "heads": 32, "kv_heads": 8,
         "intermediate_size": 12_288, "vocab_size": 151_936},
        {"heads": 8, "kv_heads": 8, "config": {"head_dim": 128}},
    ):  # fmt: skip
        assert not verdict(campaign(models=[{"synthetic": model}])).declined, model


def test_an_owner_may_allow_what_is_declined_otherwise() -> None:
    policy = parse(
        "models: {kinds: [hub, wheel, synthetic], allow: ['mallory/*', 'pypi:good']}\n"
        "backends: [vllm, openai]\nimages: [mallory/vllm]\ntrust_remote_code: true\n"
        "device_settings: true\nopenai: ['http://127.0.0.1:1/v1']\ntasks: [gsm8k]\n"
        "launchers: [process]\nargs: {vllm: [default, load_format]}\n",
        "policy.yaml",
    )
    wheel = {"package": "good", "version": "1", "file": "models/m.gguf", "sha256": SHA}
    for changes in (
        HOSTILE["unknown publisher"],
        HOSTILE["image"] | HOSTILE["unknown publisher"],
        HOSTILE["remote code"] | HOSTILE["unknown publisher"],
        HOSTILE["power limit"] | HOSTILE["unknown publisher"],
        HOSTILE["backend"] | HOSTILE["unknown publisher"],
        HOSTILE["task"] | HOSTILE["unknown publisher"],
        HOSTILE["launcher"] | HOSTILE["unknown publisher"],
        HOSTILE["load format"] | HOSTILE["unknown publisher"],
        {"models": [{"wheel": wheel}]},
    ):
        found = verdict(campaign(**changes), policy)
        assert found.file is not None and not found.declined, (changes, found)
    assert verdict(campaign(), policy).declined  # Qwen is no longer in the list


def test_another_server_than_the_listed_one_is_declined() -> None:
    policy = parse("backends: [openai]\nopenai: ['http://127.0.0.1:1/v1']", "p")
    for changes in (
        {"base_url": "http://127.0.0.1:2/v1"},
        {"base_url": "http://127.0.0.1:1/v1", "api_key_env": "AWS_SECRET_ACCESS_KEY"},
        {"base_url": "http://127.0.0.1:1/v1", "model": "x y"},
        {},
    ):
        spec = campaign(
            backends={"openai": {"args": changes}}, workload={"arrival": {"kind": "concurrency"}}
        )
        assert verdict(spec, policy).declined


def test_a_campaign_that_cannot_be_read_here_may_be_read_elsewhere() -> None:
    for text in ("", "version: 1", "a: [", "- x", "version: 2\nname: x"):
        found = verdict(text)
        assert found.file is None and found.unfit and not found.declined
    assert "no backend" in verdict(campaign(backends={"of-the-future": {}})).unfit


def test_no_more_is_read_than_a_campaign_may_have() -> None:
    assert verdict("#" * (MAX_CAMPAIGN_BYTES + 1)).declined


def test_reasons_are_short_and_few() -> None:
    spec = campaign(args={f"a{i}" + "x" * 190: "y" * 1000 for i in range(50)})
    found = verdict(spec)
    assert len(found.declined) == 10
    assert all(len(reason) < 250 for reason in found.declined)


@pytest.mark.parametrize("name", ["..", "../x", "a/b", "/etc/x", ".hidden", "a\nb", "x" * 200, ""])
def test_names_that_could_be_places_are_no_names(name: str) -> None:
    assert verdict(campaign(name=name)).file is None


ALL = sorted({n for listed in names.ARGS.values() for n in listed} | {
    "trust_remote_code", "hf_overrides", "tokenizer", "load_format", "model", "download_dir",
    "speculative_config", "worker_cls", "logits_processors", "config_format", "env_overrides",
})  # fmt: skip
VALUES = [
    True,
    1,
    0.5,
    "awq",
    "/etc/passwd",
    "http://x",
    "a/b",
    "{}",
    None,
    "..",
    "-x",
    [1],
    {"a": 1},
]


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_whatever_is_let_through_has_listed_names_and_plain_values_alone(seed: int) -> None:
    draw = random.Random(seed)
    policy = Policy()

    def some() -> dict[str, Any]:
        return {draw.choice(ALL): draw.choice(VALUES) for _ in range(draw.randrange(3))}

    backends = draw.sample(["vllm", "sglang", "transformers", "tensorrt_llm"], draw.randrange(1, 3))
    sweep = {f"{draw.choice(['', backends[0] + '.'])}args.{n}": [v] for n, v in some().items()}
    sweep |= {"engine.max_batch_size": [1, draw.choice([2, 10**9, 64])]}
    spec = campaign(
        backends={b: {"args": some()} for b in backends},
        args=some(),
        sweep=sweep,
        generate={draw.choice(["top_p", "custom_generate", "min_p", "x"]): draw.choice(VALUES)},
    )
    found = verdict(spec, policy)
    if found.file is None or found.declined:
        return
    for draft in found.file.drafts:
        assert set(draft.args) <= policy.args_of(draft.backend)
        assert set(draft.generate) <= policy.generate_names
        for value in (*draft.args.values(), *draft.generate.values()):
            assert value is None or isinstance(value, bool | int | float | str)
            assert not isinstance(value, str) or not set("/:{[ \\") & set(value)


def test_a_run_is_held_against_the_policy_once_more() -> None:
    from lem.campaign.lock import make_lock

    text = yaml.safe_dump(campaign(backends={"transformers": {}}, args={"cache_dir": "/x"}))
    file = parse_campaign(text, "c.yaml")
    launchers = dict.fromkeys(range(len(file.drafts)), "process")
    lock = make_lock(file, staged(file), Overrides(), launchers, [], ["cpu"])
    experiment = lock.arms[0].experiment
    assert of_experiment(experiment, Policy()) == ["args.cache_dir is not allowed here"]
    assert not of_experiment(experiment.model_copy(update={"args": {}}), Policy())
    assert of_experiment(experiment.model_copy(update={"backend": "openai", "args": {}}), Policy())
    assert next(iter(refusals(file, Policy(), "process"))) == "args.cache_dir is not allowed here"
