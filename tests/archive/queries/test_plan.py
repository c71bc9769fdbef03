import builtins
import io
import json
import os
import socket
from pathlib import Path

import pytest

from lem.archive.queries.plan import MAX_CAMPAIGN_BYTES, plan, read_asked
from lem.config import experiment_id
from lem.contract.spec import Experiment
from lem.errors import BadInput
from tests import archive_queries, records

CAMPAIGN = """\
version: 1
name: planned
models: [{id: org/Model-7B}]
backends: {transformers: {}}
engine: {dtype: float32}
sweep: {engine.max_batch_size: [1, 2, 16]}
workload:
  requests: 32
  dataset: {kind: prompts, output_tokens: 32}
  arrival: {kind: offline}
generate: {temperature: 0, ignore_eos: true}
measure: {preset: quick}
"""


def raw(batch: int, **changes) -> dict:
    made = records.experiment(batch, **changes)
    made["model"] = {**made["model"], "id": "org/Model-7B", "revision": "c" * 40}
    return made


def fill(archive) -> None:
    made = []
    for batch, changes in (
        (1, {}),
        (1, {"engine_version": "9.9"}),
        (2, {}),
        (4, {}),
        (16, {"args": {"x": 1}}),
    ):
        experiment = raw(batch, **changes)
        identity = experiment_id(Experiment.model_validate(experiment))
        made += [
            records.record(
                arm_id=identity,
                raw_experiment=experiment,
                block=block,
                energy={"gpu": 0.5},
                gpus=[{**records.gpu(), "uuid": "board-" + "1" * 32}],
                semantics=4,
            )
            for block in range(3)
        ]
    archive_queries.submitted(archive, made)


def ask(archive, text: str):
    with archive.database.reading() as c:
        return plan(c, read_asked(text))


def test_says_what_is_measured_and_what_may_differ(archive) -> None:
    fill(archive)
    found = ask(archive, CAMPAIGN)
    by_batch = {e.settings["engine.max_batch_size"]: e for e in found.experiments}
    assert (found.name, found.measured, found.missing) == ("planned", 2, 1)
    assert all(e.provisional for e in found.experiments)
    assert [e.baseline for e in found.experiments] == [True, False, False]
    assert {m.engine_version for m in by_batch[1].measured} == {"5.23.0", "9.9"}
    (two,) = by_batch[2].measured
    assert two.match == "alike"
    assert two.may_differ == ["the model's content", "the engine's version", "the request list"]
    assert (two.device_model, two.device_count) == ("NVIDIA Test 80GB", 1)
    assert (two.meter_class, two.tier) == ("nvml", "recomputed")
    assert two.figure.value == pytest.approx(0.5) and two.figure.unit == "J/token"
    # other arguments are another experiment
    assert by_batch[16].measured == []


def test_a_commit_that_is_named_has_to_be_that(archive) -> None:
    fill(archive)
    named = CAMPAIGN.replace("id: org/Model-7B", f"id: org/Model-7B, revision: {'c' * 40}")
    (two,) = ask(archive, named).experiments[1].measured
    assert "the model's content" not in two.may_differ
    other = CAMPAIGN.replace("id: org/Model-7B", f"id: org/Model-7B, revision: {'d' * 40}")
    assert ask(archive, other).measured == 0


def test_a_lock_has_final_ids_so_matches_are_exact(archive) -> None:
    fill(archive)
    experiment = raw(2)
    identity = experiment_id(Experiment.model_validate(experiment))
    arm = {"arm_id": identity, "label": "two", "settings": {}, "experiment": experiment}
    found = ask(archive, records.lock([arm]).model_dump_json())
    (one,) = found.experiments
    assert not one.provisional and one.experiment_id == identity
    assert [(m.match, m.may_differ) for m in one.measured] == [("exact", [])]


def test_the_same_as_json(archive) -> None:
    import yaml

    fill(archive)
    text = json.dumps(yaml.safe_load(CAMPAIGN))
    assert ask(archive, text).experiments == ask(archive, CAMPAIGN).experiments


HOSTILE = [
    CAMPAIGN.replace("{id: org/Model-7B}", "{id: /etc/passwd}"),
    CAMPAIGN.replace("{id: org/Model-7B}", "{id: ~/secret.gguf}"),
    CAMPAIGN.replace("{id: org/Model-7B}", '{id: "http://169.254.169.254/latest/meta-data"}'),
    CAMPAIGN.replace("{kind: prompts, output_tokens: 32}", "{kind: jsonl, path: /etc/passwd}"),
    CAMPAIGN.replace("{kind: prompts, output_tokens: 32}", "{kind: sharegpt, path: ../../secret}"),
    CAMPAIGN.replace("{kind: offline}", "{kind: trace, path: /proc/self/environ}"),
    CAMPAIGN.replace("preset: quick", "preset: quick, calibration: /etc/shadow"),
    CAMPAIGN.replace("preset: quick", "preset: quick, accuracy: {path: /etc/passwd}"),
    CAMPAIGN.replace("preset: quick", "preset: quick, accuracy: {task: x, include_path: /etc}"),
    CAMPAIGN.replace(
        "transformers: {}", "transformers: {image: 'http://10.0.0.1/x', base_image: null}"
    ),
    CAMPAIGN.replace("transformers: {}", "transformers: {python: /bin/sh}"),
    CAMPAIGN.replace("models:", "include: /etc/passwd\nmodels:"),
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_a_campaign_names_is_opened(archive, text: str, monkeypatch) -> None:
    with archive.database.reading() as c:
        # Once before, so that modules are imported and statements compiled.
        plan(c, read_asked(CAMPAIGN))
        opened: list[str] = []

        def refuse(name: str):
            def called(*args, **_):
                opened.append(f"{name} {args[:1]}")
                raise PermissionError(name)

            return called

        for module, name in (
            (builtins, "open"),
            (io, "open"),
            (os, "open"),
            (os, "stat"),
            (os, "lstat"),
            (os, "listdir"),
            (os, "scandir"),
            (os, "readlink"),
            (socket, "getaddrinfo"),
        ):
            monkeypatch.setattr(module, name, refuse(name))
        monkeypatch.setattr(socket.socket, "connect", refuse("connect"))
        try:
            found = plan(c, read_asked(text))
            said = found.model_dump_json()
        except BadInput as e:
            said = str(e)
        finally:
            monkeypatch.undo()
    assert opened == []
    assert "root:" not in said and str(Path.cwd()) not in said


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "x",
        "{",
        "version: 1",
        "\x00",
        "a: &a [*a]",
        "- " * 5000,
        '{"arms": 1, "campaign_digest": 2}',
        '{"a":' * 3000,
        CAMPAIGN + "#" * MAX_CAMPAIGN_BYTES,
        CAMPAIGN.replace("[1, 2, 16]", str(list(range(1, 1102)))),
    ],
)
def test_what_is_no_campaign_is_refused_with_reasons(archive, text: str) -> None:
    with pytest.raises(BadInput):
        ask(archive, text)


def test_a_budget_that_is_too_large_is_refused_before_anything_is_drawn(
    archive, monkeypatch
) -> None:
    monkeypatch.setattr("lem.archive.queries.plan.parse", None)
    with pytest.raises(BadInput, match=r"sampler\.budget: may be 1,000"):
        ask(archive, CAMPAIGN + "sampler: {kind: random, budget: 10000}\n")


def test_ids_are_those_that_a_local_plan_shows(archive) -> None:
    assert len({e.experiment_id for e in ask(archive, CAMPAIGN).experiments}) == 3
