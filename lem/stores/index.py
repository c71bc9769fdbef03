"""An SQLite index of a campaign folder, so that many records open fast.

The records are the truth: the index may be deleted at any time, is rebuilt when it is damaged or of
another version, and lives in memory where the folder cannot be written.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from lem.contract.record import Distribution, Record, Value
from lem.stores.answering import Answering, answering_of
from lem.stores.costs import meters_of
from lem.stores.folder import Attempt, Entry, Settled, attempts, read
from lem.stores.hardware import hardware
from lem.stores.index_file import (
    ATTEMPTS,
    FILE_NAME,
    METRICS,
    in_memory,
    is_occupied,
    open_file,
    remove,
)
from lem.stores.outcomes import Cost, Outcome
from lem.stores.rows import Figure, Row
from lem.stores.scored import Scored, scored_of
from lem.stores.shares import Share, shares_of

CHUNK = 500

T = TypeVar("T")

_OUTCOME = [ATTEMPTS.c[name] for name in Outcome._fields]
_ORDER = (ATTEMPTS.c.block, ATTEMPTS.c.arm_id, ATTEMPTS.c.attempt)


class Index:
    """The index of one campaign folder. Use as a context manager, or ``close`` it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._engine = open_file(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._engine.dispose()

    def refresh(self, over: bool = False) -> int:
        """Bring the index up to date with the folder; how many attempts were read anew.

        A document whose size and time of change are as indexed is not read again. ``over``: those
        of attempts that have been over for a while are not even looked at, as long as no other
        attempt was begun beside them. On a network file system that is far less to ask for; what
        somebody does to a document by hand shows only at a refresh without.
        """
        return self._trusting(lambda: self._refresh(over))

    def outcomes(self) -> list[Outcome]:
        """Every attempt, sorted by block, arm, attempt."""
        return self._trusting(self._outcomes)

    def _outcomes(self) -> list[Outcome]:
        with self._engine.connect() as connection:
            found = connection.execute(sa.select(*_OUTCOME).order_by(*_ORDER)).fetchall()
        return [_outcome(row) for row in found]

    def rows(self, metrics: Sequence[str] | None = None) -> list[Row]:
        """Every attempt with its metrics (those named, or all), sorted as :meth:`outcomes`."""
        return self._trusting(lambda: self._rows(metrics))

    def _trusting(self, action: Callable[[], T]) -> T:
        """``action``; where the index turns out to be damaged or locked, again with a new one."""
        try:
            return action()
        except SQLAlchemyError as e:
            self._engine.dispose()
            if is_occupied(e) or not remove(self.folder / FILE_NAME):
                self._engine = in_memory()
            else:
                self._engine = open_file(self.folder)
            self._refresh()
            return action()

    def _rows(self, metrics: Sequence[str] | None) -> list[Row]:
        a = ATTEMPTS.c
        about = (a.run_id, a.experiment_id, a.campaign, a.semantics, a.hardware)
        more = (a.meters, a.flags, a.problem, a.shares, a.answering, a.scored, a.commentary_s)
        query = sa.select(a.id, *about, *more, *_OUTCOME).order_by(*_ORDER)
        m = METRICS.c
        wanted = sa.select(m.id, m.metric, m.part, m.value, m.uncertainty)
        if metrics is not None:
            wanted = wanted.where(m.metric.in_(list(metrics)))
        figures: dict[int, dict[str, dict[str, Figure]]] = {}
        with self._engine.connect() as connection:
            for key, metric, part, value, uncertainty in connection.execute(wanted).fetchall():
                parts = figures.setdefault(key, {}).setdefault(metric, {})
                parts[part] = Figure(value, uncertainty)
            found = connection.execute(query).fetchall()
        return [_row(row, figures.get(row[0], {})) for row in found]

    def _refresh(self, over: bool = False) -> int:
        a = ATTEMPTS.c
        with self._engine.begin() as connection:
            query = sa.select(a.path, a.id, a.document, a.size, a.mtime_ns)
            known = {path: (key, sign) for path, key, *sign in connection.execute(query).fetchall()}
            stale: list[Attempt] = []
            gone: list[int] = []
            for found in attempts(self.folder, _settled(connection) if over else {}):
                key, sign = known.pop(found.path, (None, None))
                # Of an open attempt only its job is read, and that never changes.
                if sign != [found.document, found.size, found.mtime_ns]:
                    stale.append(found)
                    gone += [] if key is None else [key]
            gone += [key for key, _ in known.values()]
            for chunk in _chunks(gone):
                connection.execute(METRICS.delete().where(METRICS.c.id.in_(chunk)))
                connection.execute(ATTEMPTS.delete().where(a.id.in_(chunk)))
            first = connection.execute(sa.select(sa.func.max(a.id))).scalar() or 0
            numbered = list(enumerate(stale, first + 1))
            for part in _chunks(numbered):
                entries = [(key, read(self.folder, attempt)) for key, attempt in part]
                connection.execute(ATTEMPTS.insert(), [_columns(k, e) for k, e in entries])
                measured = [v for k, e in entries if e.record for v in _values(k, e.record)]
                if measured:
                    connection.execute(METRICS.insert(), measured)
        return len(stale)


SETTLED_NS = 600 * 10**9
"""A document that is so much older than the newest gets none of more weight beside it any more."""


def _settled(connection: sa.Connection) -> dict[str, Settled]:
    """What need not be looked at again. The file server's clock is held against itself alone."""
    a = ATTEMPTS.c
    columns = [a.block, a.arm_id, a.attempt, a.path, a.document, a.size, a.mtime_ns, a.beside_ns]
    found: dict[str, list[Attempt]] = {}
    for row in connection.execute(sa.select(*columns).order_by(*_ORDER)).fetchall():
        attempt = Attempt(*row)
        found.setdefault(attempt.path.rpartition("/")[0], []).append(attempt)
    before = max((x.mtime_ns for xs in found.values() for x in xs), default=0) - SETTLED_NS
    return {
        place: Settled(max(x.beside_ns for x in xs), xs)
        for place, xs in found.items()
        if all(x.document in ("record.json", "failure.json") and x.mtime_ns < before for x in xs)
    }


def _chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]


def _columns(key: int, entry: Entry) -> dict[str, Any]:
    attempt, record, failure = entry.attempt, entry.record, entry.failure
    return {
        "id": key,
        **entry.outcome._asdict(),
        "device_set": json.dumps(entry.outcome.device_set),
        "costs": json.dumps(entry.outcome.costs),
        "document": attempt.document,
        "size": attempt.size,
        "mtime_ns": attempt.mtime_ns,
        "beside_ns": attempt.beside_ns,
        "problem": failure.message if failure else entry.problem,
        "run_id": record.run_id if record else failure.run_id if failure else "",
        "experiment_id": record.experiment_id if record else "",
        "campaign": record.campaign if record else "",
        "semantics": record.metric_semantics_version if record else 0,
        "hardware": hardware(record) if record else "",
        "meters": json.dumps(meters_of(record) if record else {}),
        "flags": json.dumps(record.flags if record else []),
        "shares": json.dumps(shares_of(record) if record else {}),
        "answering": json.dumps(answering_of(record) if record else None),
        "scored": json.dumps(scored_of(record) if record else None),
        "commentary_s": record.environment.commentary_s if record else None,
    }


def _values(key: int, record: Record) -> Iterator[dict[str, Any]]:
    for metric, part, value in metric_values(record):
        yield {"id": key, "metric": metric, "part": part, **value.model_dump()}


def metric_values(record: Record) -> Iterator[tuple[str, str, Value]]:
    """Every figure of a record as (metric, part, value); see :class:`Row` for the parts."""
    for metric, value in record.metrics.items():
        if isinstance(value, Value):
            yield metric, "", value
        elif isinstance(value, Distribution):
            for part in ("mean", "p50", "p90", "p95", "p99"):
                if (figure := getattr(value, part)) is not None:
                    yield metric, part, Value(value=figure)
        else:
            for part, by_class in value.items():
                yield metric, part, by_class
    if record.quality.nll_per_token is not None:
        yield "nll_per_token", "", Value(value=record.quality.nll_per_token)
    if (accuracy := record.quality.accuracy) is not None:
        # Wilson's interval is not symmetric: its longer side.
        half = max(accuracy.high - accuracy.value, accuracy.value - accuracy.low)
        yield "accuracy", "", Value(value=accuracy.value, uncertainty=half)


def _row(row: Sequence[Any], metrics: dict[str, dict[str, Figure]]) -> Row:
    _, run_id, experiment_id, campaign, semantics, hardware_, meters, flags, problem = row[:9]
    answering, scored = _parsed(row[10]), _parsed(row[11])
    return Row(
        outcome=_outcome(row[13:]),
        run_id=run_id,
        experiment_id=experiment_id,
        campaign=campaign,
        semantics=semantics,
        hardware=hardware_,
        meters=_parsed(meters),
        flags=tuple(_parsed(flags)),
        message=problem,
        metrics=metrics,
        shares={
            name: {device: Share(*share) for device, share in of_device.items()}
            for name, of_device in json.loads(row[9]).items()
        },
        answering=None if answering is None else Answering(*answering),
        scored=None if scored is None else Scored(*scored),
        commentary_s=row[12],
    )


def _outcome(row: Sequence[Any]) -> Outcome:
    columns: dict[str, Any] = dict(zip(Outcome._fields, row, strict=True))
    columns["device_set"] = tuple(_parsed(columns["device_set"]))
    columns["costs"] = tuple(Cost(*cost) for cost in json.loads(columns["costs"]))
    return Outcome(**columns)


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Any:
    """JSON of which there are few different ones. Not to be changed by who receives it."""
    return json.loads(text)
