"""``job.json``: what the host asks of the agent for one run."""

from typing import Annotated, Literal

from pydantic import Field

from lem.contract.base import Document, Part
from lem.contract.spec import Experiment, Limits, Measurement


class Job(Document):
    schema_version: Literal[1] = 1
    contract_version: int
    run_id: str
    arm_id: str
    experiment_id: str
    campaign: str
    block: Annotated[int, Field(ge=0)]
    block_pass: Annotated[int, Field(ge=0)]
    """How often this block was begun anew before (0: never)."""
    attempt: Annotated[int, Field(ge=0)]
    backend: str
    model_path: str
    """Where the agent finds the prepared model."""
    requests_path: str
    requests_sha256: str
    experiment: Experiment
    measure: Measurement
    limits: Limits
    seed: int
    gpus: list[int]
    """Indices of the GPUs to use and to meter; empty: run on the CPU."""
    launcher: str
    image_digest: str | None
    powercap_root: str = "/sys/class/powercap"
    trust_remote_code: bool = False


class Rejection(Part):
    """An engine's own word on an argument set that it will not take."""

    arm_id: str
    argument: str | None
    """Experiment path of the argument, where the engine names it."""
    message: str


class Rejections(Document):
    schema_version: Literal[1] = 1
    rejections: list[Rejection]
