"""What the runner tells the process that runs a campaign, and how its limits are capped."""

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from lem.config import CampaignFile
from lem.contract.base import Document
from lem.contract.queue import MAX_CAMPAIGN_BYTES
from lem.runner.policy import Policy

MEMORY_SHARE = 0.9
MAX_PIDS = 16_384
GB = 1e9


class Orders(Document):
    """The first line of its standard input. Then ``ack`` where it asked for something, ``stop``
    where it is to end before the next run; the end of input means that the runner is gone."""

    schema_version: Literal[1] = 1
    campaign: Annotated[str, Field(max_length=MAX_CAMPAIGN_BYTES)]
    """As it was held against the policy; the folder's ``campaign.yaml`` has to be the same."""
    owner: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    launcher: str
    policy: Policy
    handed: str | None = None
    """A file with the :class:`lem.contract.queue.Handover`, where others began the campaign."""


def limited(file: CampaignFile, policy: Policy, launcher: str) -> CampaignFile:
    """The campaign with its own limits, none of them above the policy's."""
    spec = file.spec
    longest = policy.max_duration or math.inf
    limits = spec.limits
    capped = limits.model_copy(
        update={
            "load_s": min(limits.load_s, longest),
            "run_s": min(limits.run_s, longest),
            "pids": min(limits.pids, MAX_PIDS),
            "memory_bytes": _least(limits.memory_bytes, memory_bytes(policy, launcher)),
        }
    )
    measure = spec.measure
    # One whose experiments are chosen as it goes takes no budget: the runner's own clock ends it.
    if spec.sampler.kind != "pareto" and policy.max_duration is not None:
        budget = _least(measure.time_budget, policy.max_duration)
        measure = measure.model_copy(update={"time_budget": budget})
    return replace(file, spec=spec.model_copy(update={"limits": capped, "measure": measure}))


def memory_bytes(policy: Policy, launcher: str) -> int | None:
    """The most memory of one run; None: no limit."""
    if policy.max_memory_gb is not None:
        return int(policy.max_memory_gb * GB)
    if launcher != "docker":
        return None
    return int(MEMORY_SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def campaign_path(folder: Path) -> Path:
    return folder / "campaign.yaml"


def _least(*values: float | int | None) -> float | int | None:
    return min((v for v in values if v is not None), default=None)
