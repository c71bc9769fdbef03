"""Experiments that a sampler draws from the sweep's space, instead of every combination."""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice, product
from typing import Literal

from lem.config.axes import Axis
from lem.config.axes import Point as Drafted
from lem.config.bounds import MAX_EXPERIMENTS
from lem.config.identity import meaning
from lem.config.paths import Draft
from lem.config.problems import place
from lem.config.spans import LISTS
from lem.config.sweep import Grid
from lem.config.yaml_source import read
from lem.contract.base import Scalar, canonical_json
from lem.contract.lock import Arm
from lem.contract.objectives import NLL, PER_ANSWER, objective
from lem.contract.spec import ModelSpec
from lem.errors import BadInput
from lem.sampling import Choice, Point, Space, draw, ends, every_point, extremes

MISSES = 1000
"""So many points in a row that are known or excluded: there are no others, or hardly any."""

DRAWN_VALUES = 200_000
"""At most so many values are drawn, of all axes of all points: putting each together takes time."""

ALL_MISSES, FEWEST_MISSES = 5 * MISSES, 50
"""Of all models, backends or request lists together, and of each at least."""

ARGUMENTS = ("args", "engine", "generate")
"""The sections of which an engine is told when it is asked about its arguments."""
_DRIVEN = ("workload", "arrival", "kind")
"""By its batch interface or its server, which take different arguments."""


@dataclass(frozen=True)
class Drawn:
    """What a file with a sampler measures (``pareto``: to begin with)."""

    points: list[Drafted]
    given: int
    """How many of them the file names itself: the baseline, ``experiments``."""


def draw_points(grid: Grid) -> Drawn:
    """Empty if there were problems."""
    grid.checked()
    if grid.problems:
        return Drawn([], 0)
    named = {p.key: p for p in grid.explicit_points()}
    if grid.spec.sampler.kind == "pareto":
        _check_adaptive(grid, list(named.values()))
    drawn = [] if grid.problems else _draw(grid, named)
    return Drawn(grid.finished([*named.values(), *drawn]), len(named))


def check_budget(text: str, name: str, most: int) -> None:
    """Raises :class:`BadInput` where a campaign's sampler is to choose more than ``most``
    experiments: before any is drawn."""
    source = read(text, name)
    sampler = source.data.get("sampler")
    budget = sampler.get("budget") if isinstance(sampler, dict) else None
    if isinstance(budget, int | float) and budget > most:
        raise BadInput([place(source, ("sampler", "budget"), f"may be {most:,} at most here")])


def _check_adaptive(grid: Grid, named: Sequence[Drafted]) -> None:
    """What does not go with experiments that are chosen by what was measured."""
    measure, settings = grid.spec.measure, grid.spec.sampler.settings()
    size = _size(grid)
    if size is not None and size < settings["budget"]:
        there = f"{size} experiments that there are" if size > 1 else "one experiment that there is"
        grid.note((("sampler", "budget"), f"is more than the {there}"))
    if (lists := request_lists(grid)) > MAX_EXPERIMENTS:
        grid.note((("sweep",), f"needs {lists:,} request lists; at most {MAX_EXPERIMENTS:,}"))
    for key in ("precision", "time_budget"):
        if getattr(measure, key) is not None:
            why = "does not go with sampler pareto: each generation has a fixed number of blocks"
            grid.note((("measure", key), why))
    if any(p.draft.launcher is not None for p in named):
        grid.note((("experiments",), "name no launcher where the sampler is pareto"))
    for name in settings["objectives"]:
        if objective(name).metric == NLL and "nll" not in measure.quality:
            grid.note((("sampler", "objectives"), f"{name} needs `measure: {{quality: [nll]}}`"))
        if objective(name).metric in PER_ANSWER and measure.accuracy is None:
            grid.note((("sampler", "objectives"), f"{name} needs `measure: {{accuracy: …}}`"))


def request_lists(grid: Grid) -> int:
    """How many there are to prepare, with what is excluded: for each model and backend."""
    axes = ([a for a in grid.applicable(b) if a.path.keys[:2] in LISTS] for b in grid.backends)
    return len(grid.spec.models) * sum(math.prod(len(a.values) for a in own) for own in axes)


def _size(grid: Grid) -> int | None:
    """How many points the space has, with what is excluded; None where there is no number."""
    axes = [grid.applicable(b) for b in grid.backends]
    if any(a.span is not None for own in axes for a in own):
        return None
    return len(grid.spec.models) * sum(math.prod(len(a.values) for a in own) for own in axes)


def _draw(grid: Grid, named: Collection[tuple[bytes, ...]]) -> list[Drafted]:
    sampler = grid.spec.sampler
    settings = sampler.settings()
    wanted = int(settings["budget"])
    if sampler.kind == "pareto":
        wanted = min(wanted, int(settings["generation"]))
    found: dict[tuple[bytes, ...], Drafted] = {}
    kind: Literal["random", "sobol"] = "random" if sampler.kind == "random" else "sobol"
    axes = max(1, len(grid.axes))
    missed, left = 0, min(10 * wanted + MISSES, max(wanted, DRAWN_VALUES // axes))
    for point in draw(space_of(grid), kind, int(settings["seed"])):
        one = drafted(grid, point)
        if one is None:
            break  # the settings do not fit together, which is noted
        if one.key in found or one.key in named or grid.is_excluded(one.draft):
            missed, left = missed + 1, left - 1
        else:
            missed = 0
            found[one.key] = one
        if len(found) == wanted:
            break
        if missed == MISSES or left == 0:
            message = (
                f"only {len(found)} different experiments could be drawn; use a smaller budget"
            )
            grid.note((("sampler", "budget"), message))
            break
    return list(found.values())


def space_of(grid: Grid) -> Space:
    backends = {
        b: {_text(a): a.span or Choice(tuple(a.values)) for a in grid.applicable(b)}
        for b in grid.backends
    }
    return Space(len(grid.spec.models), backends)


def drafted(grid: Grid, point: Point) -> Drafted | None:
    """The experiment at a point; None where the settings do not fit together (noted)."""
    axes = [Axis(a.path, [point.values[_text(a)]], a.at) for a in grid.applicable(point.backend)]
    found = grid.expand([grid.spec.models[point.model]], point.backend, axes)[0]
    return found[0] if found else None


def _text(axis: Axis) -> str:
    """As the file writes it."""
    return str(axis.at[-1])


@dataclass(frozen=True)
class Candidates:
    """What may be added to a campaign whose points are chosen by what was measured."""

    grid: Grid
    models: Sequence[ModelSpec]
    """As they are found on this machine."""
    given: int
    """How many experiments of the file are named by it (the baseline, ``experiments``)."""

    @property
    def space(self) -> Space:
        return space_of(self.grid)

    def draft(self, point: Point) -> Draft | None:
        """The experiment there, without a label; None where the file excludes it or where its
        settings do not fit together."""
        one = drafted(self.grid, point)
        if one is None or self.grid.is_excluded(one.draft):
            return None
        return replace(one.draft, model=self.models[point.model])

    def key(self, point: Point) -> tuple[bytes, ...] | None:
        """Equal for what is the same experiment."""
        one = drafted(self.grid, point)
        return one and one.key

    def point(self, draft: Draft) -> Point | None:
        """Where in the space an experiment lies; None where it is outside of it."""
        try:
            model = list(self.models).index(draft.model)
            return self._within(model, draft.backend, draft.settings)
        except (ValueError, KeyError):
            return None

    def restored(self, name: Callable[[ModelSpec], str], arm: Arm) -> list[Draft]:
        """The experiments that an arm of a lock can be, by what it says of itself; none where the
        campaign file does not hold it, several where models share a name."""
        found = []
        for i, spec in enumerate(self.models):
            point = self._within(i, arm.experiment.backend, arm.settings)
            if name(spec) == arm.experiment.model.id and point is not None:
                found.append(self.draft(point))
        return [d for d in found if d is not None]

    def _within(self, model: int, backend: str, settings: Mapping[str, Scalar]) -> Point | None:
        if backend not in self.grid.backends:
            return None
        axes = self.grid.applicable(backend)
        if settings.keys() != {a.path.name for a in axes}:
            return None
        found = Point(model, backend, {_text(a): settings[a.path.name] for a in axes})
        return found if self.space.holds(found) else None

    def unused(self, taken: Iterable[Draft], most: int) -> int:
        """How many experiments of the space are none of ``taken``, up to ``most``; ``most`` where
        the space has no end or hardly any."""
        points = every_point(self.space)
        if points is None:
            return most
        used = {_content(d) for d in taken}
        found = 0
        for point in points:
            if found >= most:
                break
            draft = self.draft(point)
            if draft is not None and (content := _content(draft)) not in used:
                used.add(content)
                found += 1
        return found

    def outermost(
        self, most: int, wanted: Callable[[Draft], bool] = lambda _: True
    ) -> tuple[list[Draft], bool]:
        """For each model and backend up to ``most`` experiments whose engine's arguments lie
        outermost (:func:`lem.sampling.extremes`), wherever they lie along the other axes; without
        labels. And whether that was all of them: where hardly any is ``wanted`` and not excluded,
        not all are looked at."""
        pairs = list(product(range(len(self.models)), self.grid.backends))
        misses = max(FEWEST_MISSES, ALL_MISSES // len(pairs))
        found: list[Draft] = []
        complete = True
        for model, backend in pairs:
            for i, draft in enumerate(self._outermost(model, backend, wanted, misses)):
                if draft is None or i == most:
                    complete = False
                    break
                found.append(draft)
        return found, complete

    def _outermost(
        self, model: int, backend: str, wanted: Callable[[Draft], bool], misses: int
    ) -> Iterator[Draft | None]:
        """None at last where there were too many that are not wanted."""
        axes = self.space.backends[backend]
        paths = {_text(a): a.path for a in self.grid.applicable(backend)}
        told = {
            n: a
            for n, a in axes.items()
            if paths[n].section in ARGUMENTS or paths[n].keys == _DRIVEN
        }
        others = {n: ends(a) for n, a in axes.items() if n not in told}
        for values in extremes(told):
            for rest in ({n: e[i] for n, e in others.items()} for i in (0, 1)):
                draft = self.draft(Point(model, backend, {**values, **rest}))
                if draft is not None and wanted(draft):
                    yield draft
                    break  # elsewhere along the other axes the engine is told the same
                misses -= 1
                if misses == 0:
                    yield None
                    return

    def staged(self) -> Iterator[Draft]:
        """One experiment for each model, backend and request list, which is all that needs
        preparing, and the largest of each model and backend, which needs most GPUs; none that is
        excluded."""
        most = min(MISSES, max(FEWEST_MISSES, ALL_MISSES // max(1, request_lists(self.grid))))
        for model, backend in product(range(len(self.models)), self.grid.backends):
            axes = self.grid.applicable(backend)
            lists = [(_text(a), a.values) for a in axes if a.path.keys[:2] in LISTS]
            for chosen in product(*(values for _, values in lists)):
                listed = zip((name for name, _ in lists), chosen, strict=True)
                if (draft := self._with(model, backend, dict(listed), most)) is not None:
                    yield draft
            largest = {_text(a): max(a.values, key=_size_of) for a in axes}
            if (draft := self.draft(Point(model, backend, largest))) is not None:
                yield draft

    def _with(
        self, model: int, backend: str, listed: Mapping[str, Scalar], most: int
    ) -> Draft | None:
        """An experiment with these values that is not excluded: the first one, else any; None
        where there is none, or hardly any."""
        first = {_text(a): a.values[0] for a in self.grid.applicable(backend)}
        if (draft := self.draft(Point(model, backend, first | {**listed}))) is not None:
            return draft
        axes = {n: a for n, a in self.space.backends[backend].items() if n not in listed}
        rest = Space(1, {backend: axes})
        there = chain(islice(every_point(rest) or (), most), islice(draw(rest, "sobol", 1), most))
        drafts = (self.draft(Point(model, backend, {**p.values, **listed})) for p in there)
        return next((d for d in drafts if d is not None), None)


def _size_of(value: Scalar) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


def _content(draft: Draft) -> bytes:
    """Equal for what is the same experiment."""
    parts = [draft.model, draft.workload, draft.device]
    told = [draft.backend, draft.args, draft.engine, draft.generate]
    return canonical_json([*map(meaning, parts), *told])
