"""What makes two experiments the same: the hash of their canonical JSON.

The same configuration has the same id on every machine and in every campaign, however its file is
laid out. ``tests/config/test_identity.py`` holds ids that must never change.
"""

import hashlib
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from lem.config.measure import measurement, preset_of
from lem.config.paths import Draft
from lem.config.schema import CampaignSpec, is_path
from lem.contract.base import Part, canonical_json
from lem.contract.spec import Accuracy, Calibration, Experiment, ExperimentModel, ModelSpec
from lem.contract.workload import FromFile

PROVISIONAL = "provisional"
"""A model's content before staging."""


def experiment_of(
    draft: Draft, model: ExperimentModel, engine_version: str, requests_sha256: str
) -> Experiment:
    """The draft with what staging has resolved."""
    return Experiment(
        model=model,
        backend=draft.backend,
        engine_version=engine_version,
        engine=draft.engine,
        args=draft.args,
        generate=draft.generate,
        workload=draft.workload,
        requests_sha256=requests_sha256,
        device=draft.device,
    )


def experiment_id(experiment: Experiment) -> str:
    """SHA-256 (64 hexadecimal digits) of the canonical JSON of the experiment.

    A model counts by its content (hub commit or hash), not by its name or folder; before staging,
    when that is not known, by name and revision.
    """
    what = meaning(experiment)
    if experiment.model.content != PROVISIONAL:
        what["model"] = {"content": experiment.model.content}
    return hashlib.sha256(canonical_json(what)).hexdigest()


def model_name(model: ModelSpec) -> str:
    """What to call a model where others may read it: its hub id or given name; of a local model
    only the last part of its path, because folders tell whose machine it is."""
    local = model.wheel is None and model.synthetic is None and is_path(model.id)
    return PurePath(model.id).name if local else model.id


def arm_id(experiment_id: str, launcher: str | None) -> str:
    """The experiment's id, with the launcher where the campaign sweeps that."""
    return experiment_id if launcher is None else f"{experiment_id}-{launcher}"


def digest(
    spec: CampaignSpec,
    keys: Sequence[tuple[bytes, ...]],
    baseline: int,
    calibration: Calibration | None = None,
    accuracy: Accuracy | None = None,
) -> str:
    """SHA-256 of what a campaign measures and how. ``keys``: one for
    each experiment (``sweep.Point.key``).

    Two files with the same digest ask for the same measurements. Whether results are submitted
    (``submit``) is no part of it.
    """
    preset = preset_of(spec.measure)
    head = {
        "version": spec.version,
        "name": spec.name,
        "backends": {
            name: {"base_image": b.base_image, "image": b.image, "python": b.python}
            for name, b in spec.backends.items()
        },
        "measurement": meaning(measurement(spec.measure, calibration, accuracy)),
        "blocks": [preset.blocks, preset.fixed, preset.precision, spec.measure.max_blocks],
        **({"same_within": margin} if (margin := spec.measure.same_within) is not None else {}),
        **({"quality_margin": m} if (m := spec.measure.quality_margin) is not None else {}),
        "time_budget": spec.measure.time_budget,
        "seed": spec.measure.seed,
        "gpus": spec.gpus if isinstance(spec.gpus, str) else sorted(spec.gpus),
        "parallel_blocks": spec.parallel_blocks,
        "launcher": spec.agent_launcher,
        "trust_remote_code": spec.trust_remote_code,
        "limits": meaning(spec.limits),
        **({"space": _space(spec)} if spec.sampler.kind == "pareto" else {}),
    }
    total = hashlib.sha256(canonical_json(head))
    for key in [*sorted(keys), keys[baseline]]:
        for part in key:
            total.update(len(part).to_bytes(8, "big"))
            total.update(part)
    return total.hexdigest()


def _space(spec: CampaignSpec) -> dict[str, Any]:
    """What later experiments are chosen from, and how: the experiments so far don't say it."""
    sections = {"models", "backends", "engine", "args", "sweep", "exclude", "workload", "generate"}
    written: dict[str, Any] = spec.model_dump(mode="json", include={*sections, "device"})
    return {**written, "sampler": spec.sampler.settings()}


def meaning(part: Part) -> dict[str, Any]:
    """As a mapping, without the fields that are null: a field that a later version adds with
    null as its default then leaves every old id as it is.

    A file goes by its content, not by its name."""
    result: dict[str, Any] = {}
    for name in type(part).model_fields:
        if name == "path" and isinstance(part, FromFile) and part.sha256 is not None:
            continue
        value = getattr(part, name)
        if isinstance(value, Part):
            value = meaning(value)
        elif isinstance(value, dict):
            value = {k: meaning(v) if isinstance(v, Part) else v for k, v in value.items()}
        if value is not None:
            result[name] = value
    return result
