"""``job.json``: what the host asks of the agent for one run."""

import re
from typing import Annotated, Literal

from pydantic import Field

from lem.contract.base import Document, Part, Sha256
from lem.contract.record import Allocation
from lem.contract.spec import (
    DeviceSettings,
    Experiment,
    ExperimentModel,
    Limits,
    Measurement,
    Settings,
)
from lem.contract.workload import Workload

KEY_VARIABLE = re.compile(r"LEM_API_KEY(_[A-Z0-9_]{1,100})?", re.ASCII)
"""Variables of the host's environment that a campaign may name as a server's key. No others: a
campaign that somebody sent could have any secret handed to whoever listens on a port of this
machine."""


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
    engine_version: str
    model: str
    """Where the agent finds the prepared model."""
    model_identity: ExperimentModel
    engine: Settings
    args: Settings
    generate: Settings
    workload: Workload
    requests: str
    """Where the agent finds the request list."""
    requests_sha256: str
    device: DeviceSettings
    measure: Measurement
    limits: Limits
    seed: int
    gpus: list[int]
    """Indices of the GPUs to use and to meter; empty: run on the CPU."""
    gpu_uuids: list[str] = []
    """Which boards those are, as the host knows them."""
    device_set: list[str] = []
    """What the whole block runs on (UUIDs, or ``["cpu"]``): this run's GPUs are some of it. Empty:
    the run's own."""
    device_set_names: list[str] = []
    """The models of those boards, in the same order."""
    launcher: str
    image_digest: str | None
    powercap_root: str = "/sys/class/powercap"
    trust_remote_code: bool = False
    agreement_list: Sha256 | None = None
    """The request list beside ``requests`` with the prompts of ``quality: [agreement]``."""
    questions_list: Sha256 | None = None
    """The list beside ``requests`` with the questions of ``measure.accuracy``."""
    commentary_s: Annotated[float, Field(ge=0.05, le=60)] = 1.0
    """How often whoever watches is told of power and tokens. Below 1 also of answers while they are
    generated. It is work of the measured machine (docs/live.md): the record says how often."""
    allocation: Allocation | None = None
    """Where a scheduler placed the run."""

    @property
    def experiment(self) -> Experiment:
        """The experiment that this run is one measurement of."""
        return Experiment(
            model=self.model_identity,
            backend=self.backend,
            engine_version=self.engine_version,
            engine=self.engine,
            args=self.args,
            generate=self.generate,
            workload=self.workload,
            requests_sha256=self.requests_sha256,
            device=self.device,
        )


class Rejection(Part):
    """An engine's own word on an argument set that it will not take."""

    arm_id: str
    argument: str | None
    """Experiment path of the argument, where the engine names it."""
    message: str


class Rejections(Document):
    schema_version: Literal[1] = 1
    rejections: list[Rejection]
