"""An SQLite index of a campaign folder, so that many records open fast.

The records are the truth: the index may be deleted at any time, is rebuilt when it is damaged or of
another version, and lives in memory where the folder cannot be written.

A folder may come from a stranger, and an SQLite file can do more than hold rows: triggers run, and
a journal beside it names files to delete. So an index that was not made here (:func:`_mark`) is
never opened.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from lem.contract.record import Distribution, Record, Value
from lem.stores.costs import meters_of
from lem.stores.folder import Attempt, Entry, attempts, read
from lem.stores.hardware import hardware
from lem.stores.outcomes import Cost, Outcome
from lem.stores.shares import Share, shares_of

FILE_NAME = ".index.sqlite"
VERSION = 4
"""Raised whenever tables or their meaning change; an index of another version is rebuilt."""

CHUNK = 500

LOCK_TIMEOUT_S = 10.0
"""How long to wait for another process that is writing the index."""

T = TypeVar("T")

_metadata = sa.MetaData()

_attempts = sa.Table(
    "attempts",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("path", sa.Text, nullable=False, unique=True),
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
    sa.Column("costs", sa.Text, nullable=False),
    sa.Column("problem", sa.Text, nullable=False),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("experiment_id", sa.Text, nullable=False),
    sa.Column("campaign", sa.Text, nullable=False),
    sa.Column("semantics", sa.Integer, nullable=False),
    sa.Column("hardware", sa.Text, nullable=False),
    sa.Column("meters", sa.Text, nullable=False),
    sa.Column("flags", sa.Text, nullable=False),
    sa.Column("shares", sa.Text, nullable=False),
)

# The metric comes first in the key: a comparison reads few metrics of many attempts.
_metrics = sa.Table(
    "metrics",
    _metadata,
    sa.Column("metric", sa.Text, primary_key=True),
    sa.Column("part", sa.Text, primary_key=True),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("value", sa.Float, nullable=False),
    sa.Column("uncertainty", sa.Float),
    sqlite_with_rowid=False,
)

_OUTCOME = [_attempts.c[name] for name in Outcome._fields]
_ORDER = (_attempts.c.block, _attempts.c.arm_id, _attempts.c.attempt)


class Figure(NamedTuple):
    """``uncertainty`` is expanded (k = 2), in the value's unit; None where none is stated."""

    value: float
    uncertainty: float | None


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
    """Device class → names of the meters that read it; ``nvml (power)`` where there was no
    counter."""
    flags: tuple[str, ...]
    message: str
    """A failure's message, or why a document cannot be used."""
    metrics: dict[str, dict[str, Figure]]
    """Metric → part → value. The part is the device class, the statistic of a distribution
    (``mean``, ``p50``, ``p90``, ``p95``, ``p99``), or empty."""
    shares: dict[str, dict[str, Share]] = {}
    """Device class → device → how much of the energy it drew, and how well its gain is known."""


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
        return self._trusting(self._refresh)

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
            if _is_occupied(e) or not _remove(self.folder / FILE_NAME):
                self._engine = _in_memory()
            else:
                self._engine = _open(self.folder)
            self._refresh()
            return action()

    def _rows(self, metrics: Sequence[str] | None) -> list[Row]:
        a = _attempts.c
        about = (a.run_id, a.experiment_id, a.campaign, a.semantics, a.hardware)
        query = sa.select(a.id, *about, a.meters, a.flags, a.problem, a.shares, *_OUTCOME).order_by(
            *_ORDER
        )
        m = _metrics.c
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

    def _refresh(self) -> int:
        a = _attempts.c
        with self._engine.begin() as connection:
            query = sa.select(a.path, a.id, a.document, a.size, a.mtime_ns)
            known = {path: (key, sign) for path, key, *sign in connection.execute(query).fetchall()}
            stale: list[Attempt] = []
            gone: list[int] = []
            for found in attempts(self.folder):
                key, sign = known.pop(found.path, (None, None))
                # Of an open attempt only its job is read, and that never changes.
                if sign != [found.document, found.size, found.mtime_ns]:
                    stale.append(found)
                    gone += [] if key is None else [key]
            gone += [key for key, _ in known.values()]
            for chunk in _chunks(gone):
                connection.execute(_metrics.delete().where(_metrics.c.id.in_(chunk)))
                connection.execute(_attempts.delete().where(a.id.in_(chunk)))
            first = connection.execute(sa.select(sa.func.max(a.id))).scalar() or 0
            numbered = list(enumerate(stale, first + 1))
            for part in _chunks(numbered):
                entries = [(key, read(self.folder, attempt)) for key, attempt in part]
                connection.execute(_attempts.insert(), [_columns(k, e) for k, e in entries])
                measured = [v for k, e in entries if e.record for v in _values(k, e.record)]
                if measured:
                    connection.execute(_metrics.insert(), measured)
        return len(stale)


def _open(folder: Path) -> sa.Engine:
    file = folder / FILE_NAME
    if file.is_symlink():
        return _in_memory()
    for _ in range(2):
        if not _made_here(file) and not (_remove(file) and _make(file)):
            break
        try:
            return _prepared(_engine(file))
        except (_OtherVersion, SQLAlchemyError) as e:
            if _is_occupied(e) or not _remove(file):
                break
    return _in_memory()


def _engine(file: Path) -> sa.Engine:
    return sa.create_engine(
        f"sqlite:///{file}",
        connect_args={"timeout": LOCK_TIMEOUT_S},
        poolclass=sa.NullPool,
    )


def _made_here(file: Path) -> bool:
    """Whether the file bears the mark of its own place; looked at without SQLite."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as f:
            inode = os.fstat(handle).st_ino
            # The header's "application ID": https://www.sqlite.org/fileformat.html, section 1.3
            return f.read(72)[68:] == _mark(inode).to_bytes(4, signed=True)
    except OSError:
        return False


def _mark(inode: int, machine: Path = Path("/etc/machine-id")) -> int:
    """What nobody who packs a folder elsewhere knows: a hash of the inode that the index will have
    here, and of this machine's name for itself."""
    try:
        name = machine.read_bytes()
    except OSError:
        name = b""
    digest = hashlib.sha256(name + f":{inode}".encode()).digest()
    return int.from_bytes(digest[:4], signed=True)


def _make(file: Path) -> bool:
    """Make an empty index aside and put it into place, so that one without its mark is never there;
    whether there is one now."""
    aside = None
    try:
        handle, aside = tempfile.mkstemp(dir=file.parent, prefix=f"{file.name}.")
        inode = os.fstat(handle).st_ino
        os.close(handle)
        engine = _prepared(_engine(Path(aside)))
        with engine.begin() as connection:
            connection.exec_driver_sql(f"PRAGMA application_id = {_mark(inode)}")
        engine.dispose()
        Path(aside).chmod(0o644)
        # Two may do this at once: a link never replaces the one that was faster.
        with suppress(FileExistsError):
            os.link(aside, file)
    except (OSError, SQLAlchemyError):
        return False
    finally:
        if aside is not None:
            Path(aside).unlink(missing_ok=True)
    return True


def _is_occupied(error: Exception) -> bool:
    """Whether another process is busy with the index, or it cannot be written: not ours to mend."""
    said = str(error)
    return any(w in said for w in ("locked", "readonly", "unable to open", "disk is full"))


def _remove(file: Path) -> bool:
    """Remove a damaged or old index; whether that worked."""
    try:
        for suffix in ("", "-journal", "-wal", "-shm"):
            Path(f"{file}{suffix}").unlink(missing_ok=True)
    except OSError:
        return False
    return True


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
            connection.execute(sa.select(*_attempts.c).limit(1))
            connection.execute(sa.select(*_metrics.c).limit(1))
    except BaseException:
        engine.dispose()
        raise
    return engine


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
        "problem": failure.message if failure else entry.problem,
        "run_id": record.run_id if record else failure.run_id if failure else "",
        "experiment_id": record.experiment_id if record else "",
        "campaign": record.campaign if record else "",
        "semantics": record.metric_semantics_version if record else 0,
        "hardware": hardware(record) if record else "",
        "meters": json.dumps(meters_of(record) if record else {}),
        "flags": json.dumps(record.flags if record else []),
        "shares": json.dumps(shares_of(record) if record else {}),
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
    return Row(
        outcome=_outcome(row[10:]),
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
