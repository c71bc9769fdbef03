"""An SQLite index of a campaign folder, so that many records open fast.

The records are the truth: the index may be deleted at any time, is rebuilt when it is damaged or of
another version, and lives in memory where the folder cannot be written.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from lem.contract.record import Distribution, Record, Value
from lem.stores.folder import Attempt, Entry, attempts, read
from lem.stores.outcomes import Outcome

FILE_NAME = ".index.sqlite"
VERSION = 1
"""Raised whenever tables or their meaning change; an index of another version is rebuilt."""

CHUNK = 500

LOCK_TIMEOUT_S = 10.0
"""How long to wait for another process that is writing the index."""

T = TypeVar("T")

_metadata = sa.MetaData()

_attempts = sa.Table(
    "attempts",
    _metadata,
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("document", sa.Text),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("mtime_ns", sa.Integer, nullable=False),
    sa.Column("arm_id", sa.Text, nullable=False),
    sa.Column("block", sa.Integer, nullable=False),
    sa.Column("block_pass", sa.Integer, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("failure_kind", sa.Text),
    sa.Column("consequence", sa.Text, nullable=False),
    sa.Column("started_at", sa.Text, nullable=False),
    sa.Column("ended_at", sa.Text, nullable=False),
    sa.Column("boot_id", sa.Text, nullable=False),
    sa.Column("device_set", sa.Text, nullable=False),
    sa.Column("problem", sa.Text, nullable=False),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("experiment_id", sa.Text, nullable=False),
    sa.Column("campaign", sa.Text, nullable=False),
    sa.Column("semantics", sa.Integer, nullable=False),
    sa.Column("hardware", sa.Text, nullable=False),
    sa.Column("meters", sa.Text, nullable=False),
    sa.Column("flags", sa.Text, nullable=False),
)

_metrics = sa.Table(
    "metrics",
    _metadata,
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("metric", sa.Text, primary_key=True),
    sa.Column("part", sa.Text, primary_key=True),
    sa.Column("value", sa.Float, nullable=False),
    sa.Column("uncertainty", sa.Float),
    sqlite_with_rowid=False,
)

_OUTCOME_COLUMNS = [_attempts.c[name] for name in Outcome._fields]


class Row(NamedTuple):
    """One attempt with what comparing needs of its record (empty for failures and open ones)."""

    outcome: Outcome
    run_id: str
    experiment_id: str
    campaign: str
    semantics: int
    """``metric_semantics_version``; 0 where there is no record."""
    hardware: str
    meters: dict[str, str]
    """Device class → names of the meters that read it."""
    flags: tuple[str, ...]
    message: str
    """A failure's message, or why a document cannot be used."""
    metrics: dict[str, dict[str, Value]]
    """Metric → part → value. The part is the device class, the statistic of a distribution
    (``mean``, ``p50``, ``p90``, ``p99``), or empty."""


class Index:
    """The index of one campaign folder. Use as a context manager, or ``close`` it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._engine = _open(folder)

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

    def refresh(self) -> int:
        """Bring the index up to date with the folder; how many attempts were read anew.

        A document whose size and time of change are as indexed is not read again.
        """
        try:
            return self._refresh()
        except SQLAlchemyError:
            # Damaged, or locked by another process for too long: the folder is still the truth.
            self._engine.dispose()
            self._engine = _in_memory()
            return self._refresh()

    def outcomes(self) -> list[Outcome]:
        """Every attempt, sorted by block, arm, attempt."""
        query = sa.select(*_OUTCOME_COLUMNS).order_by(
            _attempts.c.block, _attempts.c.arm_id, _attempts.c.attempt
        )
        with self._engine.connect() as connection:
            return [_outcome(row) for row in connection.execute(query)]

    def rows(self, metrics: Sequence[str] | None = None) -> list[Row]:
        """Every attempt with its metrics (those named, or all), sorted as :meth:`outcomes`."""
        query = sa.select(*_attempts.c).order_by(
            _attempts.c.block, _attempts.c.arm_id, _attempts.c.attempt
        )
        wanted = sa.select(*_metrics.c)
        if metrics is not None:
            wanted = wanted.where(_metrics.c.metric.in_(list(metrics)))
        values: dict[str, dict[str, dict[str, Value]]] = {}
        with self._engine.connect() as connection:
            for path, metric, part, value, uncertainty in connection.execute(wanted):
                values.setdefault(path, {}).setdefault(metric, {})[part] = Value(
                    value=value, uncertainty=uncertainty
                )
            return [_row(r, values.get(r.path, {})) for r in connection.execute(query)]

    def _refresh(self) -> int:
        a = _attempts.c
        with self._engine.begin() as connection:
            known = {
                path: (document, size, mtime_ns)
                for path, document, size, mtime_ns in connection.execute(
                    sa.select(a.path, a.document, a.size, a.mtime_ns)
                )
            }
            stale: list[Attempt] = []
            for found in attempts(self.folder):
                sign = (found.document, found.size, found.mtime_ns)
                # Of an open attempt only its job is read, and that never changes.
                if known.pop(found.path, None) != sign:
                    stale.append(found)
            _forget(connection, [*known, *(s.path for s in stale)])
            for chunk in _chunks(stale):
                entries = [read(self.folder, attempt) for attempt in chunk]
                connection.execute(_attempts.insert(), [_columns(e) for e in entries])
                measured = [m for e in entries if e.record is not None for m in _values(e)]
                if measured:
                    connection.execute(_metrics.insert(), measured)
        return len(stale)


def hardware(record: Record) -> str:
    """What a record was made on, in words: ``2 × NVIDIA H100 · AMD EPYC 9354 (64 CPUs)``."""
    e = record.environment
    used = [g.name for g in e.gpus if g.uuid in e.device_set]
    gpus = " + ".join(f"{used.count(n)} × {n}" for n in sorted(set(used)))
    cpu = f"{e.cpu_model} ({e.cpu_count} CPUs)"
    return f"{gpus} · {cpu}" if gpus else cpu


def _open(folder: Path) -> sa.Engine:
    file = folder / FILE_NAME
    if file.is_symlink():
        return _in_memory()
    for _ in range(2):
        try:
            return _prepared(
                sa.create_engine(f"sqlite:///{file}", connect_args={"timeout": LOCK_TIMEOUT_S})
            )
        except _OtherVersion:
            pass
        except SQLAlchemyError as e:
            # Locked by a process that is busy with it, or not to be written: leave it alone.
            if "locked" in str(e) or "readonly" in str(e) or "unable to open" in str(e):
                return _in_memory()
        try:
            for leftover in (file, Path(f"{file}-wal"), Path(f"{file}-shm")):
                leftover.unlink(missing_ok=True)
        except OSError:
            return _in_memory()
    return _in_memory()


def _in_memory() -> sa.Engine:
    return _prepared(sa.create_engine("sqlite://", poolclass=sa.StaticPool))


class _OtherVersion(Exception):
    pass


def _prepared(engine: sa.Engine) -> sa.Engine:
    """The engine with its tables made; raises where the file is of another version or damaged."""
    try:
        with engine.begin() as connection:
            version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
            if version == 0 and sa.inspect(connection).get_table_names():
                raise _OtherVersion
            if version not in (0, VERSION):
                raise _OtherVersion
            # Makes a file that cannot be written show itself now, not in the middle.
            connection.exec_driver_sql(f"PRAGMA user_version = {VERSION}")
            _metadata.create_all(connection)
            connection.execute(sa.select(_attempts.c.path).limit(1))
            connection.execute(sa.select(*_metrics.c).limit(1))
    except BaseException:
        engine.dispose()
        raise
    return engine


def _forget(connection: sa.Connection, paths: Iterable[str]) -> None:
    for chunk in _chunks(list(paths)):
        connection.execute(_metrics.delete().where(_metrics.c.path.in_(chunk)))
        connection.execute(_attempts.delete().where(_attempts.c.path.in_(chunk)))


def _chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), CHUNK):
        yield items[start : start + CHUNK]


def _columns(entry: Entry) -> dict[str, Any]:
    attempt, record, failure = entry.attempt, entry.record, entry.failure
    meters: dict[str, set[str]] = {}
    for info in record.meters if record else ():
        meters.setdefault(info.device_class, set()).add(info.meter)
    return {
        **entry.outcome._asdict(),
        "device_set": json.dumps(entry.outcome.device_set),
        "document": attempt.document,
        "size": attempt.size,
        "mtime_ns": attempt.mtime_ns,
        "problem": failure.message if failure else entry.problem,
        "run_id": record.run_id if record else failure.run_id if failure else "",
        "experiment_id": record.experiment_id if record else "",
        "campaign": record.campaign if record else "",
        "semantics": record.metric_semantics_version if record else 0,
        "hardware": hardware(record) if record else "",
        "meters": json.dumps({c: " + ".join(sorted(m)) for c, m in sorted(meters.items())}),
        "flags": json.dumps(record.flags if record else []),
    }


def _values(entry: Entry) -> Iterator[dict[str, Any]]:
    record = entry.record
    assert record is not None
    for metric, part, value in metric_values(record):
        yield {
            "path": entry.attempt.path,
            "metric": metric,
            "part": part,
            "value": value.value,
            "uncertainty": value.uncertainty,
        }


def metric_values(record: Record) -> Iterator[tuple[str, str, Value]]:
    """Every figure of a record as (metric, part, value); see :class:`Row` for the parts."""
    for metric, value in record.metrics.items():
        if isinstance(value, Value):
            yield metric, "", value
        elif isinstance(value, Distribution):
            for part in ("mean", "p50", "p90", "p99"):
                yield metric, part, Value(value=getattr(value, part))
        else:
            for part, by_class in value.items():
                yield metric, part, by_class
    if record.quality.nll_per_token is not None:
        yield "nll_per_token", "", Value(value=record.quality.nll_per_token)


def _outcome(row: Any) -> Outcome:
    return Outcome(*row)._replace(device_set=tuple(json.loads(row.device_set)))


def _row(row: Any, metrics: dict[str, dict[str, Value]]) -> Row:
    fields = {name: getattr(row, name) for name in Outcome._fields}
    fields["device_set"] = tuple(json.loads(row.device_set))
    return Row(
        outcome=Outcome(**fields),
        run_id=row.run_id,
        experiment_id=row.experiment_id,
        campaign=row.campaign,
        semantics=row.semantics,
        hardware=row.hardware,
        meters=json.loads(row.meters),
        flags=tuple(json.loads(row.flags)),
        message=row.problem,
        metrics=metrics,
    )
