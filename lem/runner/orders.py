"""What the runner tells the process that runs a campaign, and how its limits are capped."""

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from lem.config import CampaignFile
from lem.contract.base import Document
from lem.contract.lock import Lock
from lem.contract.queue import MAX_CAMPAIGN_BYTES
from lem.errors import BadInput
from lem.runner.policy import Policy

MEMORY_SHARE = 0.9
MAX_PIDS = 16_384
GB = 1e9
RESERVE = 0.1
"""Of the time that is left, for what is between blocks and after them, and for blocks that take
longer than the first."""


class Orders(Document):
    """The first line of its standard input. Then ``ack`` where it asked for something, ``stop``
    where it is to end before the next run; the end of input means that the runner is gone."""

    schema_version: Literal[1] = 1
    campaign: Annotated[str, Field(max_length=MAX_CAMPAIGN_BYTES)]
    """As it was held against the policy; the folder's ``campaign.yaml`` has to be the same."""
    owner: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    launcher: str
    policy: Policy
    spent_s: Annotated[float, Field(ge=0)] = 0.0
    """What the campaign took here before, of ``max_duration``."""
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
    return replace(file, spec=spec.model_copy(update={"limits": capped}))


def budgeted(lock: Lock, max_duration: float | None, spent_s: float) -> tuple[Lock, str]:
    """The lock of a campaign that is about to be begun, with a time budget that fits into what is
    left of the runner's time; and in words whose it is, where it is not the author's."""
    # One whose experiments are chosen as it goes takes no budget: the runner's own clock ends it.
    if max_duration is None or lock.adaptive is not None:
        return lock, ""
    left_s = max(1.0, (1 - RESERVE) * (max_duration - spent_s))
    if lock.time_budget_s is not None and lock.time_budget_s <= left_s:
        return lock, ""
    why = (
        f"its blocks get {left_s / 3600:.2g} hours: this runner gives a campaign "
        f"{max_duration / 3600:.2g} hours in all, {spent_s / 3600:.2g} of them are over"
    )
    return lock.model_copy(update={"time_budget_s": left_s}), why


def check_budget(handed: Lock, file: CampaignFile, max_duration: float | None) -> None:
    """Raise :class:`BadInput` where the lock that was handed over has more time for its blocks than
    the campaign file or this runner gives: with the budget that it was begun with it has to go on,
    since by that the archive decides how many blocks there are."""
    theirs = math.inf if handed.time_budget_s is None else handed.time_budget_s
    author = file.spec.measure.time_budget
    if handed.adaptive is None and theirs > (_least(author, max_duration) or math.inf):
        raise BadInput("it was begun with a longer time budget than it gets here")


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
