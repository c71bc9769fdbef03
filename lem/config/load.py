"""A campaign file → its experiments, or every problem in it with its line."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lem import plugins
from lem.config import quality, yaml_source
from lem.config.axes import Found, Point
from lem.config.clusters import KINDS
from lem.config.drawn import Candidates, Drawn, draw_points
from lem.config.files import Files
from lem.config.identity import digest
from lem.config.paths import Draft
from lem.config.problems import explain, place, said, suggest
from lem.config.schema import CampaignSpec, is_path, prepared
from lem.config.shapes import shape_problems
from lem.config.sweep import Grid
from lem.config.swept import with_swept
from lem.config.yaml_source import KeyPath, Position, Source
from lem.contract.spec import Accuracy, Calibration, ModelSpec
from lem.errors import BadInput, Problem
from lem.meters import calibration

_FAMILIES: dict[str, plugins.Family] = {
    "backend": "backends",
    "launcher": "launchers",
    "meter": "meters",
}


@dataclass(frozen=True)
class CampaignFile:
    """A checked campaign."""

    path: Path
    text: str = field(repr=False)
    spec: CampaignSpec = field(repr=False)
    drafts: tuple[Draft, ...] = field(repr=False)
    baseline: int
    """Index into ``drafts``."""
    digest: str
    """SHA-256 of what the file means: layout, order of keys, spelled-out defaults don't matter."""
    source: Source = field(repr=False, compare=False)
    calibration: Calibration | None = field(default=None, repr=False)
    """What the file that ``measure.calibration`` names says; None where it was not looked for."""
    files: dict[str, Path] = field(default_factory=dict, repr=False, compare=False)
    """SHA-256 of each file that a workload names → where it is on this machine."""
    accuracy: Accuracy | None = field(default=None, repr=False)
    """``measure.accuracy`` as documents have it: no folders, the hash of its file."""
    candidates: Candidates | None = field(default=None, repr=False, compare=False)
    """Where experiments are chosen by what was measured: those that may be added later."""

    def where(self, path: str) -> Position | None:
        """Line and column of an experiment path (where it is swept, or else set), or of a key of
        the file such as ``backends.vllm.args``; of the nearest section where it is not written."""
        places = {".".join(map(str, p)): at for p, at in self.source.positions.items()}
        backends = sorted(self.spec.backends)
        rest = path.split(".", 1)[1] if path.split(".")[0] in backends and "." in path else path
        candidates = [f"sweep.{path}", f"sweep.{rest}", *(f"sweep.{b}.{rest}" for b in backends)]
        candidates += [path, rest, *(f"backends.{b}.{rest}" for b in backends)]
        for candidate in candidates:
            if candidate in places:
                return places[candidate]
        section = rest.split(".")[0]
        section = {"model": "models", "backend": "backends"}.get(section, section)
        return places.get(section)


def load(path: Path) -> CampaignFile:
    """Read and check a campaign file.

    Paths of local models and files are taken relative to the file's folder and must exist. Raises
    :class:`BadInput` with all problems of the first stage that has any (YAML; keys, values and
    paths; models, combinations and baseline), each with its line where it has one.
    """
    path = Path(path)
    return _campaign(yaml_source.read_text(path), str(path), must_exist=True)


def parse(text: str, name: str) -> CampaignFile:
    """As :func:`load`, from text; ``name`` stands for the file. Nothing it names need be here."""
    return _campaign(text, name, must_exist=False)


def _campaign(text: str, name: str, must_exist: bool) -> CampaignFile:
    source = yaml_source.read(text, name)
    data = prepared(source.data)
    found: list[Found] = _unknown_plugins(data)
    found += [(("workload", *at), message) for at, message in shape_problems(data.get("workload"))]
    data = with_swept(data)
    try:
        spec = CampaignSpec.model_validate(data)
    except ValidationError as e:
        found += explain(e, CampaignSpec, data)
        found += _problems_of_the_rest(data, found)
        raise _bad(source, found) from None
    models, missing = _local_models(spec.models, Path(name).parent, must_exist)
    calibrated, unusable = _calibration(spec, Path(name).parent, must_exist)
    missing += unusable
    accuracy, unusable = quality.accuracy_of(spec, Path(name).parent, must_exist)
    missing += unusable
    files = Files(Path(name).parent, must_exist)
    grid = Grid(spec, data.get("workload", {}), plugins.names("launchers"), files)
    drawn = Drawn([], 0)
    if grid.is_drawn and not found:
        drawn = draw_points(grid)
    points = drawn.points if grid.is_drawn or found else grid.points()
    found += [*missing, *grid.problems]
    if found or source.problems:
        raise _bad(source, found)
    if found := quality.contradictions(spec, [p.draft for p in points]):
        raise _bad(source, found)
    baseline = grid.find_baseline([p.draft for p in points])
    if grid.problems:
        raise _bad(source, grid.problems)
    return CampaignFile(
        path=Path(name),
        text=text,
        spec=spec.model_copy(update={"models": models}),
        drafts=_with_models(points, spec.models, models),
        baseline=baseline,
        digest=digest(spec, [p.key for p in points], baseline, calibrated, accuracy),
        source=source,
        calibration=calibrated,
        files=files.by_sha256,
        accuracy=accuracy,
        candidates=Candidates(grid, models, drawn.given) if spec.sampler.kind == "pareto" else None,
    )


def _bad(source: Source, found: Iterable[Found]) -> BadInput:
    """All problems by line; nothing about values that could not even be read."""
    problems: dict[Problem, None] = dict.fromkeys(source.problems)
    for path, message in found:
        if not any(path[: len(b)] == b or b[: len(path)] == path for b in source.broken):
            problems.setdefault(place(source, path, message))
    ordered = sorted(problems, key=lambda p: (p.line or 0, p.column or 0))
    shown = ordered[:100]
    if len(ordered) > len(shown):
        shown.append(Problem(f"and {len(ordered) - len(shown)} more problems", source.name))
    return BadInput(shown)


def _unknown_plugins(data: dict[str, Any]) -> list[Found]:
    found: list[Found] = []
    backends = data.get("backends")
    names: dict[KeyPath, tuple[str, Any]] = {}
    if isinstance(backends, dict):
        names = {("backends", b): ("backend", b) for b in backends}
    launcher = data.get("launcher")
    if isinstance(launcher, dict):
        launcher = launcher.get("kind")
    if isinstance(launcher, str) and launcher != "auto":
        names["launcher",] = ("launcher", launcher)
    measure = data.get("measure")
    meters = measure.get("meters") if isinstance(measure, dict) else None
    for i, name in enumerate(meters if isinstance(meters, list) else ()):
        if isinstance(name, str):
            names["measure", "meters", i] = ("meter", name)
    for at, (kind, name) in names.items():
        known = plugins.names(_FAMILIES[kind])
        if kind == "launcher":
            known = tuple(sorted({*known, *KINDS}))
        if name in known:
            continue
        found.append((at, f"no {kind} {said(name)}{suggest(name, known)}"))
    return found


def _problems_of_the_rest(data: dict[str, Any], known: list[Found]) -> list[Found]:
    """Wrong experiment paths and swept values, where other parts of the file are wrong too."""
    stand_in: dict[str, Any] = {
        "version": 1,
        "name": "x",
        "models": [{"synthetic": {}}],
        "backends": {k: {} for k in data.get("backends") or {}}
        if isinstance(data.get("backends"), dict)
        else {},
    }
    rest = {**stand_in, **data}
    for path, _ in known:
        top = path[0] if path else ""
        if top == "sweep" and len(path) > 1 and isinstance(rest.get("sweep"), dict):
            rest["sweep"] = {k: v for k, v in rest["sweep"].items() if k != path[1]}
        elif top == "sampler" and isinstance(data.get(top), dict):
            # Bounds mean something else to a sampler that draws.
            kind = data[top].get("kind", "grid")
            rest[top] = {"kind": kind} | ({} if kind == "grid" else {"budget": 1})
        elif top in stand_in:
            rest[top] = stand_in[top]
        else:
            rest.pop(str(top), None)
    if any(path[:1] == ("models",) for path, _ in known):
        # Points name models; which there are is not known.
        rest.pop("experiments", None)
    try:
        spec = CampaignSpec.model_validate(rest)
    except ValidationError:
        return []
    files = Files(Path(), must_exist=False)
    return Grid(spec, rest.get("workload", {}), plugins.names("launchers"), files).problems


def _calibration(
    spec: CampaignSpec, folder: Path, must_exist: bool
) -> tuple[Calibration | None, list[Found]]:
    if spec.measure.calibration is None or not must_exist:
        return None, []
    try:
        return calibration.load(folder / _at_home(spec.measure.calibration)), []
    except BadInput as e:
        at = ("measure", "calibration")
        return None, [(at, f"{p.file}: {p.message}") for p in e.problems]


def _at_home(path: str) -> str:
    """With the user's home put in; ``~nobody`` stays, where pathlib would raise RuntimeError."""
    return os.path.expanduser(path)  # noqa: PTH111


def _local_models(
    models: list[ModelSpec], folder: Path, must_exist: bool
) -> tuple[list[ModelSpec], list[Found]]:
    """The models with absolute paths where they are local."""
    resolved: list[ModelSpec] = []
    found: list[Found] = []
    for i, model in enumerate(models):
        if model.wheel is None and model.synthetic is None and is_path(model.id):
            path = Path(os.path.abspath(folder / _at_home(model.id)))  # noqa: PTH100
            if must_exist and not path.exists():
                found.append((("models", i, "id"), f"there is no file or folder {said(model.id)}"))
            model = model.model_copy(update={"id": str(path)})
        resolved.append(model)
    return resolved, found


def _with_models(
    points: list[Point], written: list[ModelSpec], resolved: list[ModelSpec]
) -> tuple[Draft, ...]:
    """The drafts with the models as found on this machine: the same objects, by which labels tell
    models apart."""
    place_of = {id(m): r for m, r in zip(written, resolved, strict=True)}
    return tuple(replace(p.draft, model=place_of[id(p.draft.model)]) for p in points)
