"""The board in memory, as arrays: what a question about all configurations is answered from.

Reading 20,000 rows from a database takes longer than everything that is asked of them. So each
process keeps them, for the newest two states of the archive that were asked about, and reads only
the rows that have changed since (``board.changed``). A reader's transaction gives the state
(``data_state``) and the rows, so that what is kept is never of another one, nor added to one
that it did not come from.
"""

import threading
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from lem.archive.copying import copied_out
from lem.archive.database import DataState, data_state, is_writing
from lem.archive.schema import BOARD, CONFIG, CONFIG_SUMMARY, DIMENSIONS, HEADLINE, TIERS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Value = str | int | float | None

CODED = ("energy_class", "model_content", *DIMENSIONS)
KEPT_VERSIONS = 2
KEPT_MASKS = 64


class Coded(NamedTuple):
    """A column of few different values: for each row the place of its value in ``values``."""

    values: list[Value]
    codes: NDArray[np.int32]

    def counts(self, which: Mask) -> list[tuple[Value, int]]:
        """How many of these rows have each value; those that none has are left out."""
        found = np.bincount(self.codes[which], minlength=len(self.values))
        return [(self.values[i], int(found[i])) for i in np.flatnonzero(found)]

    def are(self, test: Callable[[Value], bool]) -> Mask:
        """The rows whose value passes."""
        passes = np.fromiter(map(test, self.values), dtype=bool, count=len(self.values))
        found: Mask = passes[self.codes]
        return found


class Columns:
    """All rows of ``board`` in the order of their hash, and the summaries of their figures. Nothing
    of it is ever changed, so that threads can share it."""

    def __init__(
        self,
        version: int,
        state: str,
        numbers: dict[str, Ints],
        texts: dict[str, NDArray[np.bytes_]],
        coded: dict[str, Coded],
        figures: dict[str, NDArray[Any]],
        ids: NDArray[np.object_],
    ) -> None:
        self.version = version
        self.state = state
        """``DataState.name``."""
        self.numbers = numbers
        """``config_id``, ``semantics_version``, ``tier``, ``runs``, ``submitters``."""
        self.texts = texts
        """``hash``, ``last_at`` (empty where there is none)."""
        self.coded = coded
        """``energy_class``, ``model_content`` and every dimension."""
        self.figures = figures
        """Of ``config_summary`` ``mean``, ``expanded``, ``n``, ``submitters``, each (tiers,
        metrics, rows); NaN and 0 where there is none."""
        self.ids = ids
        """The first 16 digits of each hash."""
        self._masks: dict[object, Mask] = {}

    def __len__(self) -> int:
        return len(self.numbers["config_id"])

    def figure(self, name: str, metric: str, tier: int) -> NDArray[Any]:
        """``mean``, ``expanded``, … of each row's runs of at least this tier; with 0 of each one's
        best tier."""
        of_metric = self.figures[name][:, HEADLINE.index(metric)]
        if tier:
            found: NDArray[Any] = of_metric[tier - 1]
            return found
        best: NDArray[Any] = of_metric[self.numbers["tier"] - 1, np.arange(len(self))]
        return best

    def mask(self, key: object, ids: Callable[[], Sequence[int]]) -> Mask:
        """The rows of these configurations; ``ids`` is only called where ``key`` is new here."""
        found = self._masks.get(key)
        if found is None:
            found = np.isin(self.numbers["config_id"], np.array(ids(), dtype=np.int64))
            if len(self._masks) < KEPT_MASKS:
                self._masks[key] = found
        return found


def columns(connection: sa.Connection) -> Columns:
    """The board as this connection's transaction sees it."""
    now = data_state(connection)
    if is_writing(connection):
        # It may see what is not committed, nor counted in the version.
        return _read(connection, now, _EMPTY)
    kept = _kept_for(connection)
    with kept.lock:
        same = (one for one in kept.newest if (one.version, one.state) == now[:2])
        if (found := next(same, None)) is not None:
            return found
        newest = kept.newest[0] if kept.newest else _EMPTY
        if newest.version < now.version:
            found = _read(connection, now, newest if newest.state in now.earlier else _EMPTY)
            kept.newest = [found, *kept.newest][:KEPT_VERSIONS]
            return found
    # A transaction that began long ago.
    return _read(connection, now, _EMPTY)


class _Kept:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.newest: list[Columns] = []


_ALL: WeakKeyDictionary[object, _Kept] = WeakKeyDictionary()
_ALL_LOCK = threading.Lock()


def _kept_for(connection: sa.Connection) -> _Kept:
    # An engine's views with other options share its pool.
    with _ALL_LOCK:
        return _ALL.setdefault(connection.engine.pool, _Kept())


_NUMBERS = ("config_id", "semantics_version", "tier", "runs", "submitters")
_TEXTS = {"hash": "S64", "last_at": "S29"}
_FIGURES = {"mean": np.float64, "expanded": np.float64, "n": np.int32, "submitters": np.int32}
_SHAPE = (len(TIERS), len(HEADLINE))


def _nothing(name: str) -> Any:
    return np.nan if _FIGURES[name] is np.float64 else 0


_EMPTY = Columns(
    -1,
    "",
    {name: np.zeros(0, dtype=np.int64) for name in _NUMBERS},
    {name: np.zeros(0, dtype=kind) for name, kind in _TEXTS.items()},
    {name: Coded([], np.zeros(0, dtype=np.int32)) for name in CODED},
    {name: np.zeros((*_SHAPE, 0), dtype=kind) for name, kind in _FIGURES.items()},
    np.zeros(0, dtype=object),
)


def _read(connection: sa.Connection, now: DataState, old: Columns) -> Columns:
    """``old`` with everything that has changed since."""
    names = [*_NUMBERS, *_TEXTS, *CODED]
    since = BOARD.c.changed > old.version
    query = (
        sa.select(*(BOARD.c[n] if n in BOARD.c else CONFIG.c[n] for n in names))
        .join(CONFIG, CONFIG.c.id == BOARD.c.config_id)
        .where(since)
        .order_by(BOARD.c.config_id)
    )
    rows = connection.execute(query).all()
    new = (
        dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(names, ())
    )
    ids = np.array(new["config_id"], dtype=np.int64)
    keep = ~np.isin(old.numbers["config_id"], ids)
    total = connection.scalar(sa.select(sa.func.count()).select_from(BOARD))
    if int(keep.sum()) + len(ids) != total:
        there = connection.scalars(sa.select(BOARD.c.config_id)).all()
        keep &= np.isin(old.numbers["config_id"], np.array(there, dtype=np.int64))
    texts = {n: np.array([t or "" for t in new[n]], dtype=kind) for n, kind in _TEXTS.items()}
    merged = _merging(np.flatnonzero(keep), old.texts["hash"], texts["hash"])
    short = [h[:16].decode() for h in texts["hash"].tolist()]
    figures = _figures(connection, old.version, ids)
    return Columns(
        now.version,
        now.name,
        {n: merged(old.numbers[n], np.array(new[n], dtype=np.int64)) for n in _NUMBERS},
        {n: merged(old.texts[n], texts[n]) for n in _TEXTS},
        {n: _coded(old.coded[n], new[n], merged) for n in CODED},
        {n: merged(old.figures[n], figures[n]) for n in _FIGURES},
        merged(old.ids, np.array(short, dtype=object)),
    )


Merge = Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]


def _merging(kept: Ints, old_hashes: NDArray[np.bytes_], new_hashes: NDArray[np.bytes_]) -> Merge:
    """Merges what is kept of an old column with the new rows (on the last axis), by their hash."""
    order = np.argsort(new_hashes)
    places = np.searchsorted(old_hashes[kept], new_hashes[order]) + np.arange(len(order))
    is_new = np.zeros(len(kept) + len(order), dtype=bool)
    is_new[places] = True
    from_old = np.flatnonzero(~is_new)
    # Where neighbours stay neighbours they are copied together, which is several times as fast.
    apart = (np.diff(kept) != 1) | (np.diff(from_old) != 1)
    bounds = [0, *(1 + np.flatnonzero(apart)).tolist(), len(kept)]
    spans = [(start, end) for start, end in pairwise(bounds) if start < end]

    def merge(before: NDArray[Any], after: NDArray[Any]) -> NDArray[Any]:
        found = np.empty((*after.shape[:-1], len(is_new)), dtype=after.dtype)
        found[..., places] = after[..., order]
        for start, end in spans:
            to, at = int(from_old[start]), int(kept[start])
            found[..., to : to + end - start] = before[..., at : at + end - start]
        return found

    return merge


def _coded(old: Coded, new: Sequence[Value], merged: Merge) -> Coded:
    places = {value: i for i, value in enumerate(old.values)}
    codes = [places.setdefault(value, len(places)) for value in new]
    return Coded(list(places), merged(old.codes, np.array(codes, dtype=np.int32)))


def _figures(connection: sa.Connection, since: int, ids: Ints) -> dict[str, NDArray[Any]]:
    """The summaries of the configurations ``ids``, which are those that changed ``since``."""
    s = CONFIG_SUMMARY.c
    query = (
        sa.select(s.config_id, s.tier, s.metric, *(s[name] for name in _FIGURES))
        .join(BOARD, BOARD.c.config_id == s.config_id)
        .where(BOARD.c.changed > since)
    )
    rows = copied_out(connection, query)
    found = {
        name: np.full((*_SHAPE, len(ids)), _nothing(name), dtype=kind)
        for name, kind in _FIGURES.items()
    }
    if len(ids):
        at = np.searchsorted(ids, rows["config_id"])
        for name in _FIGURES:
            found[name][rows["tier"] - 1, rows["metric"], at] = rows[name]
    return found
