"""How long a command takes to start, beside an empty Python and other Python command lines."""

import sys
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Line, command, in_turn, median_ms, ratio

ROUNDS = 15
NOTHING = "python -c pass"


def lines(folder: Path) -> Iterator[Line]:
    bin_ = Path(sys.executable).parent
    lem = str(bin_ / "lem")
    campaign = _fifty_lines(folder / "campaign.yaml")
    actions = {
        NOTHING: command([sys.executable, "-c", "pass"]),
        "lem --help": command([lem, "--help"]),
        "lem campaign validate (50 lines)": command([lem, "campaign", "validate", str(campaign)]),
        "pip --version": command([sys.executable, "-m", "pip", "--version"]),
        "pytest --version": command([sys.executable, "-m", "pytest", "--version"]),
    }
    goals = {"lem --help": "≤ 150 ms", "lem campaign validate (50 lines)": "≤ 400 ms"}
    for action in actions.values():
        action()  # compiles what is not compiled yet
    taken = in_turn(actions, ROUNDS)
    for name, seconds in taken.items():
        beside = "" if name == NOTHING else f"{ratio(seconds, taken[NOTHING]):.1f} × {NOTHING}"
        yield Line(name, median_ms(seconds), beside, goals.get(name, ""))


def _fifty_lines(path: Path) -> Path:
    """A valid campaign file of fifty lines."""
    head = """\
version: 1
name: bench
models:
  - id: bench
    synthetic: {hidden_size: 64, layers: 2, heads: 4, vocab_size: 512}
backends:
  transformers: {}
  llama_cpp: {}
engine:
  dtype: float32
sweep:
  engine.max_batch_size:
"""
    tail = """\
baseline:
  backend: transformers
  engine.max_batch_size: 1
workload:
  requests: 32
  dataset:
    kind: random
    input_tokens: 64
    output_tokens: 32
  arrival:
    kind: offline
generate:
  temperature: 0
  ignore_eos: true
measure:
  preset: quick
  seed: 1
"""
    room = 50 - len((head + tail).splitlines())
    path.write_text(head + "".join(f"    - {n + 1}\n" for n in range(room)) + tail)
    return path
