"""Experiments that a sampler draws."""

import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from lem.config import drawn, load, parse
from lem.config.bounds import MAX_AXES
from lem.config.labels import labels
from lem.config.load import CampaignFile
from lem.errors import BadInput
from lem.sampling import draw

BASE: dict[str, Any] = {
    "version": 1,
    "name": "x",
    "models": [{"id": "m", "synthetic": {}}],
    "backends": {"transformers": {}, "llama_cpp": {}},
    "sweep": {
        "engine.max_batch_size": {"low": 1, "high": 64, "scale": "log"},
        "transformers.engine.dtype": ["float32", "bfloat16"],
        "generate.temperature": {"low": 0, "high": 1},
    },
    "sampler": {"kind": "random", "budget": 20},
}


def campaign(**changes: Any) -> CampaignFile:
    return parse(yaml.safe_dump({**BASE, **changes}), "x.yaml")


@pytest.mark.parametrize("kind", ["random", "sobol"])
def test_a_budget_of_different_experiments_is_drawn(kind: str) -> None:
    file = campaign(sampler={"kind": kind, "budget": 20})
    assert len(file.drafts) == len({d.label for d in file.drafts}) == 20
    assert {d.backend for d in file.drafts} == {"transformers", "llama_cpp"}
    for d in file.drafts:
        batch = d.engine["max_batch_size"]
        assert isinstance(batch, int) and 1 <= batch <= 64
        assert ("dtype" in d.engine) is (d.backend == "transformers")
        assert 0 <= d.generate["temperature"] <= 1  # type: ignore[operator]
    assert file.candidates is None


def test_the_same_file_gives_the_same_experiments_and_another_seed_others() -> None:
    one, same = campaign(), campaign()
    assert [d.settings for d in one.drafts] == [d.settings for d in same.drafts]
    assert one.digest == same.digest
    other = campaign(sampler={"kind": "random", "budget": 20, "seed": 2})
    assert other.digest != one.digest
    # A larger budget begins with the smaller one's.
    more = campaign(sampler={"kind": "random", "budget": 30})
    assert [d.settings for d in more.drafts[:20]] == [d.settings for d in one.drafts]


def test_the_baseline_is_an_experiment_of_its_own_and_the_first() -> None:
    file = campaign(baseline={"backend": "transformers", "engine.max_batch_size": 1})
    assert file.baseline == 0
    assert len(file.drafts) == 21
    assert file.drafts[0].settings == {"engine.max_batch_size": 1}
    assert campaign().baseline == 0


def test_what_is_excluded_is_not_drawn() -> None:
    file = campaign(exclude=[{"backend": "llama_cpp"}])
    assert {d.backend for d in file.drafts} == {"transformers"}
    assert len(file.drafts) == 20


def test_explicit_points_come_beside_the_budget() -> None:
    point = {"backend": "llama_cpp", "engine.max_batch_size": 128}
    file = campaign(experiments=[point])
    assert len(file.drafts) == 21
    assert file.drafts[0].engine["max_batch_size"] == 128


def test_pareto_begins_with_one_generation_and_knows_what_may_follow() -> None:
    sampler = {"kind": "pareto", "budget": 12, "generation": 5}
    file = campaign(sampler=sampler, baseline={"backend": "transformers"})
    assert len(file.drafts) == 6
    assert file.candidates is not None
    assert file.candidates.given == 1
    for draft in file.drafts[1:]:
        point = file.candidates.point(draft)
        assert point is not None and file.candidates.space.holds(point)
        again = file.candidates.draft(point)
        assert again is not None
        assert (again.engine, again.generate) == (draft.engine, draft.generate)
    staged = list(file.candidates.staged())
    assert {d.backend for d in staged} == {"transformers", "llama_cpp"}


def test_later_experiments_are_named_like_the_first_whatever_the_models_path(
    tmp_path: Path,
) -> None:
    """Also where the file has it as an absolute one: nothing differs but the backend and sizes."""
    (tmp_path / "m.gguf").touch()
    for path in ("./m.gguf", str(tmp_path / "m.gguf")):
        sampler = {"kind": "pareto", "budget": 12, "generation": 5}
        text = {**BASE, "models": [{"id": path}], "sampler": sampler}
        (tmp_path / "c.yaml").write_text(yaml.safe_dump(text))
        file = load(tmp_path / "c.yaml")
        assert file.candidates is not None
        later = file.candidates.outermost(1)[0][0]
        assert labels([*file.drafts, later])[-1].startswith(later.backend)


def test_everything_that_later_experiments_come_from_is_in_a_pareto_files_digest() -> None:
    sampler = {"kind": "pareto", "budget": 12}
    one = campaign(sampler=sampler)
    for change in (
        {"sampler": {**sampler, "budget": 13}},
        {"sampler": {**sampler, "objectives": ["energy", "throughput"]}},
        {"exclude": [{"engine.max_batch_size": 33}]},
        {"backends": {**BASE["backends"], "llama_cpp": {"args": {"n_threads": 3}}}},
        {
            "sweep": {
                **BASE["sweep"],
                "engine.max_batch_size": {"low": 1, "high": 65, "scale": "log"},
            }
        },
    ):
        assert campaign(**{"sampler": sampler, **change}).digest != one.digest
    assert campaign(sampler={**sampler, "objectives": ["energy", "latency"]}).digest == one.digest


def test_nothing_that_is_excluded_is_staged_and_nothing_else_is_missing() -> None:
    """Not even where the first of a list's experiments is excluded, at whatever axis."""
    file = campaign(
        sampler={"kind": "pareto", "budget": 4},
        backends={"transformers": {}},
        sweep={
            "workload.dataset.input_tokens": [8, 16, 99],
            "engine.max_batch_size": [1, 2, 4],
            "generate.temperature": {"low": 0, "high": 1},
        },
        exclude=[
            {"workload.dataset.input_tokens": 99},
            {"workload.dataset.input_tokens": 8, "engine.max_batch_size": 1},
            {"generate.temperature": 0},
            {"generate.temperature": 1},
        ],
    )
    assert file.candidates is not None
    staged = list(file.candidates.staged())
    assert not [d for d in staged if file.candidates.grid.is_excluded(d)]
    lists = [d.workload.dataset.input_tokens for d in staged]  # type: ignore[union-attr]
    assert lists == [8, 16]
    assert staged[0].engine["max_batch_size"] in (2, 4)


def test_request_lists_that_are_too_many_are_refused() -> None:
    """To list them all would take for ever."""
    sweep = {
        f"workload.dataset.{key}": {"low": 1, "high": 1000, "num": 1000}
        for key in ("input_tokens", "output_tokens", "prefix_tokens", "turns")
    }
    with pytest.raises(BadInput, match="request lists"):
        campaign(sampler={"kind": "pareto", "budget": 4}, sweep=sweep)


def test_every_request_list_that_may_be_needed_is_staged() -> None:
    file = campaign(
        sampler={"kind": "pareto", "budget": 4},
        backends={"transformers": {}},
        sweep={
            "workload.dataset.input_tokens": [8, 16, 32],
            "engine.max_batch_size": {"low": 1, "high": 64},
        },
    )
    assert file.candidates is not None
    staged = list(file.candidates.staged())
    assert [d.workload.dataset.input_tokens for d in staged[:3]] == [8, 16, 32]  # type: ignore[union-attr]
    # And the largest, by which a block's GPUs are counted.
    assert staged[3].engine["max_batch_size"] == 64


def test_outermost_experiments_of_what_is_excluded_are_not_looked_for_without_end() -> None:
    """Thirty axes have a thousand million corners."""
    file = campaign(
        sampler={"kind": "pareto", "budget": 4},
        sweep={f"generate.k{i}": [1, 2] for i in range(30)},
        exclude=[{"backend": "llama_cpp", "generate.k0": 1}, {"backend": "llama_cpp"}],
    )
    assert file.candidates is not None
    began = time.monotonic()
    found, complete = file.candidates.outermost(5)
    assert time.monotonic() - began < 30
    assert [d.backend for d in found] == ["transformers"] * 5 and not complete


def test_all_outermost_experiments_of_a_small_space_are_found() -> None:
    file = campaign(
        sampler={"kind": "pareto", "budget": 2},
        sweep={"engine.max_batch_size": [1, 2, 4], "generate.top_k": [1, 2]},
        exclude=[{"backend": "llama_cpp", "engine.max_batch_size": 4}],
    )
    assert file.candidates is not None
    found, complete = file.candidates.outermost(64)
    assert len(found) == 5 + 3 and complete
    few, complete = file.candidates.outermost(5)
    assert len(few) == 5 + 3 and complete
    few, complete = file.candidates.outermost(4, lambda d: d.engine["max_batch_size"] != 2)
    assert len(few) == 4 + 2 and complete
    few, complete = file.candidates.outermost(1)
    assert {d.backend for d in few} == {"transformers", "llama_cpp"} and not complete


def test_hits_between_misses_do_not_make_a_draw_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearly everything is excluded, and now and then something is not."""
    points = 0

    def counted(*given: Any) -> Any:
        nonlocal points
        for points, point in enumerate(draw(*given), 1):  # noqa: B007
            yield point

    monkeypatch.setattr("lem.config.drawn.draw", counted)
    values = list(range(1, 101))
    sweep = {"engine.max_batch_size": values, "generate.top_k": list(range(1, 1001))}
    exclude = [{"engine.max_batch_size": v} for v in values[1:]]
    with pytest.raises(BadInput, match="use a smaller budget"):
        campaign(sampler={"kind": "random", "budget": 200}, sweep=sweep, exclude=exclude)
    assert points < 10 * 200 + 1000 + 200


def test_a_budget_that_is_too_large_is_refused_before_anything_is_drawn() -> None:
    text = yaml.safe_dump({**BASE, "sampler": {"kind": "random", "budget": 1001}})
    drawn.check_budget(text, "x.yaml", 1001)
    drawn.check_budget("version: 1\nsampler: [3]\n", "x.yaml", 1001)
    with pytest.raises(BadInput, match=r"sampler.budget: may be 1,000 at most") as caught:
        drawn.check_budget(text, "x.yaml", 1000)
    assert caught.value.problems[0].line == text[: text.index("budget")].count("\n") + 1


@pytest.mark.parametrize("kind", ["random", "sobol"])
def test_what_is_drawn_in_vain_is_bounded_by_how_much_each_point_takes(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    axes = "".join(f"  args.a{n}: [1, 2]\n" for n in range(MAX_AXES))
    excluded = ", ".join(f"{{args.a{n}: 1}}" for n in range(8))
    text = (
        "version: 1\nname: x\nmodels: [{id: a/b}]\nbackends: {transformers: {}}\n"
        f"sampler: {{kind: {kind}, budget: 1000}}\nexclude: [{excluded}]\nsweep:\n{axes}"
    )
    drawn_points = []
    draw = drawn.draw

    def counted(*arguments):
        for point in draw(*arguments):
            drawn_points.append(point)
            yield point

    monkeypatch.setattr(drawn, "draw", counted)
    with pytest.raises(BadInput, match="could be drawn"):
        parse(text, "x.yaml")
    assert len(drawn_points) <= drawn.DRAWN_VALUES // MAX_AXES + 1000
    more = text + "  args.more: [1, 2]\n"
    with pytest.raises(BadInput, match=f"at most {MAX_AXES}"):
        parse(more, "x.yaml")
