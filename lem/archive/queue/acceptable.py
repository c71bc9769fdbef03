"""Which campaigns may be queued for somebody else's machine: those that say all that they need in
themselves, and nothing that only their author's machine has.

Nothing here makes a campaign harmless: the runner that claims it holds it against its owner's
policy. What no runner could run, or what nobody should wait for, is refused at once instead, each
with its line. ``trust_remote_code`` may be queued, and is shown to everybody.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

from lem.archive.queue.adding import Wish
from lem.config import CampaignFile, Draft, model_name, parse
from lem.config.drawn import check_budget
from lem.config.schema import is_path
from lem.config.stranger import MAX_TOKENS, files_named, is_proposed, most_tokens
from lem.contract.base import canonical_json
from lem.contract.queue import MAX_CAMPAIGN_BYTES
from lem.errors import BadInput, Problem
from lem.submit.telling import private_in

MAX_EXPERIMENTS = 500
MAX_RUNS = 10_000
"""Experiments × blocks, of a campaign whose blocks are fixed beforehand."""
MAX_REQUESTS = 100_000
MAX_RUN_S = 86_400.0
MAX_LOAD_S = 6 * 3600.0
MAX_PIDS = 65_536
MAX_BUDGET_S = 30 * 86_400.0
MAX_PARAMETERS = 200e9
"""Of a made-up model, roughly."""
MAX_LINES = 10_000
LAUNCHERS = ("auto", "docker", "process")
NAME = "campaign"

Said = tuple[str, str]
"""Where (a key's path) and what."""


def wish_of(text: str) -> tuple[CampaignFile, Wish]:
    """A campaign that may be queued. Raises :class:`BadInput` with every problem and its line;
    nothing that it names is opened, fetched or looked up."""
    if len(text.encode("utf-8", "replace")) > MAX_CAMPAIGN_BYTES:
        raise BadInput(f"the campaign is larger than {MAX_CAMPAIGN_BYTES // 1024} KiB")
    if text.count("\n") > MAX_LINES:
        raise BadInput(f"the campaign has more than {MAX_LINES:,} lines")
    check_budget(text, NAME, MAX_EXPERIMENTS)
    campaign = parse(text, NAME)
    problems = [_placed(campaign, where, what) for where, what in _objections(campaign)]
    if problems:
        raise BadInput(sorted(dict.fromkeys(problems), key=lambda p: (p.line or 0, p.column or 0)))
    name, wanted = campaign.spec.name, wanted_of(campaign)
    return campaign, Wish(name, text, len(campaign.drafts), wanted, campaign.digest)


def wanted_of(campaign: CampaignFile) -> dict[str, Any]:
    """What lists show of a campaign, and runners' owners may look at."""
    spec = campaign.spec
    return {
        "models": sorted({model_name(d.model) for d in campaign.drafts}),
        "backends": sorted({d.backend for d in campaign.drafts}),
        "preset": spec.measure.preset,
        "adaptive": campaign.candidates is not None,
        "trust_remote_code": spec.trust_remote_code,
    }


def _objections(campaign: CampaignFile) -> Iterator[Said]:
    yield from _elsewhere(campaign)
    yield from _files(campaign)
    yield from _sizes(campaign)
    seen: set[tuple[str, bytes]] = set()
    for draft in campaign.drafts[:MAX_EXPERIMENTS]:
        yield from _told(draft, seen)
        yield from _large(draft)


def _elsewhere(campaign: CampaignFile) -> Iterator[Said]:
    """What is of one machine alone."""
    spec = campaign.spec
    for name, backend in spec.backends.items():
        for key in ("image", "base_image", "python"):
            if getattr(backend, key) is not None:
                yield f"backends.{name}.{key}", f"which {key} is used is for the runner's owner"
    if spec.cluster is not None:
        yield "launcher", "runners start their agents themselves: leave it out"
    launchers = {spec.agent_launcher: "launcher"}
    launchers |= {str(d.launcher): "sweep.launcher" for d in campaign.drafts if d.launcher}
    for launcher, where in launchers.items():
        if launcher not in LAUNCHERS:
            known = ", ".join(LAUNCHERS)
            yield where, f"runners know the launchers {known}; leave it out for what theirs is"
    if spec.gpus not in ("auto", []):
        yield "gpus", "which GPUs are used is for the runner's owner; leave it out, or say [] (CPU)"
    if spec.measure.calibration is not None:
        yield "measure.calibration", "it is of single boards: a runner's owner has their own"
    if spec.submit == "never":
        yield "submit", "what is queued here is archived; leave submit out, or run it yourself"


def _files(campaign: CampaignFile) -> Iterator[Said]:
    """Files that are not in the campaign."""
    only_there = "a runner has none of your files"
    for i, model in enumerate(campaign.spec.models):
        if model.synthetic is None and model.wheel is None and is_path(model.id):
            yield f"models.{i}.id", f"{only_there}; name a model of the hub"
        if is_proposed(model.revision):
            yield f"models.{i}.revision", "is anybody's, not the publisher's: name one of theirs"
    for key in files_named(campaign):
        instead = "name a task" if "accuracy" in key else "use random, prompts or long_context"
        yield key, f"{only_there}; {instead}"


def _sizes(campaign: CampaignFile) -> Iterator[Said]:
    spec, many = campaign.spec, len(campaign.drafts)
    if many > MAX_EXPERIMENTS:
        yield "sweep", f"it has {many:,} experiments; {MAX_EXPERIMENTS} can be queued at once"
    blocks = spec.measure.blocks or 1
    if many <= MAX_EXPERIMENTS < MAX_RUNS < many * blocks:
        yield "measure.blocks", f"{many} × {blocks} runs; {MAX_RUNS:,} can be queued at once"
    limits = spec.limits
    for key, value, most in (
        ("limits.run_s", limits.run_s, MAX_RUN_S),
        ("limits.load_s", limits.load_s, MAX_LOAD_S),
        ("limits.pids", limits.pids, MAX_PIDS),
        ("measure.time_budget", spec.measure.time_budget or 0, MAX_BUDGET_S),
    ):
        if value > most:
            yield key, f"may be {most:,.0f} at most"
    for i, model in enumerate(spec.models):
        made_up = model.synthetic
        if made_up is None:
            continue
        wide = max(made_up.hidden_size, made_up.intermediate_size or 0)
        size = made_up.layers * 4.0 * made_up.hidden_size * wide
        size += 2.0 * made_up.vocab_size * made_up.hidden_size
        if size > MAX_PARAMETERS:
            yield f"models.{i}.synthetic", f"has over {MAX_PARAMETERS / 1e9:.0f} billion parameters"


def _told(draft: Draft, seen: set[tuple[str, bytes]]) -> Iterator[Said]:
    """What an archive would not take in the end, since it tells whose machine something is of.
    What was ``seen`` in an experiment before is not looked at again."""
    model = draft.model
    told: dict[str, Any] = {"revision": model.revision}
    if model.wheel is not None or model.synthetic is not None or not is_path(model.id):
        told["id"] = model.id
    parts = {"args": draft.args, "engine": draft.engine, "generate": draft.generate, "models": told}
    for section, values in parts.items():
        for key, value in values.items():
            what_it_is = (f"{section}.{key}", hashlib.sha256(canonical_json(value)).digest())
            if what_it_is in seen:
                continue
            seen.add(what_it_is)
            for path, what in private_in({key: value}):
                yield f"{section}.{path}", f"looks like {what}: it could not be published"


def _large(draft: Draft) -> Iterator[Said]:
    workload = draft.workload
    if workload.requests > MAX_REQUESTS:
        yield "workload.requests", f"may be {MAX_REQUESTS:,} at most"
        return
    tokens = most_tokens(workload)
    if tokens > MAX_TOKENS:
        said = f"{workload.requests:,} requests of {tokens:,} tokens in all are too many"
        yield "workload.requests", said


def _placed(campaign: CampaignFile, where: str, what: str) -> Problem:
    line, column = campaign.where(where) or (None, None)
    return Problem(f"{where}: {what}", campaign.source.name, line, column, where)
