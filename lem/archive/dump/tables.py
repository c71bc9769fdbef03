"""The archive's runs and configurations as Parquet, for analysts. Derived: what counts as evidence
are the signed submissions beside them."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from lem.archive.queries.answer import LICENCE, unit_of
from lem.archive.schema import (
    BOARD_SET,
    CAMPAIGN,
    CONFIG,
    CONFIG_SUMMARY,
    DIMENSIONS,
    HEADLINE,
    IDENTITY,
    RUN,
    SUBMISSION,
    TIERS,
    WITH_UNCERTAINTY,
)

ROWS = 50_000
"""Of a row group."""


def write_runs(connection: sa.Connection, path: Path, citation: str) -> str:
    """One row a run, by submission and place in it; returns the file's SHA-256."""
    columns = [
        SUBMISSION.c.content_sha256.label("submission"),
        RUN.c.number,
        CONFIG.c.hash.label("configuration"),
        CONFIG.c.experiment_id,
        CONFIG.c.energy_class,
        CONFIG.c.semantics_version,
        *(CONFIG.c[name] for name in DIMENSIONS),
        CAMPAIGN.c.owner.label("campaign"),
        IDENTITY.c.name.label("submitter"),
        RUN.c.block,
        RUN.c.arm,
        RUN.c.attempt,
        RUN.c.started_at,
        BOARD_SET.c.boards,
        RUN.c.tier,
        RUN.c.counted,
        RUN.c.flags,
        *(RUN.c[name] for name in HEADLINE),
        *(RUN.c[f"{name}_u"] for name in WITH_UNCERTAINTY),
    ]
    query = (
        sa.select(*columns)
        .select_from(RUN)
        .join(SUBMISSION, RUN.c.submission_id == SUBMISSION.c.id)
        .join(CONFIG, RUN.c.config_id == CONFIG.c.id)
        .join(CAMPAIGN, RUN.c.campaign_id == CAMPAIGN.c.id)
        .join(IDENTITY, RUN.c.identity_id == IDENTITY.c.id)
        .join(BOARD_SET, RUN.c.board_set_id == BOARD_SET.c.id)
        .order_by(SUBMISSION.c.content_sha256, RUN.c.number)
    )
    rows = connection.execution_options(yield_per=ROWS).execute(query)
    return _write(path, [c.name for c in columns], columns, rows.partitions(ROWS), citation)


def write_configurations(connection: sa.Connection, path: Path, citation: str) -> str:
    """One row a configuration, with what its best tier says; returns the file's SHA-256.

    ``<metric>`` is the mean over submitters' means, ``<metric>_u`` its expanded uncertainty (k = 2;
    null where there is none), ``<metric>_runs`` how many runs it is of.
    """
    described = [
        CONFIG.c[name]
        for name in (
            "hash",
            "experiment_id",
            "device_model",
            "device_count",
            "meter_class",
            "semantics_version",
            "energy_class",
            "model",
            "model_content",
            "weights",
            *(
                n
                for n in DIMENSIONS
                if n not in ("device_model", "device_count", "meter_class", "model", "weights")
            ),
            "best_tier",
            "disagrees",
            "last_at",
            "experiment",
        )
    ]
    summaries = _summaries(connection)
    figures = [
        sa.Column(f"{metric}{ending}", kind)
        for metric in HEADLINE
        for ending, kind in (("", sa.Float()), ("_u", sa.Float()), ("_runs", sa.Integer()))
    ]
    query = sa.select(CONFIG.c.id, *described).order_by(CONFIG.c.hash)
    rows = connection.execution_options(yield_per=ROWS).execute(query)

    def partitions() -> Iterator[list[tuple[Any, ...]]]:
        for part in rows.partitions(ROWS):
            yield [
                (
                    *row[1:-1],
                    json.dumps(row[-1], sort_keys=True, ensure_ascii=False),
                    *summaries.get(row[0], _NO_SUMMARY),
                )
                for row in part
            ]

    columns = [*described, *figures]
    return _write(path, [c.name for c in columns], columns, partitions(), citation)


_NO_SUMMARY: tuple[Any, ...] = (None,) * (3 * len(HEADLINE))


def _summaries(connection: sa.Connection) -> dict[int, tuple[Any, ...]]:
    """Configuration → mean, U and runs of each metric at its best tier."""
    s = CONFIG_SUMMARY.c
    rows = connection.execute(
        sa.select(s.config_id, s.metric, s.mean, s.expanded, s.n)
        .join(CONFIG, sa.and_(s.config_id == CONFIG.c.id, s.tier == CONFIG.c.best_tier))
        .order_by(s.config_id)
    )
    found: dict[int, list[Any]] = {}
    for config, metric, mean, expanded, n in rows:
        at = found.setdefault(config, list(_NO_SUMMARY))
        at[3 * metric : 3 * metric + 3] = (mean, expanded, n)
    return {config: tuple(values) for config, values in found.items()}


def _write(
    path: Path,
    names: Sequence[str],
    columns: Sequence[Any],
    partitions: Iterable[Sequence[Sequence[Any]]],
    citation: str,
) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields = [
        pa.field(name, _arrow(column.type), metadata=_unit(name))
        for name, column in zip(names, columns, strict=True)
    ]
    about = {
        "licence": LICENCE,
        "citation": citation,
        "tiers": json.dumps(TIERS),
        "started_at": "seconds since 1970-01-01 UTC",
    }
    schema = pa.schema(fields, metadata=about)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for rows in partitions:
            by_column = list(zip(*rows, strict=True)) or [()] * len(fields)
            arrays = [pa.array(v, type=f.type) for v, f in zip(by_column, fields, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _arrow(kind: sa.types.TypeEngine[Any]) -> Any:
    import pyarrow as pa

    if isinstance(kind, sa.Boolean):
        return pa.bool_()
    if isinstance(kind, sa.Float):
        return pa.float64()
    if isinstance(kind, sa.Integer):
        return pa.int64()
    return pa.string()


def _unit(name: str) -> dict[str, str] | None:
    metric = name.removesuffix("_u")
    return {"unit": unit_of(metric)} if metric in HEADLINE else None
