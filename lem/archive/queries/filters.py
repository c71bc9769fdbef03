"""Which configurations a question is about.

A question comes as a list of name and value, as a query string has it. Names are fields of the
question's model, columns of a configuration (``DIMENSIONS``), ``model_size`` or experiment paths; a
repeated one means any of its values. Nothing else is taken. Values and JSON paths only ever become
bound parameters.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple, Self, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from lem.archive.queries import sizes
from lem.archive.queries.answer import Metric, Tier
from lem.archive.schema import DIMENSIONS
from lem.config.paths import ALIASES, OPEN, fixed_paths
from lem.contract.spec import MAX_SETTING_DEPTH
from lem.errors import BadInput, Problem

MAX_VALUES = 50
"""Of one filter."""
MAX_FILTERS = 40
MAX_TEXT = 300
_KEY = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}\Z")
_MORE_PATHS = ("engine_version", "model.content", "model.weights", "requests_sha256")
_NO_FILTER = ("launcher", "workload.dataset.shape", "workload.slo")
"""The first is no part of what a configuration is; the others stand for several settings."""


def _plain(text: str) -> str:
    if any(ord(c) < 32 or 0xD800 <= ord(c) <= 0xDFFF or ord(c) == 127 for c in text):
        raise ValueError("holds a control character")
    return text


def _moment(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("is no ISO 8601 date or time") from None
    try:
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return zoned.astimezone(UTC).isoformat(timespec="milliseconds")
    except OverflowError:
        raise ValueError("is too early or too late") from None


Text = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_plain)]
Moment = Annotated[str, Field(max_length=40), AfterValidator(_moment)]
EnergyClass = Literal["gpu", "cpu", "dram", "module", "node", "sensor", "estimated", "none"]
"""``none``: without a figure of energy."""
CLASS_ORDER = ("gpu", "module", "cpu", "dram", "node", "sensor", "estimated", "none")
"""Where nobody asks for a class, the first of these that has data."""


class Question(BaseModel):
    """Parameters of a question: unknown ones are refused."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        populate_by_name=True,
        protected_namespaces=(),
    )

    @classmethod
    def from_query(cls, items: Iterable[tuple[str, str]]) -> Self:
        """From the names and values of a query string. Raises :class:`BadInput` with every
        problem."""
        fields = {f.alias or n: f for n, f in cls.model_fields.items()}
        lists = {n for n, f in fields.items() if get_origin(_bare(f.annotation)) is list}
        found: dict[str, Any] = {}
        where: dict[str, list[str]] = {}
        problems: list[Problem] = []
        filtering = "where" in cls.model_fields
        for name, value in items:
            if name in lists:
                found.setdefault(name, []).append(value)
            elif name in fields and name != "where":
                if name in found:
                    problems.append(Problem(f"{name}: is there twice", path=name))
                found[name] = value
            elif filtering and is_filter(name):
                where.setdefault(name, []).append(value)
            else:
                problems.append(Problem(f"{name[:80]!r}: there is no such parameter", path="query"))
        if where:
            found["where"] = where
        if not problems:
            try:
                return cls.model_validate(found)
            except ValidationError as e:
                problems += [
                    Problem(f"{'.'.join(map(str, p['loc']))}: {p['msg']}", path=str(p["loc"][0]))
                    if p["loc"]
                    else Problem(p["msg"].removeprefix("Value error, "), path="query")
                    for p in e.errors()
                ]
        raise BadInput(problems[:20])


def _bare(annotation: Any) -> Any:
    """Without ``| None``."""
    inner = [a for a in getattr(annotation, "__args__", ()) if a is not type(None)]
    return inner[0] if get_origin(annotation) is not list and len(inner) == 1 else annotation


def _known(where: dict[str, list[str]]) -> dict[str, list[str]]:
    for name in where:
        if not is_filter(name):
            raise ValueError(f"{name[:80]!r} is neither a column nor an experiment path")
    return where


class Filtered(Question):
    """A question about some of the configurations.

    ``where``: column (``device_model``, ``dtype``), ``model_size`` or experiment path
    (``engine.max_batch_size``, ``args.enforce_eager``, ``workload.arrival.concurrency``, …) →
    values of which it has one. In a query string each is a parameter of its own:
    ``device_model=…&engine.max_batch_size=4``.
    """

    energy_class: EnergyClass | None = Field(default=None, alias="class")
    """By default the first of gpu, module, cpu, … that has data; ``estimated`` comes last."""
    tier: Tier | None = None
    """At least this one."""
    semantics: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Version of the metrics' definitions; by default the newest. Figures of different versions
    never stand in one answer."""
    q: Annotated[Text, Field(min_length=1)] | None = None
    """Part of the model's name, in upper or lower case."""
    since: Moment | None = None
    """Measured at this time or later (a configuration: its newest run)."""
    until: Moment | None = None
    where: Annotated[
        dict[
            Annotated[str, Field(max_length=200)],
            Annotated[list[Text], Field(max_length=MAX_VALUES)],
        ],
        Field(max_length=MAX_FILTERS),
        AfterValidator(_known),
    ] = {}


class OfMetric(Filtered):
    metric: Metric = "energy_per_output_token_j"


class Path(NamedTuple):
    backend: str | None
    """The only backend that it is looked at for."""
    keys: tuple[str, ...]


def is_filter(name: str) -> bool:
    """Whether this is a column or an experiment path by which configurations can be chosen."""
    return name in DIMENSIONS or name == sizes.NAME or path_of(name) is not None


def path_of(text: str) -> Path | None:
    """None where it is no experiment path. ``vllm.args.x`` is ``args.x`` of vllm alone."""
    keys = tuple(text.split("."))
    if len(text) > 200 or not all(_KEY.match(k) for k in keys):
        return None
    if _is_path(keys):
        return Path(None, ALIASES.get(keys, keys))
    rest = keys[1:]
    if len(keys) > 2 and rest[0] not in ("backend", "model") and _is_path(rest):
        return Path(keys[0], ALIASES.get(rest, rest))
    return None


def _is_path(keys: tuple[str, ...]) -> bool:
    if keys[0] in OPEN:
        return 2 <= len(keys) <= 2 + MAX_SETTING_DEPTH
    name = ".".join(keys)
    return (name in fixed_paths() or name in _MORE_PATHS) and name not in _NO_FILTER
