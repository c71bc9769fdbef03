"""The pieces of a campaign that host and agent both need: model, device, measurement."""

import datetime
import math
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue

from lem.contract.base import Part, Positive, Sha256, wrong
from lem.contract.workload import Workload

MAX_SETTING_DEPTH = 8


def setting(value: Any) -> Any:
    """A value that an engine is told, if it is one: a single value, or lists and mappings of them,
    so many levels deep. How large it is, the file's or document's own limit bounds.

    Raises an error of a validator (:func:`lem.contract.base.wrong`).
    """
    layer = [value]
    for _ in range(MAX_SETTING_DEPTH + 1):
        layer = [inner for one in layer for inner in _parts(one)]
        if not layer:
            return value
    raise wrong(f"is nested more than {MAX_SETTING_DEPTH} levels deep")


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return value.values()
    if isinstance(value, list):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        raise wrong("must be a finite number")
    if value is None or isinstance(value, str | int | float | bool):
        return ()
    raise wrong("must be a single value, or lists and mappings (by words) of them")


Settings = dict[str, Annotated[JsonValue, BeforeValidator(setting)]]


class Synthetic(Part):
    """A model with random weights, built in place from an architecture's own config class."""

    architecture: str = "llama"
    hidden_size: Positive = 64
    layers: Positive = 2
    heads: Positive = 4
    kv_heads: Positive | None = None
    intermediate_size: Positive | None = None
    vocab_size: Annotated[int, Field(ge=300)] = 512
    max_position_embeddings: Positive = 2048
    seed: int = 0
    config: Settings = {}


class WheelFile(Part):
    """A model file inside a package of the Python package index, pinned by its hash."""

    package: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+!_-]*$")]
    file: str
    sha256: Sha256


class ModelSpec(Part):
    """A model as the campaign names it.

    ``id`` alone is a hub id, a local folder or a GGUF file; with ``wheel`` or ``synthetic`` it is
    just the model's name.
    """

    id: str = ""
    revision: str | None = None
    gguf_file: str | None = None
    synthetic: Synthetic | None = None
    wheel: WheelFile | None = None


class DeviceSettings(Part):
    power_limit_w: Annotated[float, Field(gt=0)] | None = None
    sm_clock_mhz: Positive | None = None


class CoolDown(Part):
    """Wait before warm-up until no GPU is warmer than ``below_c``, at most ``cap_s``."""

    below_c: Annotated[float, Field(ge=0, le=150)]
    cap_s: Annotated[float, Field(gt=0)] = 300.0


def _day(text: str) -> str:
    datetime.date.fromisoformat(text)
    return text


class BoardGain(Part):
    """What one board's energy counter reads ÷ the true energy, as someone found it.

    ``uncertainty`` is the gain's standard uncertainty (k = 1). A gain far from 1 is no calibration
    but another unit, and one that is known exactly does not exist: both are refused.
    """

    gain: Annotated[float, Field(gt=0.5, lt=2)]
    uncertainty: Annotated[float, Field(gt=0, le=0.2)]
    date: Annotated[str, AfterValidator(_day)]
    against: Annotated[str, Field(min_length=1, max_length=200)]
    """The reference: instrument, and where it was connected."""


class AppliedGain(BoardGain):
    """The gain that a device's energy was corrected by; ``sha256`` is its file's."""

    sha256: Sha256


class Calibration(Part):
    """Boards by UUID."""

    sha256: Sha256
    boards: dict[Annotated[str, Field(pattern=r"^GPU-[0-9a-fA-F-]{8,40}$")], BoardGain]


LikelihoodMetric = Literal["acc", "acc_norm", "acc_bytes", "exact_match"]
"""As lm-evaluation-harness names them: the likeliest answer is a correct one; the same by
log-likelihood per character, or per byte (UTF-8), of the answer; a correct answer is what the model
would write by itself."""


class Accuracy(Part):
    """Questions with known answers: a file of them (``lem/workloads/questions.py``), or a task of
    lm-evaluation-harness by its name. ``path`` and ``include_path`` are the last part of what the
    campaign file says: folders tell whose machine it is."""

    path: str | None = None
    task: str | None = None
    include_path: str | None = None
    """A folder with tasks of one's own."""
    fewshot: Annotated[int, Field(ge=0, le=100)] | None = None
    """Solved examples before each question; not given: the task's own number."""
    limit: Positive | None = None
    """The first so many questions; not given: all."""
    output_tokens: Positive | None = None
    """At most so many for each answer, where a question says nothing else."""
    metric: LikelihoodMetric | None = None
    """Of a task that scores the likelihood of given answers: which of its metrics says what is
    correct; not given: ``acc``, else the first that can."""
    sha256: Sha256 | None = None
    """Of the file."""


class Measurement(Part):
    """What the agent needs of the campaign's ``measure``; lengths in seconds."""

    windows: Positive
    window_s: Annotated[float, Field(gt=0)]
    idle_s: Annotated[float, Field(ge=0)]
    warm_up_cap_s: Annotated[float, Field(ge=0)]
    sample_interval_s: Annotated[float, Field(gt=0)] = 0.1
    quality: list[Literal["nll", "agreement"]] = []
    accuracy: Accuracy | None = None
    meters: list[str] | None = None
    """Names of meters, or all that work here; ``estimate`` stands in where none does."""
    watts_per_busy_core: Annotated[float, Field(gt=0)] = 10.0
    calibration: Calibration | None = None
    settle_s: Annotated[float, Field(ge=0)] = 0.0
    """Pause between work and an idle phase: right after work a device is not yet at rest."""
    prefill_window: bool = False
    """Whether a window with one output token for each prompt follows, to tell prefill from
    decode."""
    cool_down: CoolDown | None = None


class Limits(Part):
    """When to give up, in seconds; what the container may use."""

    load_s: Annotated[float, Field(gt=0)] = 1800.0
    run_s: Annotated[float, Field(gt=0)] = 3600.0
    memory_bytes: Positive | None = None
    pids: Positive = 4096


class ExperimentModel(Part):
    id: str
    revision: str | None
    """Commit of the hub, where it is from one."""
    content: str
    """``sha256:…`` of the weights or of the synthetic description; ``provisional`` before stage."""
    weights: Literal["trained", "random"]


class Experiment(Part):
    """One fully resolved configuration: exactly what the experiment's id is a hash of."""

    model: ExperimentModel
    backend: str
    engine_version: str
    engine: Settings
    args: Settings
    generate: Settings
    workload: Workload
    requests_sha256: str
    device: DeviceSettings
