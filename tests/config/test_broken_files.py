"""Broken campaign files: each is refused with the line and the reason, never with a traceback."""

# One case a line reads best, even a long one.
# ruff: noqa: E501

from pathlib import Path
from typing import NamedTuple

import pytest

from lem.config import load, parse
from lem.errors import BadInput

BASE = """\
version: 1
name: test
models:
  - {id: Qwen/Qwen3-0.6B}
backends:
  transformers: {}
  llama_cpp: {}
"""
"""Seven lines; what a case adds begins on line 8."""


class Case(NamedTuple):
    name: str
    text: str
    line: int
    words: str
    """Must stand in the message of a problem on that line."""


def plus(extra: str) -> str:
    return BASE + extra


def instead(old: str, new: str) -> str:
    assert old in BASE
    return BASE.replace(old, new)


KUBERNETES = [
    ("gpu: 1", "did you mean 'gpus'"),
    ("gpus: 1.5", "whole number from 0 to 64"),
    ("gpus: true", "whole number from 0 to 64"),
    ("cpus: 0", "from 1"),
    ("memory: 64G", "64Gi"),
    ("memory: 512Mi", "at least 1Gi"),
    ("memory: 3", "64Gi"),
    ("gpu_resource: gpu", "nvidia.com/gpu"),
    ("gpu_resource: nvidia.com/mig-1g.5gb", "no energy of their own"),
    ("gpu_resource: nvidia.com/gpu.shared", "no energy of their own"),
    ("namespace: A_b", "small letters"),
    ("namespace: a.b", "small letters"),
    ('context: "a\\nb"', "one line"),
    ("queue: -a", "small letters"),
    ("runtime_class: '{{x}}'", "small letters"),
    ("priority_class: 'a b'", "small letters"),
    ("service_account: ../x", "small letters"),
    ("image_pull_secrets: [A]", "small letters"),
    ("node_selector: {zone: true}", "must be text"),
    ("node_selector: {'a b': c}", "no key of a label"),
    ("node_selector: {zone: 'a b'}", "a label's value"),
    ("labels: {kueue.x-k8s.io/queue-name: a}", "launcher.queue"),
    ("labels: {app.kubernetes.io/component: a}", "off the network"),
    ("labels: {lem-energy.github.io/order: a}", "set by lem"),
    ("annotations: {batch.kubernetes.io/x: a}", "set by Kubernetes"),
    ('annotations: {x: "a\\nb"}', "one line"),
    ("annotations: {k8s.v1.cni.cncf.io/networks: a}", "a network beside"),
    ("annotations: {v1.multus-cni.io/default-network: a}", "a network beside"),
    ("labels: {sidecar.istio.io/inject: 'true'}", "a network beside"),
    (
        "annotations: {container.apparmor.security.beta.kubernetes.io/block: unconfined}",
        "more than",
    ),
    ("annotations: {cdi.k8s.io/gpu: nvidia.com/gpu=all}", "more than"),
    ("annotations: {io.kubernetes.cri-o.Devices: /dev/sda}", "more than"),
    ("tolerations: [{operator: Equal}]", "needs a key"),
    ("tolerations: [{key: a, operator: Exists, value: b}]", "takes no value"),
    ("tolerations: [{key: a, effect: noexecute}]", "NoExecute"),
    ("user: 0", "from 1"),
    ("group: nobody", "from 1"),
    ("time: 30", "with its unit"),
    ("time: 30s", "between a minute"),
    ("time: 40d", "between a minute"),
]
MOUNTS = ["data", "/", "/data/", "/a/../b", "/tmp", "/etc/lem", "/usr/share/lem", "/a:b", "/proc"]

CASES = [
    # -- YAML itself
    Case("empty", "", 1, "is empty"),
    Case("only comments", "# nothing\n\n", 1, "is empty"),
    Case("only a document mark", "---\n", 1, "is empty"),
    Case("null document", "~\n", 1, "must be a mapping"),
    Case("top-level list", "- a\n- b\n", 1, "must be a mapping"),
    Case("top-level text", "hello\n", 1, "must be a mapping"),
    Case("top-level number", "12\n", 1, "must be a mapping"),
    Case("duplicate key", plus("gpus: auto\ngpus: [0]\n"), 9, "first on line 8"),
    Case("duplicate nested key", plus("engine: {dtype: auto, dtype: auto}\n"), 8, "given twice"),
    Case("duplicate quoted key", plus('engine:\n  dtype: auto\n  "dtype": auto\n'), 10, "line 9"),
    Case("two merge keys", plus("engine:\n  <<: {}\n  <<: {}\n"), 10, "given twice"),
    Case("tab indentation", plus("engine:\n\tdtype: auto\n"), 9, "indent with spaces"),
    Case("tab after spaces", plus("engine:\n  dtype: auto\n \tx: 1\n"), 10, "a tab"),
    Case("tab before a list item", plus("exclude:\n\t- {a: b}\n"), 9, "indent with spaces"),
    Case("unquoted yes", plus("trust_remote_code: yes\n"), 8, "write true or false"),
    Case("unquoted Off", plus("generate: {ignore_eos: Off}\n"), 8, "'Off' is a boolean"),
    Case("unquoted no in a sweep", plus("sweep:\n  args.x:\n    - yes\n    - no\n"), 11, "'no'"),
    Case("unquoted on as a key", plus("args:\n  on: 1\n"), 9, "quote it"),
    Case("single letter n", plus("args: {x: n}\n"), 8, "'n' is a boolean"),
    Case("leading zero", plus("engine:\n  max_batch_size: 010\n"), 9, "leading zeros"),
    Case("octal", plus("engine: {max_batch_size: 0o10}\n"), 8, "octal"),
    Case("hexadecimal", plus("engine: {max_batch_size: 0x10}\n"), 8, "hexadecimal"),
    Case("binary", plus("args: {x: 0b11}\n"), 8, "decimal"),
    Case("underscored number", plus("workload: {requests: 1_000}\n"), 8, "without _"),
    Case("base 60", plus("measure:\n  time_budget: 1:30\n"), 9, "base 60"),
    Case("not a number", plus("measure: {precision: .nan}\n"), 8, "not a number"),
    Case("infinity", plus("args:\n  x: -.inf\n"), 9, "not a number"),
    Case("float that overflows", plus("args: {x: 1e999}\n"), 8, "too large"),
    Case("huge integer", plus("measure: {seed: 99999999999999999999999}\n"), 8, "64 bits"),
    Case("very long integer", plus(f"args: {{x: {'9' * 5000}}}\n"), 8, "64 bits"),
    Case("undefined alias", plus("engine: *shared\n"), 8, "no anchor &shared"),
    Case("anchor twice", plus("args: {a: &x 1, b: &x 2}\n"), 8, "given twice"),
    Case("recursive anchor", plus("args: &a {x: *a}\n"), 8, "contain itself"),
    Case("merge of a scalar", plus("engine:\n  <<: 3\n"), 9, "<< takes a mapping"),
    Case("python object", plus("args: !!python/object:os.system {}\n"), 8, "tag"),
    Case("own tag", plus("args: {x: !secret abc}\n"), 8, "tag"),
    Case("even a harmless tag", plus("args: {x: !!str 5}\n"), 8, "tag"),
    Case("two documents", plus("---\nversion: 1\n"), 8, "second document"),
    Case("list as a key", plus("args: {? [a, b] : 1}\n"), 8, "single word"),
    Case("number as a key", plus("args:\n  5: x\n"), 9, "is not text"),
    Case("null as a key", plus("args:\n  ~: x\n"), 9, "is not text"),
    Case("very long key", plus(f"args: {{{'k' * 300}: 1}}\n"), 8, "longer than 200"),
    Case("NUL byte", plus("args: {x: a\0b}\n"), 8, "U+0000"),
    Case("escape character", plus("args: {x: \x1b[31m}\n"), 8, "U+001B"),
    Case("escaped control character", plus('args: {x: "\\e[31m"}\n'), 8, "U+001B"),
    Case("lone surrogate", plus("args: {x: \ud800}\n"), 8, "U+D800"),
    Case("byte order mark inside", plus("args: {x: \ufeff}\n"), 8, "U+FEFF"),
    Case("unclosed quote", plus('name2: "abc\nx: 1\n'), 8, "a quote is not closed"),
    Case("unclosed bracket", plus("gpus: [0,\n 1\n"), 8, "is not closed"),
    Case("colon in a value", plus("args: x: y\n"), 8, "must be quoted"),
    Case("no space after colon", plus("engine:\n  dtype:auto\n  a: b\n"), 10, "is not YAML"),
    Case("bad indentation", plus("engine:\n    dtype: auto\n  max_batch_size: 1\n"), 10, "YAML"),
    Case("reserved character", plus("args: {x: @home}\n"), 8, "is not YAML"),
    Case("deep nesting", plus("args: " + "[" * 5000 + "]" * 5000 + "\n"), 8, "20 levels"),
    Case("deep block nesting", plus("".join("  " * i + "a:\n" for i in range(40))), 27, "20 levels"),
    # -- the top level
    Case("unknown key", plus("enginee: {}\n"), 8, "did you mean 'engine'?"),
    Case("unknown key, nothing near", plus("qqqq: 1\n"), 8, "known here"),
    Case("no version", instead("version: 1\n", ""), 1, "version: is missing"),
    Case("other version", instead("version: 1", "version: 2"), 1, "must be 1"),
    Case("no name", instead("name: test\n", ""), 1, "name: is missing"),
    Case("name with a slash", instead("name: test", "name: a/b"), 2, "1 to 80 letters"),
    Case("name with control characters", instead("test", '"a\\tb"'), 2, "1 to 80 letters"),
    Case("number as the name", instead("name: test", "name: 12"), 2, "quote it"),
    Case("name left empty", instead("name: test", "name:"), 2, "must be text, not nothing"),
    Case("bad launcher", plus("launcher: dokcer\n"), 8, "did you mean 'docker'?"),
    Case("partition", plus("launcher: {kind: slurm, partition: 'a b'}\n"), 8, "without blanks"),
    Case("an option in it", plus("launcher: {kind: slurm, account: --wrap}\n"), 8, "plain word"),
    Case("a line in it", plus('launcher: {kind: slurm, qos: "a\\n#SBATCH --x"}\n'), 8, "plain word"),
    Case("slurm's time", plus("launcher: {kind: slurm, time: 2h}\n"), 8, "as Slurm writes it"),
    Case("slurm's gres", plus("launcher: {kind: slurm, gres: 'tpu:2'}\n"), 8, "gpu:2"),
    Case("lem's own", plus("launcher: {kind: slurm, extra: [--array=1]}\n"), 8, "parallel_blocks"),
    Case("lem's key", plus("launcher: {kind: slurm, extra: [--time=1]}\n"), 8, "launcher.time"),
    Case("cut", plus("launcher: {kind: slurm, extra: [--arra=5]}\n"), 8, "written out"),
    Case("begun", plus("launcher: {kind: slurm, extra: [--export-fi=x]}\n"), 8, "written out"),
    Case("elsewhere", plus("launcher: {kind: slurm, extra: [--clusters=b]}\n"), 8, "one cluster"),
    Case("short option", plus("launcher: {kind: slurm, extra: [-N2]}\n"), 8, "long form"),
    Case("blanks", plus("launcher: {kind: slurm, extra: ['--comment=a b']}\n"), 8, "no blanks"),
    Case("setup", plus('launcher: {kind: slurm, setup: ["a\\nb"]}\n'), 8, "one line"),
    Case("slurm's key", plus("launcher: {kind: slurm, partion: a}\n"), 8, "partition"),
    Case("slurm's blocks", plus("launcher: {kind: slurm, blocks_per_job: 0}\n"), 8, "from 1"),
    *(
        Case(f"mount {i}", plus(f"launcher: {{kind: kubernetes, claim: c, mount: '{m}'}}\n"), 8,
             "launcher.mount: must be")
        for i, m in enumerate(MOUNTS)
    ),
    Case("no claim", plus("launcher: kubernetes\n"), 8, "launcher.claim: is missing"),
    *(
        Case(f"kubernetes {i}",
             plus(f"launcher: {{kind: kubernetes, claim: c, mount: /data, {said}}}\n"), 8, why)
        for i, (said, why) in enumerate(KUBERNETES)
    ),
    Case("launcher option", plus("launcher: {kind: docker, partition: a}\n"), 8, "'partition'"),
    Case("bad submit", plus("submit: nevr\n"), 8, "did you mean 'never'?"),
    Case("bad gpus", plus("gpus: 0\n"), 8, "auto or a list"),
    Case("same GPU twice", plus("gpus: [0, 0]\n"), 8, "twice"),
    Case("bad parallel_blocks", plus("parallel_blocks: 0\n"), 8, "from 1"),
    Case("text for a boolean", plus("trust_remote_code: 'true'\n"), 8, "true or false"),
    Case("bad limit", plus("limits:\n  load_s: 0\n"), 9, "greater than 0"),
    # -- models and backends
    Case("no models", instead("  - {id: Qwen/Qwen3-0.6B}\n", "  []\n"), 3, "must not be empty"),
    Case("models left empty", instead("  - {id: Qwen/Qwen3-0.6B}\n", ""), 3, "must be a list"),
    Case("model as text", instead("{id: Qwen/Qwen3-0.6B}", "Qwen/Qwen3-0.6B"), 4, "a mapping"),
    Case("misspelt model key", instead("{id:", "{di:"), 4, "known here: gguf_file, id"),
    Case("model without source", instead("{id: Qwen/Qwen3-0.6B}", "{revision: a}"), 4, "needs an"),
    Case("bad hub id", instead("Qwen/Qwen3-0.6B", "a/b/c"), 4, "neither a hub id"),
    Case("numeric revision", instead("{id: Q", "{revision: 1234, id: Q"), 4, "quote it"),
    Case("same model twice", instead("backends:", "  - {id: Qwen/Qwen3-0.6B}\nbackends:"), 3, "twice"),
    Case("two sources", instead("{id: Qwen/Qwen3-0.6B}",
         "{synthetic: {}, wheel: {package: a, version: '1', file: b, sha256: " + "a" * 64 + "}}"),
         4, "two sources"),
    Case("bad hash", instead("{id: Qwen/Qwen3-0.6B}",
         "{wheel: {package: a, version: '1', file: b, sha256: abc}}"), 4, "64 digits"),
    Case("name of a made-up model that is too long", instead("{id: Qwen/Qwen3-0.6B}",
         "{id: " + "a" * 101 + ", synthetic: {}}"), 4, "at most 100 characters"),
    Case("name of a made-up model that hides something", instead("{id: Qwen/Qwen3-0.6B}",
         '{id: "a\\u202eb", synthetic: {}}'), 4, "none that do not print"),
    Case("name of a wheel's model with a line in it", instead("{id: Qwen/Qwen3-0.6B}",
         '{id: "a\\nb", wheel: {package: a, version: \'1\', file: b, sha256: ' + "a" * 64 + "}}"),
         4, "none that do not print"),
    Case("made-up model named after a long word", instead("{id: Qwen/Qwen3-0.6B}",
         "{synthetic: {architecture: " + "a" * 100 + "}}"), 4, "at most 100 characters"),
    Case("climbing out of a wheel", instead("{id: Qwen/Qwen3-0.6B}",
         "{wheel: {package: a, version: '1', file: ../b, sha256: " + "a" * 64 + "}}"),
         4, "without .."),
    Case("heads do not divide", instead("{id: Qwen/Qwen3-0.6B}",
         "{synthetic: {hidden_size: 64, heads: 5}}"), 4, "multiple of heads"),
    Case("unknown backend", instead("transformers: {}", "transfomers: {}"), 6,
         "did you mean 'transformers'?"),
    Case("unknown backend, nothing near", instead("transformers: {}", "mlc: {}"), 6, "known here: llama_cpp, tr"),
    Case("a launcher's name as a backend", instead("transformers: {}", "slurm: {}"), 6, "no backend"),
    Case("no backends", instead("  transformers: {}\n  llama_cpp: {}\n", "  {}\n"), 5, "not be empty"),
    Case("backends as a list", instead("  transformers: {}\n  llama_cpp: {}", "  - transformers"), 5,
         "must be a mapping"),
    Case("backend key", instead("transformers: {}", "transformers: {arg: {}}"), 6, "'args'"),
    Case("image twice", instead("transformers: {}", "transformers: {image: a, base_image: b}"), 6,
         "twice"),
    # -- settings
    Case("unknown engine key", plus("engine:\n  max_batchsize: 4\n"), 9, "'max_batch_size'"),
    Case("bad dtype", plus("engine: {dtype: bflaot16}\n"), 8, "did you mean 'bfloat16'?"),
    Case("text for a number", plus("engine: {max_batch_size: four}\n"), 8, "whole number"),
    Case("fraction for a count", plus("engine: {max_batch_size: 1.5}\n"), 8, "whole number"),
    Case("batch of none", plus("engine: {max_batch_size: 0}\n"), 8, "greater than or equal to 1"),
    Case("engine as a list", plus("engine: [dtype]\n"), 8, "must be a mapping"),
    Case("negative temperature", plus("generate: {temperature: -1}\n"), 8, "greater than"),
    Case("misspelt temperature", plus("generate: {temprature: 1}\n"), 8, "'temperature'"),
    Case("args too deep", plus(f"args: {{a: {'[' * 9}1{']' * 9}}}\n"), 8, "nested more than 8 levels deep"),
    Case("a dot deep in args", plus("args: {a: {b: [{c.d: 1}]}}\n"), 8, "the key 'c.d' holds a dot"),
    Case("swept args too deep", plus(f"sweep:\n  args{'.a' * 10}: [1]\n"), 9, "write args.<name of"),
    Case("dotted argument", plus("args: {a.b: 1}\n"), 8, "holds a dot"),
    Case("args in two places",
         "version: 1\nname: t\nmodels: [{id: a/b}]\nargs: {n: 1}\n"
         "backends:\n  transformers:\n    args:\n      n: 2\n", 8, "the same as args.n"),
    Case("engine and args", plus("engine: {dtype: auto}\nargs:\n  dtype: auto\n"), 10,
         "the same as engine.dtype"),
    Case("engine and backend args", instead("llama_cpp: {}", "llama_cpp: {args: {max-model-len: 5}}")
         + "engine: {max_model_len: 6}\n", 7, "the same as engine.max_model_len"),
    # -- workload and measurement
    Case("dataset without its file", plus("workload:\n  dataset: {kind: sharegpt}\n"), 9, "path: is missing"),
    Case("unknown dataset", plus("workload:\n  dataset: {kind: sharegtp}\n"), 9, "did you mean 'sharegpt'"),
    Case("file without a name", plus("workload: {dataset: {kind: jsonl, path: ''}}\n"), 8, "workload.dataset.path"),
    Case("file that is a number", plus("workload: {dataset: {kind: jsonl, path: 12}}\n"), 8, "quote it"),
    Case("hash that is none", plus("workload: {dataset: {kind: jsonl, path: a, sha256: abc}}\n"), 8, "must be a SHA-256"),
    Case("key of another dataset", plus("workload: {dataset: {kind: long_context, path: a}}\n"), 8, "belongs to kind jsonl or sharegpt or trace"),
    Case("length as text", plus("workload: {dataset: {input_tokens: many}}\n"), 8, "must be a whole number, not 'many'"),
    Case("length beyond all contexts", plus("workload: {dataset: {input_tokens: 20000000}}\n"), 8, "less than or equal to 16777216"),
    Case("unknown distribution", plus("workload:\n  dataset:\n    input_tokens: {distribution: uniformly, low: 1, high: 2}\n"), 10, "did you mean 'uniform'"),
    Case("distribution without an end", plus("workload:\n  dataset:\n    input_tokens: {low: 1}\n"), 10, "high: is missing"),
    Case("distribution upside down", plus("workload:\n  dataset:\n    output_tokens: {distribution: uniform, low: 9, high: 2}\n"), 10, "low (9) is above high (2)"),
    Case("median outside", plus("workload:\n  dataset:\n    output_tokens: {distribution: lognormal, median: 50, sigma: 1, high: 9}\n"), 10, "median (50) must lie within"),
    Case("prefixes without length", plus("workload: {dataset: {prefixes: 3}}\n"), 8, "prefix_tokens, how long, is missing"),
    Case("prefix longer than the prompt", plus("workload: {dataset: {input_tokens: 9, prefix_tokens: 10}}\n"), 8, "which may be as few as 9"),
    Case("shape and length", plus("workload:\n  dataset:\n    shape: 512/256\n    output_tokens: 3\n"), 10, "says the same as output_tokens"),
    Case("shape that is none", plus("workload:\n  dataset:\n    shape: 512x256\n"), 10, "must be IN/OUT in tokens"),
    Case("shape of zero", plus("workload:\n  dataset:\n    shape: 0/256\n"), 10, "must be IN/OUT in tokens"),
    Case("shape of another kind", plus("workload:\n  dataset: {kind: prompts, shape: 1/1}\n"), 9, "it belongs to kind random"),
    Case("swept shape that is none", plus("sweep:\n  workload.dataset.shape:\n    - 1/1\n    - 1-1\n"), 9, "must be IN/OUT in tokens"),
    Case("swept shape beside a length", plus("workload: {dataset: {input_tokens: 3}}\nsweep:\n  workload.dataset.shape: [1/1]\n"), 10, "says the same as input_tokens"),
    Case("swept shape and swept length", plus("sweep:\n  workload.dataset.output_tokens: [3]\n  workload.dataset.shape: [1/1]\n"), 10, "says the same as output_tokens"),
    Case("swept length beside a shape", plus("workload: {dataset: {shape: 1/1}}\nsweep:\n  workload.dataset.output_tokens: [3]\n"), 8, "says the same as output_tokens"),
    Case("swept end beside a fixed length", plus("workload: {dataset: {input_tokens: 3}}\nsweep:\n  workload.dataset.input_tokens.high: [3]\n"), 10, "the number 3 in the file, not keys"),
    Case("length and its parts swept", plus("sweep:\n  workload.dataset.input_tokens: [3]\n  workload.dataset.input_tokens.high: [3]\n"), 10, "says the same as workload.dataset.input_tokens"),
    Case("length of answers elsewhere", plus("generate: {max_tokens: 9}\n"), 8, "workload.dataset.output_tokens"),
    Case("swept length of answers elsewhere", plus("sweep:\n  generate.max_new_tokens: [9]\n"), 9, "workload.dataset.output_tokens"),
    Case("no rate", plus("workload: {arrival: {kind: poisson}}\n"), 8, "rate: is missing"),
    Case("rate in words", plus("workload: {arrival: {kind: poisson, rate: fast}}\n"), 8,
         "rate: must be a number, not 'fast'"),
    Case("search for what", plus("workload: {arrival: {kind: poisson, rate: {search: x}}}\n"), 8,
         "rate.search: must be goodput"),
    Case("bounds the wrong way round",
         plus("workload: {arrival: {kind: poisson, rate: {search: goodput, low: 9, high: 1}}}\n"),
         8, "low (9) must be below high (1)"),
    Case("burstiness of no gamma",
         plus("workload: {arrival: {kind: constant, rate: 1, burstiness: 2}}\n"), 8,
         "belongs to kind gamma"),
    Case("objectives that nobody named", plus("workload: {slo: llama-3.1-9b}\n"), 8,
         "no objectives are named 'llama-3.1-9b'; did you mean 'llama-3.1-8b'?"),
    Case("swept objectives that nobody named", plus("sweep:\n  workload.slo: [llama-3.1-9b]\n"), 9,
         "no objectives are named 'llama-3.1-9b'; did you mean 'llama-3.1-8b'?"),
    Case("swept objectives and a swept limit", plus("sweep:\n  workload.slo: [llama-3.1-8b]\n  workload.slo.e2e_ms: [1]\n"), 10,
         "says the same as workload.slo"),
    Case("one limit, two values", plus("workload: {slo: {itl_ms: 30, tpot_ms: 40}}\n"), 8,
         "one limit under two names"),
    Case("both names swept",
         plus("sweep: {workload.slo.itl_ms: [1], workload.slo.tpot_ms: [1]}\n"), 8,
         "says the same as"),
    Case("misspelt dataset", plus("workload: {dataset: {kind: promts}}\n"), 8, "'prompts'"),
    Case("key of another kind", plus("workload:\n  dataset: {kind: prompts, input_tokens: 5}\n"), 9,
         "belongs to kind random"),
    Case("concurrency offline", plus("workload:\n  arrival:\n    concurrency: 4\n"), 10,
         "belongs to kind concurrency"),
    Case("no requests", plus("workload: {requests: 0}\n"), 8, "greater than or equal to 1"),
    Case("preset", plus("measure: {preset: quik}\n"), 8, "did you mean 'quick'?"),
    Case("duration without unit", plus("measure: {time_budget: 90}\n"), 8, "with its unit"),
    Case("odd duration", plus("measure: {time_budget: 2 fortnights}\n"), 8, "90s, 30m"),
    Case("no time", plus("measure: {time_budget: 0s}\n"), 8, "longer than 0"),
    Case("precision of 2", plus("measure: {precision: 2}\n"), 8,
         "precision: must be less than 1, not the number 2; 2 % is 0.02"),
    Case("margin in per cent", plus("measure: {same_within: 1.5}\n"), 8, "1.5 % is 0.015"),
    Case("misspelt meter", plus("measure:\n  meters: [rapl, nvmll]\n"), 9,
         "measure.meters.1: no meter 'nvmll'; did you mean 'nvml'?"),
    Case("unknown meter", plus("measure:\n  meters: [wattsup]\n"), 9,
         "no meter 'wattsup'; known here: estimate, nvml, rapl"),
    Case("precision and quick", plus("measure: {preset: quick, precision: 0.01}\n"), 8, "fixed number"),
    Case("precision and blocks", plus("measure: {precision: 0.01, blocks: 9}\n"), 8, "keep one"),
    Case("unknown quality", plus("measure: {quality: [bleu]}\n"), 8, "must be nll"),
    # -- sweep, exclude, experiments, baseline
    Case("sampler without budget", plus("sampler: {kind: sobol}\n"), 8,
         "sampler: kind sobol needs a budget"),
    Case("grid with budget", plus("sampler: {budget: 5}\n"), 8, "takes no budget"),
    Case("objectives of a random sampler",
         plus("sampler: {kind: random, budget: 5, objectives: [energy, latency]}\n"), 8,
         "objectives goes with kind pareto"),
    Case("unknown objective",
         plus("sampler: {kind: pareto, budget: 5, objectives: [energy, speed]}\n"), 8,
         "no objective named 'speed'"),
    Case("quality without its probe",
         plus("sampler: {kind: pareto, budget: 2, objectives: [energy, quality]}\n"
              "sweep: {engine.max_batch_size: [1, 2]}\n"), 8, "needs `measure: {quality: [nll]}`"),
    Case("energy per answer without questions",
         plus("sampler: {kind: pareto, budget: 2, objectives: [latency, energy_per_answer_j]}\n"
              "sweep: {engine.max_batch_size: [1, 2]}\n"), 8, "needs `measure: {accuracy: …}`"),
    Case("pareto with a precision",
         plus("sampler: {kind: pareto, budget: 2}\nsweep: {engine.max_batch_size: [1, 2]}\n"
              "measure: {precision: 0.01}\n"), 10, "does not go with sampler pareto"),
    Case("pareto over launchers",
         plus("sampler: {kind: pareto, budget: 2}\nsweep: {launcher: [process, docker]}\n"), 9,
         "compare launchers on a grid"),
    Case("pareto over open request lists",
         plus("sampler: {kind: pareto, budget: 2}\nsweep:\n"
              "  workload.requests: {low: 10, high: 20}\n"), 10, "before the first run"),
    Case("pareto with too large a budget",
         plus("sampler: {kind: pareto, budget: 9}\nsweep: {engine.max_batch_size: [1, 2]}\n"), 8,
         "more than the 4 experiments that there are"),
    Case("objective that is nearly one",
         plus("sampler: {kind: pareto, budget: 5, objectives: [energy, latncy]}\n"), 8,
         "did you mean 'latency'?"),
    Case("key that is nearly the kind's own",
         plus("workload: {arrival: {kind: concurrency, concurency: 3}}\n"), 8,
         "did you mean 'concurrency'?"),
    Case("open bounds beside a grid with a budget",
         plus("sampler: {budget: 5}\nsweep:\n  engine.max_batch_size: {low: 1, high: 8}\n"), 10,
         "any value between the two is for samplers other than grid"),
    Case("random with too large a budget",
         plus("sampler: {kind: random, budget: 9}\nsweep: {engine.max_batch_size: [1, 2]}\n"), 8,
         "only 4 different experiments could be drawn"),
    Case("open bounds of an engine's own argument",
         plus("sampler: {kind: random, budget: 9}\nsweep:\n  args.x: {low: 1, high: 8}\n"), 10,
         "whole numbers only"),
    Case("a drawn baseline that names no model's backend",
         plus("sampler: {kind: random, budget: 2}\nsweep: {engine.max_batch_size: [1, 2]}\n"
              "baseline: {backend: vlm}\n"), 10, "is not a backend of this campaign"),
    Case("unknown sampler", plus("sampler: {kind: gird}\n"), 8, "'grid'"),
    Case("unknown path", plus("sweep:\n  engine.batch_size: [1]\n"), 9, "'engine.max_batch_size'"),
    Case("path of a foreign backend", plus("sweep:\n  vllm.args.x: [1]\n"), 9, "not a backend of this campaign"),
    Case("sweep of a section", plus("sweep:\n  engine: [1]\n"), 9, "unknown experiment path"),
    Case("sweep of backends", plus("sweep:\n  backend: [transformers]\n"), 9, "under backends"),
    Case("sweep of models", plus("sweep:\n  model.id: [a, b]\n"), 9, "under models"),
    Case("sweep of one value", plus("sweep:\n  engine.max_batch_size: 4\n"), 9, "must be a list"),
    Case("sweep of nothing", plus("sweep:\n  engine.max_batch_size: []\n"), 9, "at least one"),
    Case("bad swept value", plus("sweep:\n  engine.max_batch_size:\n  - 1\n  - 4\n  - x\n"), 12,
         "whole number"),
    Case("bad swept dtype", plus("sweep:\n  engine.dtype: [auto,\n    float61]\n"), 10, "'float16'"),
    Case("nested swept value", plus("sweep:\n  args.x: [[1, 2]]\n"), 9, "single value"),
    Case("swept launcher", plus("sweep:\n  launcher: [docker, podman]\n"), 9, "no launcher 'podman'"),
    Case("swept workload value", plus("sweep:\n  workload.requests: [1, 0]\n"), 9, "greater than"),
    Case("swept concurrency, offline", plus("sweep:\n  workload.arrival.concurrency: [1]\n"), 9,
         "belongs to kind concurrency"),
    Case("low above high", plus("sweep:\n  args.x: {low: 2, high: 1, num: 3}\n"), 9, "args.x: low (2) is above high"),
    Case("log from zero", plus("sweep:\n  args.x: {low: 0, high: 1, num: 3, scale: log}\n"), 9,
         "above 0"),
    Case("log2 with num", plus("sweep:\n  args.x: {low: 1, high: 8, num: 3, scale: log2}\n"), 9,
         "no num"),
    Case("bounds without steps", plus("sweep:\n  args.x: {low: 1, high: 8}\n"), 9,
         "needs num or step, or scale: log2"),
    Case("num and step", plus("sweep:\n  args.x: {low: 1, high: 8, num: 2, step: 1}\n"), 9, "keep one"),
    Case("bounds without high", plus("sweep:\n  args.x: {low: 1, num: 8}\n"), 9, "high: is missing"),
    Case("unknown bound", plus("sweep:\n  args.x: {low: 1, hihg: 8, num: 2}\n"), 9, "'high'"),
    Case("no power of two", plus("sweep:\n  args.x: {low: 5, high: 7, scale: log2}\n"), 9,
         "no power of two"),
    Case("steps without end", plus("sweep:\n  args.x: {low: 0, high: 1, step: 1e-9}\n"), 9, "10,000"),
    Case("too many experiments", plus("sweep:\n  args.x: {low: 1, high: 200, num: 200}\n"
         "  args.y: {low: 1, high: 30, num: 30}\n"), 8, "1 × (200 × 30 + 200 × 30) = 12,000"),
    Case("same path twice", plus("sweep:\n  engine.dtype: [auto]\n  llama_cpp.engine.dtype: [auto]\n"),
         10, "the same as engine.dtype"),
    Case("swept engine and args", plus("args:\n  dtype: a\nsweep:\n  engine.dtype: [auto]\n"), 9,
         "the same as engine.dtype"),
    Case("path into a value", plus("args: {a: 1}\nsweep:\n  args.a.b: [1]\n"), 10, "not keys"),
    Case("exclude without match", plus("sweep:\n  engine.max_batch_size: [1, 4]\nexclude:\n"
         "  - {engine.max_batch_size: 2}\n"), 11, "there are: 1, 4"),
    Case("exclude by unknown path", plus("exclude:\n  - {engine.batch: 2}\n"), 9, "unknown"),
    Case("exclude everything", plus("exclude:\n  - {engine.dtype: null}\n"), 8, "leaves no"),
    Case("exclude as a mapping", plus("exclude: {backend: transformers}\n"), 8, "must be a list"),
    Case("empty exclude", plus("exclude:\n  - {}\n"), 9, "must not be empty"),
    Case("exclude a list of values", plus("exclude:\n  - {backend: [llama_cpp]}\n"), 9, "single value"),
    Case("point without backend", plus("experiments:\n  - {engine.max_batch_size: 2}\n"), 9,
         "add backend"),
    Case("point of a foreign backend", plus("experiments:\n  - {backend: vllm}\n"), 9,
         "not a backend of this campaign"),
    Case("point of a foreign model", plus("experiments:\n  - {backend: llama_cpp, model.id: a}\n"), 9,
         "no model of this campaign"),
    Case("bad value of a point", plus("experiments:\n  - {backend: llama_cpp, engine.dtype: x}\n"), 9,
         "must be one of"),
    Case("baseline of several", plus("baseline: {model.id: Qwen/Qwen3-0.6B}\n"), 8,
         "matches 2 experiments, must match one; add backend (llama_cpp, transformers)"),
    Case("baseline of none", plus("baseline: {backend: llama_cp}\n"), 8,
         "there are: llama_cpp, transformers"),
    Case("baseline true for 1", plus("sweep:\n  args.x: [1]\nbaseline:\n  args.x: true\n"), 11,
         "there are: 1"),
    Case("baseline by unknown path", plus("baseline: {bakend: llama_cpp}\n"), 8, "'backend'"),
    Case("no common match", plus("sweep:\n  llama_cpp.args.x: [1]\nbaseline:\n"
         "  backend: transformers\n  args.x: 1\n"), 10, "all of these together"),
]  # fmt: skip


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 150
    assert len({c.name for c in CASES}) == len(CASES)


def test_the_base_of_the_cases_is_valid() -> None:
    assert len(parse(BASE, "base.yaml").drafts) == 2


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_each_broken_file_is_refused_with_line_and_reason(case: Case) -> None:
    with pytest.raises(BadInput) as caught:
        parse(case.text, "broken.yaml")
    shown = [str(p) for p in caught.value.problems]
    on_line = [p for p in caught.value.problems if p.line == case.line]
    assert on_line, shown
    assert any(case.words in p.message for p in on_line), shown
    assert all(p.file == "broken.yaml" and p.column for p in caught.value.problems), shown
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (b"version: 1\nname: caf\xe9\n", 2, "not UTF-8"),
        ("version: 1\n".encode("utf-16"), 1, "UTF-16"),
        (b"# " + b"x" * 2**20, None, "larger than 1 MiB"),
        (b"a: 1\n" * 2_000_000, None, "larger than 1 MiB"),
    ],
    ids=["latin-1", "utf-16", "just over 1 MiB", "10 MB"],
)
def test_bytes_that_are_no_campaign(
    tmp_path: Path, data: bytes, line: int | None, words: str
) -> None:
    file = tmp_path / "campaign.yaml"
    file.write_bytes(data)
    with pytest.raises(BadInput) as caught:
        load(file)
    (problem,) = caught.value.problems
    assert problem.line == line
    assert words in problem.message
    assert problem.file == str(file)


def test_a_file_that_is_not_there_or_a_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        load(tmp_path / "none.yaml")
    with pytest.raises(BadInput, match="Is a directory"):
        load(tmp_path)


def test_a_byte_order_mark_and_windows_line_ends_are_fine() -> None:
    text = "\ufeff" + BASE.replace("\n", "\r\n")
    assert parse(text, "a").digest == parse(BASE, "a").digest


def test_an_alias_bomb_is_refused_before_it_expands() -> None:
    lines = ["a: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    with pytest.raises(BadInput) as caught:
        parse("\n".join(lines) + "\n", "bomb.yaml")
    (problem,) = caught.value.problems
    assert "aliases expand to more than 50,000 values" in problem.message
    # a3 alone has 11,111 values; the ninth of ten in a4 takes the file over the limit.
    assert problem.line == 5


def test_a_file_of_too_many_values_is_refused() -> None:
    with pytest.raises(BadInput, match="holds more than 50,000 values"):
        parse("a:\n" + "- 1\n" * 60_000, "long.yaml")


def test_all_problems_come_at_once_in_the_order_of_lines() -> None:
    text = """\
version: 1
name: a b
models:
  - {id: a/b, revison: main}
backends:
  transfomers: {}
engine: {dtype: no}
sweep:
  engine.max_batch: [1]
  engine.max_model_len: [x]
baseline: {modl.id: a}
"""
    with pytest.raises(BadInput) as caught:
        parse(text, "all.yaml")
    assert [p.line for p in caught.value.problems] == [2, 4, 6, 7, 9, 10, 11]
    assert str(caught.value).startswith("all.yaml:2:1: name: 'a b' must be 1 to 80 letters")


def test_values_of_the_user_cannot_move_the_cursor() -> None:
    with pytest.raises(BadInput) as caught:
        parse(BASE + 'submit: "\u202eabc' + "x" * 500 + '"\n', "a.yaml")
    message = str(caught.value)
    assert "\u202e" not in message
    assert len(message) < 300


def test_a_missing_local_model_is_noticed_when_loading_only(tmp_path: Path) -> None:
    text = BASE.replace("Qwen/Qwen3-0.6B", "./weights/model.gguf")
    file = tmp_path / "campaign.yaml"
    file.write_text(text)
    with pytest.raises(BadInput) as caught:
        load(file)
    (problem,) = caught.value.problems
    assert problem.line == 4
    assert "there is no file or folder './weights/model.gguf'" in problem.message
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "model.gguf").write_bytes(b"GGUF")
    assert load(file).drafts[0].model.id == str(tmp_path / "weights" / "model.gguf")
    assert parse(text, "campaign.yaml").baseline == 0
