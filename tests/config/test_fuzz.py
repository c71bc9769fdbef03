"""Whatever the text, the loader answers with a campaign or with BadInput."""

import random
from typing import Any

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lem.config import parse
from lem.errors import BadInput

VALID = """\
version: 1
name: batching
models:
  - {id: Qwen/Qwen3-0.6B, revision: main}
  - synthetic: {architecture: llama, hidden_size: 64, heads: 4}
backends:
  transformers: {}
  llama_cpp: {args: {n_threads: 1}}
engine: &e {dtype: bfloat16}
sweep:
  engine.max_batch_size: [1, 4, 16]
  llama_cpp.args.flash_attn: [true, false]
  workload.arrival.concurrency: {low: 1, high: 8, scale: log2}
exclude: [{backend: transformers, workload.arrival.concurrency: 8}]
experiments:
  - {backend: transformers, model.id: Qwen/Qwen3-0.6B, engine.max_batch_size: 32}
baseline: {backend: transformers, engine.max_batch_size: 1, workload.arrival.concurrency: 1,
           model.id: Qwen/Qwen3-0.6B}
workload:
  requests: 200
  dataset: {kind: prompts, output_tokens: 128}
  arrival: {kind: concurrency, concurrency: 8}
  slo: {ttft_ms: 500, itl_ms: 50}
generate: {temperature: 0, ignore_eos: true}
device: {power_limit_w: null}
measure: {preset: standard, time_budget: 2h, quality: [nll]}
gpus: [0, 1]
launcher: docker
"""

FRAGMENTS = [
    "\t", ": ", "- ", "[", "]", "{", "}", "&a ", "*a", "*e", "<<: ", "!!python/object:x ", "'", '"',
    "|", ">", "---\n", "...\n", "#", "? ", "%YAML 1.1\n", "\0", "\ufeff", "\x85", "\u2028", "yes",
    "~", "1e999", "010", ".nan", "1:30", "\n", "  ", "backend: ", "null", "99999999999999999999",
    "low: 1", "args.x", "llama_cpp.", "..", "\\", "😀", "{}", "[]", "=", "@", "`", "\r",
]  # fmt: skip


def only_bad_input(text: str) -> None:
    try:
        parse(text, "fuzz.yaml")
    except BadInput as e:
        assert e.problems
        assert all(p.message and p.file == "fuzz.yaml" for p in e.problems)
        assert all(p.message.isprintable() for p in e.problems)


def test_the_file_that_is_mutated_is_valid() -> None:
    assert len(parse(VALID, "valid.yaml").drafts) == 67


@settings(max_examples=400)
@given(st.text())
@example("a: &a [*a]")
@example("? - ? - ?")
@example("%YAML 9.9\n---\na: 1")
@example("!<tag:yaml.org,2002:str> a: 1")
@example("a: !!binary x")
@example('a: "\\ud800"')
@example('"\\x00": 1')
@example(VALID.replace("transformers:", "\U00018d09:"))
def test_any_text(text: str) -> None:
    only_bad_input(text)


@settings(max_examples=300)
@given(st.lists(st.sampled_from([*FRAGMENTS, *VALID.splitlines(keepends=True)]), max_size=40))
def test_any_sequence_of_fragments(parts: list[str]) -> None:
    only_bad_input("".join(parts))


@settings(max_examples=500)
@given(st.randoms(use_true_random=False), st.integers(1, 4))
def test_any_damage_to_a_valid_file(rng: random.Random, times: int) -> None:
    text = VALID
    for _ in range(times):
        at, to = sorted((rng.randrange(len(text) + 1), rng.randrange(len(text) + 1)))
        match rng.randrange(4):
            case 0:
                text = text[:at] + rng.choice(FRAGMENTS) + text[at:]
            case 1:
                text = text[:at] + text[min(to, at + 8) :]
            case 2:
                text = text[:at] + rng.choice(FRAGMENTS) + text[min(to, at + 8) :]
            case _:
                lines = text.splitlines(keepends=True) or [""]
                rng.shuffle(lines)
                text = "".join(lines)
    only_bad_input(text)


KEYS = [
    "version", "name", "models", "backends", "engine", "args", "sweep", "sampler", "exclude",
    "experiments", "baseline", "workload", "generate", "device", "measure", "gpus",
    "parallel_blocks", "launcher", "submit", "limits", "id", "kind", "low", "high", "num", "scale",
    "dataset", "arrival", "preset", "transformers", "llama_cpp", "dtype", "max_batch_size",
    "engine.dtype", "args.x", "args.x.y", "backend", "model.id", "workload.dataset.kind",
    "llama_cpp.args.z", "wheel", "synthetic", "slo", "<<", "",
]  # fmt: skip
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.dates(),
    st.sampled_from(["auto", "prompts", "concurrency", "log2", "quick", "docker", "2h"]),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), SCALARS), inner, max_size=5),
    ),
    max_leaves=20,
)


@settings(max_examples=200)
@given(ANYTHING)
def test_any_structure(data: Any) -> None:
    only_bad_input(yaml.safe_dump(data, allow_unicode=True))


@settings(max_examples=400)
@given(st.dictionaries(st.sampled_from(KEYS[:20]), ANYTHING, max_size=4))
def test_any_value_of_any_section(data: dict[str, Any]) -> None:
    only_bad_input(yaml.safe_dump({**yaml.safe_load(VALID), **data}, allow_unicode=True))
