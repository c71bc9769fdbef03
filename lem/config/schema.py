"""The campaign file's keys: types, limits and defaults. Reference: docs/campaign-file.md."""

import difflib
import re
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from lem.config import clusters, objectives
from lem.config.bounds import MAX_AXES, MAX_EXPERIMENTS, Range, SamplerSpec
from lem.config.dots import undotted
from lem.config.shapes import with_lengths
from lem.contract.base import Name, Part, Positive, wrong
from lem.contract.spec import (
    Accuracy,
    CoolDown,
    DeviceSettings,
    Limits,
    ModelSpec,
    Settings,
    setting,
)
from lem.contract.workload import Workload

MAX_DURATION_S = 366 * 86400.0


def is_scalar(value: Any) -> bool:
    """Whether ``value`` is null, text, a number or a boolean."""
    return value is None or isinstance(value, str | int | float | bool)


def whole(value: Any) -> Any:
    """1.0 as 1; everything else as it is."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def all_whole(value: Any) -> Any:
    """:func:`whole` at every level of a mapping or list."""
    if isinstance(value, dict):
        return {k: all_whole(v) for k, v in value.items()}
    if isinstance(value, list):
        return [all_whole(v) for v in value]
    return whole(value)


def _one_scalar(value: Any) -> Any:
    if not is_scalar(value):
        raise wrong("must be a single value: text, a number, true, false or null")
    return value


MAX_DURATION = 40
"""Characters."""
_DURATION = re.compile(
    r"(?:([0-9.]+)d)?(?:([0-9.]+)h)?(?:([0-9.]+)m(?:in)?)?(?:([0-9.]+)s)?", re.ASCII
)
_APART = re.compile(r"[0-9.]\s+[0-9.]")
"""A blank inside a number."""


def duration_s(value: Any) -> Any:
    """``90s``, ``30m``, ``2h``, ``1.5h``, ``1h30m``, ``1d`` in seconds."""
    if value is None:
        return None
    found = None
    if isinstance(value, str) and len(value) <= MAX_DURATION and not _APART.search(value):
        found = _DURATION.fullmatch("".join(value.split()))
    if found is None or not any(found.groups()):
        raise wrong("must be a length of time with its unit, such as 90s, 30m, 2h or 1h30m")
    try:
        parts = [float(number or 0) for number in found.groups()]
    except ValueError:
        raise wrong("must be a length of time with its unit, such as 90s, 30m or 2h") from None
    seconds = sum(p * unit for p, unit in zip(parts, (86400, 3600, 60, 1), strict=True))
    if not 0 < seconds <= MAX_DURATION_S:
        raise wrong("must be longer than 0 s and at most a year")
    return seconds


ScalarValue = Annotated[Any, AfterValidator(_one_scalar)]
SettingValue = Annotated[Any, AfterValidator(setting)]
Arguments = Annotated[dict[str, SettingValue], AfterValidator(undotted)]
"""What goes to an engine untouched."""
Selector = Annotated[dict[str, ScalarValue], Field(min_length=1)]
"""Experiment path → the value it must have."""
Text = Annotated[str, Field(min_length=1, max_length=1000)]
Fraction = Annotated[float, Field(gt=0, le=1)]
Whole = Annotated[int, BeforeValidator(whole)]


class BackendSpec(Part):
    """``base_image`` builds lem's image on it; a ready ``image`` must carry the contract labels;
    ``python`` is the interpreter for the process launcher."""

    base_image: Text | None = None
    image: Text | None = None
    python: Text | None = None
    args: Arguments = {}

    @model_validator(mode="after")
    def _one_image(self) -> "BackendSpec":
        if self.image is not None and self.base_image is not None:
            raise wrong("image and base_image say the same thing twice; keep one of them")
        return self


class EngineSettings(Part):
    """What every engine has under some name. Not given: the engine's own default."""

    dtype: Literal["auto", "float32", "float16", "bfloat16"] | None = None
    max_batch_size: Annotated[int, Field(ge=1, le=65_536)] | None = None
    max_model_len: Annotated[int, Field(ge=1, le=100_000_000)] | None = None
    tensor_parallel_size: Annotated[int, Field(ge=1, le=1024)] | None = None
    quantization: Text | None = None
    threads: Annotated[int, Field(ge=1, le=4096)] | None = None
    """CPU threads for the computation."""


_LENGTHS_OF_ANSWERS = (
    "max_tokens", "max_new_tokens", "max_completion_tokens", "max_output_tokens", "max_length",
    "output_tokens", "n_predict", "num_predict",
)  # fmt: skip
"""What engines call the number of output tokens. A request says it, so that all get the same."""


class GenerateSettings(Part):
    """How tokens are chosen. Further keys go to the engine untouched."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, SettingValue] = Field(init=False)

    temperature: Annotated[float, Field(ge=0, le=100)] = 0.0
    ignore_eos: bool = False
    top_p: Fraction | None = None
    top_k: Annotated[Whole, Field(ge=-1, le=10_000_000)] | None = None
    seed: Annotated[Whole, Field(ge=0, lt=2**63)] | None = None

    @model_validator(mode="after")
    def _meant(self) -> "GenerateSettings":
        undotted(self.__pydantic_extra__ or {})
        for key in self.__pydantic_extra__ or ():
            plain = key.lower().replace("-", "_")
            if plain in _LENGTHS_OF_ANSWERS:
                raise wrong(
                    f"'{key}': how long answers are belongs to the data set; write it as "
                    "workload.dataset.output_tokens"
                )
            near = difflib.get_close_matches(plain, type(self).model_fields, n=1, cutoff=0.9)
            if near:
                raise wrong(f"unknown key '{key}'; did you mean '{near[0]}'?")
        return self

    def settings(self) -> Settings:
        """As a mapping: defaults spelled out, what is not given left out."""
        typed = {k: getattr(self, k) for k in type(self).model_fields}
        return {k: v for k, v in typed.items() if v is not None} | (self.__pydantic_extra__ or {})


def _axis_kind(value: Any) -> str:
    return "range" if isinstance(value, dict | Range) else "list"


def _axis_list(value: Any) -> Any:
    if not isinstance(value, list):
        raise wrong("must be a list such as [1, 4, 16], or bounds such as {low: 1, high: 64, …}")
    if not value:
        raise wrong("must have at least one value")
    return value


AxisValues = Annotated[
    Annotated[list[ScalarValue], BeforeValidator(_axis_list), Tag("list")]
    | Annotated[Range, Tag("range")],
    Discriminator(_axis_kind),
]

_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")


MAX_MODEL_NAME = 100


def is_path(model_id: str) -> bool:
    """Whether a model's id names a folder or file here rather than a hub repository: it begins
    with ``/``, ``./``, ``../`` or ``~/``, or ends in ``.gguf``."""
    return model_id.startswith(("/", "./", "../", "~/")) or model_id.lower().endswith(".gguf")


def _model(model: ModelSpec) -> ModelSpec:
    """One source, and a name for it."""
    if model.wheel is not None and model.synthetic is not None:
        raise wrong("wheel and synthetic are two sources; a model has one")
    named = model.wheel or model.synthetic
    if named is not None and (model.revision is not None or model.gguf_file is not None):
        key = "revision" if model.revision is not None else "gguf_file"
        raise wrong(f"{key} goes with a hub id, not with wheel or synthetic")
    if model.wheel is not None:
        file = PurePosixPath(model.wheel.file)
        if file.is_absolute() or ".." in file.parts or not file.name:
            raise wrong("wheel.file must be a path inside the package, without ..")
        return _named(model, file.stem)
    if model.synthetic is not None:
        s = model.synthetic
        if s.hidden_size % s.heads != 0:
            raise wrong(f"hidden_size ({s.hidden_size}) must be a multiple of heads ({s.heads})")
        return _named(model, f"synthetic-{s.architecture}-{s.layers}x{s.hidden_size}")
    if not model.id:
        raise wrong("needs an id (hub id, folder or GGUF file), a wheel or a synthetic description")
    if is_path(model.id):
        if model.revision is not None:
            raise wrong("revision goes with a hub id, not with a local model")
    elif not _HUB_ID.fullmatch(model.id) or len(model.id) > 200:
        raise wrong("id is neither a hub id (organisation/name) nor a path beginning with ./ or /")
    if model.gguf_file is not None and ".." in PurePosixPath(model.gguf_file).parts:
        raise wrong("gguf_file must be a path inside the model's repository, without ..")
    return model


def _named(model: ModelSpec, otherwise: str) -> ModelSpec:
    """The model with a name, which here is nothing but words that everybody reads."""
    name = model.id or otherwise
    if len(name) > MAX_MODEL_NAME or not name.isprintable():
        raise wrong(f"a name has at most {MAX_MODEL_NAME} characters, and none that do not print")
    return model if model.id else model.model_copy(update={"id": name})


def _distinct(models: list[ModelSpec]) -> list[ModelSpec]:
    for i, model in enumerate(models):
        if model in models[:i]:
            raise wrong(f"the model {model.id} is given twice")
    return models


def _questions(accuracy: Accuracy) -> Accuracy:
    """One source of questions, and nothing that goes with the other."""
    if (accuracy.path is None) == (accuracy.task is None):
        raise wrong("needs a path (a file of questions) or a task (of lm-evaluation-harness)")
    for key in ("include_path", "fewshot", "metric"):
        if accuracy.path is not None and getattr(accuracy, key) is not None:
            raise wrong(f"{key} goes with a task, not with a file of questions")
    return accuracy


class MeasureSpec(Part):
    """How to measure. What is not given comes from the preset (``measure.PRESETS``)."""

    preset: Literal["quick", "standard", "publication"] = "standard"
    precision: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Half-width of the interval on a ratio to aim for; 0.02 is ±2 %."""
    blocks: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """A fixed number of blocks instead of the preset's."""
    max_blocks: Annotated[int, Field(ge=1, le=10_000)] = 40
    same_within: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Margin within which two experiments count as the same; 0.01 is ±1 %."""
    time_budget: Annotated[float | None, BeforeValidator(duration_s)] = None
    """Seconds."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    quality: list[Literal["nll", "agreement"]] = []
    quality_margin: Annotated[float, Field(gt=0, lt=1)] | None = None
    """How much quality an arm may lose and still count as better; 0.02 is 2 %."""
    accuracy: Annotated[Accuracy, AfterValidator(_questions)] | None = None
    windows: Annotated[int, Field(ge=1, le=1000)] | None = None
    window_s: Annotated[float, Field(gt=0, le=86_400)] | None = None
    idle_s: Annotated[float, Field(ge=0, le=86_400)] | None = None
    warm_up_cap_s: Annotated[float, Field(ge=0, le=86_400)] | None = None
    settle_s: Annotated[float, Field(ge=0, le=86_400)] | None = None
    """Pause between work and idle."""
    prefill_window: bool = False
    cool_down: CoolDown | None = None
    sample_interval_s: Annotated[float, Field(ge=0.001, le=10)] = 0.1
    meters: Annotated[list[Text], Field(min_length=1)] | None = None
    watts_per_busy_core: Annotated[float, Field(gt=0, le=1000)] = 10.0
    calibration: Text | None = None
    """A file with the gains of single boards (``lem.meters.calibration``)."""

    @model_validator(mode="after")
    def _one_rule(self) -> "MeasureSpec":
        if len(set(self.quality)) < len(self.quality):
            raise wrong("quality names a measure twice")
        if self.precision is not None and self.blocks is not None:
            raise wrong("blocks fixes how often, precision lets lem work it out; keep one of them")
        if self.precision is not None and self.preset == "quick":
            raise wrong("the quick preset has a fixed number of blocks and takes no precision")
        if self.blocks is not None and self.blocks > self.max_blocks:
            raise wrong(f"blocks ({self.blocks}) is above max_blocks ({self.max_blocks})")
        return self


def _gpus(value: Any) -> Any:
    if value == "auto":
        return value
    if not isinstance(value, list):
        raise wrong("must be auto or a list of GPU numbers such as [0, 1]; [] for none of them")
    if any(not isinstance(v, int) or isinstance(v, bool) or not 0 <= v < 1024 for v in value):
        raise wrong("GPU numbers are whole numbers from 0")
    if len(set(value)) != len(value):
        raise wrong("names a GPU twice")
    return value


def _parallel(value: Any) -> Any:
    if value != "auto" and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise wrong("must be auto or a whole number from 1")
    return value


class CampaignSpec(Part):
    """A campaign file as it is written, checked, with its defaults filled in."""

    version: Literal[1]
    name: Name
    models: Annotated[
        list[Annotated[ModelSpec, AfterValidator(_model)]],
        Field(min_length=1, max_length=200),
        AfterValidator(_distinct),
    ]
    backends: Annotated[dict[str, BackendSpec], Field(min_length=1)]
    engine: EngineSettings = EngineSettings()
    args: Arguments = {}
    sweep: Annotated[dict[str, AxisValues], Field(max_length=MAX_AXES)] = {}
    sampler: SamplerSpec = SamplerSpec()
    exclude: Annotated[list[Selector], Field(max_length=100)] = []
    experiments: Annotated[list[Selector], Field(max_length=MAX_EXPERIMENTS)] = []
    baseline: Selector | None = None
    workload: Annotated[Workload, BeforeValidator(with_lengths)] = Workload()
    generate: GenerateSettings = GenerateSettings()
    device: DeviceSettings = DeviceSettings()
    measure: MeasureSpec = MeasureSpec()
    gpus: Annotated[Literal["auto"] | list[int], BeforeValidator(_gpus)] = "auto"
    """None (``[]``): everything runs on the CPU."""
    parallel_blocks: Annotated[Literal["auto"] | Positive, BeforeValidator(_parallel)] = "auto"
    launcher: clusters.Launcher = "auto"
    """``auto``: docker where it works here, else process."""
    submit: Literal["ask", "always", "never"] = "ask"
    trust_remote_code: bool = False
    limits: Limits = Limits()

    @property
    def cluster(self) -> clusters.Cluster | None:
        """Where a scheduler places the blocks."""
        return None if isinstance(self.launcher, str) else self.launcher

    @property
    def agent_launcher(self) -> str:
        """What starts the agent, on this machine or on a scheduler's node."""
        return self.launcher if isinstance(self.launcher, str) else self.launcher.container


_SECTIONS = (
    "engine", "args", "sweep", "sampler", "exclude", "experiments", "baseline", "workload",
    "generate", "device", "measure", "limits",
)  # fmt: skip
_PASSED_ON = ("args", "generate", "sweep")


def prepared(data: dict[str, Any]) -> dict[str, Any]:
    """The file's data with what is only spelling removed.

    A section without content (``exclude:``) is a section left out; 1.0 is 1 wherever lem knows the
    type; a dataset or arrival without a kind is of the default kind.
    """
    result = {k: v for k, v in data.items() if not (v is None and k in _SECTIONS)}
    result = {k: v if k in _PASSED_ON else all_whole(v) for k, v in result.items()}
    if isinstance(result.get("sweep"), dict):
        result["sweep"] = {
            k: all_whole(v) if isinstance(v, dict) else v for k, v in result["sweep"].items()
        }
    backends = data.get("backends")
    if isinstance(backends, dict):
        result["backends"] = {
            name: {k: v for k, v in spec.items() if not (k == "args" and v is None)}
            if isinstance(spec, dict)
            else {} if spec is None else spec
            for name, spec in backends.items()
        }  # fmt: skip
    if isinstance(result.get("workload"), dict):
        result["workload"] = with_kinds(result["workload"])
    return result


def with_kinds(workload: dict[str, Any]) -> dict[str, Any]:
    """A workload as written, each part's default kind and objectives spelled out."""
    result = {
        k: v for k, v in workload.items() if not (v is None and k in ("dataset", "arrival", "slo"))
    }
    for key, kind in (("dataset", "random"), ("arrival", "offline")):
        if isinstance(result.get(key), dict) and "kind" not in result[key]:
            result[key] = {"kind": kind, **result[key]}
    if "slo" in result:
        result["slo"] = objectives.spelled_out(result["slo"])
    return result
