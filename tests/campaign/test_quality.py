"""Quality in whole campaigns of the test backend, from the file to the comparison."""

import json
from pathlib import Path
from typing import Any

import pytest

from lem.contract.lock import Lock
from lem.contract.record import Record
from tests.tick import lem, write_campaign

N = 200


def prepared(folder: Path, **changes: Any) -> Path:
    lines = [{"question": f"{n} + {n}? say {2 * n}", "answer": str(2 * n)} for n in range(N)]
    (folder / "q.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    measure = {
        "preset": "quick",
        "window_s": 0.1,
        "idle_s": 0.02,
        "settle_s": 0,
        "warm_up_cap_s": 0.05,
        "quality": ["nll", "agreement"],
        "accuracy": {"path": "q.jsonl", "output_tokens": 3},
    }
    spec: dict[str, Any] = {
        "args": {"echo": True, "token_ms": 0.1},
        "sweep": {"args.forget": [1000, 4]},
        "engine": {"max_batch_size": 4},
        "measure": measure,
    }
    return write_campaign(folder / "campaign.yaml", **spec | changes)


@pytest.mark.slow
def test_what_is_forgotten_shows_in_the_comparison(tmp_path: Path) -> None:
    file, out = prepared(tmp_path), tmp_path / "out"
    done = lem("campaign", "run", file, "--out", out, cache=tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    said = lem("results", "compare", out, "--json", cache=tmp_path / "cache")
    assert said.returncode == 0, said.stderr
    base, arm = json.loads(said.stdout)["arms"]
    # Number 0 alone is forgotten by the baseline, every fourth by the arm.
    assert base["figures"]["accuracy"]["mean"] == pytest.approx(1 - 1 / N)
    assert arm["figures"]["accuracy"]["mean"] == pytest.approx(0.75)
    losses = arm["quality"]["losses"]
    assert losses["accuracy"]["value"] == pytest.approx(0.25 - 1 / N)
    assert losses["accuracy"]["n"] == N
    assert losses["nll"]["value"] == 0 and losses["nll"]["standing"] == "kept"
    assert arm["quality"]["standing"] == "lost"
    # Of 32 prompts 0, 4, …, 28 are answered with nonsense by the arm, 0 by both.
    assert arm["quality"]["agreement"]["same"] == pytest.approx(25 / 32)
    assert base["quality"]["agreement"] == {
        "same": 1.0,
        "leading": 1.0,
        "prompts": 32,
        "blocks": 2,
    }
    lock = Lock.read(out / "campaign.lock.json")
    lists = {(a.agreement_list, a.questions_list) for a in lock.arms}
    assert len(lists) == 1
    for sha256 in lists.pop():
        assert (out / "requests" / f"{sha256}.jsonl.gz").is_file()
    for path in out.glob("blocks/*/*/*/record.json"):
        record = Record.read(path)
        assert record.answering is not None and record.answering.requests == N
        assert record.measurement.accuracy is not None
        assert record.measurement.accuracy.path == "q.jsonl"
    text = lem("results", "compare", out, cache=tmp_path / "cache").stdout
    flat = " ".join(text.split())
    assert "answers are worse: accuracy is 24.5 points lower" in flat
    metric = ("--metric", "energy_per_correct_answer_j")
    refused = lem("results", "compare", out, *metric, cache=tmp_path / "cache")
    assert refused.returncode == 2 and "only estimated" in refused.stderr


def test_a_folder_goes_on_only_with_the_same_questions(tmp_path: Path) -> None:
    file, out = prepared(tmp_path, sweep={}), tmp_path / "out"
    cache = tmp_path / "cache"
    assert lem("campaign", "run", file, "--out", out, "--blocks", "1", cache=cache).returncode == 0
    with (tmp_path / "q.jsonl").open("a") as f:
        f.write('{"question": "more? say so", "answer": "so"}\n')
    again = lem("campaign", "run", file, "--out", out, cache=cache)
    assert again.returncode == 2 and "was begun with another campaign" in again.stderr


def test_a_swapped_list_is_not_believed(tmp_path: Path) -> None:
    """The lock names the lists; what a folder from elsewhere names must be what staging makes."""
    file, out = prepared(tmp_path, sweep={}), tmp_path / "out"
    cache = tmp_path / "cache"
    assert lem("campaign", "run", file, "--out", out, "--blocks", "1", cache=cache).returncode == 0
    lock = Lock.read(out / "campaign.lock.json")
    arms = [a.model_copy(update={"questions_list": "0" * 64}) for a in lock.arms]
    lock.model_copy(update={"arms": arms, "blocks": 2}).write(out / "campaign.lock.json")
    again = lem("campaign", "run", file, "--out", out, cache=cache)
    assert again.returncode == 2 and "questions_list" in again.stderr
