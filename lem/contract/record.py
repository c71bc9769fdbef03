"""``record.json``: the result of one run. Write-once, versioned, authoritative."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from lem.contract.base import Document, Part, Scalar, Timestamp
from lem.contract.spec import AppliedGain, Experiment, Measurement

MOST = 1e60
"""More than anything measured; the square of a number that is much larger is not finite."""

Count = Annotated[int, Field(ge=0)]


class Stretch(Part):
    """A stretch of time on the monotonic clock, not an empty one."""

    start_ns: int
    end_ns: int

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        if self.end_ns <= self.start_ns:
            raise ValueError("it ends before it begins")
        return self


class EnergyReading(Part):
    """Energy of one device over one stretch of time.

    ``energy_j`` is null where it cannot be trusted; ``flags`` then says why. ``uncertainty_j`` is
    expanded (k = 2). ``budget_j`` names its parts (standard uncertainties, k = 1).
    """

    meter: str
    device: str
    device_class: str
    energy_j: float | None
    uncertainty_j: Annotated[float, Field(ge=0)] | None
    budget_j: dict[str, float] = {}
    flags: list[str] = []
    power_ratio: float | None = None
    """Energy by the counter ÷ by integrated power, where a GPU has both and 10 s or more of them:
    a finding. Boards that sample their power part of the time are honestly off by tens of per cent.
    """


class Window(Stretch):
    requests: Count
    input_tokens: Count
    output_tokens: Count
    energy: list[EnergyReading]
    cpu_time_s: float | None = None
    """CPU time of the run's processes in the window."""
    foreign_cpu_time_s: float | None = None
    """CPU time of everything else on the machine but the sampler; null where it is not known."""
    cpu_time_uncertainty_s: Annotated[float, Field(ge=0)] | None = None
    input_tokens_uncertainty: Annotated[float, Field(ge=0)] | None = None
    """Expanded (k = 2), as the next two: prefill's work was under way at the window's edges."""
    output_tokens_uncertainty: Annotated[float, Field(ge=0)] | None = None
    """Tokens were under way at the edges: their energy is in the window in part, they are counted
    whole or not at all. 0 where the window consists of whole batches."""
    requests_uncertainty: Annotated[float, Field(ge=0)] | None = None
    temperature_c: dict[str, float] = {}
    """Device → its temperature when the window began, where it has a sensor."""
    sent: Count | None = None
    """Requests sent in the window, whenever they ended; null, as the next two, in records from
    before this field."""
    failed: Count | None = None
    """Ended in the window with an error."""
    timed_out: Count | None = None
    """Ended in the window because nobody waited any longer."""
    good: Count | None = None
    """Of ``requests``, those that met every service-level objective; null where none is set."""


class Idle(Stretch):
    energy: list[EnergyReading]


class WarmUp(Part):
    """How the run came to its steady state."""

    windows: Count
    spread: Annotated[float, Field(ge=0)] | None
    """(max − min) ÷ mean of the last three windows' throughput; null with fewer than three, or
    where one had no token."""
    settled: bool


class Value(Part):
    """``uncertainty`` is expanded (k = 2), in the value's unit; null where none is stated."""

    value: float
    uncertainty: float | None = None


class Distribution(Part):
    """Over the requests (or gaps) of the windows; ``n`` of them."""

    n: Count
    mean: float
    p50: float
    p90: float
    p99: float
    p95: float | None = None
    """Null in records from before this field."""


Metrics = dict[str, Value | Distribution | dict[str, Value]]
"""Name (``lem/contract/metrics.py``) → value, distribution, or device class → value."""


class Gpu(Part):
    index: int
    name: str
    uuid: str
    driver: str
    memory_bytes: int
    power_limit_w: float | None = None
    clocks_mhz: dict[str, int] = {}
    mig: bool = False
    partitions: list[str] = []
    """Where it is divided (MIG): the profiles of the parts that this process sees (``1g.10gb``),
    in their order, the first of which is used. Empty in records from before this field."""
    temperature_c: float | None = None


class Allocation(Part):
    """What a cluster's scheduler gave to the job that made the run."""

    scheduler: Literal["slurm", "kubernetes"]
    cpus: Annotated[int, Field(ge=1)]
    node_cpus: Annotated[int, Field(ge=1)]
    """CPUs of the whole node. Where there are more, others' jobs may run beside."""
    restarts: Annotated[int, Field(ge=0)] = 0
    """How often the job was begun anew, because its node was lost or was wanted for another."""


class Environment(Part):
    lem_version: str
    contract_version: int
    boot_id: str
    os: str
    kernel: str
    python: str
    cpu_model: str
    cpu_count: int
    cpu_governor: str | None
    memory_bytes: int
    container: bool
    launcher: str
    image_digest: str | None
    gpus: list[Gpu]
    device_set: list[str]
    """What the block runs on: GPU UUIDs, or ``["cpu"]``. ``gpus`` are those of this run."""
    device_set_names: list[str] = []
    """The models of those boards; empty in records from before this field."""
    engine: str
    engine_version: str
    engine_resolved: dict[str, Scalar]
    """What the engine says it uses: attention kernel, dtype, threads, device."""
    libraries: dict[str, str]
    confinement: dict[str, str] = {}
    """How the kernel confines the engine: filter of system calls, measures against speculation."""
    commentary_s: Annotated[float, Field(gt=0)] | None = None
    """How often the agent told what it does, in seconds: oftener where somebody could watch. It is
    work of the measured machine, as often for all runs that one command makes; how much work it is
    depends on the engine. Null in records from before this field."""
    allocation: Allocation | None = None
    """Null where no scheduler placed the run."""


class AccuracyResult(Part):
    """How many questions were answered correctly."""

    questions_sha256: str
    """Of the questions and their accepted answers; the same for every model and backend."""
    questions: Annotated[int, Field(ge=1)]
    correct: Count
    value: Annotated[float, Field(ge=0, le=1)]
    low: Annotated[float, Field(ge=0, le=1)]
    """With ``high``: Wilson's 95 % interval, of the share among questions like these."""
    high: Annotated[float, Field(ge=0, le=1)]
    outcomes: Annotated[str, Field(pattern=r"^[01]+$")]
    """One digit for each question, in the list's order: 1 where the answer is correct."""
    scored_by: Literal["forward pass", "prompt log-probabilities", "forced tokens"] | None = None
    """How the engine told the likelihood of given answers; null where it wrote answers. Then
    nothing was written: the energy of the questions is that of reading each answer after its
    context (``forced tokens``: of one step for each token of an answer)."""
    metric: str | None = None
    """Of the harness's metrics of such a task, the one that says what is correct."""
    metrics: dict[str, float] = {}
    """All of them that were worked out, over all questions, as the harness aggregates them."""

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if len(self.outcomes) != self.questions or self.outcomes.count("1") != self.correct:
            raise ValueError("questions, correct and outcomes do not add up")
        return self


class Quality(Part):
    nll_per_token: float | None = None
    text_sha256: str | None = None
    tokens: int | None = None
    sample: str | None = None
    """The beginning of one answer, so that a person can see whether it is readable."""
    agreement_sha256: str | None = None
    """Of the prompts whose answers are in ``answers.json``, to be compared with other runs'."""
    accuracy: AccuracyResult | None = None


class MeterInfo(Part):
    meter: str
    device: str
    device_class: str
    quantity: str
    unit: str
    description: str
    update_period_s: float | None = None
    calibration: AppliedGain | None = None
    """What the device's energy is corrected by; its uncertainty takes the place of the gain's that
    is assumed of boards in general."""
    relative_uncertainty: float | None = None
    """Expanded (k = 2), of a long window; null where the meter states none."""
    part_of: str | None = None
    """What contains this device's energy, if anything here does: it is then shown and compared, and
    enters no figure."""


class RequestCounts(Part):
    """Of all requests that were sent from the measured phase on, ramps included: those of
    ``responses.csv.gz``. Each ends as one of three, so they add up."""

    sent: Count
    done: Count
    failed: Count
    timed_out: Count

    @model_validator(mode="after")
    def _add_up(self) -> Self:
        if self.sent != self.done + self.failed + self.timed_out:
            raise ValueError("the requests do not add up")
        return self


class RateTrial(Part):
    """A rate tried: ``good`` of the ``requests`` sent in its measured part met every objective."""

    rate_per_s: Annotated[float, Field(gt=0)]
    requests: Count
    good: Count
    """At most: a trial is over as soon as too many have missed; the others then count as good."""
    overloaded: bool
    kept: bool
    """Whether the rate kept the objectives: by this trial, and by repeats of it together."""
    seconds: Annotated[float, Field(ge=0)]
    """With ramp-up, and until all was answered."""


class RateSearch(Part):
    """How the rate of the windows was found (``arrival.rate: {search: goodput}``)."""

    rate_per_s: Annotated[float, Field(gt=0)]
    """The rate of the windows: the highest that kept the objectives."""
    missed_per_s: Annotated[float, Field(gt=0)] | None
    """The lowest rate above it that did not; null where none was found."""
    bound_hit: Literal["low", "high"] | None
    """``low``: not even the lowest rate kept the objectives; ``high``: the highest did."""
    complete: bool
    """False where time or the number of trials ran out before the rates were close."""
    trials: list[RateTrial]


class View(Part):
    """What one meter says of all windows together; null where it cannot be trusted."""

    meter: str
    devices: list[str]
    energy_j: float | None
    uncertainty_j: Annotated[float, Field(ge=0)] | None
    flags: list[str] = []


class Reconciliation(Part):
    """Two views of the same thing, or of a whole and parts of it.

    ``ratio`` is ``first`` ÷ ``second``, ``uncertainty`` its expanded uncertainty (k = 2). ``same``:
    both measure ``what``; ``first`` is the one that enters the figures. ``contains``: ``first``
    contains ``second``. ``agrees`` is null where nothing can be said.
    """

    relation: Literal["same", "contains"]
    what: str
    """A device class, a device, or ``wall_to_gpu``: what the node draws for each joule of its
    GPUs."""
    first: View
    second: View
    ratio: float | None
    uncertainty: Annotated[float, Field(ge=0)] | None
    agrees: bool | None


class Record(Document):
    schema_version: Literal[1] = 1
    metric_semantics_version: int
    run_id: str
    experiment_id: str
    arm_id: str
    campaign: str
    block: Count
    block_pass: Count
    attempt: Count
    started_at: Timestamp
    ended_at: Timestamp
    experiment: Experiment
    environment: Environment
    meters: list[MeterInfo]
    measurement: Measurement
    warm_up_s: float
    load_s: float
    windows: Annotated[list[Window], Field(min_length=1)]
    idle: list[Idle]
    metrics: Metrics
    quality: Quality
    flags: list[str]
    whole_batches: bool | None = None
    """Whether windows begin and end between batches; null in records from before this field."""
    warm_up: WarmUp | None = None
    prefill: Window | None = None
    """The window with one output token for each prompt, where it was asked for."""
    answering: Window | None = None
    """The stretch in which the questions of ``measure.accuracy`` were answered, and nothing else:
    it begins and ends at rest."""
    reconciliation: list[Reconciliation] = []
    """Where several meters see the same energy: what each says, and whether they agree."""
    meters_unavailable: dict[str, str] = {}
    """Meter → why it could not be read in this run."""
    client: dict[str, Scalar] = {}
    """Of the client that sent the load, where one did: ``client_cpu_share`` (its CPU time ÷ time, 1
    is one core), ``client_late_p50_s`` and ``_p99_s`` (from when a request was due until it left),
    ``client_stamps`` (who stamped the chunks: the kernel or the process), ``client_read_p99_s``
    (how long chunks lay in the kernel until they were read)."""
    requests: RequestCounts | None = None
    rate_search: RateSearch | None = None

    @model_validator(mode="after")
    def _can_be_computed_with(self) -> Self:
        # Engines' own arguments may be any numbers; nothing is computed from those.
        told = self.model_dump(exclude={"experiment": True, "environment": {"engine_resolved"}})
        if any(abs(n) > MOST for n in _numbers(told)):
            raise ValueError("a number is larger than 1e60")
        return self


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _numbers(inner)
    elif isinstance(value, int | float):
        yield value
