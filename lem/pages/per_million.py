"""What is known of a configuration's energy per token, per answer and per correct answer."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from lem.archive.queries.answer import Configuration, Figure
from lem.archive.queries.figures import configurations_of, experiments_of, figures_of
from lem.archive.queries.members import Members
from lem.archive.queries.runs import measured_query
from lem.archive.refused import Refused
from lem.archive.schema import RUN
from lem.contract.record import Record, Value
from lem.errors import BadInput
from lem.everyday import measured
from lem.everyday.measured import Measured, Per, Reason
from lem.pages.page import Reader

PER_TOKEN, PER_REQUEST = "energy_per_output_token_j", "energy_per_request_j"
NEWEST_RUNS = 3
"""Whose records are read for energy per correct answer."""


class Known(NamedTuple):
    configuration: Configuration
    figure: Figure | None
    """Energy per output token, with its tier and how many runs it is of."""
    measured: dict[Per, Measured]
    reasons: dict[Per, Reason]
    """Of those that there are not, why."""
    mean_tokens: float | None
    """Of an answer."""
    at_most_tokens: int | None


def known(reader: Reader, keys: Sequence[int]) -> list[Known]:
    """Of these configurations (their rows' ids), in this order."""
    configurations = configurations_of(reader.connection, keys)
    figures = figures_of(reader.connection, keys, [PER_TOKEN, PER_REQUEST], 0)
    experiments = experiments_of(reader.connection, list(keys))
    return [
        _known(
            reader,
            key,
            configurations[key],
            experiments[key],
            figures.get((key, PER_TOKEN)),
            figures.get((key, PER_REQUEST)),
        )
        for key in keys
    ]


def _known(
    reader: Reader,
    key: int,
    configuration: Configuration,
    experiment: Mapping[str, Any],
    token: Figure | None,
    request: Figure | None,
) -> Known:
    mean = request.value / token.value if token and request and token.value > 0 else None
    answers = measured.answers_of(experiment, mean)
    energy_class = configuration.energy_class
    found = Known(configuration, token, {}, {}, mean, answers.at_most_tokens)
    _try(found, "output_token", lambda: measured.per_token(*_ends(token), energy_class))
    _try(found, "answer", lambda: measured.per_answer(*_ends(request), energy_class, answers))
    _try(found, "correct_answer", lambda: _per_correct_answer(reader, key, energy_class))
    return found


def _try(one: Known, per: Per, make: Callable[[], Measured]) -> None:
    try:
        one.measured[per] = make()
    except measured.Refused as e:
        one.reasons[per] = e.reason


def _ends(figure: Figure | None) -> tuple[float | None, float | None]:
    return (None, None) if figure is None else (figure.value, figure.uncertainty)


def _per_correct_answer(reader: Reader, key: int, energy_class: str) -> Measured:
    """Of its newest runs: the mean, and as its uncertainty the distance to the furthest end of any
    run's own interval. The records alone have it, so it is of a few runs, and says no more than
    they do."""
    values, written = [], True
    for record in _records(reader, key):
        by_class = record.metrics.get("energy_per_correct_answer_j")
        value = by_class.get(energy_class) if isinstance(by_class, dict) else None
        if value is None or record.quality.accuracy is None:
            break
        written = written and record.quality.accuracy.scored_by is None
        values.append(value)
    mean = sum(v.value for v in values) / len(values) if values else None
    return measured.per_correct_answer(mean, _furthest(values, mean), energy_class, written)


def _furthest(values: Sequence[Value], mean: float | None) -> float | None:
    if mean is None or any(v.uncertainty is None for v in values):
        return None
    return max(abs(v.value - mean) + (v.uncertainty or 0.0) for v in values)


def _records(reader: Reader, key: int) -> Iterator[Record]:
    """Of its newest runs, the newest first, each read when it is asked for."""
    query = (
        measured_query()
        .where(RUN.c.config_id == key, RUN.c.counted)
        .order_by(RUN.c.started_at.desc(), RUN.c.id.desc())
        .limit(NEWEST_RUNS)
    )
    for row in reader.connection.execute(query).all():
        try:
            yield Members(reader.connection, reader.packs, row).record()
        except (Refused, BadInput, OSError):
            return
