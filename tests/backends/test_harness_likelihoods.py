"""Tasks with given answers, from lm-evaluation-harness's words to figures, against its own Hugging
Face model on the same weights."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from lem import plugins
from lem.agent.quality import result
from lem.backends.protocol import Backend, Engine, Scoring
from lem.campaign import harness
from lem.contract.answers import Answer
from lem.contract.spec import Accuracy, ModelSpec
from lem.contract.workload import Concurrency
from lem.workloads import questions
from lem.workloads.likelihood import Scored
from lem.workloads.questions import Asked
from tests.campaign import given

from .conformance import make_job

pytestmark = [pytest.mark.harness, pytest.mark.engines, pytest.mark.slow]
SCRIPT = Path(given.__file__).with_name("harness_likelihoods.py")

Truth = dict[str, Any]


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = given.write(tmp_path_factory.mktemp("tasks"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(harness.TASKS, str(folder))
        yield folder


@pytest.fixture(scope="module")
def truth(tasks: Path, smollm2_safetensors: Path) -> Truth:
    """What the harness's own model says, in float32, one text at a time."""
    torch = find_spec("torch")
    assert torch is not None
    orders = {
        "tasks": given.TASKS,
        "include_path": str(tasks),
        "model": str(smollm2_safetensors),
        "packages": str(Path(str(torch.origin)).parents[1]),
    }
    done = subprocess.run(
        [os.environ.get(harness.PYTHON) or sys.executable, "-P", str(SCRIPT)],
        input=json.dumps(orders),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def asked(tasks: Path) -> dict[str, list[questions.Question]]:
    found = {}
    for name in given.TASKS:
        wanted = Accuracy(task=name, include_path=tasks.name)
        found[name] = questions.parse(harness.export(wanted, tasks, tasks, lambda _: None), name)
    return found


def tokenized(backend: Backend, model: Path, asked: Any) -> dict[str, list[Asked]]:
    tokenizer = backend.tokenizer(model)
    return {name: questions.ask(some, tokenizer, None) for name, some in asked.items()}


def score(engine: Engine, listed: list[Asked]) -> list[list[Scored]]:
    assert isinstance(engine, Scoring)
    found = engine.likelihoods([p for a in listed for p in a.passages])
    assert found is not None
    left = iter(found)
    return [[next(left) for _ in a.passages] for a in listed]


def answers(listed: list[Asked], scored: list[list[Scored]]) -> list[Answer]:
    return [
        Answer(
            id=a.request.id,
            status="done",
            output_tokens=0,
            text="",
            loglikelihoods=[s.logprob for s in some],
            greedy=[bool(s.greedy) for s in some],
        )
        for a, some in zip(listed, scored, strict=True)
    ]


def test_contexts_and_answers_are_the_harness_s_own(truth: Truth, asked: Any) -> None:
    for name, some in asked.items():
        for question, true in zip(some, truth[name]["questions"], strict=True):
            rule = question.likelihood
            pairs = [
                [question.question if g.context is None else g.context, g.text] for g in rule.given
            ]
            assert pairs == true["pairs"][: len(pairs)]
    recorded = [q["told"][0][0] for q in truth["lem_cloze"]["questions"]]
    assert recorded == pytest.approx([t[0] for t in given.CLOZE_TRUTH], abs=1e-3)
    right = [q.likelihood.accepted for q in asked["lem_capitals"]]
    assert right == [[c[2]] for c in given.CAPITALS]
    assert [q.likelihood.accepted for q in asked["lem_pronouns"]] == [[0], [1], [1]]


def test_scoring_is_the_harness_s_own(truth: Truth, asked: Any) -> None:
    """With the harness's own figures: metrics question by question, and over all."""
    for name, some in asked.items():
        listed = questions.ask(some, Letters(), None)
        scored = [
            [Scored(*t) for t in true["told"]][: len(a.passages)]
            for a, true in zip(listed, truth[name]["questions"], strict=True)
        ]
        found = result(listed, answers(listed, scored))
        assert found.metric == "acc"
        wanted = {m: v for m, v in truth[name]["metrics"].items() if m != "acc_mutual_info"}
        assert found.metrics == pytest.approx(wanted)
        outcomes = "".join(str(int(q["metrics"]["acc"])) for q in truth[name]["questions"])
        assert found.outcomes == outcomes


class Letters:
    """A tokenizer with one token a character."""

    vocabulary = 2**16
    special_ids: frozenset[int] = frozenset()
    prefix_id = 1

    def encode(self, text: str, chat: bool) -> list[int]:
        return [ord(c) for c in text]

    def chat(self, messages: Any) -> list[int]:
        raise NotImplementedError

    def bare(self, text: str) -> list[int]:
        return self.encode(text, False)

    def decode(self, ids: list[int]) -> str:
        return "".join(map(chr, ids))


@pytest.mark.parametrize("args", [{}, {"continuous_batching": True}])
@pytest.mark.parametrize("batch", [1, 5])
def test_transformers_says_what_the_harness_s_model_says(
    truth: Truth,
    asked: Any,
    smollm2_safetensors: Path,
    tmp_path: Path,
    batch: int,
    args: dict[str, Any],
) -> None:
    backend = plugins.load("backends", "transformers")()
    listed = tokenized(backend, smollm2_safetensors, asked)
    requests = [a.request for some in listed.values() for a in some]
    engine = {"max_batch_size": batch, "dtype": "float32"}
    loaded = backend.load(
        make_job("transformers", smollm2_safetensors, tmp_path, requests, engine, args)
    )
    try:
        for name, some in listed.items():
            scored = score(loaded, some)
            for one, true in zip(scored, truth[name]["questions"], strict=True):
                told = true["told"][: len(one)]
                assert [s.logprob for s in one] == pytest.approx([t[0] for t in told], abs=2e-3)
                assert [s.greedy for s in one] == [t[1] for t in told]
            found = result(some, answers(some, scored))
            wanted = {m: v for m, v in truth[name]["metrics"].items() if m != "acc_mutual_info"}
            assert found.metrics == pytest.approx(wanted, rel=1e-3)
    finally:
        loaded.close()


@pytest.mark.parametrize("served", [False, True])
def test_llama_cpp_agrees_as_far_as_its_weights_do(
    truth: Truth, asked: Any, gguf: Path, tmp_path: Path, served: bool
) -> None:
    """Its arithmetic is of four bits: log-likelihoods differ by a few percent."""
    backend = plugins.load("backends", "llama_cpp")()
    target = tmp_path / "model"
    target.mkdir()
    model = target / backend.prepare(ModelSpec(id="smollm2"), gguf, target, False)
    # It does not read special tokens out of a text.
    some = {n: q[: len(q) - (n == "lem_pairs")] for n, q in asked.items()}
    listed = tokenized(backend, model, some)
    requests = [a.request for some in listed.values() for a in some]
    more = {"arrival": Concurrency(concurrency=2)} if served else {}
    engine = {"max_batch_size": 2, "threads": 1}
    loaded = backend.load(make_job("llama_cpp", model, tmp_path, requests, engine, **more))
    try:
        assert isinstance(loaded, Scoring) and loaded.scored_by == "forced tokens"
        errors: list[float] = []
        for name, some in listed.items():
            for one, true in zip(score(loaded, some), truth[name]["questions"], strict=False):
                told = [t[0] for t in true["told"][: len(one)]]
                assert [s.logprob for s in one] == pytest.approx(told, rel=0.1, abs=0.6)
                errors += [s.logprob - t for s, t in zip(one, told, strict=True)]
                # Where the model is sure of its choice, so is this one.
                for s, (ours, greedy) in zip(one, true["told"], strict=False):
                    if math.exp(ours) > 0.7:
                        assert greedy and s.greedy
        assert abs(sum(errors) / len(errors)) < 0.1
    finally:
        loaded.close()
