"""``campaign.lock.json``: what a campaign folder was begun with. Every later run must agree."""

from typing import Annotated, Literal

from pydantic import Field

from lem.contract.base import Document, Part, Scalar, Sha256
from lem.contract.spec import Experiment, Limits, Measurement


class LockedModel(Part):
    """Where a prepared model lies below the cache of models: same on every machine."""

    folder: str
    path: str
    """Relative to ``folder``: what the engine loads."""


class Arm(Part):
    arm_id: str
    experiment_id: str
    label: str
    settings: dict[str, Scalar]
    """Swept experiment paths → value."""
    experiment: Experiment
    model: LockedModel
    launcher: str
    agreement_list: Sha256 | None = None
    questions_list: Sha256 | None = None
    gpu_count: Annotated[int, Field(ge=0)] | None = None
    """So many of the lock's GPUs, the first ones; None (in locks from before this field): all."""


class LockedBackend(Part):
    image: str | None
    base_image: str | None
    python: str | None
    digest: str | None
    engine_version: str
    libraries: dict[str, str]


class Overrides(Part):
    """Command-line options that change what is measured."""

    preset: str | None = None
    blocks: Annotated[int, Field(ge=1)] | None = None
    launcher: str | None = None


class Lock(Document):
    schema_version: Literal[1] = 1
    lem_version: str
    name: str
    created_at: str
    owner: str
    """A random name for this folder, by which its containers are known."""
    campaign_digest: str
    """SHA-256 of what the campaign file means."""
    overrides: Overrides
    arms: list[Arm]
    baseline: str
    """``arm_id`` of the arm that all others are compared with."""
    backends: dict[str, LockedBackend]
    requests: dict[str, int]
    """SHA-256 of each request list → number of requests."""
    seed: int
    blocks: Annotated[int, Field(ge=1)]
    """How many there are; where ``max_blocks`` is given, those of the pilot."""
    precision: Annotated[float, Field(gt=0)] | None = None
    """Half-width to aim for of the interval on a ratio; None where there is no target."""
    max_blocks: Annotated[int, Field(ge=1)] | None = None
    """The number of blocks is computed from the pilot, and is never above this; None where
    ``blocks`` fixes it beforehand."""
    time_budget_s: Annotated[float, Field(gt=0)] | None = None
    """Caps the number of blocks, once it is known how long one takes."""
    same_within: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Margin within which two arms count as the same, as a share; None: lem's own."""
    quality_margin: Annotated[float, Field(gt=0, lt=1)] | None = None
    """How much quality an arm may lose and still count as better, as a share; None: lem's own."""
    preset: str
    measure: Measurement
    limits: Limits
    gpus: list[int]
    """What a block runs on: as many as the arm that needs most, as NVML counts."""
    device_set: list[str]
    trust_remote_code: bool
    notes: list[str] = []

    def gpus_of(self, arm: Arm) -> list[int]:
        """The GPUs that this arm's runs use: always the same ones of the block's."""
        return list(self.gpus) if arm.gpu_count is None else self.gpus[: arm.gpu_count]
