"""Runs as files for other programs, with licence and citation inside."""

from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple

import sqlalchemy as sa
from pydantic import Field

from lem.archive.queries.answer import CampaignId, ConfigurationId, Packs
from lem.archive.queries.filters import Filtered

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
    """As :class:`~lem.archive.queries.results.ResultsQuestion`, without pages."""

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
    byte: a cut-off data set looks whole."""
    raise NotImplementedError
