"""Single runs: a list of them, and all that the archive has of one."""

from typing import Annotated, Any, Literal

import sqlalchemy as sa
from pydantic import Field

from lem.archive.queries.answer import (
    Answer,
    CampaignId,
    Configuration,
    ConfigurationId,
    Packs,
    RunId,
    Shape,
    Tier,
)
from lem.archive.queries.cursor import CursorText
from lem.archive.queries.filters import Filtered
from lem.contract.submission import Finding


class ResultsQuestion(Filtered):
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    cursor: CursorText | None = None
    configuration: ConfigurationId | None = None
    campaign: CampaignId | None = None
    counted: bool | None = None
    """Only runs that enter figures, or only those that don't."""


class RunFigure(Shape):
    """Of one run."""

    value: float
    uncertainty: float | None
    """U, expanded (k = 2), of this run's measurement alone; None where none is stated."""
    unit: str


class Run(Shape):
    id: RunId
    configuration: ConfigurationId
    campaign: CampaignId
    submitter: str
    block: int
    attempt: int
    started_at: str
    tier: Tier
    counted: bool
    flags: list[str]
    energy_class: str
    model: str
    backend: str
    engine_version: str
    device_model: str
    device_count: int
    meter_class: str
    figures: dict[str, RunFigure]


class Runs(Answer):
    energy_class: str | None
    """That the runs are of, where the question left it open."""
    rows: list[Run]
    next: str | None


class Provenance(Shape):
    submission: str
    received_at: str
    key: str
    submitter: str
    enrolled_by: str
    checks: str
    log_seq: int
    tier: Tier
    does_not_prove: str
    findings: list[Finding]
    boards: list[str]
    """Salted hashes that tell boards apart and nothing else."""


class Files(Shape):
    """SHA-256 of each file as it was sent (gzip); None where there is none."""

    record: str | None
    trace: str | None
    responses: str | None


class Result(Answer):
    run: Run
    configuration: Configuration
    record: dict[str, Any]
    """The whole public record, as docs/schema/record.json says."""
    provenance: Provenance
    files: Files
    trace_url: str | None
    """Relative to the API's root."""


def results(connection: sa.Connection, question: ResultsQuestion) -> Runs:
    """Newest submission first. A cursor stays good while the archive grows: no run comes twice;
    those that arrive meanwhile are not in later pages."""
    raise NotImplementedError


def result(connection: sa.Connection, packs: Packs, run: str) -> Result:
    """Raises :class:`Refused` (404)."""
    raise NotImplementedError


class Series(Shape):
    meter: str
    device: str
    quantity: str
    readings: int
    """As many as there are in the trace."""
    t_s: list[float]
    """Seconds after the trace's first reading."""
    value: list[float]


class Trace(Answer):
    run: RunId
    sampled: bool
    """Whether readings were left out: then each kept one is a reading as it was, none a mean."""
    series: list[Series]


Kind = Literal["trace", "responses"]


def trace(connection: sa.Connection, packs: Packs, run: str, points: int = 2000) -> Trace:
    """At most ``points`` (10 to 20,000) readings of each series. Raises :class:`Refused` (404)."""
    raise NotImplementedError


def file_of(connection: sa.Connection, packs: Packs, run: str, kind: Kind) -> bytes:
    """The file as it was sent: CSV, gzip. Raises :class:`Refused` (404)."""
    raise NotImplementedError
