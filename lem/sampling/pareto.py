"""The next points towards the front of several costs, by Optuna's tree-structured Parzen estimator
for several objectives (Ozaki et al., J. Artif. Intell. Res. 73 (2022) 1209)."""

import warnings
from collections.abc import Callable, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from lem.contract.base import Scalar
from lem.errors import EnvironmentFault
from lem.sampling.draw import draw, hashed
from lem.sampling.extremes import every_point
from lem.sampling.space import Choice, Dimension, Point, Space

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

MAX_ASKED = 60
"""How often in a row the sampler may name what is no new point, before others are drawn."""
MAX_DRAWN = 20_000
"""How many random points are looked at where the sampler names none that is new."""


def propose(
    space: Space,
    measured: Sequence[tuple[Point, Sequence[float] | None]],
    objectives: int,
    n: int,
    seed: int,
    is_new: Callable[[Point], bool],
) -> list[Point]:
    """``n`` points that are likely to lie beyond the front of what was measured; fewer where the
    space has no more.

    ``measured``: each point with its costs (all to be lowered), or None where it failed; their
    order does not matter. ``is_new``: whether a point may be chosen; it is called for one after
    another and has to refuse what it accepted before.

    Nothing is remembered between calls: the study is built anew from ``measured``, and the sampler
    is seeded with ``seed`` and their number.
    """
    found: list[Point] = []
    known = [(p, costs) for p, costs in measured if costs is not None]
    if known:
        found = _asked(space, measured, objectives, n, hashed(seed, len(measured)), is_new)
    if len(found) < n:
        others = islice(draw(space, "random", hashed("rest", seed, len(measured))), MAX_DRAWN)
        # Where chance does not come to the last points of a small space, they are gone through.
        for point in chain(others, every_point(space) or ()):
            if is_new(point):
                found.append(point)
                if len(found) == n:
                    break
    return found


def _asked(
    space: Space,
    measured: Sequence[tuple[Point, Sequence[float] | None]],
    objectives: int,
    n: int,
    seed: int,
    is_new: Callable[[Point], bool],
) -> list[Point]:
    try:
        import optuna
    except ImportError:
        raise EnvironmentFault(
            "`sampler: {kind: pareto}` needs the package optuna", hint="pip install optuna"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            seed=seed % 2**32,
            n_startup_trials=0,
            multivariate=True,
            # Axes that only some backends have are looked at among those.
            group=len(space.backends) > 1,
            # A point that was named just now counts as bad, so that the next lies elsewhere.
            constant_liar=True,
        )
        study = optuna.create_study(directions=["minimize"] * objectives, sampler=sampler)
        # Sorted, because the sampler's sums follow the order.
        told = sorted(
            measured, key=lambda m: repr((m[0].model, m[0].backend, sorted(m[0].values.items())))
        )
        study.add_trials([_trial(space, point, costs) for point, costs in told])
        found: list[Point] = []
        missed = 0
        while len(found) < n and missed < MAX_ASKED:
            point = _ask(space, study.ask())
            missed += 1
            if is_new(point):
                found.append(point)
                missed = 0
    return found


def _ask(space: Space, trial: Any) -> Point:
    model = trial.suggest_categorical("model", range(space.models)) if space.models > 1 else 0
    names = sorted(space.backends)
    backend = trial.suggest_categorical("backend", names) if len(names) > 1 else names[0]
    values: dict[str, Scalar] = {}
    for name, axis in space.backends[backend].items():
        if isinstance(axis, Choice):
            values[name] = axis.values[_asked_place(trial, name, axis)]
        elif axis.whole:
            values[name] = trial.suggest_int(name, int(axis.low), int(axis.high), log=axis.log)
        else:
            values[name] = axis.nearest(
                trial.suggest_float(name, axis.low, axis.high, log=axis.log)
            )
    return Point(model, backend, values)


def _trial(space: Space, point: Point, costs: Sequence[float] | None) -> "FrozenTrial":
    import optuna

    parameters: dict[str, Any] = {}
    kinds: dict[str, BaseDistribution] = {}
    if space.models > 1:
        parameters["model"] = point.model
        kinds["model"] = optuna.distributions.CategoricalDistribution(range(space.models))
    if len(space.backends) > 1:
        parameters["backend"] = point.backend
        kinds["backend"] = optuna.distributions.CategoricalDistribution(sorted(space.backends))
    for name, axis in space.backends[point.backend].items():
        value = point.values[name]
        kinds[name] = _distribution(axis)
        parameters[name] = _place(axis, value) if isinstance(axis, Choice) else value
    states = optuna.trial.TrialState
    return optuna.create_trial(
        params=parameters,
        distributions=kinds,
        values=None if costs is None else list(costs),
        state=states.FAIL if costs is None else states.COMPLETE,
    )


def _distribution(axis: Dimension) -> "BaseDistribution":
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(axis, Choice):
        if _ranks(axis) is not None:
            return IntDistribution(0, len(axis.values) - 1)
        return CategoricalDistribution(range(len(axis.values)))
    if axis.whole:
        return IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    return FloatDistribution(axis.low, axis.high, log=axis.log)


def _ranks(axis: Choice) -> list[int] | None:
    """Places of the values in rising order, where they are numbers: what is best is likely to have
    good neighbours. None where they have no order (or only two of them, which needs none)."""
    if len(axis.values) < 3 or any(
        isinstance(v, bool) or not isinstance(v, int | float) for v in axis.values
    ):
        return None
    return sorted(range(len(axis.values)), key=lambda i: float(axis.values[i]))  # type: ignore[arg-type]


def _asked_place(trial: Any, name: str, axis: Choice) -> int:
    if (ranks := _ranks(axis)) is not None:
        return ranks[int(trial.suggest_int(name, 0, len(ranks) - 1))]
    place: int = trial.suggest_categorical(name, range(len(axis.values)))
    return place


def _place(axis: Choice, value: Scalar) -> int:
    """What stands for the value in a trial."""
    same = (
        i
        for i, v in enumerate(axis.values)
        if v == value and isinstance(v, bool) is isinstance(value, bool)
    )
    place = next(same)
    ranks = _ranks(axis)
    return place if ranks is None else ranks.index(place)
