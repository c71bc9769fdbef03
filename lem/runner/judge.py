"""Holds a campaign against its runner's policy. Whatever is not allowed is a reason to decline.

A campaign's text comes from a stranger, through a server that is not believed either. It is read in
memory (``lem.config.parse``: nothing it names is looked at), and every experiment that it gives, or
may give later, is held against the policy. While it runs, each run is held against it once more
(:func:`of_experiment`), so that nothing depends on this module having thought of every way in which
a campaign file can say something.
"""

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any

from lem.campaign.generations import to_stage
from lem.config import CampaignFile, MeasureSpec, check_available, parse
from lem.config.bounds import Range
from lem.config.drawn import request_lists
from lem.config.paths import parse_path
from lem.config.schema import BackendSpec, is_path
from lem.config.stranger import MAX_TOKENS, files_named, is_proposed, most_tokens
from lem.contract.base import Part, Scalar
from lem.contract.queue import MAX_CAMPAIGN_BYTES
from lem.contract.spec import DeviceSettings, Experiment, ModelSpec, Settings, Synthetic
from lem.contract.workload import FromFile, Workload
from lem.errors import BadInput
from lem.runner import names
from lem.runner.policy import Bound, Policy

MOST_REASONS = 10
OUTERMOST = 64
ESTIMATED_W_PER_CORE = MeasureSpec().watts_per_busy_core
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}", re.ASCII)
"""A value of a setting that names no place: no slash, no colon, no blank."""
SERVED_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+-]{0,199}", re.ASCII)
"""What a server calls one of its models."""
REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9][A-Za-z0-9._-]{0,99})*", re.A)
IN_REPOSITORY = re.compile(
    r"([A-Za-z0-9_][A-Za-z0-9._-]{0,99}/){0,4}[A-Za-z0-9_][\w.+-]{0,150}", re.A
)
BYTES_PER_WEIGHT = 2


@dataclass(frozen=True)
class Verdict:
    """``declined``: what the policy refuses. ``unfit``: what this runner cannot do, though another
    may. Neither: it may be run."""

    file: CampaignFile | None
    declined: tuple[str, ...] = ()
    unfit: str = ""


def judged(text: str, name: str, policy: Policy, launcher: str) -> Verdict:
    """Read a campaign and hold it against the policy. ``launcher``: the runner's own."""
    if len(text.encode("utf-8", "replace")) > MAX_CAMPAIGN_BYTES:
        return Verdict(None, ("the campaign is too large",))
    try:
        file = parse(text, name)
        check_available(file)
    except BadInput as e:
        first = e.problems[0].message
        return Verdict(None, unfit=f"this runner's lem cannot read the campaign: {first}")
    found = list(islice(dict.fromkeys(refusals(file, policy, launcher)), MOST_REASONS))
    return Verdict(file, tuple(found))


def refusals(file: CampaignFile, policy: Policy, launcher: str) -> Iterator[str]:
    """Everything in a campaign that the policy refuses, in words."""
    yield from _of_the_file(file, policy, launcher)
    for model in file.spec.models:
        yield from _of_model(model, policy)
    for name, backend in file.spec.backends.items():
        yield from _of_backend(name, backend, policy)
    yield from _of_sweep(file, policy)
    drafts = list(file.drafts)
    if file.candidates is not None:
        lists = request_lists(file.candidates.grid)
        if lists > policy.max_experiments:
            yield f"{lists} request lists; at most {policy.max_experiments} are prepared here"
            return
        drafts = list(to_stage(file).drafts)
        # What is not looked at here is held against the policy before it is run.
        drafts += file.candidates.outermost(OUTERMOST)[0]
    for draft in drafts:
        yield from _of_settings(
            draft.backend, draft.engine, draft.args, draft.generate, draft.device, policy
        )
        yield from _of_workload(draft.workload)
        yield from _of_model(draft.model, policy)
        if draft.launcher not in (None, launcher, *policy.launchers):
            yield f"the launcher {_said(draft.launcher)} is not allowed here"
        for path, bound in policy.every_bound.items():
            yield from _beyond(path, bound, _at(draft, path))


def of_experiment(experiment: Experiment, policy: Policy) -> list[str]:
    """What the policy refuses of one run that is about to be made."""
    e = experiment
    found = list(_of_settings(e.backend, e.engine, e.args, e.generate, e.device, policy))
    found += _of_workload(e.workload)
    for path, bound in policy.every_bound.items():
        found += _beyond(path, bound, _at(e, path))
    if e.backend not in policy.backends:
        found.append(f"the backend {_said(e.backend)} is not allowed here")
    return found


def _of_the_file(file: CampaignFile, policy: Policy, launcher: str) -> Iterator[str]:
    spec = file.spec
    measure = spec.measure
    if spec.cluster is not None:
        yield "launcher: a runner gives no blocks to a scheduler"
    if spec.agent_launcher not in ("auto", launcher, *policy.launchers):
        yield f"the launcher {_said(spec.agent_launcher)} is not allowed here"
    if spec.trust_remote_code and not policy.trust_remote_code:
        yield "trust_remote_code: code that comes with a model is not run here"
    for key in files_named(file):
        yield f"{_clipped(key)} names a file, which no campaign may do here"
    if measure.calibration is not None:
        yield "measure.calibration names a file, which no campaign may do here"
    if not isinstance(spec.gpus, str) and spec.gpus:
        yield "gpus: which ones are used is this machine's to say"
    if not policy.meters:
        if measure.meters is not None:
            yield "measure.meters: what measures a campaign is this machine's to say"
        if measure.watts_per_busy_core != ESTIMATED_W_PER_CORE:
            yield "measure.watts_per_busy_core is not allowed here"
    if measure.accuracy is not None:
        if measure.accuracy.path is not None or measure.accuracy.include_path is not None:
            yield "measure.accuracy names a file, which no campaign may do here"
        if measure.accuracy.task is not None and measure.accuracy.task not in policy.tasks:
            yield f"the task {_said(measure.accuracy.task)} is not allowed here"
    several = len(file.drafts)
    if spec.sampler.budget is not None:
        several = max(several, spec.sampler.budget + len(spec.experiments) + 1)
    if several > policy.max_experiments:
        yield f"{several} experiments; at most {policy.max_experiments} are run here"
    for path, bound in policy.every_bound.items():
        if path.startswith("measure."):
            yield from _beyond(path, bound, _inside(measure, path.split(".")[1:]))


def _of_model(model: ModelSpec, policy: Policy) -> Iterator[str]:
    allowed = policy.models
    if model.synthetic is not None:
        if "synthetic" not in allowed.kinds:
            yield "synthetic models are not allowed here"
        yield from _of_synthetic(model.synthetic, policy)
        return
    if model.wheel is not None:
        wheel = model.wheel
        if "wheel" not in allowed.kinds or not _matches(f"pypi:{wheel.package}", allowed.allow):
            yield f"models of the package {_said(wheel.package)} are not allowed here"
        if IN_REPOSITORY.fullmatch(wheel.file) is None:
            yield f"{_said(wheel.file)} is no plain name of a file"
        return
    if is_path(model.id) or model.id.startswith((".", "/", "~")):
        yield f"the model {_said(model.id)} is a file or folder, which no campaign may name here"
        return
    if "hub" not in allowed.kinds or not _matches(model.id, allowed.allow):
        yield f"the model {_said(model.id)} is not allowed here"
    if model.revision is not None and REVISION.fullmatch(model.revision) is None:
        yield f"{_said(model.revision)} is no plain name of a revision"
    if is_proposed(model.revision):
        yield f"the revision {_said(model.revision)} is anybody's, and not the publisher's"
    if model.gguf_file is not None and IN_REPOSITORY.fullmatch(model.gguf_file) is None:
        yield f"{_said(model.gguf_file)} is no plain name of a file"


def _of_synthetic(model: Synthetic, policy: Policy) -> Iterator[str]:
    if WORD.fullmatch(model.architecture) is None:
        yield f"{_said(model.architecture)} is no architecture"
    for path, bound in policy.every_bound.items():
        if path.startswith("synthetic."):
            yield from _beyond(path, bound, _inside(model, path.split(".")[1:]))
    yield from _names_and_values("models.synthetic.config", model.config, names.SYNTHETIC)
    if (model.kv_heads or 0) > model.heads:
        yield f"a synthetic model of {model.kv_heads} kv_heads has to have as many heads"
    weights = _weights(model)
    if weights * BYTES_PER_WEIGHT > policy.models.max_gb * 1e9:
        yield f"a synthetic model of {weights:.2g} weights is larger than is allowed here"


def _weights(model: Synthetic) -> float:
    """How many a synthetic model may have."""
    inner, experts = model.intermediate_size or 4 * model.hidden_size, 1
    if model.architecture not in names.DENSE:
        inner, experts = max(inner, names.EXPERT_SIZE), names.EXPERTS
    said = model.config.get("head_dim")
    width = said if isinstance(said, int | float) else model.hidden_size / model.heads
    heads = 2 * (model.heads + (model.kv_heads or model.heads))
    layer = model.hidden_size * (heads * width + 3.0 * inner * experts)
    return model.layers * layer + 2.0 * model.vocab_size * model.hidden_size


def _of_backend(name: str, backend: BackendSpec, policy: Policy) -> Iterator[str]:
    if name not in policy.backends:
        yield f"the backend {_said(name)} is not allowed here"
    if backend.python is not None:
        yield f"backends.{name}.python names a program, which no campaign may do here"
    if backend.image is not None and backend.image not in policy.images:
        yield f"the image {_said(backend.image)} is not allowed here"
    if backend.base_image is not None and backend.base_image not in policy.base_images:
        yield f"the base image {_said(backend.base_image)} is not allowed here"


def _of_sweep(file: CampaignFile, policy: Policy) -> Iterator[str]:
    """What is only chosen while the campaign runs has to lie between these values."""
    for text, values in file.spec.sweep.items():
        path = parse_path(text, file.spec.backends)
        listed: list[Scalar] = (
            [values.low, values.high] if isinstance(values, Range) else list(values)
        )
        bound = policy.every_bound.get(path.name)
        for backend in [path.backend] if path.backend is not None else file.spec.backends:
            for value in listed:
                setting = {path.keys[1] if len(path.keys) == 2 else path.name: value}
                if path.section == "args":
                    yield from _of_args(backend, setting, policy)
                elif path.section == "generate":
                    yield from _names_and_values("generate", setting, policy.generate_names)
                elif path.section == "engine":
                    yield from _of_engine(setting)
                if bound is not None:
                    yield from _beyond(path.name, bound, value)


def _of_settings(
    backend: str,
    engine: Settings,
    args: Settings,
    generate: Settings,
    device: DeviceSettings,
    policy: Policy,
) -> Iterator[str]:
    yield from _of_args(backend, args, policy)
    yield from _names_and_values("generate", generate, policy.generate_names)
    yield from _of_engine(engine)
    if device != DeviceSettings() and not policy.device_settings:
        yield "device: power limits and clocks are not set here"


def _of_engine(engine: Mapping[str, Any]) -> Iterator[str]:
    for name, value in engine.items():
        if not _is_plain(value):
            yield f"engine.{name}: {_said(value)} is no plain value"


def _of_args(backend: str, args: Mapping[str, Any], policy: Policy) -> Iterator[str]:
    if backend != "openai":
        yield from _names_and_values("args", args, policy.args_of(backend))
        return
    rest = dict(args)
    address = rest.pop("base_url", None)
    if address not in policy.openai:
        yield f"openai: the server {_said(address)} is not allowed here"
    model = rest.pop("model", None)
    if model is not None and not (isinstance(model, str) and SERVED_NAME.fullmatch(model)):
        yield f"args.model: {_said(model)} is no plain name"
    yield from _names_and_values("args", rest, policy.args_of(backend))


def _of_workload(workload: Workload) -> Iterator[str]:
    for name, part in (("dataset", workload.dataset), ("arrival", workload.arrival)):
        if isinstance(part, FromFile) or hasattr(part, "path"):
            yield f"workload.{name} names a file, which no campaign may do here"
    if (tokens := most_tokens(workload)) > MAX_TOKENS:
        yield f"requests of {tokens:.2g} tokens in all are more than are made here"


def _names_and_values(
    section: str, settings: Mapping[str, Any], allowed: Container[str]
) -> Iterator[str]:
    for name, value in settings.items():
        if name not in allowed:
            yield f"{section}.{_clipped(name)} is not allowed here"
        elif not _is_plain(value):
            yield f"{section}.{_clipped(name)}: {_said(value)} is no plain value"


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return WORD.fullmatch(value) is not None and ".." not in value
    return value is None or isinstance(value, bool | int | float)


def _at(holder: Any, path: str) -> Any:
    """The value of an experiment (or draft) there; None where it has none."""
    keys = path.split(".")
    if keys[0] in ("measure", "synthetic"):
        return None
    if keys[0] not in ("args", "engine", "generate", "workload", "device"):
        if getattr(holder, "backend", None) != keys[0]:
            return None
        keys = keys[1:]
    return _inside(holder, keys)


def _inside(value: Any, keys: list[str]) -> Any:
    for key in keys:
        # A rate that is searched for has its own settings.
        inner = getattr(value, "rate", None) if key == "trial_s" else None
        value = value.get(key) if isinstance(value, Mapping) else getattr(inner or value, key, None)
        if value is None:
            return None
    return value


def _beyond(path: str, bound: Bound, value: Any) -> Iterator[str]:
    if value is None:
        return
    ends = [value]
    if isinstance(value, Part):
        ends = [getattr(value, "low", None), getattr(value, "high", None)]
    for end in ends:
        if isinstance(end, bool) or not isinstance(end, int | float):
            yield f"{path}: {_said(end)} is no number"
        elif bound.low is not None and end < bound.low:
            yield f"{path} is {end:g}; at least {bound.low:g} is allowed here"
        elif bound.high is not None and end > bound.high:
            yield f"{path} is {end:g}; at most {bound.high:g} is allowed here"


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, p) for p in patterns)


def _said(value: Any) -> str:
    return repr(_clipped(str(value)))


def _clipped(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}…"
