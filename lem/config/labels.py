"""What to call each experiment of a campaign: only what differs."""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

from lem.config.paths import Draft, ExperimentPath, same, value_at
from lem.config.yaml_source import shorten
from lem.contract.base import Scalar
from lem.contract.spec import ModelSpec


def labels(drafts: Sequence[Draft]) -> list[str]:
    """A short name for each draft, made of what differs between them; all different."""
    paths = sorted({p for d in drafts for p in d.settings} - {"backend", "model.id"})
    columns = {p: [value_at(d, ExperimentPath(None, tuple(p.split(".")))) for d in drafts]
               for p in paths}  # fmt: skip
    columns = {p: c for p, c in columns.items() if any(not same(v, c[0]) for v in c)}
    names = _short_names(list(columns))
    several_backends = len({d.backend for d in drafts}) > 1
    models = _model_names([d.model for d in drafts])
    several_models = len(set(models)) > 1
    result: list[str] = []
    seen: dict[str, int] = {}
    for i, draft in enumerate(drafts):
        parts = [models[i]] if several_models else []
        parts += [draft.backend] if several_backends or not (columns or several_models) else []
        for path, column in columns.items():
            if column[i] is not None or path in draft.settings:
                parts.append(f"{names[path]} {_shown(column[i])}")
        label = " · ".join(parts) or draft.backend
        seen[label] = seen.get(label, 0) + 1
        result.append(label if seen[label] == 1 else f"{label} #{seen[label]}")
    return result


def _short_names(paths: list[str]) -> dict[str, str]:
    """The last part of each path, more of it where two end alike."""
    result = {}
    for path in paths:
        parts = path.split(".")
        for n in range(1, len(parts) + 1):
            end = parts[-n:]
            if sum(p.split(".")[-n:] == end for p in paths) == 1:
                break
        result[path] = ".".join(end)
    return result


def _model_names(models: list[ModelSpec]) -> list[str]:
    distinct = {id(m): m for m in models}
    numbers = {key: i for i, key in enumerate(distinct, 1)}
    ids = Counter(m.id for m in distinct.values())
    last = Counter(PurePath(m.id).name for m in distinct.values())

    def name(model: ModelSpec) -> str:
        short = PurePath(model.id).name
        if short and last[short] == 1:
            return shorten(short)
        if ids[model.id] == 1:
            return shorten(model.id)
        return f"{shorten(model.id)}@{model.revision or model.gguf_file or numbers[id(model)]}"

    names = {key: name(m) for key, m in distinct.items()}
    return [names[id(m)] for m in models]


def _shown(value: Scalar) -> str:
    if value is None:
        return "default"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return f"{value:g}"
    return shorten(str(value), 40)
