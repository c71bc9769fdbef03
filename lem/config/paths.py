"""Experiment paths: the one way to name a setting in sweep, exclude, experiments, baseline, command
line filters and results.

``engine.max_batch_size`` holds for every backend, ``vllm.engine.max_batch_size`` for vllm alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import PurePath
from typing import Any, NamedTuple

from pydantic import BaseModel

from lem.config.objectives import SLO_PRESETS
from lem.config.problems import choices_of, said, suggest
from lem.config.schema import EngineSettings, GenerateSettings, is_path
from lem.config.yaml_source import KeyPath
from lem.contract.base import Scalar, canonical_json
from lem.contract.spec import MAX_SETTING_DEPTH, DeviceSettings, ModelSpec, Settings
from lem.contract.workload import Dataset, RandomDataset, Slo, Workload
from lem.errors import BadInput

OPEN = ("args", "generate")
"""Sections whose keys are the engine's own."""
AXES = ("args", "device", "engine", "generate", "launcher", "workload")
"""What can be swept. Models and backends are swept by listing them."""
SHAPE = "workload.dataset.shape"
"""Input and output tokens of random requests in one: ``512/256``."""
SLO = "workload.slo"
"""All objectives in one: a preset's name."""

ALIASES: dict[tuple[str, ...], tuple[str, ...]] = {
    ("workload", "slo", "tpot_ms"): ("workload", "slo", "itl_ms")
}
"""Two names of one setting: experiments have it under the second."""


@dataclass(frozen=True)
class Draft:
    """An experiment before its model's revision and content, its engine's version and its request
    list are known. The mappings are shared between drafts: don't change them."""

    model: ModelSpec
    backend: str
    engine: Settings
    args: Settings
    generate: Settings
    workload: Workload
    device: DeviceSettings
    launcher: str | None
    """Only where the campaign sweeps it."""
    settings: dict[str, Scalar]
    """Swept paths → this experiment's value."""
    label: str
    """Short, unique in the campaign: only what differs."""


class ExperimentPath(NamedTuple):
    backend: str | None
    """The only backend it holds for."""
    keys: tuple[str, ...]

    @property
    def section(self) -> str:
        return self.keys[0]

    @property
    def name(self) -> str:
        """Without the backend."""
        return ".".join(self.keys)


@cache
def fixed_paths() -> dict[str, bool]:
    """All paths that lem itself knows, sorted → whether their values are whole numbers."""
    found = dict.fromkeys(("backend", "launcher", "model.id", "model.revision"), False)
    for section, model in (
        ("device", DeviceSettings),
        ("engine", EngineSettings),
        ("generate", GenerateSettings),
        ("workload", Workload),
    ):
        found.update(_leaves(model, section))
    found |= {SHAPE: False, SLO: False}
    return dict(sorted(found.items()))


def _leaves(model: type[BaseModel], prefix: str) -> Iterable[tuple[str, bool]]:
    for name, field in model.model_fields.items():
        kinds = choices_of(field.annotation)
        inner = [c for c in kinds if isinstance(c, type) and issubclass(c, BaseModel)]
        for part in inner:
            yield from _leaves(part, f"{prefix}.{name}")
        if any(c in (str, int, float, bool) for c in kinds) or not inner:
            yield f"{prefix}.{name}", int in kinds and float not in kinds


def parse_path(text: str, backends: Iterable[str]) -> ExperimentPath:
    """Raises ``ValueError`` with a suggestion if there is no such path."""
    backends = tuple(backends)
    keys = tuple(text.split("."))
    backend = keys[0] if keys[0] in backends else None
    if backend is not None:
        keys = keys[1:]
    keys = ALIASES.get(keys, keys)
    if not _is_path(keys) or (backend is not None and keys[0] in ("backend", "model")):
        if keys and keys[0] in OPEN:
            raise ValueError(f"write {keys[0]}.<name of the engine's own setting>")
        if backend is None and len(keys) > 2 and _is_path(keys[1:]):
            raise ValueError(
                f"'{keys[0]}' is not a backend of this campaign{suggest(keys[0], backends)}"
            )
        known = [*fixed_paths(), *(f"{b}.args.…" for b in backends), "args.…"]
        if backend is not None:
            known = [f"{backend}.{p}" for p in fixed_paths()]
        raise ValueError(f"unknown experiment path{suggest(text, known)}")
    return ExperimentPath(backend, keys)


def _is_path(keys: tuple[str, ...]) -> bool:
    longest = 2 + MAX_SETTING_DEPTH
    open_ended = bool(keys) and keys[0] in OPEN and 2 <= len(keys) <= longest and all(keys)
    return open_ended or ".".join(keys) in fixed_paths()


def value_at(draft: Draft, path: ExperimentPath) -> Scalar:
    """The draft's value there; None where it has none."""
    match path.keys:
        case ("backend",):
            return draft.backend
        case ("launcher",):
            return draft.launcher
        case ("model", "id"):
            return draft.model.id
        case ("model", "revision"):
            return draft.model.revision
    if path.name == SHAPE:
        return _shape(draft.workload.dataset)
    if path.name == SLO:
        return _objectives(draft.workload.slo)
    value: Any = getattr(draft, path.section)
    for key in path.keys[1:]:
        value = value.get(key) if isinstance(value, dict) else getattr(value, key, None)
        if value is None:
            return None
    if isinstance(value, BaseModel):
        value = value.model_dump(exclude_none=True)
    return value if isinstance(value, str | int | float | bool) else canonical_json(value).decode()


def _shape(dataset: Dataset) -> str | None:
    if not isinstance(dataset, RandomDataset):
        return None
    lengths = (dataset.input_tokens, dataset.output_tokens)
    return "/".join(map(str, lengths)) if all(isinstance(n, int) for n in lengths) else None


def _objectives(slo: Slo) -> str | None:
    """The name of the preset that says the same; limits that none has, as JSON."""
    limits = {"ttft_ms": slo.ttft_ms, "itl_ms": slo.tpot_limit_ms, "e2e_ms": slo.e2e_ms}
    limits = {k: v for k, v in limits.items() if v is not None}
    name = next((n for n, preset in SLO_PRESETS.items() if preset == limits), None)
    return name or (canonical_json(limits).decode() if limits else None)


def named(path: str, value: Scalar) -> Scalar:
    """The value as an experiment has it: of a file its name, without the folder."""
    is_file = path.startswith("workload.") and path.endswith(".path")
    return PurePath(value).name if is_file and isinstance(value, str) else value


def same(a: Scalar, b: Scalar) -> bool:
    """1 is 1.0, but true is not 1 and "1" is not 1."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    return a == b


def matches(draft: Draft, path: ExperimentPath, value: Scalar) -> bool:
    """Whether the draft has that value. A local model also goes by its last name."""
    if path.backend is not None and path.backend != draft.backend:
        return False
    found = value_at(draft, path)
    if path.keys == ("model", "id") and isinstance(found, str) and is_path(found):
        return value in (found, PurePath(found).name)
    return same(found, named(path.name, value))


def select(selector: dict[str, Scalar], drafts: Sequence[Draft]) -> list[int]:
    """Indices of the drafts that have every value of ``selector``.

    Raises :class:`BadInput` for an unknown path.
    """
    backends = {d.backend for d in drafts}
    try:
        wanted = [(parse_path(p, backends), v) for p, v in selector.items()]
    except ValueError as e:
        raise BadInput(str(e)) from e
    return [i for i, d in enumerate(drafts) if all(matches(d, p, v) for p, v in wanted)]


def no_match(
    wanted: Iterable[tuple[ExperimentPath, Scalar, KeyPath]], drafts: Sequence[Draft], at: KeyPath
) -> tuple[KeyPath, str]:
    """Which part of a selector no experiment has."""
    for path, value, place in wanted:
        if not any(matches(d, path, value) for d in drafts):
            there = dict.fromkeys(
                value_at(d, path) for d in drafts if path.backend in (None, d.backend)
            )
            shown = ", ".join("null" if v is None else str(v) for v in list(there)[:10])
            return place, f"no experiment has {said(value)} here; there are: {shown}"
    return at, "no experiment has all of these together"


def telling_apart(drafts: Sequence[Draft]) -> str:
    """The paths whose values differ, with the values."""
    paths = ["backend", "model.id", "model.revision", "launcher"]
    paths += sorted({p for d in drafts for p in d.settings})
    found = []
    for text in dict.fromkeys(paths):
        path = ExperimentPath(None, tuple(text.split(".")))
        values = list(dict.fromkeys(value_at(d, path) for d in drafts))
        if len(values) > 1:
            shown = ", ".join("null" if v is None else str(v) for v in values[:6])
            found.append(f"{text} ({shown}{', …' if len(values) > 6 else ''})")
    return " or ".join(found)
