"""What every answer carries, and what a figure is."""

from functools import lru_cache
from typing import Annotated, Any, Literal, Protocol, get_args

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field

from lem.archive.database import every_setting
from lem.archive.demo import DEMO, MADE_UP
from lem.archive.schema import HEADLINE, REPLICATED, TIERS
from lem.contract.metrics import METRIC_SEMANTICS_VERSION, METRICS

LICENCE: Literal["CC-BY-4.0"] = "CC-BY-4.0"

Tier = Literal["self-reported", "recomputed", "replicated"]
Metric = Literal[
    "energy_per_output_token_j",
    "energy_per_total_token_j",
    "energy_per_request_j",
    "energy_above_idle_per_output_token_j",
    "mean_power_w",
    "output_throughput_tokens_per_s",
    "ttft_p50_s",
    "ttft_p99_s",
    "itl_p50_s",
    "itl_p99_s",
    "e2e_latency_p50_s",
    "nll_per_token",
]
"""The names of ``HEADLINE``."""
assert get_args(Metric) == HEADLINE

ConfigurationId = Annotated[str, Field(pattern=r"^[0-9a-f]{16,64}$")]
"""64 digits, or the first ones of them, at least 16."""
RunId = Annotated[str, Field(pattern=r"^[0-9a-f]{64}-[0-9]{1,5}$")]
"""The submission, and the run's place in it: the same in every copy of the archive."""
CampaignId = Annotated[str, Field(pattern=r"^[0-9a-f]{64}-[0-9]{1,12}$")]
"""The campaign, and who sent it."""

TIER_NUMBERS: dict[str, int] = {name: number for number, name in TIERS.items()}


class Packs(Protocol):
    """Where the files of submissions lie."""

    def read(self, content_sha256: str, offset: int, length: int) -> bytes:
        """So many bytes of a submission's pack."""
        ...


class Shape(BaseModel):
    """A piece of an answer."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=()
    )


class Answer(Shape):
    """``citation`` names the archive and the state of it that this is an answer from."""

    schema_version: Literal[1] = 1
    metric_semantics_version: int
    data_version: int
    demo: bool = False
    """Whether made-up records may be among what this is of: then nothing in it is to be used."""
    licence: Literal["CC-BY-4.0"] = LICENCE
    citation: str


class Head(Shape):
    """What :class:`Answer` says beside its content."""

    metric_semantics_version: int
    data_version: int
    demo: bool
    citation: str

    def fields(self) -> dict[str, Any]:
        return self.model_dump()


class Figure(Shape):
    """One figure of a configuration: the mean over its submitters' means."""

    metric: str
    unit: str
    better: Literal["lower", "higher"]
    value: float
    uncertainty: float | None
    """U, expanded (k = 2), in ``unit``: of the meter and of the scatter between runs."""
    why_no_uncertainty: str | None = None
    runs: int
    submitters: int
    tier: Tier
    """Of runs of at least this tier; a likelihood, which no file shows, is always self-reported."""
    energy_class: str
    """Device class that energy and power are of; ``estimated`` is no measurement."""
    best_run: float
    newest_run: float


class Configuration(Shape):
    """What was measured, on what: an experiment × device model × count × meter class."""

    id: ConfigurationId
    experiment_id: str
    energy_class: str
    semantics_version: int
    """The version of the metrics' definitions that its figures follow."""
    model: str
    model_content: str
    weights: str
    backend: str
    engine_version: str
    device_model: str
    device_count: int
    meter_class: str
    dtype: str
    quantization: str
    max_batch_size: int | None
    tensor_parallel_size: int | None
    arrival: str
    load: float | None
    """Clients of a closed loop, or requests per second."""
    dataset: str
    input_tokens: int | None
    output_tokens: int | None
    best_tier: Tier | None
    """None where no run of it counts yet."""
    disagrees: bool
    """Whether a replication contradicts another. Never averaged away: look at the configuration."""
    last_at: str | None


_STATISTIC = {"ttft": "ttft_s", "itl": "itl_s", "e2e_latency": "e2e_latency_s"}


@lru_cache(maxsize=256)
def source_of(metric: str) -> tuple[str, str]:
    """The metric and statistic of a record that a headline metric is: ``ttft_p50_s`` is
    ``("ttft_s", "p50")``; of energy the statistic is the device class, which is left empty."""
    for stem, name in _STATISTIC.items():
        if metric.startswith(f"{stem}_p"):
            return name, metric.removeprefix(f"{stem}_").removesuffix("_s")
    return metric, ""


@lru_cache(maxsize=256)
def unit_of(metric: str) -> str:
    name = source_of(metric)[0]
    return METRICS[name].unit if name in METRICS else "nat/token"


@lru_cache(maxsize=256)
def better_of(metric: str) -> Literal["lower", "higher"]:
    name = source_of(metric)[0]
    return "higher" if name in METRICS and METRICS[name].better == "higher" else "lower"


def number_of(metric: str) -> int:
    """How ``config_summary`` writes the metric."""
    return HEADLINE.index(metric)


def head(connection: sa.Connection, semantics: int = METRIC_SEMANTICS_VERSION) -> Head:
    """Of the state of the archive that ``connection`` sees."""
    found = every_setting(connection)
    version = int(found.get("data_version", "0"))
    name = found.get("archive", "")[:16] or "without a name"
    demo = DEMO in found
    return Head(
        metric_semantics_version=semantics,
        data_version=version,
        demo=demo,
        citation=f"{MADE_UP if demo else ''}lem archive {name}, "
        f"data version {version}, metric semantics {semantics}; "
        f"{LICENCE}. Name the runs' submitters where you use single runs.",
    )


def tier_name(number: int) -> Tier | None:
    names: dict[int, Tier] = {1: "self-reported", 2: "recomputed", REPLICATED: "replicated"}
    return names.get(number)
