"""The same questions as files for other programs, and figures that others published."""

import gzip
import tempfile
from collections.abc import Iterator
from typing import Annotated, BinaryIO, cast

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from lem.archive.external import Listed, listed
from lem.archive.queries.answer import Answer, head
from lem.archive.queries.export import MEDIA_TYPES, ExportQuestion, export
from lem.archive.queries.filters import Question
from lem.server.answers import queried, takes_gzip
from lem.server.auth import Here
from lem.server.describe import asked, parameters, problems, read
from lem.server.problems import HttpProblem
from lem.server.service import Service

router = APIRouter(tags=["export"])
_CHUNK_BYTES = 256 * 1024
MAX_EXPORT_BYTES = 4 * 2**30


class Externals(Answer):
    """Measured by others in their own ways: without interval, never ranked with the archive's own.
    Each has its source's licence."""

    rows: list[Listed]
    next: int | None
    """``after`` of the next page."""


class ExternalQuestion(Question):
    after: Annotated[int, Field(ge=0, le=2**53)] = 0
    limit: Annotated[int, Field(ge=1, le=500)] = 100


@router.get(
    "/export",
    response_class=Response,
    responses={
        200: {
            "description": "Runs, with licence and citation inside",
            "content": {
                media_type: {"schema": {"type": "string", "format": "binary"}}
                for media_type in MEDIA_TYPES.values()
            },
        },
        **problems(404),
    },
    openapi_extra=parameters(ExportQuestion),
)
def get_export(
    request: Request,
    service: Here,
    question: Annotated[ExportQuestion, Depends(asked(ExportQuestion))],
) -> Response:
    """Runs as CSV, JSON Lines, Parquet or BoAmps. Made whole before the first byte is sent: what
    fails on the way is an error, not a shorter file."""
    if not service.exporting.acquire(blocking=False):
        raise HttpProblem(
            503, "busy", "other exports are being made", headers={"Retry-After": "15"}
        )
    try:
        compress = question.format != "parquet" and takes_gzip(
            request.headers.get("accept-encoding", "")
        )
        file, media_type, name = _made(service, question, compress)
    finally:
        service.exporting.release()
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Vary": "Accept-Encoding"}
    if compress:
        headers["Content-Encoding"] = "gzip"
    return StreamingResponse(_read(file), media_type=media_type, headers=headers)


def _made(service: Service, question: ExportQuestion, compress: bool) -> tuple[BinaryIO, str, str]:
    """A file on disk, so that a slow reader holds no connection to the database."""
    file = cast("BinaryIO", tempfile.TemporaryFile(dir=service.spool))  # noqa: SIM115
    try:
        with service.database.reading() as connection:
            exported = export(connection, service.packs, question)
            sink = gzip.GzipFile(fileobj=file, mode="wb", compresslevel=5, mtime=0)
            written = 0
            for chunk in exported.chunks:
                written += len(chunk)
                if written > MAX_EXPORT_BYTES:
                    raise HttpProblem(
                        422, "too_many", "too large for one file: narrow the question"
                    )
                (sink if compress else file).write(chunk)
            if compress:
                sink.close()
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file, exported.media_type, exported.file_name


def _read(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


@router.get(
    "/external",
    response_model=Externals,
    responses=read(),
    openapi_extra=parameters(ExternalQuestion),
)
def get_external(
    request: Request,
    service: Here,
    question: Annotated[ExternalQuestion, Depends(asked(ExternalQuestion))],
) -> Response:
    """Figures that others published, in the order in which they were added."""

    def ask(c: object) -> Externals:
        rows = listed(c, question.after, question.limit)  # type: ignore[arg-type]
        return Externals(
            **head(c).fields(),  # type: ignore[arg-type]
            rows=rows,
            next=rows[-1].id if len(rows) == question.limit else None,
        )

    return queried(service, request, question, ask)
