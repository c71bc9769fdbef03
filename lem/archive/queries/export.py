"""Runs as files for other programs, with licence and citation inside."""

import json
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import sqlalchemy as sa
from pydantic import Field

from lem.archive.queries.answer import (
    LICENCE,
    CampaignId,
    ConfigurationId,
    Head,
    Packs,
    head,
    tier_name,
    unit_of,
)
from lem.archive.queries.filters import CLASS_ORDER, Filtered
from lem.archive.queries.members import Members
from lem.archive.queries.runs import FLAT, flat, run_conditions, runs_query
from lem.archive.queries.selection import Condition
from lem.archive.refused import Refused
from lem.archive.schema import CONFIG, HEADLINE, RUN
from lem.contract.base import canonical_json
from lem.report.boamps import report
from lem.report.export import csv_lines
from lem.report.parquet import Kind, parquet_chunks

MOST = 1_000_000
MOST_BOAMPS = 10_000
"""Each is a document of its own, made of the run's record."""

Format = Literal["csv", "jsonl", "parquet", "boamps"]
MEDIA_TYPES: dict[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "boamps": "application/x-ndjson",
}


class ExportQuestion(Filtered):
    """As :class:`~lem.archive.queries.results.ResultsQuestion`, without pages, and of one class:
    without ``class``, the first of gpu, module, cpu, … of which runs match."""

    format: Format = "csv"
    configuration: ConfigurationId | None = None
    campaign: CampaignId | None = None
    counted: bool | None = True
    limit: Annotated[int, Field(ge=1, le=MOST)] = 100_000


class Exported(NamedTuple):
    media_type: str
    file_name: str
    chunks: Iterator[bytes]
    """Made while they are read: the connection has to stay open until the end."""


def export(connection: sa.Connection, packs: Packs, question: ExportQuestion) -> Exported:
    """Raises :class:`Refused` (422 ``too_many``) where more match than ``limit``, before the first
    byte: a cut-off data set looks whole.

    Every row says its licence, its citation and the versions of data and definitions; a Parquet
    file says them in its metadata too.
    """
    import orjson

    question = _of_one_class(connection, question)
    where, semantics = run_conditions(
        connection, question, question.configuration, question.campaign, question.counted
    )
    limit = min(question.limit, MOST_BOAMPS) if question.format == "boamps" else question.limit
    some = runs_query().with_only_columns(RUN.c.id).where(*where).limit(limit + 1).subquery()
    count = connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()
    if count > limit:
        raise Refused(
            "too_many",
            f"more than {limit} runs match, and a part of them would look like all",
            hint="add filters, raise limit, or take the archive's dump",
        )
    about = head(connection, semantics)
    rows = _rows(connection, where, about)
    chunks: Iterator[bytes]
    if question.format == "csv":
        chunks = (line.encode() for line in csv_lines(list(COLUMNS), rows))
    elif question.format == "jsonl":
        chunks = (orjson.dumps(row) + b"\n" for row in rows)
    elif question.format == "parquet":
        chunks = parquet_chunks(rows, COLUMNS, _metadata(about))
    else:
        chunks = _reports(connection, packs, where, about)
    ending = "jsonl" if question.format == "boamps" else question.format
    name = f"lem-{question.format}-{about.data_version}.{ending}"
    return Exported(MEDIA_TYPES[question.format], name, _together(chunks))


def _of_one_class(connection: sa.Connection, question: ExportQuestion) -> ExportQuestion:
    """Energies of several device classes, and estimates, never stand in one column: without a
    class, the first that matches."""
    if question.energy_class is not None:
        return question
    where, _ = run_conditions(
        connection, question, question.configuration, question.campaign, question.counted
    )
    for name in CLASS_ORDER:
        one = runs_query().with_only_columns(RUN.c.id).where(*where, CONFIG.c.energy_class == name)
        if connection.execute(one.limit(1)).first() is not None:
            return question.model_copy(update={"energy_class": name})
    return question


PAGE = 2000
PIECE = 64 * 1024
_TEXTS = ("run", "configuration", "experiment_id", "campaign", "submitter", "started_at", "tier",
          "flags", "energy_class", "model", "backend", "engine_version", "device_model",
          "meter_class", "licence", "citation")  # fmt: skip
_WHOLE = ("block", "attempt", "device_count", "semantics_version", "data_version")
COLUMNS: dict[str, Kind] = {
    name: "text"
    if name in _TEXTS
    else "whole"
    if name in _WHOLE
    else "boolean"
    if name == "counted"
    else "number"
    for name in (*FLAT, "licence", "citation", "data_version")
}


def _rows(
    connection: sa.Connection, where: Sequence[Condition], about: Head
) -> Iterator[dict[str, object]]:
    said = {
        "licence": LICENCE,
        "citation": about.citation,
        "data_version": about.data_version,
    }
    for row in _pages(connection, where):
        yield flat(row) | said


def _pages(connection: sa.Connection, where: Sequence[Condition]) -> Iterator[sa.Row[Any]]:
    """In the order of arrival, page by page, so that few rows are in memory."""
    last = -1
    while True:
        query = runs_query().where(*where, RUN.c.id > last).order_by(RUN.c.id).limit(PAGE)
        rows = connection.execute(query).all()
        yield from rows
        if len(rows) < PAGE:
            return
        last = rows[-1]._mapping["id"]


def _reports(
    connection: sa.Connection, packs: Packs, where: Sequence[Condition], about: Head
) -> Iterator[bytes]:
    """A BoAmps report of each run that has energy and its record here."""
    for row in _pages(connection, where):
        try:
            record = Members(connection, packs, row).record()
        except Refused:
            continue
        r = row._mapping
        run = f"{r['content_sha256']}-{r['number']}"
        found = report(
            record,
            licence=LICENCE,
            publisher=r["submitter"],
            identity=run,
            note=f"{tier_name(r['tier'])}; run {run} of {about.citation}",
        )
        if found is not None:
            yield canonical_json(found) + b"\n"


def _metadata(about: Head) -> dict[str, str]:
    return {
        "licence": LICENCE,
        "citation": about.citation,
        "data_version": str(about.data_version),
        "metric_semantics_version": str(about.metric_semantics_version),
        "schema_version": "1",
        "units": json.dumps({name: unit_of(name) for name in HEADLINE}),
        "uncertainty": "columns …_uncertainty are expanded (k = 2), of a run's measurement alone",
    }


def _together(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """In pieces of some size."""
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size >= PIECE:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)
