"""Fixes what a campaign folder is about, and refuses to go on with something else."""

import secrets
from collections.abc import Sequence

from lem import __version__
from lem.analysis.naming import flat
from lem.campaign.alike import unlike
from lem.campaign.arms import make_arm
from lem.campaign.stage import Ready, Staging
from lem.config import (
    CampaignFile,
    measurement,
    model_name,
    preset_of,
)
from lem.config.clusters import KINDS
from lem.config.identity import meaning
from lem.contract.base import CONTRACT_VERSION, Scalar, utc_now
from lem.contract.lock import Adaptive, Arm, Lock, LockedBackend, LockedModel, Overrides
from lem.contract.spec import ExperimentModel
from lem.contract.stage import Described, RequestList
from lem.errors import BadInput, Problem
from lem.launchers.protocol import BackendSetup, Prepared

PROVISIONAL = "provisional"
TAKEN_OVER = (
    "campaign_digest", "baseline", "seed", "preset", "trust_remote_code", "adaptive",
)  # fmt: skip
HOW_MANY = ("blocks", "precision", "max_blocks", "same_within", "quality_margin")
"""What two locks of one campaign have in common beside their arms."""


def make_lock(
    campaign: CampaignFile,
    staging: Staging,
    overrides: Overrides,
    launcher_of: dict[int, str],
    gpus: Sequence[int],
    device_set: Sequence[str],
    gpu_counts: Sequence[int] | None = None,
    owner: str | None = None,
) -> Lock:
    """The lock of a new campaign folder. ``gpu_counts``: how many of the GPUs each draft uses, by
    default all. ``owner``: by default a new random one. Raises :class:`BadInput` where two arms are
    the same."""
    measure = campaign.spec.measure
    if overrides.preset is not None:
        if overrides.preset == "quick" and measure.precision is not None:
            raise BadInput("--preset quick has a fixed number of blocks; the file asks a precision")
        measure = measure.model_copy(update={"preset": overrides.preset})
    preset = preset_of(measure)
    fixed = preset.fixed or bool(overrides.blocks) or campaign.candidates is not None
    adaptive = _adaptive(campaign)
    arms = [
        make_arm(
            draft,
            ready,
            launcher_of[i],
            None if adaptive is None or i == campaign.baseline else 0,
            None if gpu_counts is None else gpu_counts[i],
        )
        # Of experiments that are chosen later only what they need is staged.
        for i, (draft, ready) in enumerate(zip(campaign.drafts, staging.ready, strict=False))
    ]
    _refuse_twins(campaign, arms)
    return Lock(
        lem_version=__version__,
        name=campaign.spec.name,
        created_at=utc_now(),
        owner=owner or secrets.token_hex(8),
        campaign_digest=campaign.digest,
        overrides=overrides,
        arms=arms,
        baseline=arms[campaign.baseline].arm_id,
        backends={
            name: LockedBackend(
                image=p.setup.image,
                base_image=p.setup.base_image,
                python=p.setup.python,
                digest=p.digest,
                engine_version=p.described.engine_version,
                libraries=p.described.libraries,
            )
            for name, p in staging.backends.items()
        },
        requests={r.requests.sha256: r.requests.requests for r in staging.ready},
        seed=measure.seed,
        blocks=overrides.blocks or preset.blocks,
        precision=preset.precision if adaptive is None else None,
        max_blocks=None if fixed else measure.max_blocks,
        same_within=measure.same_within,
        time_budget_s=measure.time_budget,
        quality_margin=measure.quality_margin,
        preset=measure.preset,
        measure=measurement(measure, campaign.calibration, campaign.accuracy),
        limits=campaign.spec.limits,
        gpus=list(gpus),
        device_set=list(device_set),
        trust_remote_code=campaign.spec.trust_remote_code,
        notes=unlike(staging.prepared),
        adaptive=adaptive,
    )


def _adaptive(campaign: CampaignFile) -> Adaptive | None:
    if campaign.candidates is None:
        return None
    settings = campaign.spec.sampler.settings()
    # Beside the baseline, which is one of those that the file names, or the first that is drawn.
    budget = campaign.candidates.given + settings["budget"] - 1
    return Adaptive.model_validate({**settings, "budget": max(1, budget)})


def _refuse_twins(campaign: CampaignFile, arms: Sequence[Arm]) -> None:
    seen: dict[str, Arm] = {}
    problems = []
    for arm in arms:
        if arm.arm_id in seen:
            problems.append(
                Problem(
                    f"{arm.label!r} and {seen[arm.arm_id].label!r} are the same experiment",
                    file=str(campaign.path),
                )
            )
        seen[arm.arm_id] = arm
    if problems:
        raise BadInput(problems)


def provisional_staging(campaign: CampaignFile) -> Staging:
    """What staging would find, with its discoveries left open: for a plan made beforehand."""
    ready = []
    for draft in campaign.drafts:
        described = Described(
            contract_version=CONTRACT_VERSION,
            lem_version=__version__,
            backend=draft.backend,
            engine_version=PROVISIONAL,
            libraries={},
        )
        prepared = Prepared(BackendSetup(draft.backend), described, None, None)
        model = ExperimentModel(
            id=model_name(draft.model),
            revision=draft.model.revision,
            content=PROVISIONAL,
            weights="random" if draft.model.synthetic else "trained",
        )
        requests = RequestList(workload=draft.workload, sha256="0" * 64, requests=1, input_tokens=0)
        ready.append(Ready(prepared, model, LockedModel(folder="", path=""), requests))
    return Staging(ready, {("", r.prepared.setup.name): r.prepared for r in ready})


def check_overrides(
    lock: Lock,
    campaign: CampaignFile,
    overrides: Overrides,
    folder: str,
    earlier: CampaignFile | None = None,
) -> None:
    """Raise :class:`BadInput` where today's file or flags contradict the folder's lock.

    ``earlier`` is the folder's own copy of the file, where it can be read: it shows what changed.
    """
    found = []
    if lock.campaign_digest != campaign.digest:
        changed = edits(earlier, campaign) if earlier is not None else []
        found.append(
            "the campaign file has been edited since"
            + (f" ({'; '.join(changed)})" if changed else "")
        )
    for name in ("preset", "blocks", "launcher"):
        before, after = getattr(lock.overrides, name), getattr(overrides, name)
        # Where blocks run may change from one start to the next: the arms have the launcher that
        # starts their agents, and are compared by it.
        elsewhere = name == "launcher" and (before in KINDS or after in KINDS)
        if after is not None and after != before and not elsewhere:
            found.append(f"--{name} is {after} now and was {before or 'not given'}")
    _refuse(found, folder)


def edits(earlier: CampaignFile, today: CampaignFile, most: int = 5) -> list[str]:
    """What stands otherwise in the two files, as ``key: before → now``."""
    before, now = (_settings(f) for f in (earlier, today))
    changed = [
        f"{key}: {_short(before.get(key))} → {_short(now.get(key))}"
        for key in dict.fromkeys([*before, *now])
        if before.get(key) != now.get(key)
    ]
    return changed if len(changed) <= most else [*changed[:most], f"{len(changed) - most} more"]


def _settings(campaign: CampaignFile) -> dict[str, Scalar]:
    return flat(campaign.spec.model_dump(mode="json", exclude={"submit"}))


def _short(value: Scalar | None, most: int = 60) -> str:
    text = "not given" if value is None else str(value)
    return text if len(text) <= most else text[:most] + "…"


def agree(lock: Lock, fresh: Lock, folder: str, named_gpus: bool = False) -> Lock:
    """The lock to go on with: the folder's, with the models where staging put them today.
    ``named_gpus``: whether the campaign file says which GPUs it uses.

    Raises :class:`BadInput` where staging gives other experiments, or where the lock would have
    them run otherwise than the campaign file says: a folder may come from somebody else, and what
    its user reads before running it is the file.
    """
    today = {a.arm_id: a for a in fresh.arms}
    if {a.arm_id for a in lock.arms} == today.keys():
        _refuse(_contradictions(lock, fresh, named_gpus), folder)
        arms = [a.model_copy(update={"model": today[a.arm_id].model}) for a in lock.arms]
        return lock.model_copy(update={"arms": arms})
    found = [
        f"{name} is version {fresh.backends[name].engine_version} now and was {b.engine_version}"
        for name, b in lock.backends.items()
        if fresh.backends[name].engine_version != b.engine_version
    ]
    strangers = [a for a in lock.arms if a.arm_id not in today and (a.generation or 0) > 0]
    found += [f"{a.label!r} was chosen later and is none of this file's" for a in strangers[:3]]
    if lock.requests.keys() != fresh.requests.keys():
        found.append("the request lists are different")
    raise _refusal(found or ["a model's content has changed"], folder)


def taken_over(handed: Lock, fresh: Lock) -> Lock:
    """The lock with which this machine goes on with a campaign that another one has begun:
    ``fresh``, what staging gives here, with the time budget of ``handed``, by which an archive
    decides how many blocks there are.

    Raises :class:`BadInput` where the two are not of the same experiments and campaign file, or
    where ``handed`` has another rule for how many blocks there are, and what they tell.
    """
    theirs, ours = {a.arm_id for a in handed.arms}, {a.arm_id for a in fresh.arms}
    found = []
    if theirs != ours:
        found += [
            f"{name} is version {here} here and was {b.engine_version}"
            for name, b in handed.backends.items()
            if name in fresh.backends
            and (here := fresh.backends[name].engine_version) != b.engine_version
        ] or ["staging gives other experiments here"]
    launchers = {a.arm_id: a.launcher for a in fresh.arms}
    for arm in handed.arms:
        if not found and (mine := launchers[arm.arm_id]) != arm.launcher:
            found.append(f"{arm.label!r} is run by {mine} here and was by {arm.launcher}")
    for name in (*TAKEN_OVER, *HOW_MANY):
        if not found and getattr(handed, name) != getattr(fresh, name):
            found.append(f"its {name} is another here")
    if found:
        raise BadInput([Problem(f"cannot go on with it on this machine: {w}") for w in found])
    return fresh.model_copy(update={"time_budget_s": handed.time_budget_s})


def _contradictions(lock: Lock, fresh: Lock, named_gpus: bool) -> list[str]:
    """What the lock of the same arms says otherwise than its campaign file."""
    today = {a.arm_id: a for a in fresh.arms}
    found = [
        f"the lock's {name} of {arm.label!r} is not what its campaign file gives"
        for arm in lock.arms
        for name, theirs, ours in (
            # A file may have got another name; what it holds is told by its hash.
            ("experiment", meaning(arm.experiment), meaning(today[arm.arm_id].experiment)),
            ("launcher", arm.launcher, today[arm.arm_id].launcher),
            ("agreement_list", arm.agreement_list, today[arm.arm_id].agreement_list),
            ("questions_list", arm.questions_list, today[arm.arm_id].questions_list),
            ("generation", arm.generation, today[arm.arm_id].generation),
        )
        if theirs != ours
    ]
    if any(a.gpu_count is not None and a.gpu_count != today[a.arm_id].gpu_count for a in lock.arms):
        found.append("the lock's GPUs of an arm are not as many as its campaign file gives")
    # Locks from before arms had a number of GPUs have all that the file names.
    counted = all(a.gpu_count is not None for a in lock.arms)
    if named_gpus and counted and lock.gpus != fresh.gpus:
        found.append("the lock's gpus are not those that its campaign file names")
    if lock.adaptive != fresh.adaptive:
        found.append("the lock's adaptive is not what its campaign file gives")
    for name in ("trust_remote_code", "baseline", "seed", "same_within", "quality_margin"):
        if getattr(lock, name) != getattr(fresh, name):
            found.append(f"the lock's {name} is not what its campaign file gives")
    for name in ("calibration", "meters", "quality", "accuracy"):
        if getattr(lock.measure, name) != getattr(fresh.measure, name):
            found.append(f"the lock's {name} is not what its campaign file gives")
    return found


def _refuse(found: Sequence[str], folder: str) -> None:
    if found:
        raise _refusal(found, folder)


def _refusal(found: Sequence[str], folder: str) -> BadInput:
    return BadInput(
        [Problem(f"{folder} was begun with another campaign: {what}") for what in found],
        hint="use --out with another folder to start anew, or undo the change",
    )
