"""The allow-list: every field decided, nothing private left, every figure untouched."""

import hmac
import itertools
import json
from hashlib import sha256
from typing import Any

import pytest

from lem.contract.base import Part
from lem.contract.failure import Failure
from lem.contract.lock import Lock
from lem.contract.record import Record
from lem.errors import BadInput
from lem.submit.allowed import OF_EXPERIMENTS, RULES
from lem.submit.public import (
    fields,
    parts_of,
    public_failure,
    public_lock,
    public_record,
    text_of,
)
from lem.submit.veil import board, campaign_of
from tests import records
from tests.submit.given import SALT

OWNER = "a-random-owner"
UUID = "GPU-5a1c9c1e-1234-4567-89ab-0123456789ab"
SECRETS = [
    UUID,
    UUID.lower().removeprefix("gpu-"),
    "/home/alice",
    "alice",
    "gpubox7",
    "example.org",
    "the beginning of an answer",
    "0d1a2b3c-boot",
    OWNER,
]


def reachable(kind: type[Part]) -> dict[type[Part], set[str]]:
    found: dict[type[Part], set[str]] = {}
    todo = [kind]
    while todo:
        here = todo.pop()
        if here in found:
            continue
        found[here] = set(here.model_fields)
        todo += [p for f in here.model_fields.values() for p in parts_of(f.annotation)]
    return found


@pytest.mark.parametrize("kind", [Record, Lock, Failure])
def test_every_field_is_decided(kind: type[Part]) -> None:
    """A new field fails here until somebody says in ``lem/submit/allowed.py`` whether it is
    sent."""
    for part, names in reachable(kind).items():
        if part in OF_EXPERIMENTS:
            assert names == set(OF_EXPERIMENTS[part].split()), part
        else:
            assert part in RULES, f"nobody has decided what of {part} may be sent"
            assert names == set(RULES[part]), part


def test_nothing_is_decided_that_does_not_exist() -> None:
    every = {p for kind in (Record, Lock, Failure) for p in reachable(kind)}
    assert set(RULES) | set(OF_EXPERIMENTS) <= every | {
        p for p in RULES if p.__name__ == "BoardGain"
    }


def test_fields_are_listed_for_whoever_reads_the_dry_run() -> None:
    fates = {path: rule.fate if rule else "experiment" for path, rule in fields(Record)}
    assert fates["environment.boot_id"] == "replaced"
    assert fates["quality.sample"] == "withheld"
    assert fates["windows.energy.energy_j"] == "sent"
    assert fates["experiment.args"] == "experiment"


def private_record() -> Record:
    raw = records.record(
        energy={"gpu": 0.123456789012345678, "node": 1 / 3},
        meters={"node": "external"},
        gpus=[{**records.gpu(), "uuid": UUID}],
        flags=["short_window"],
        boot_id="0d1a2b3c-boot",
    ).model_dump(mode="json")
    raw["quality"]["sample"] = "the beginning of an answer"
    raw["environment"] |= {
        "kernel": "6.1.0-alice-gpubox7",
        "os": "Debian /home/alice",
        "cpu_model": "AMD EPYC 7763 64-Core Processor",
        "engine_resolved": {
            "dtype": "float32",
            "threads": 8,
            "compile": False,
            "quantization": None,
            "model_path": "/home/alice/model",
            "/home/alice": 1,
        },
        "libraries": {
            "torch": "2.13.0+cpu",
            "own": "file:///home/alice/own",
            "C library": "glibc 2.36",
        },
        "confinement": {"seccomp": "filter", "speculative_store_bypass": "thread vulnerable"},
        "image_digest": "registry.example.org/alice/engine:1",
    }
    raw["meters_unavailable"] = {"rapl": "/home/alice/powercap may be read by root only"}
    raw["meters"][1] |= {"device": "pdu.example.org", "description": "alice's meter"}
    raw["windows"][0]["energy"][1]["device"] = "pdu.example.org"
    raw["reconciliation"] = [
        {
            "relation": "same",
            "what": "pdu.example.org",
            "first": {"meter": "external", "devices": ["pdu.example.org"], "energy_j": 1.0,
                      "uncertainty_j": None},
            "second": {"meter": "nvml", "devices": ["gpu0"], "energy_j": 1.0, "uncertainty_j": 0.1},
            "ratio": 1.0, "uncertainty": None, "agrees": None,
        }
    ]  # fmt: skip
    raw["measurement"]["calibration"] = {
        "sha256": "e" * 64,
        "boards": {
            UUID: {
                "gain": 1.01,
                "uncertainty": 0.01,
                "date": "2026-01-02",
                "against": "alice's PDU",
            }
        },
    }
    raw["measurement"]["accuracy"] = {
        "path": "alice.jsonl",
        "include_path": "alice",
        "task": "mmlu",
    }
    return Record.parse(json.dumps(raw).encode())


def test_no_private_text_is_left_in_a_record() -> None:
    text = text_of(public_record(private_record(), SALT, OWNER)).decode().lower()
    assert [s for s in SECRETS if s.lower() in text] == []


def test_every_figure_of_a_record_is_as_it_was() -> None:
    before = private_record()
    after = Record.parse(text_of(public_record(before, SALT, OWNER)))
    assert after.metrics == before.metrics
    assert after.experiment == before.experiment
    assert [w.energy[0] for w in after.windows] == [w.energy[0] for w in before.windows]
    for name in ("started_at", "ended_at", "flags", "requests", "warm_up_s", "load_s", "arm_id"):
        assert getattr(after, name) == getattr(before, name)


def test_answers_of_any_number_of_questions_are_sent() -> None:
    outcomes = "01" * 400
    raw = records.record().model_dump(mode="json")
    raw["quality"]["accuracy"] = {
        "questions_sha256": "a" * 64, "questions": 800, "correct": 400, "value": 0.5, "low": 0.46,
        "high": 0.54, "outcomes": outcomes, "metric": "exact_match", "scored_by": "forward pass",
        "metrics": {"exact_match,strict-match": 0.5},
    }  # fmt: skip
    made = public_record(Record.parse(json.dumps(raw).encode()), SALT, OWNER).quality.accuracy
    assert made is not None
    assert made.model_dump(mode="json") == raw["quality"]["accuracy"]


def test_what_stands_in_for_private_values() -> None:
    made = public_record(private_record(), SALT, OWNER)
    env = made.environment
    hashed = hmac.new(bytes.fromhex(SALT), UUID.encode(), sha256).hexdigest()[:32]
    assert env.gpus[0].uuid == f"board-{hashed}" == board(UUID, SALT)
    assert env.device_set == [f"board-{hashed}"]
    assert (env.kernel, env.os, env.image_digest) == ("6.1.0", "", None)
    assert env.cpu_model == "AMD EPYC 7763 64-Core Processor"
    assert env.engine_resolved == {
        "dtype": "float32", "threads": 8, "compile": False, "quantization": None,
    }  # fmt: skip
    assert env.libraries == {"torch": "2.13.0+cpu", "C library": "glibc 2.36"}
    assert made.meters_unavailable == {"rapl": ""}
    assert made.meters[1].device == made.windows[0].energy[1].device == "external-0"
    assert made.reconciliation[0].what == "external-0"
    assert made.measurement.calibration is not None
    assert list(made.measurement.calibration.boards) == [f"GPU-{hashed}"]
    assert made.measurement.accuracy is not None
    assert made.measurement.accuracy.task == "mmlu"


def test_boards_and_boots_can_still_be_told_apart() -> None:
    boards = {board(f"GPU-{i}", SALT) for i in range(50)} | {board("GPU-0", SALT[::-1])}
    assert len(boards) == 51
    boots = {
        public_record(records.record(boot_id=b), SALT, o).environment.boot_id
        for b, o in itertools.product(("a", "b"), ("x", "y"))
    }
    assert len(boots) == 4
    assert public_record(records.record(), SALT, "x").environment.device_set == ["cpu"]
    with pytest.raises(BadInput, match="32 hexadecimal"):
        board("GPU-0", "salt")


def test_a_failure_says_what_kind_it_is_and_nothing_else() -> None:
    before = records.failure(message="/home/alice", device_set=[UUID]).model_copy(
        update={"last_lines": ["alice"], "hint": "ask alice"}
    )
    made = public_failure(before, SALT, OWNER)
    assert (made.kind, made.phase, made.written_by) == ("out_of_memory", "load", "agent")
    assert (made.message, made.last_lines, made.hint) == ("", [], None)
    assert made.device_set == [board(UUID, SALT)]


def private_lock(**changes: Any) -> Lock:
    raw = records.lock(
        [{"arm_id": "a" * 64, "label": "batch 1 · float32", "experiment": records.experiment(),
          "settings": {"model.id": "/home/alice/m"}}]
    ).model_dump(mode="json")  # fmt: skip
    raw |= {"owner": OWNER, "device_set": [UUID], "notes": ["alice's notes"]}
    raw["arms"][0]["model"] = {"folder": "alice", "path": "gpubox7"}
    raw["backends"] = {
        "vllm": {
            "image": "registry.example.org/alice", "base_image": "example.org/b",
            "python": "/home/alice/bin/python", "digest": "sha256:" + "1" * 64,
            "engine_version": "0.1", "libraries": {"torch": "2.13.0"},
        }
    }  # fmt: skip
    return Lock.parse(json.dumps(raw | changes).encode())


def test_no_private_text_is_left_in_a_lock() -> None:
    made = public_lock(private_lock(), SALT)
    text = text_of(made).decode().lower()
    assert [s for s in SECRETS if s.lower() in text] == []
    assert made.owner == campaign_of(OWNER, SALT) == sha256(f"{SALT}/{OWNER}".encode()).hexdigest()
    assert made.arms[0].settings == {"model.id": "m"}
    assert made.arms[0].label == "batch 1 · float32"
    assert made.backends["vllm"].digest == "sha256:" + "1" * 64
    assert made.requests == {"b" * 64: 32}


@pytest.mark.parametrize(
    ("args", "what"),
    [
        ({"download_dir": "/data/models"}, "an absolute path"),
        ({"a": {"b": ["x", "--path=/data"]}}, "an absolute path"),
        ({"a": "~/models"}, "a path below a home"),
        ({"a": "~alice/models"}, "a path below a home"),
        ({"a": "C:\\models"}, "a path of Windows"),
        ({"a": "../models"}, "leads out of its folder"),
        ({"a": "http://gpubox7:8000/v1"}, "the address of a server"),
        ({"a": "http://localhost.example.org"}, "the address of a server"),
        ({"a": "10.1.2.3"}, "an address of the internet"),
        ({"a": "fe80::1234"}, "an address of the internet"),
        ({"a": "02:42:2b:12:9c:17"}, "the address of a network card"),
        ({"a": UUID}, "a universally unique id"),
        ({"a": "alice@example.org"}, "an e-mail address"),
        ({"hf_token": "x"}, "a secret"),
        ({"a": "hf_" + "A" * 30}, "a secret"),
        ({"a": "x\x00y"}, "control characters"),
    ],
)
def test_an_experiment_that_tells_too_much_is_refused(args: dict[str, Any], what: str) -> None:
    record = records.record(raw_experiment=records.experiment(args=args))
    with pytest.raises(BadInput, match=what) as e:
        public_record(record, SALT, OWNER)
    assert "experiment.args." in str(e.value)
    assert e.value.hint is not None


@pytest.mark.parametrize(
    "args",
    [
        {"base_url": "http://127.0.0.1:8000/v1"},
        {"base_url": "http://localhost:8000"},
        {"base_url": "http://[::1]:8000/v1"},
        {"eos_token": "</s>", "max_tokens": 5, "api_key_env": "LEM_API_KEY"},
        {"model": "org/name", "kv": "fp8_e4m3", "compilation_config": {"level": 3, "splits": [1]}},
        {"a": "2.13.0.1234", "b": "1/2", "c": "text, with a / in it", "d": "12:34:56"},
    ],
)
def test_honest_arguments_are_sent_as_they_are(args: dict[str, Any]) -> None:
    record = records.record(raw_experiment=records.experiment(args=args))
    assert public_record(record, SALT, OWNER).experiment.args == args


def test_a_campaign_is_called_by_a_plain_name() -> None:
    for name in ("a b", "alice@example.org", "", "x" * 81):
        with pytest.raises(BadInput, match="campaign"):
            public_record(records.record(campaign=name), SALT, OWNER)


def test_flags_and_names_that_are_none_are_refused() -> None:
    with pytest.raises(BadInput, match="flags"):
        public_record(records.record(flags=["see /home/alice"]), SALT, OWNER)


def test_the_same_document_gives_the_same_bytes() -> None:
    one, two = (text_of(public_record(private_record(), SALT, OWNER)) for _ in range(2))
    assert one == two
