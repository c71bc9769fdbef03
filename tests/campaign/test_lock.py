"""The lock of a campaign folder: made once, then every later run must agree with it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from lem.campaign.lock import (
    agree,
    check_overrides,
    edits,
    make_lock,
    provisional_staging,
    taken_over,
)
from lem.campaign.stage import Ready, Staging
from lem.config import CampaignFile, experiment_id, parse
from lem.contract.lock import Lock, Overrides
from lem.contract.spec import Calibration
from lem.errors import BadInput

NONE = Overrides()
GAIN = {"gain": 1.9, "uncertainty": 0.001, "date": "2026-11-24", "against": "nothing"}


def campaign(**changes: Any) -> CampaignFile:
    spec: dict[str, Any] = {
        "version": 1,
        "name": "test",
        "models": [{"id": "org/model", "revision": "main"}],
        "backends": {"transformers": {}},
        "sweep": {"engine.max_batch_size": [1, 4, 16]},
        "measure": {"preset": "quick", "seed": 7},
    }
    return parse(yaml.safe_dump(spec | changes), "c.yaml")


def staged(file: CampaignFile, contents: Sequence[str] = ("aa",), **ready: Any) -> Staging:
    """Staging that has found something for everything."""
    rough = provisional_staging(file)
    names = sorted({r.model.id for r in rough.ready})

    def settle(r: Ready) -> Ready:
        content = contents[names.index(r.model.id) % len(contents)]
        described = r.prepared.described.model_copy(
            update={"engine_version": ready.get("version", "5.23.0")}
        )
        return Ready(
            prepared=replace(r.prepared, described=described),
            model=r.model.model_copy(update={"content": f"hub:{content}", "revision": content}),
            locked=r.locked.model_copy(update={"folder": content, "path": "hf"}),
            requests=r.requests.model_copy(
                update={"sha256": ready.get("requests", "1" * 64), "requests": 200}
            ),
        )

    made = [settle(r) for r in rough.ready]
    return Staging(made, {("process", r.prepared.setup.name): r.prepared for r in made})


def locked(file: CampaignFile, staging: Staging | None = None, overrides: Overrides = NONE) -> Lock:
    launchers = {i: d.launcher or "process" for i, d in enumerate(file.drafts)}
    return make_lock(file, staging or staged(file), overrides, launchers, [], ["cpu"])


def test_a_lock_holds_every_arm_with_its_identity() -> None:
    lock = locked(campaign())
    assert [a.settings for a in lock.arms] == [{"engine.max_batch_size": n} for n in (1, 4, 16)]
    assert all(a.experiment_id == experiment_id(a.experiment) for a in lock.arms)
    assert all(a.arm_id == a.experiment_id for a in lock.arms)
    assert lock.baseline == lock.arms[0].arm_id
    assert lock.requests == {"1" * 64: 200}
    assert (lock.seed, lock.blocks, lock.preset) == (7, 3, "quick")
    assert lock.arms[0].experiment.model.revision == "aa"


def test_the_baseline_is_the_one_the_file_names() -> None:
    lock = locked(campaign(baseline={"engine.max_batch_size": 4}))
    assert lock.baseline == lock.arms[1].arm_id


def test_a_lock_survives_its_file(tmp_path: Path) -> None:
    lock = locked(campaign())
    lock.write(tmp_path / "campaign.lock.json")
    assert Lock.read(tmp_path / "campaign.lock.json") == lock


def test_two_folders_have_two_owners_but_the_same_arms() -> None:
    one, two = locked(campaign()), locked(campaign())
    assert one.owner != two.owner
    assert one.arms == two.arms


@pytest.mark.parametrize(
    ("overrides", "measure", "blocks", "preset"),
    [
        (NONE, {"preset": "quick"}, 3, "quick"),
        (NONE, {"preset": "standard"}, 5, "standard"),
        (NONE, {"preset": "publication"}, 10, "publication"),
        (NONE, {"preset": "quick", "blocks": 8}, 8, "quick"),
        (Overrides(blocks=2), {"preset": "quick", "blocks": 8}, 2, "quick"),
        (Overrides(preset="publication"), {"preset": "quick"}, 10, "publication"),
        (Overrides(preset="standard", blocks=1), {"preset": "quick"}, 1, "standard"),
    ],
    ids=str,
)
def test_blocks_and_preset(
    overrides: Overrides, measure: dict[str, Any], blocks: int, preset: str
) -> None:
    lock = locked(campaign(measure=measure), overrides=overrides)
    assert (lock.blocks, lock.preset) == (blocks, preset)
    assert lock.overrides == overrides


def test_the_presets_are_those_of_the_method() -> None:
    found = {
        p: locked(campaign(measure={"preset": p})).measure
        for p in ("quick", "standard", "publication")
    }
    assert (found["quick"].window_s, found["quick"].idle_s) == (2.0, 1.0)
    assert found["quick"].warm_up_cap_s == 4.0
    assert (found["standard"].window_s, found["standard"].idle_s) == (10.0, 5.0)
    assert (found["publication"].window_s, found["publication"].idle_s) == (10.0, 10.0)
    assert found["publication"].windows == 3


def test_a_swept_launcher_makes_two_arms_of_one_experiment() -> None:
    lock = locked(campaign(sweep={"launcher": ["process", "docker"]}))
    assert len({a.experiment_id for a in lock.arms}) == 1
    assert len({a.arm_id for a in lock.arms}) == 2
    assert [a.launcher for a in lock.arms] == ["process", "docker"]


def test_two_names_of_one_model_are_the_same_experiment() -> None:
    file = campaign(models=[{"id": "org/one"}, {"id": "org/two"}], sweep={})
    assert len(locked(file, staged(file, ["aa", "bb"])).arms) == 2
    with pytest.raises(BadInput, match="are the same experiment"):
        locked(file, staged(file, ["aa"]))


def test_before_staging_everything_is_provisional() -> None:
    file = campaign()
    lock = locked(file, provisional_staging(file))
    assert {a.experiment.engine_version for a in lock.arms} == {"provisional"}
    assert {a.experiment.model.content for a in lock.arms} == {"provisional"}
    assert len({a.arm_id for a in lock.arms}) == 3


def test_the_same_file_and_flags_go_on() -> None:
    file = campaign()
    lock = locked(file, overrides=Overrides(blocks=2, preset="quick"))
    check_overrides(lock, file, NONE, "out")
    check_overrides(lock, file, Overrides(blocks=2, preset="quick"), "out")


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (Overrides(blocks=3), "--blocks is 3 now and was 2"),
        (Overrides(preset="standard"), "--preset is standard now and was not given"),
        (Overrides(launcher="docker"), "--launcher is docker now and was not given"),
    ],
    ids=str,
)
def test_other_flags_are_refused_with_what_changed(now: Overrides, said: str) -> None:
    file = campaign()
    lock = locked(file, overrides=Overrides(blocks=2))
    with pytest.raises(BadInput, match=said) as e:
        check_overrides(lock, file, now, "out")
    assert "--out" in (e.value.hint or "")


@pytest.mark.parametrize(
    "changes",
    [
        {"sweep": {"engine.max_batch_size": [1, 4]}},
        {"measure": {"preset": "quick", "seed": 8}},
        {"baseline": {"engine.max_batch_size": 4}},
        {"generate": {"temperature": 1.0}},
        {"measure": {"preset": "standard", "seed": 7}},
    ],
    ids=str,
)
def test_an_edited_file_is_refused(changes: dict[str, Any]) -> None:
    lock = locked(campaign())
    with pytest.raises(BadInput, match="edited"):
        check_overrides(lock, campaign(**changes), NONE, "out")


def test_every_difference_is_named_at_once() -> None:
    lock = locked(campaign())
    other = campaign(sweep={"engine.max_batch_size": [2]})
    with pytest.raises(BadInput) as e:
        check_overrides(lock, other, Overrides(blocks=9, preset="standard"), "out")
    assert len(e.value.problems) == 3


def test_comments_and_spelling_are_no_edit() -> None:
    file = campaign()
    text = "# a comment\n" + yaml.safe_dump(
        {
            "name": "test",
            "version": 1,
            "measure": {"seed": 7, "preset": "quick"},
            "sweep": {"engine.max_batch_size": [1, 4, 16]},
            "backends": {"transformers": {}},
            "models": [{"revision": "main", "id": "org/model"}],
            "launcher": "auto",
        },
        sort_keys=False,
    )
    check_overrides(locked(file), parse(text, "elsewhere.yaml"), NONE, "out")


def test_staging_that_gives_the_same_agrees() -> None:
    file = campaign()
    agree(locked(file), locked(file), "out")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": "5.24.0"}, r"transformers is version 5\.24\.0 now and was 5\.23\.0"),
        ({"requests": "2" * 64}, "the request lists are different"),
        ({"contents": ["bb"]}, "a model's content has changed"),
    ],
    ids=str,
)
def test_staging_that_gives_something_else_is_refused(change: dict[str, Any], said: str) -> None:
    file = campaign()
    with pytest.raises(BadInput, match=said):
        agree(locked(file), locked(file, staged(file, **change)), "out")


def secretly(lock: Lock, what: str) -> Lock:
    """The lock with something in it that the campaign file does not say."""
    first, *rest = lock.arms
    trusting = first.experiment.model_copy(update={"args": {"weights_only": False}})
    gains = {"sha256": "0" * 64, "boards": {"GPU-01234567": GAIN}}
    measure = {
        "meters": lock.measure.model_copy(update={"meters": ["ipmi"]}),
        "calibration": lock.measure.model_copy(
            update={"calibration": Calibration.model_validate(gains)}
        ),
    }
    changed: dict[str, Any] = {
        **{name: {"measure": m} for name, m in measure.items()},
        "trust_remote_code": {"trust_remote_code": True},
        "baseline": {"baseline": rest[0].arm_id},
        "seed": {"seed": 8},
        "same_within": {"same_within": 0.5},
        "quality_margin": {"quality_margin": 0.5},
        "experiment": {"arms": [first.model_copy(update={"experiment": trusting}), *rest]},
        "launcher": {"arms": [first.model_copy(update={"launcher": "docker"}), *rest]},
    }
    return lock.model_copy(update=changed[what])


@pytest.mark.parametrize(
    "what",
    [
        *("trust_remote_code", "experiment", "launcher", "calibration", "meters"),
        *("baseline", "seed", "same_within", "quality_margin"),
    ],
)
def test_a_lock_that_says_more_than_its_file_is_refused(what: str) -> None:
    file = campaign()
    with pytest.raises(BadInput, match=f"the lock's {what}.* is not what its campaign file gives"):
        agree(secretly(locked(file), what), locked(file), "out")


def test_a_lock_uses_the_gpus_that_its_file_names() -> None:
    """Power limits are set on them."""
    file = campaign()
    fresh = locked(file)
    arms = [a.model_copy(update={"gpu_count": 1}) for a in fresh.arms]
    fresh = fresh.model_copy(update={"arms": arms, "gpus": [0]})
    elsewhere = fresh.model_copy(update={"gpus": [3]})
    with pytest.raises(BadInput, match="gpus are not those that its campaign file names"):
        agree(elsewhere, fresh, "out", named_gpus=True)
    assert agree(fresh, fresh, "out", named_gpus=True) == fresh
    # `gpus: auto` takes what there is.
    assert agree(elsewhere, fresh, "out").gpus == [3]
    old = [a.model_copy(update={"gpu_count": None}) for a in arms]
    both = fresh.model_copy(update={"arms": old, "gpus": [0, 1]})
    assert agree(both, fresh, "out", named_gpus=True).gpus == [0, 1]


def test_models_are_where_staging_put_them_not_where_the_lock_says() -> None:
    file = campaign()
    lock = locked(file)
    elsewhere = {"model": lock.arms[0].model.model_copy(update={"folder": "../../../../etc"})}
    hostile = lock.model_copy(update={"arms": [a.model_copy(update=elsewhere) for a in lock.arms]})
    assert agree(hostile, locked(file), "out") == lock


def test_an_edit_is_shown_as_before_and_now() -> None:
    earlier = campaign()
    lock = locked(earlier)
    other = campaign(generate={"temperature": 1.0})
    with pytest.raises(BadInput, match=r"generate\.temperature: 0\.0 → 1\.0"):
        check_overrides(lock, other, NONE, "out", earlier)


def test_only_the_first_edits_are_shown() -> None:
    other = campaign(measure={"preset": "standard", "seed": 99, "windows": 2, "window_s": 3})
    shown = edits(campaign(), other, most=2)
    assert len(shown) == 3 and shown[-1].endswith(" more")


def test_a_folder_may_be_told_whose_it_is() -> None:
    file = campaign()
    lock = make_lock(file, staged(file), NONE, {0: "process", 1: "process", 2: "process"}, [],
                     ["cpu"], owner="ab" * 8)  # fmt: skip
    assert lock.owner == "ab" * 8
    assert locked(file).owner != locked(file).owner


def test_who_takes_over_makes_as_many_blocks_as_the_first_one_was_to() -> None:
    file = campaign(measure={"preset": "standard", "seed": 7, "time_budget": "1h"})
    handed = locked(file).model_copy(update={"time_budget_s": 60.0, "owner": "hash"})
    lock = taken_over(handed, locked(file))
    assert lock.time_budget_s == 60.0
    assert lock.owner != "hash"


@pytest.mark.parametrize(
    "change",
    [
        {"blocks": 10_000},
        {"precision": 1e-9},
        {"max_blocks": 10_000},
        {"same_within": 0.5},
        {"quality_margin": 0.9},
    ],
    ids=lambda c: next(iter(c)),
)
def test_no_server_says_how_many_blocks_there_are(change: dict[str, Any]) -> None:
    """A runner's owner has bounds for them, and the campaign file was held against these."""
    file = campaign()
    handed = locked(file).model_copy(update=change)
    with pytest.raises(BadInput, match=f"its {next(iter(change))} is another here"):
        taken_over(handed, locked(file))


def test_who_would_make_other_experiments_does_not_take_over() -> None:
    file = campaign()
    handed = locked(file)
    with pytest.raises(BadInput, match=r"transformers is version 6\.0 here and was 5\.23\.0"):
        taken_over(handed, locked(file, staged(file, version="6.0")))
    with pytest.raises(BadInput, match="staging gives other experiments here"):
        taken_over(handed, locked(file, staged(file, ["bb"])))
    with pytest.raises(BadInput, match="its seed is another here"):
        taken_over(handed, handed.model_copy(update={"seed": 8}))
    with pytest.raises(BadInput, match="is run by docker here and was by process"):
        arms = [a.model_copy(update={"launcher": "docker"}) for a in handed.arms]
        taken_over(handed, handed.model_copy(update={"arms": arms}))
    with pytest.raises(BadInput, match="its campaign_digest is another here"):
        taken_over(handed, handed.model_copy(update={"campaign_digest": "0" * 64}))
