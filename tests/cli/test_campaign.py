"""``lem campaign init``, ``validate``, ``plan`` and ``status``: what needs no engine."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from lem.cli.main import main
from lem.config import load

VALID: dict[str, Any] = {
    "version": 1,
    "name": "test",
    "models": [{"id": "org/model", "revision": "main"}],
    "backends": {"transformers": {}},
    "sweep": {"engine.max_batch_size": [1, 4, 16]},
    "measure": {"preset": "quick"},
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(VALID))
    return tmp_path


Shown = pytest.CaptureFixture[str]


def lem(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as e:
        main([str(a) for a in arguments])
    assert isinstance(e.value.code, int)
    return e.value.code


def json_of(capsys: Shown, *arguments: str | Path, code: int = 0) -> Any:
    """The one JSON document that the command puts on stdout."""
    assert lem(*arguments, "--json") == code
    return json.loads(capsys.readouterr().out)


def test_validate_says_how_many_experiments(capsys: Shown) -> None:
    assert lem("campaign", "validate", "c.yaml") == 0
    shown = capsys.readouterr()
    assert shown.out == "c.yaml: valid, 3 experiments\n" and shown.err == ""


def test_validate_as_json(capsys: Shown) -> None:
    found = json_of(capsys, "campaign", "validate", "c.yaml")
    assert found == {"valid": True, "problems": [], "experiments": 3}


def test_validate_shows_every_problem_with_its_place(here: Path, capsys: Shown) -> None:
    (here / "c.yaml").write_text("version: 1\nname: test\nmodells: []\nbackends: {vlm: {}}\n")
    assert lem("campaign", "validate", "c.yaml") == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "c.yaml:3:1: " in shown.err and "models" in shown.err
    assert "c.yaml:4:" in shown.err
    found = json_of(capsys, "campaign", "validate", "c.yaml", code=2)
    assert found["valid"] is False
    assert {p["line"] for p in found["problems"]} >= {3, 4}
    assert all(p["file"] == "c.yaml" and p["message"] for p in found["problems"])


def test_plan_changes_nothing(here: Path, capsys: Shown) -> None:
    before = sorted(here.rglob("*"))
    found = json_of(capsys, "campaign", "plan", "c.yaml", "--launcher", "process")
    assert found["provisional_ids"] is True
    assert found["expected"]["runs"] == found["runs_missing"] == 9
    assert len(found["next"]) == 9
    assert [a["settings"] for a in found["arms"]] == [
        {"engine.max_batch_size": n} for n in (1, 4, 16)
    ]
    assert [a["baseline"] for a in found["arms"]] == [True, False, False]
    assert lem("campaign", "plan", "c.yaml", "--launcher", "process") == 0
    shown = capsys.readouterr().out
    assert "3 experiments × 3 blocks" in shown and "ids come with the first run" in shown
    assert "GPU" not in shown
    assert sorted(here.rglob("*")) == before


def test_plan_on_several_nodes(here: Path, capsys: Shown) -> None:
    one = json_of(capsys, "campaign", "plan", "c.yaml")["expected"]
    assert (one["nodes"], one["elapsed_s"]) == (1, one["seconds"])
    three = json_of(capsys, "campaign", "plan", "c.yaml", "--nodes", "3")["expected"]
    # Its three blocks at once.
    assert three["elapsed_s"] == pytest.approx(one["seconds"] / 3)
    assert lem("campaign", "plan", "c.yaml", "--nodes", "2") == 0
    assert "on 2 nodes at once: about " in capsys.readouterr().out
    slurm = {"launcher": {"kind": "slurm"}, "parallel_blocks": 3}
    (here / "c.yaml").write_text(yaml.safe_dump(VALID | slurm))
    named = json_of(capsys, "campaign", "plan", "c.yaml")["expected"]
    assert named["nodes"] == 3


def test_plan_says_that_an_engine_wants_a_gpu(here: Path, capsys: Shown) -> None:
    file = here / "gpu.yaml"
    file.write_text(
        "{version: 1, name: gpu, gpus: [], models: [{id: a/b}], "
        "backends: {sglang: {}, transformers: {}}}"
    )
    assert lem("campaign", "plan", "gpu.yaml", "--launcher", "process") == 0
    assert "these are for NVIDIA GPUs: sglang\n" in capsys.readouterr().out


def test_of_chosen_experiments_only_the_first_are_counted(here: Path, capsys: Shown) -> None:
    (here / "chosen.yaml").write_text(
        "{version: 1, name: chosen, models: [{id: a/b}], backends: {transformers: {}}, "
        "sweep: {engine.max_batch_size: [1, 2, 4, 8, 16]}, "
        "sampler: {kind: pareto, budget: 4, generation: 2}}"
    )
    assert lem("campaign", "validate", "chosen.yaml") == 0
    assert "2 experiments to begin with" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "blocks"),
    [([], 3), (["--blocks", "2"], 2), (["--preset", "publication"], 10)],
)
def test_plan_takes_the_flags_of_run(options: list[str], blocks: int, capsys: Shown) -> None:
    arguments = ["campaign", "plan", "c.yaml", "--launcher", "process", *options]
    assert json_of(capsys, *arguments)["blocks"] == blocks
    arguments[1] = "run"
    assert json_of(capsys, *arguments, "--dry-run")["blocks"] == blocks


def test_status_before_the_first_run(capsys: Shown) -> None:
    assert lem("campaign", "status", "c.yaml") == 0
    assert capsys.readouterr().out.startswith("test: 0/9 runs done, 9 to go")
    assert json_of(capsys, "campaign", "status", "c.yaml")["runs_missing"] == 9


def test_init_writes_what_it_was_told(here: Path, capsys: Shown) -> None:
    told = ["--model", "Qwen/Qwen3-0.6B", "--backend", "transformers", "--backend", "llama_cpp"]
    sweeps = ["--sweep", "engine.max_batch_size=1,8,64", "--sweep", "generate.temperature=0,0.5"]
    assert lem("campaign", "init", *told, *sweeps, "new.yaml") == 0
    shown = capsys.readouterr()
    assert shown.out == "" and "lem campaign run new.yaml" in shown.err
    file = load(here / "new.yaml")
    assert {d.backend for d in file.drafts} == {"transformers", "llama_cpp"}
    assert {d.model.id for d in file.drafts} == {"Qwen/Qwen3-0.6B"}
    assert {d.engine["max_batch_size"] for d in file.drafts} == {1, 8, 64}
    assert {d.generate["temperature"] for d in file.drafts} == {0, 0.5}
    assert len(file.drafts) == 12
    assert lem("campaign", "validate", "new.yaml") == 0


def test_init_without_anything_is_a_campaign_that_validates(here: Path) -> None:
    assert lem("campaign", "init") == 0
    assert lem("campaign", "validate", "campaign.yaml") == 0
    assert (here / "campaign.yaml").read_text().count("#") > 20


def test_init_does_not_overwrite(here: Path, capsys: Shown) -> None:
    before = (here / "c.yaml").read_text()
    assert lem("campaign", "init", "c.yaml") == 2
    assert "--force" in capsys.readouterr().err
    assert (here / "c.yaml").read_text() == before
    assert lem("campaign", "init", "c.yaml", "--force") == 0
    assert (here / "c.yaml").read_text() != before


def test_init_beside_the_same_files_and_into_a_folder(here: Path, capsys: Shown) -> None:
    assert lem("campaign", "init", "--example", "accuracy", "one.yaml") == 0
    assert lem("campaign", "init", "--example", "accuracy", "two.yaml") == 0
    (here / "accuracy.questions.jsonl").write_text("mine")
    assert lem("campaign", "init", "--example", "accuracy", "three.yaml") == 2
    assert (here / "accuracy.questions.jsonl").read_text() == "mine"
    (here / "folder").mkdir()
    capsys.readouterr()
    assert lem("campaign", "init", "folder", "--force") == 2
    assert "folder/campaign.yaml" in capsys.readouterr().err


def test_init_to_stdout(here: Path, capsys: Shown) -> None:
    before = sorted(here.rglob("*"))
    assert lem("campaign", "init", "-") == 0
    (here / "piped.yaml").write_text(capsys.readouterr().out)
    assert len(load(here / "piped.yaml").drafts) == 3
    (here / "piped.yaml").unlink()
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize("name", ["a b", "x: y", "-", "#x", "'", '"', "é", "{a}", "*a", "null"])
def test_init_with_an_odd_path_writes_that_very_path(here: Path, name: str) -> None:
    model = f"./{name}"
    (here / name).mkdir()
    assert lem("campaign", "init", f"--model={model}", "new.yaml") == 0
    assert {d.model.id for d in load(here / "new.yaml").drafts} == {str(here / name)}


def test_every_shipped_example_can_be_written_and_validates(here: Path, capsys: Shown) -> None:
    lem("campaign", "init", "--example", "no-such-example", "x.yaml")
    names = capsys.readouterr().err.partition("there are:")[2].replace(",", " ").split()
    assert "quickstart" in names
    for name in names:
        assert lem("campaign", "init", "--example", name, f"{name}.yaml") == 0
        assert lem("campaign", "validate", f"{name}.yaml") == 0


@pytest.mark.parametrize("verb", ["run", "plan", "stage", "status"])
def test_a_folder_that_is_no_campaigns_is_not_written_to(
    here: Path, capsys: Shown, verb: str
) -> None:
    """A person's own folder with a campaign file in it is not where its results go."""
    (here / "c.yaml").rename(here / "campaign.yaml")
    assert lem("campaign", verb, here) == 2
    assert "campaign.yaml" in capsys.readouterr().err
    assert [f.name for f in here.iterdir()] == ["campaign.yaml"]


def test_status_can_follow_a_campaign_that_has_nothing_to_do(
    here: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each state once on stderr, the last one on stdout."""
    from lem.campaign import Campaign
    from lem.cli import campaign as module

    plan = Campaign.plan
    looks = []

    def looked(self: Campaign, glance: bool) -> Any:
        overview = plan(self, glance)
        looks.append(overview)
        if len(looks) == 4:
            overview = replace(overview, plan=overview.plan._replace(runs=[]))
        return overview

    monkeypatch.setattr(Campaign, "plan", looked)
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    assert lem("campaign", "status", "c.yaml", "--follow") == 0
    shown = capsys.readouterr()
    blocks = "3 blocks: fixed by the quick preset  (results/test)"
    assert shown.err.splitlines() == [f"test: 0/9 runs done, 9 to go; {blocks}"]
    assert shown.out == f"test: 0/9 runs done, complete; {blocks}\n"
