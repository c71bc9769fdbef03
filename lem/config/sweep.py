"""A campaign's experiments: the grid of its sweep, less what is excluded, plus explicit points.

The order of keys means nothing: models come in the order of their list, backends by name, axes by
path, an axis's values in the order of its list.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import ValidationError

from lem.config import ranges, spans
from lem.config.axes import Axis, Found, Option, Point, put, too_many
from lem.config.bounds import MAX_EXPERIMENTS, Range
from lem.config.files import Files
from lem.config.identity import meaning
from lem.config.labels import labels
from lem.config.paths import (
    AXES,
    Draft,
    ExperimentPath,
    fixed_paths,
    matches,
    named,
    no_match,
    parse_path,
    same,
    telling_apart,
)
from lem.config.problems import explain, said, suggest
from lem.config.schema import (
    CampaignSpec,
    EngineSettings,
    GenerateSettings,
    all_whole,
    with_kinds,
)
from lem.config.shapes import shape_problems, with_lengths
from lem.config.twins import twins
from lem.config.yaml_source import KeyPath
from lem.contract.base import Scalar, canonical_json
from lem.contract.spec import DeviceSettings, ModelSpec
from lem.contract.workload import Workload

Selector = list[tuple[ExperimentPath, Scalar, KeyPath]]

MAX_PROBLEMS = 1000


class Grid:
    """Resolves one campaign; ``problems`` fills up on the way, none of them twice."""

    def __init__(
        self,
        spec: CampaignSpec,
        raw_workload: dict[str, Any],
        launchers: Sequence[str],
        files: Files,
    ) -> None:
        self.spec = spec
        self.backends = sorted(spec.backends)
        self.launchers = launchers
        self._found: dict[Found, None] = {}
        self._raw_workload = raw_workload
        self._files = files
        self.axes = [a for a in map(self._axis, sorted(spec.sweep)) if a is not None]
        self.axes.sort(key=lambda a: (a.path.name, a.path.backend or ""))
        self.excluded = [self._selector(s, ("exclude", i)) for i, s in enumerate(spec.exclude)]
        self.explicit = [
            self._explicit(s, ("experiments", i)) for i, s in enumerate(spec.experiments)
        ]
        self.is_drawn = spec.sampler.kind != "grid"
        if self.is_drawn and spec.baseline:
            # Which points are drawn is chance, so the baseline is one of its own.
            self.explicit.insert(0, self._explicit(spec.baseline, ("baseline",)))
            self.baseline = []
        else:
            self.baseline = self._selector(spec.baseline or {}, ("baseline",))

    @property
    def problems(self) -> list[Found]:
        """What was found wrong so far."""
        return list(self._found)

    def points(self) -> list[Point]:
        """Every experiment once. Empty if there were problems."""
        applicable = self.checked()
        self._check_count(applicable)
        if self._found:
            return []
        points = self._combined(applicable)
        self._exclude(points)
        for point in self.explicit_points():
            points.setdefault(point.key, point)
        return self.finished(list(points.values()))

    def checked(self) -> dict[str, list[Axis]]:
        """The axes of each backend, after a look at what is said twice."""
        applicable = {b: self.applicable(b) for b in self.backends}
        for backend, axes in applicable.items():
            for twin in twins(self.spec, backend, axes):
                self.note(twin)
        return applicable

    def finished(self, points: list[Point]) -> list[Point]:
        """With labels and launchers; none if there were problems."""
        if not points and not self._found:
            self.note((("exclude",), "leaves no experiment"))
        if len(points) > MAX_EXPERIMENTS:
            self.note((("experiments",), too_many(len(points))))
        return [] if self._found else self._with_labels(points)

    def _combined(self, applicable: dict[str, list[Axis]]) -> dict[tuple[bytes, ...], Point]:
        points: dict[tuple[bytes, ...], Point] = {}
        models = self.spec.models
        by_backend = [self.expand(models, b, applicable[b]) for b in self.backends]
        for model in range(len(models)):
            for expanded in by_backend:
                points.update((p.key, p) for p in expanded[model] if p.key not in points)
        return points

    def explicit_points(self) -> list[Point]:
        found = []
        for model, backend, axes in filter(None, self.explicit):
            for twin in twins(self.spec, backend, axes):
                self.note(twin)
            found += self.expand([model], backend, axes)[0]
        return found

    def find_baseline(self, drafts: Sequence[Draft]) -> int:
        """Index of the baseline; the first where none is given."""
        wanted = self.baseline
        if not wanted:
            return 0
        found = [i for i, d in enumerate(drafts) if is_meant(d, wanted)]
        if len(found) > 1:
            apart = telling_apart([drafts[i] for i in found])
            self.note(
                (("baseline",), f"matches {len(found)} experiments, must match one; add {apart}")
            )
        if not found:
            self.note(no_match(wanted, drafts, ("baseline",)))
        return found[0] if found else 0

    # -- reading paths and values ---------------------------------------------------------------

    def _path(self, text: str, at: KeyPath) -> ExperimentPath | None:
        try:
            return parse_path(text, self.backends)
        except ValueError as e:
            self.note((at, str(e)))
            return None

    def _axis(self, text: str) -> Axis | None:
        at = ("sweep", text)
        path = self._path(text, at)
        if path is None:
            return None
        if path.section not in AXES:
            where = "backends" if path.section == "backend" else "models"
            self.note((at, f"cannot be swept here: list them under {where}"))
            return None
        given = self.spec.sweep[text]
        listed = isinstance(given, list)
        if isinstance(given, Range) and given.is_open:
            return self._span(path, given, at)
        if isinstance(given, Range):
            raw: list[Scalar] = [*ranges.values(given, fixed_paths().get(path.name, False))]
        else:
            raw = given
        if not raw:
            self.note((at, "there is no power of two within these bounds"))
        values: dict[tuple[bool, Scalar], Scalar] = {}
        for i, value in enumerate(raw):
            value = self._value(path, value, (*at, i) if listed else at)
            values.setdefault((isinstance(value, bool), value), value)
        problem = spans.refuse_axis(path, self.spec.sampler.kind)
        if problem is not None:
            self.note((at, problem))
        return Axis(path, list(values.values()), at)

    def _span(self, path: ExperimentPath, given: Range, at: KeyPath) -> Axis | None:
        problem = spans.refuse_span(path, given, self.spec.sampler.kind)
        if problem is not None:
            self.note((at, problem))
            return None
        before = len(self._found)
        ends = [self._value(path, end, at) for end in (given.low, given.high)]
        if len(self._found) > before:
            return None
        return Axis(path, ends, at, spans.span(path, given))

    def _value(self, path: ExperimentPath, value: Scalar, at: KeyPath) -> Scalar:
        """The value as its section has it; notes if the section does not take it."""
        if path.section in ("engine", "device", "workload"):
            value = all_whole(value)
        if path.section == "launcher":
            if value not in self.launchers:
                message = f"no launcher {said(value)}{suggest(str(value), self.launchers)}"
                self.note((at, message))
        elif path.section in _MODELS:
            data: Any = value
            for key in reversed(path.keys[1:]):
                data = {key: data}
            try:
                _MODELS[path.section].model_validate(data)
            except ValidationError as e:
                message = explain(e, _MODELS[path.section], data)[0][1]
                self.note((at, message))
        return value

    def _selector(self, selector: dict[str, Scalar], at: KeyPath) -> Selector:
        parsed = []
        for text, value in selector.items():
            path = self._path(text, (*at, text))
            if path is not None:
                parsed.append((path, value, (*at, text)))
        return parsed

    def _explicit(
        self, point: dict[str, Scalar], at: KeyPath
    ) -> tuple[ModelSpec, str, list[Axis]] | None:
        before = len(self._found)
        axes: list[Axis] = []
        backends, models = self.backends, self.spec.models
        for path, value, place in self._selector(point, at):
            if path.backend is not None:
                backends = [b for b in backends if b == path.backend]
            if path.keys == ("backend",):
                backends = [b for b in backends if b == value]
                if value not in self.backends:
                    hint = suggest(str(value), self.backends)
                    self.note((place, f"is not a backend of this campaign{hint}"))
            elif path.section == "model":
                key = path.keys[1]
                models = [m for m in models if same(getattr(m, key), value)]
                if not models:
                    self.note((place, f"no model of this campaign has {key} {said(value)}"))
            else:
                axes.append(Axis(path, [self._value(path, value, place)], place))
        if len(self._found) > before:
            return None
        if len(backends) != 1 or len(models) != 1:
            missing = "backend" if len(backends) != 1 else "model.id"
            several = "which one is not said; add" if backends and models else "contradicts its"
            self.note((at, f"{several} {missing}"))
            return None
        return models[0], backends[0], sorted(axes, key=lambda a: a.path.name)

    # -- checks over the whole campaign ---------------------------------------------------------

    def applicable(self, backend: str) -> list[Axis]:
        return [a for a in self.axes if a.path.backend in (None, backend)]

    def _check_count(self, applicable: dict[str, list[Axis]]) -> None:
        models = len(self.spec.models)
        sizes = {b: [len(a.values) for a in axes] for b, axes in applicable.items()}
        total = models * sum(math.prod(s) for s in sizes.values())
        if total > MAX_EXPERIMENTS:
            product = " + ".join(" × ".join(map(str, s or [1])) for s in sizes.values())
            shown = f"{models} × ({product})" if len(sizes) > 1 else f"{models} × {product}"
            self.note((("sweep",), f"{shown} = {too_many(total)}"))

    def is_excluded(self, draft: Draft) -> bool:
        return any(is_meant(draft, wanted) for wanted in self.excluded)

    def _exclude(self, points: dict[tuple[bytes, ...], Point]) -> None:
        everything = list(points.values())
        for i, wanted in enumerate(self.excluded):
            hits = [p for p in everything if is_meant(p.draft, wanted)]
            if not hits:
                drafts = [p.draft for p in everything]
                self.note(no_match(wanted, drafts, ("exclude", i)))
            for point in hits:
                points.pop(point.key, None)

    # -- expansion ------------------------------------------------------------------------------

    def expand(self, models: list[ModelSpec], backend: str, axes: list[Axis]) -> list[list[Point]]:
        """For each model the points of one backend."""
        sections = [self._options(s, backend, axes) for s in AXES]
        combinations = list(itertools.product(*sections))
        name = backend.encode()
        expanded = []
        for model in models:
            model_key = canonical_json(meaning(model))
            points = []
            for options in combinations:
                # The sections of AXES are fields of a draft, by the same names.
                values = dict(zip(AXES, (o.value for o in options), strict=True))
                settings = {k: v for o in options for k, v in o.settings.items()}
                draft = Draft(model=model, backend=backend, settings=settings, label="", **values)
                key = (model_key, name, *(o.key for o in options))
                points.append(Point(draft, key))
            expanded.append(points)
        return expanded

    def _options(self, section: str, backend: str, axes: list[Axis]) -> list[Option]:
        own = [a for a in axes if a.path.section == section]
        build = _BUILDERS[section]
        options = []
        for chosen in itertools.product(*(a.values for a in own)):
            mapping = self._base(section, backend)
            before = len(self._found)
            for axis, value in zip(own, chosen, strict=True):
                keys = axis.path.keys[1:]
                try:
                    mapping = put(mapping, keys, value) if keys else value
                except ValueError as e:
                    self.note((axis.at, str(e)))
            if section == "workload":
                self._blame(own, section, shape_problems(mapping))
            if len(self._found) > before:
                continue
            try:
                built = build(mapping)
            except ValidationError as e:
                self._blame(own, section, explain(e, _MODELS.get(section, Workload), mapping))
                continue
            settings = {a.path.name: v for a, v in zip(own, chosen, strict=True)}
            if isinstance(built, Workload):
                built, missing = self._files.resolved(built)
                self._blame(own, section, missing)
                settings = {k: named(k, v) for k, v in settings.items()}
            plain = meaning(built) if isinstance(built, Workload | DeviceSettings) else built
            options.append(Option(built, settings, canonical_json(plain)))
        return options

    def _base(self, section: str, backend: str) -> Any:
        spec = self.spec
        match section:
            case "args":
                return {**spec.args, **spec.backends[backend].args}
            case "workload":
                return self._raw_workload
            case "launcher":
                return None
            case "generate":
                return spec.generate.settings()
        return {k: v for k, v in getattr(spec, section) if v is not None}

    def _blame(self, axes: list[Axis], section: str, found: list[Found]) -> None:
        """Note a section's errors at the swept paths they come from, or at their own lines."""
        for path, message in found:
            keys = (section, *path)
            for axis in axes:
                n = min(len(keys), len(axis.path.keys))
                if keys[:n] == axis.path.keys[:n]:
                    self.note((axis.at, message))
                    break
            else:
                self.note((keys, message))

    def note(self, found: Found) -> None:
        if len(self._found) < MAX_PROBLEMS:
            self._found[found] = None

    def _with_labels(self, points: list[Point]) -> list[Point]:
        """With a launcher for all where some have one, and labels."""
        drafts = [p.draft for p in points]
        if any(d.launcher is not None for d in drafts):
            if self.spec.agent_launcher == "auto" and any(d.launcher is None for d in drafts):
                message = (
                    "some experiments name a launcher; say with `launcher:` which the others use"
                )
                self.note((("sweep",), message))
                return []
            drafts = [
                d if d.launcher else dataclasses.replace(d, launcher=self.spec.agent_launcher)
                for d in drafts
            ]
        named = labels(drafts)
        return [
            Point(dataclasses.replace(d, label=label), p.key)
            for d, label, p in zip(drafts, named, points, strict=True)
        ]


def is_meant(draft: Draft, wanted: Selector) -> bool:
    """Whether the draft has every value of a selector."""
    return all(matches(draft, path, value) for path, value, _ in wanted)


_MODELS: dict[str, type[EngineSettings] | type[DeviceSettings] | type[GenerateSettings]] = {
    "engine": EngineSettings,
    "device": DeviceSettings,
    "generate": GenerateSettings,
}

_BUILDERS: dict[str, Callable[[Any], Any]] = {
    "args": lambda v: v,
    "device": DeviceSettings.model_validate,
    "engine": lambda v: {k: x for k, x in v.items() if x is not None},
    "generate": lambda v: GenerateSettings.model_validate(v).settings(),
    "launcher": lambda v: v,
    "workload": lambda v: Workload.model_validate(with_lengths(with_kinds(v))),
}
