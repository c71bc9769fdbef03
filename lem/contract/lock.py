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
    generation: Annotated[int, Field(ge=0)] | None = None
    """Where experiments are chosen by what was measured: in whose blocks alone it runs. None: in
    every block."""


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


class Adaptive(Part):
    """How the later arms of a campaign are chosen: by what the earlier ones cost."""

    kind: Literal["pareto"]
    budget: Annotated[int, Field(ge=1)]
    """Arms that are chosen in all."""
    generation: Annotated[int, Field(ge=1)]
    """Arms chosen at a time. Each generation has ``Lock.blocks`` blocks of its own, in which its
    arms run beside those that are in every block."""
    objectives: list[str]
    seed: int


class Lock(Document):
    schema_version: Literal[1] = 1
    lem_version: str
    name: str
    created_at: str
    owner: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
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
    adaptive: Adaptive | None = None
    """Where it is given, arms are appended as the campaign goes on, and nothing else changes."""

    def gpus_of(self, arm: Arm) -> list[int]:
        """The GPUs that this arm's runs use: always the same ones of the block's."""
        return list(self.gpus) if arm.gpu_count is None else self.gpus[: arm.gpu_count]

    @property
    def generations(self) -> int:
        """How many there are so far; 1 where arms are not chosen by what was measured."""
        return 1 + max((a.generation or 0 for a in self.arms), default=0)

    def arms_of(self, block: int) -> list[Arm]:
        """The arms that a block has."""
        if self.adaptive is None:
            return self.arms
        return [a for a in self.arms if a.generation in (None, block // self.blocks)]
