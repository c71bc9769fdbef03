"""Answers that are files for other programs: many runs, as CSV, JSON Lines, Parquet or BoAmps."""

import gzip
import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from lem.archive.queries.export import MEDIA_TYPES, ExportQuestion, export
from lem.server.negotiation import takes_gzip
from lem.server.problems import HttpProblem
from lem.server.service import Service

CONTENT: dict[str, Any] = {
    media_type: {"schema": {"type": "string", "format": "binary"}}
    for media_type in MEDIA_TYPES.values()
}
"""Of OpenAPI: what a file may be."""
_CHUNK_BYTES = 256 * 1024
MAX_EXPORT_BYTES = 4 * 2**30


def as_file(service: Service, request: Request, question: ExportQuestion) -> Response:
    """Made whole before the first byte is sent: what fails on the way is an error, not a shorter
    file."""
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
