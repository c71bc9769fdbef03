"""How answers go out: as JSON, with an ETag of the archive's state and the question, kept encoded
while that state lasts, compressed where the client takes it.

Nothing that is answered here is secret, so that its compressed length gives nothing away.
"""

import hashlib
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import orjson
import sqlalchemy as sa
from fastapi import Request, Response
from pydantic import BaseModel

from lem import __version__
from lem.archive.database import data_state
from lem.contract.metrics import METRIC_SEMANTICS_VERSION
from lem.server.cache import Encoded
from lem.server.negotiation import is_known, takes_gzip
from lem.server.problems import API_SCHEMA_VERSION
from lem.server.service import Service

REVALIDATED = "public, no-cache"
"""May be kept by anyone, and is asked for again each time: the answer is then mostly a 304."""
_GZIP_FIGURES, _GZIP_LEVEL, _GZIP_ONCE = 1, 5, 9
"""Of columns of figures, on which higher ones take several times as long for a twentieth less; of
all else; and of what is made once."""
_GZIP_BITS = 16 + zlib.MAX_WBITS
_FIGURES_MEMORY = 5
"""zlib's ``memLevel``: blocks of 2,000 digits have codes of their own, as fits columns that follow
each other; a fifth less than in blocks of 16,000."""


def encode(answer: BaseModel | dict[str, Any]) -> bytes:
    if isinstance(answer, BaseModel):
        # pydantic writes models faster than orjson writes what they dump to.
        return answer.__pydantic_serializer__.to_json(answer, by_alias=True)
    return orjson.dumps(answer)


def fresh(answer: BaseModel | dict[str, Any], status: int = 200, **headers: str) -> Response:
    """An answer of its moment, not to be kept."""
    return Response(encode(answer), status, media_type="application/json", headers=headers)


def queried(
    service: Service,
    request: Request,
    question: BaseModel | None,
    ask: Callable[[sa.Connection], BaseModel],
    state: Callable[[sa.Connection], str] | None = None,
    figures: bool = False,
) -> Response:
    """The answer to a GET. ``ask`` is only called where nobody asked this of this state before.
    ``state``: what else the answer depends on, where the data version does not tell. ``figures``:
    it is columns of them, in which nothing comes twice: compression does not look for that."""
    asked = b"" if question is None else question.model_dump_json().encode()
    return of_state(
        service,
        request,
        asked,
        lambda c: (encode(ask(c)), "application/json"),
        state,
        figures,
    )


def of_state(
    service: Service,
    request: Request,
    asked: bytes,
    make: Callable[[sa.Connection], tuple[bytes, str]],
    state: Callable[[sa.Connection], str] | None = None,
    figures: bool = False,
    headers: Mapping[str, str] | None = None,
    once: bool = False,
) -> Response:
    """What ``make`` makes (a body and its media type) of the archive's state, of the path and of
    ``asked`` alone. It is only called where nobody asked this of this state before. ``once``: it is
    made once for very many readers, and worth the time that compressing it well takes."""
    with service.database.reading() as connection:
        version, name, _ = data_state(connection)
        more = state(connection) if state else ""
        key = _key(request.scope["path"], asked, name, more)
        given = {
            "ETag": f'W/"{version}-{key[:24]}"',
            "Cache-Control": REVALIDATED,
            "Vary": "Accept-Encoding",
            "Lem-Data-Version": str(version),
            **(headers or {}),
        }
        if is_known(request.headers.get("if-none-match", ""), given["ETag"]):
            service.metrics.cached.labels("not_modified").inc()
            return Response(status_code=304, headers=given)
        encoded = service.cache.get(version, key)
        if encoded is None:
            service.metrics.cached.labels("made").inc()
            body, media_type = make(connection)
        else:
            service.metrics.cached.labels("cache").inc()
    gzipped = takes_gzip(request.headers.get("accept-encoding", ""))
    if encoded is None:
        encoded = _compressed(Encoded(body, None, media_type), service, gzipped, figures, once)
    elif encoded.gzip is not None or not gzipped:
        return _sent(encoded, gzipped, given)
    else:
        encoded = _compressed(encoded, service, gzipped, figures, once)
    service.cache.put(version, key, encoded)
    return _sent(encoded, gzipped, given)


def known_beforehand(
    service: Service,
    connection: sa.Connection,
    path: str,
    asked: bytes,
    make: Callable[[sa.Connection], tuple[bytes, str]],
) -> None:
    """Make now what :func:`of_state` would make for the first who asks this of the state that the
    connection sees."""
    version, name, _ = data_state(connection)
    key = _key(path, asked, name)
    if service.cache.get(version, key) is None:
        body, media_type = make(connection)
        encoded = _compressed(Encoded(body, None, media_type), service, True, False, False)
        service.cache.put(version, key, encoded)


def _key(path: str, asked: bytes, state: str, more: str = "") -> str:
    versions = f"{__version__} {API_SCHEMA_VERSION} {METRIC_SEMANTICS_VERSION} {state} {more}"
    return hashlib.sha256(f"{versions} {path}\n".encode() + asked).hexdigest()


def _compressed(
    encoded: Encoded, service: Service, gzipped: bool, figures: bool, once: bool
) -> Encoded:
    """Compressed too, where the client takes that and it is worth it."""
    if not gzipped or len(encoded.plain) < service.settings.bounds.compress_bytes:
        return encoded
    level = _GZIP_ONCE if once else _GZIP_FIGURES if figures else _GZIP_LEVEL
    how = zlib.Z_RLE if figures else zlib.Z_DEFAULT_STRATEGY
    memory = _FIGURES_MEMORY if figures else zlib.DEF_MEM_LEVEL
    compress = zlib.compressobj(level, zlib.DEFLATED, _GZIP_BITS, memory, how)
    return encoded._replace(gzip=compress.compress(encoded.plain) + compress.flush())


def _sent(encoded: Encoded, gzipped: bool, headers: dict[str, str]) -> Response:
    body = encoded.plain
    if encoded.gzip is not None and gzipped:
        body = encoded.gzip
        headers = {**headers, "Content-Encoding": "gzip"}
    return Response(body, media_type=encoded.media_type, headers=headers)
