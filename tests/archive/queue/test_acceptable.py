"""Which campaigns may be queued for somebody else's machine, and what is said of the others."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from lem.archive.queries.plan import plan, read_asked
from lem.archive.queue import acceptable, missing
from lem.archive.queue.acceptable import wish_of
from lem.archive.refused import Refused
from lem.config import parse
from lem.errors import BadInput
from lem.submit.telling import private_in
from tests.archive_queue import CAMPAIGN


def with_lines(*lines: str, base: str = CAMPAIGN) -> str:
    return base + "".join(f"{line}\n" for line in lines)


def problems(text: str) -> list[tuple[str, int | None]]:
    with pytest.raises(BadInput) as caught:
        wish_of(text)
    return [(p.path, p.line) for p in caught.value.problems]


def test_what_lists_show_of_one_that_may_be_queued() -> None:
    campaign, wish = wish_of(CAMPAIGN)
    assert (wish.name, wish.experiments, wish.yaml) == ("batching", 2, CAMPAIGN)
    assert wish.wanted == {
        "models": ["Qwen/Qwen3-0.6B"],
        "backends": ["transformers"],
        "preset": "standard",
        "adaptive": False,
        "trust_remote_code": False,
    }
    assert len(campaign.drafts) == 2
    # Whoever reads the queue sees it; a runner's policy decides.
    trusting = wish_of(with_lines("trust_remote_code: true"))[1]
    assert trusting.wanted["trust_remote_code"] is True


MODEL = "models: [{id: Qwen/Qwen3-0.6B}]"
BACKEND = "backends: {transformers: {}}"
DATASET = "  dataset: {kind: random, input_tokens: 128, output_tokens: 64}"


@pytest.mark.parametrize(
    ("old", "new", "where", "line"),
    [
        (MODEL, "models: [{id: ./mine}]", "models.0.id", 3),
        (MODEL, "models: [{id: /etc/passwd}]", "models.0.id", 3),
        (MODEL, "models: [{id: ~/weights}]", "models.0.id", 3),
        (MODEL, "models: [{id: model.gguf}]", "models.0.id", 3),
        (BACKEND, "backends: {transformers: {python: /usr/bin/python3}}",
         "backends.transformers.python", 4),
        (BACKEND, "backends: {transformers: {image: 'evil/image'}}",
         "backends.transformers.image", 4),
        (BACKEND, "backends: {transformers: {base_image: 'evil/image'}}",
         "backends.transformers.base_image", 4),
        (DATASET, "  dataset: {kind: jsonl, path: prompts.jsonl}", "workload.dataset.path", 8),
        (DATASET, "  dataset: {kind: trace, path: /etc/shadow}", "workload.dataset.path", 8),
        (DATASET, "  arrival: {kind: trace, path: times.jsonl}", "workload.arrival.path", 8),
        # None of its experiments is left; a file is named nevertheless.
        ("sweep: {engine.max_batch_size: [1, 8]}",
         "exclude: [{workload.arrival.kind: trace}]\nexperiments: [{backend: transformers}]\n"
         "sweep: {workload.arrival.kind: [trace], workload.arrival.path: [/etc/shadow]}",
         "sweep.workload.arrival.path", 7),
        (MODEL, "models: [{id: Qwen/Qwen3-0.6B, revision: refs/pr/7}]", "models.0.revision", 3),
        ("requests: 64", "requests: 1000000", "workload.requests", 7),
        ("[1, 8]", "{low: 1, high: 501, step: 1}", "sweep", 5),
    ],
)  # fmt: skip
def test_what_only_its_authors_machine_has_is_refused_with_its_line(
    old: str, new: str, where: str, line: int
) -> None:
    assert old in CAMPAIGN
    assert problems(CAMPAIGN.replace(old, new)) == [(where, line)]


@pytest.mark.parametrize(
    ("lines", "where"),
    [
        (["measure: {calibration: boards.json}"], "measure.calibration"),
        (["measure: {accuracy: {path: questions.jsonl}}"], "measure.accuracy.path"),
        (["measure: {accuracy: {task: arc_easy, include_path: tasks}}"],
         "measure.accuracy.include_path"),
        (["measure: {time_budget: 31d}"], "measure.time_budget"),
        (["measure: {blocks: 10000, max_blocks: 10000}"], "measure.blocks"),
        (["gpus: [0]"], "gpus"),
        (["submit: never"], "submit"),
        (["limits: {run_s: 100000}"], "limits.run_s"),
        (["limits: {load_s: 100000}"], "limits.load_s"),
        (["limits: {pids: 100000}"], "limits.pids"),
        (["args: {download_dir: /etc}"], "args.download_dir"),
        (["generate: {stop: 'http://inside.example/x'}"], "generate.stop"),
        (["args: {api_key: verysecret}"], "args.api_key"),
    ],
)  # fmt: skip
def test_what_no_runner_should_be_asked_is_refused_with_its_line(
    lines: list[str], where: str
) -> None:
    assert problems(with_lines(*lines)) == [(where, 9)]


def test_sizes_that_no_machine_has_are_refused() -> None:
    large = "models: [{synthetic: {hidden_size: 65536, heads: 64, layers: 1000}}]"
    assert problems(CAMPAIGN.replace(MODEL, large)) == [("models.0.synthetic", 3)]
    many = CAMPAIGN.replace("requests: 64", "requests: 100000").replace(
        "input_tokens: 128", "input_tokens: 16000000"
    )
    assert problems(many) == [("workload.requests", 7)]


def test_what_is_harmless_is_let_through() -> None:
    for lines in (["gpus: []"], ["launcher: docker"], ["launcher: process"], ["submit: always"]):
        wish_of(with_lines(*lines))
    wish_of(CAMPAIGN.replace(MODEL, "models: [{synthetic: {}}]"))


def test_every_problem_is_told_in_order() -> None:
    text = with_lines(
        "gpus: [1]", "submit: never", base=CAMPAIGN.replace(MODEL, "models: [{id: ./x}]")
    )
    assert [where for where, _ in problems(text)] == ["models.0.id", "gpus", "submit"]


BOMB = "version: 1\nname: x\nargs:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        "x: &x [*x]\n",
        "a: " + "[" * 10_000,
        "a: " + "{a: " * 10_000,
        "!!python/object/apply:os.system ['true']\n",
        "version: 1\n---\nversion: 1\n",
        "\x00",
        "",
        "[]",
        "a: 1\n" * 10_001,
        CAMPAIGN.replace("[1, 8]", "{low: 1, high: 10000, step: 1}"),
        CAMPAIGN.replace("batching", "b" * 100_000),
        CAMPAIGN + "args:\n" + "".join(f"  k{n}: {n}\n" for n in range(60_000)),
        CAMPAIGN.replace("batching", "../../etc"),
        CAMPAIGN.replace("batching", "<script>"),
    ],
    ids=[
        "bomb", "itself", "lists", "mappings", "tag", "two", "zero", "empty", "list", "lines",
        "experiments", "name", "keys", "path", "markup",
    ],
)  # fmt: skip
def test_hostile_files_are_refused_and_soon(text: str) -> None:
    began = time.process_time()
    with pytest.raises(BadInput) as caught:
        wish_of(text)
    assert time.process_time() - began < 10
    assert len(caught.value.problems) <= 101
    assert all(len(str(p)) < 2000 for p in caught.value.problems)


def test_a_file_that_is_too_large_is_not_even_read(monkeypatch) -> None:
    monkeypatch.setattr(acceptable, "parse", None)
    with pytest.raises(BadInput, match="256 KiB"):
        wish_of("a" * 262_145)
    with pytest.raises(BadInput, match="256 KiB"):
        wish_of("\u00fc" * 131_073)


class Planned:
    def __init__(self, measured: bool) -> None:
        self.measured = [1] if measured else []


def without(text: str, *measured: int) -> str:
    campaign = parse(text, "campaign")
    planned = [Planned(i in measured) for i in range(len(campaign.drafts))]
    return missing.without_measured(text, campaign, planned)


FOUR = CAMPAIGN.replace("[1, 8]", "[1, 2, 4, 8]")


def sizes(text: str) -> list[int]:
    return [d.engine["max_batch_size"] for d in parse(text, "campaign").drafts]


def test_what_is_measured_is_left_out_but_the_baseline() -> None:
    assert without(FOUR) == FOUR
    assert without(FOUR, 0) == FOUR
    made = without(FOUR, 0, 1, 3)
    assert made.startswith(FOUR.rstrip()) and sizes(made) == [1, 4]
    # What a file has of its own stays.
    with_own = FOUR + "exclude: [{engine.max_batch_size: 2}]\n"
    assert sizes(without(with_own, 1)) == [1, 8]
    of_two = FOUR.replace(MODEL, "models: [{id: Qwen/Qwen3-0.6B}, {id: Qwen/Qwen3-1.7B}]")
    campaign = parse(without(of_two, 5), "campaign")
    assert [(d.model.id[-4:], d.engine["max_batch_size"]) for d in campaign.drafts] == [
        ("0.6B", 1), ("0.6B", 2), ("0.6B", 4), ("0.6B", 8), ("1.7B", 1), ("1.7B", 4), ("1.7B", 8),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        # exclude does not reach what is named one by one.
        CAMPAIGN.replace("sweep: {engine.max_batch_size: [1, 8]}",
                         "experiments: [{engine.max_batch_size: 4}]"),
        # Chosen as it goes.
        CAMPAIGN + "sampler: {kind: pareto, budget: 4}\n",
    ],
)  # fmt: skip
def test_what_exclude_cannot_say_is_refused(text: str) -> None:
    if "pareto" in text:
        text = text.replace("[1, 8]", "[1, 2, 4, 8, 16, 32]")
    last = len(parse(text, "campaign").drafts) - 1
    with pytest.raises(Refused) as caught:
        without(text, last)
    assert caught.value.reason == "not_expressible"


def test_a_campaign_of_json_stays_one(archive) -> None:
    text = (
        '{"version": 1, "name": "x", "models": [{"id": "Qwen/Qwen3-0.6B"}],'
        ' "backends": {"transformers": {}}, "sweep": {"engine.max_batch_size": [1, 2, 4]}}'
    )
    made = without(text, 1)
    assert sizes(made) == [1, 4]
    with archive.database.reading() as c:
        assert len(plan(c, read_asked(made)).experiments) == 2


@pytest.mark.parametrize(
    "source",
    ["synthetic: {}", f"wheel: {{package: p, version: '1', file: m/m.gguf, sha256: '{'0' * 64}'}}"],
)
@pytest.mark.parametrize("id", ["/home/me/model", "~/model", "me@work.example", "./mine"])
def test_the_name_of_a_made_up_model_tells_nothing_either(source: str, id: str) -> None:
    text = CAMPAIGN.replace(MODEL, f"models: [{{id: '{id}', {source}}}]")
    if id == "./mine":
        wish_of(text)
    else:
        assert [where for where, _ in problems(text)] == ["models.id"]


def test_what_all_experiments_share_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []

    def noted(value: dict[str, Any]) -> Iterator[tuple[str, str]]:
        looked.append(value)
        return private_in(value)

    monkeypatch.setattr(acceptable, "private_in", noted)
    text = CAMPAIGN.replace("[1, 8]", "{low: 1, high: 200, step: 1}")
    wish_of(with_lines("args: {words: [" + "a b, " * 100 + "c]}", base=text))
    assert sum("words" in v for v in looked) == 1
    assert sum("max_batch_size" in v for v in looked) == 200
    assert sum("id" in v for v in looked) == 1


def test_a_campaign_of_long_texts_is_looked_at_soon() -> None:
    text = CAMPAIGN.replace("[1, 8]", "{low: 1, high: 500, step: 1}")
    args = "args: {" + ", ".join(f"k{i}: '{'a' * 4000}'" for i in range(50)) + "}"
    began = time.process_time()
    wish_of(with_lines(args, base=text))
    assert time.process_time() - began < 20


@pytest.mark.parametrize("kind", ["random", "sobol", "pareto"])
def test_a_budget_that_is_too_large_is_refused_before_anything_is_drawn(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptable, "parse", None)
    assert problems(with_lines(f"sampler: {{kind: {kind}, budget: 501}}")) == [
        ("sampler.budget", 9)
    ]
