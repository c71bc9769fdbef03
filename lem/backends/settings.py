"""From a job's ``engine.*``, ``args.*`` and ``generate.*`` to an engine's own names."""

from collections.abc import Iterable, Mapping
from typing import Any

from lem.backends import doors
from lem.contract.job import Job
from lem.contract.workload import Offline
from lem.errors import RunFailed

WHOLE = ("max_batch_size", "max_model_len", "tensor_parallel_size", "threads")


def whole(settings: Any, name: str) -> int | None:
    """A whole number of ``engine.*`` or ``args.*``; None where it is not set."""
    value = settings.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise RunFailed("bad_argument", f"{name} is {value!r}, not a whole number of at least 1")
    return value


def size(settings: Any, *names: str) -> int:
    """The largest of the whole numbers under these names, which mean the same; 1 where there is
    none. A number in quotes counts: engines take it. What is none, the engine itself refuses."""
    return max(map(_size, (settings.get(name) for name in names)), default=1)


def model_parallel_size(engine: Any, args: Any) -> int:
    """Over how many GPUs an engine spreads one model, by the names that most engines have for it:
    tensor times pipeline parallel."""
    tensor = max(
        size(engine, "tensor_parallel_size"), size(args, "tensor_parallel_size", "tp_size")
    )
    return tensor * size(args, "pipeline_parallel_size", "pp_size")


def _size(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return 1
    try:
        found = int(value)
    except (ValueError, OverflowError):
        return 1
    return found if found > 0 and (isinstance(value, str) or found == value) else 1


def number(settings: Any, name: str) -> int | float | None:
    """A number of ``engine.*``, ``args.*`` or ``generate.*``; None where it is not set."""
    value = settings.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RunFailed("bad_argument", f"{name} is {value!r}, not a number")
    return value


def mapped(
    job: Job,
    names: Mapping[str, tuple[str, ...]],
    forbidden: Iterable[str],
    words: Iterable[str] = (),
) -> dict[str, Any]:
    """``engine.*`` under the engine's names (the first of each tuple; the others say the same),
    and ``args.*`` untouched.

    Raises :class:`RunFailed` (``bad_argument``) for what is said twice and for arguments that are
    not a campaign's to set (:func:`lem.backends.doors.check`).
    """
    doors.check(job.args, forbidden, words)
    found: dict[str, Any] = {}
    for shared, own in names.items():
        value = whole(job.engine, shared) if shared in WHOLE else job.engine.get(shared)
        if value is None:
            continue
        for name in own:
            if name in job.args:
                raise RunFailed(
                    "bad_argument", f"engine.{shared} and args.{name} say the same thing twice"
                )
        found[own[0]] = value
    return {**found, **job.args}


def offline(job: Job) -> bool:
    """Whether the engine is driven in this process; else through its own server."""
    return isinstance(job.workload.arrival, Offline)


def temperature(job: Job) -> float:
    """``generate.temperature``; 0, which is greedy decoding, where it is not set."""
    value = job.generate.get("temperature")
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RunFailed("bad_argument", f"generate.temperature is {value!r}, not a number")
    return float(value)


def one_answer(job: Job, names: Iterable[str]) -> None:
    """Refuse ``generate`` settings (``names``) that ask for more than one answer, or search for
    one: their tokens would have no times, or no request to be counted for."""
    for name in names:
        value = job.generate.get(name)
        if value is True or value not in (None, False, 1):
            raise RunFailed(
                "unsupported",
                f"generate.{name}: {value}: a request has one answer, whose tokens are counted as "
                "they come out",
            )
