"""How many configurations there are of each value of each dimension: the counts beside filters.

A configuration counts at every tier up to its best one. Counts are adjusted by the difference when
a configuration's best tier changes, and made anew by :func:`rebuild`; both give the same.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lem.archive.schema import CONFIG, DIMENSIONS, FACET
from lem.contract.base import canonical_json

Key = tuple[str, int, str, str]
"""Energy class, tier, dimension, value: a row's primary key."""


class Change(NamedTuple):
    """A configuration whose best tier was ``before`` and is ``after``. ``values``: its columns."""

    values: Mapping[str, Any]
    before: int
    after: int


def text_of(value: Any) -> str:
    """A dimension's value as it stands in ``facet.value``."""
    if value is None:
        return ""
    return value if isinstance(value, str) else canonical_json(value).decode()


def adjust(c: Connection, changes: Iterable[Change]) -> None:
    """Add and take away what the changes of best tiers make, in a fixed order of rows."""
    counts: Counter[Key] = Counter()
    for change in changes:
        low, high = sorted((change.before, change.after))
        step = 1 if change.after > change.before else -1
        for key in _keys(change.values, low, high):
            counts[key] += step
    rows = [_row(key, n) for key, n in sorted(counts.items()) if n]
    if not rows:
        return
    upsert = _insert(c)
    c.execute(
        upsert.on_conflict_do_update(
            index_elements=["energy_class", "tier", "dimension", "value"],
            set_={"configurations": FACET.c.configurations + upsert.excluded.configurations},
        ),
        rows,
    )
    c.execute(FACET.delete().where(FACET.c.configurations <= 0))


def rebuild(c: Connection) -> None:
    """Count everything anew."""
    c.execute(FACET.delete())
    if rows := [_row(key, n) for key, n in sorted(counted(c).items())]:
        c.execute(FACET.insert(), rows)


def counted(c: Connection) -> Counter[Key]:
    """The counts that there should be."""
    counts: Counter[Key] = Counter()
    columns = [CONFIG.c[d] for d in ("energy_class", "best_tier", *DIMENSIONS)]
    for row in c.execute(sa.select(*columns).where(CONFIG.c.best_tier > 0)).mappings():
        counts.update(_keys(dict(row), 0, row["best_tier"]))
    return counts


def stored(c: Connection) -> Counter[Key]:
    """The counts that there are."""
    return Counter(
        {
            (r.energy_class, r.tier, r.dimension, r.value): r.configurations
            for r in c.execute(sa.select(FACET))
        }
    )


def _keys(values: Mapping[str, Any], low: int, high: int) -> Iterator[Key]:
    """The rows of the tiers above ``low``, up to ``high``."""
    texts = [(d, text_of(values[d])) for d in DIMENSIONS]
    for tier in range(low + 1, high + 1):
        for dimension, text in texts:
            yield values["energy_class"], tier, dimension, text


def _row(key: Key, n: int) -> dict[str, Any]:
    energy_class, tier, dimension, value = key
    return {
        "energy_class": energy_class,
        "tier": tier,
        "dimension": dimension,
        "value": value,
        "configurations": n,
    }


def _insert(c: Connection) -> Any:
    from sqlalchemy.dialects import postgresql, sqlite

    dialect: Any = sqlite if c.dialect.name == "sqlite" else postgresql
    return dialect.insert(FACET)
