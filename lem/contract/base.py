"""What every wire document shares: strictness, one way to write it, one way to read it."""

import json
import os
import stat
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from lem.contract.migrate import migrate
from lem.errors import BadInput, Problem

CONTRACT_VERSION = 1
"""Raised when host and agent can no longer understand each other's documents."""

MAX_DOCUMENT_BYTES = 64 * 2**20

Scalar = str | int | float | bool | None
Positive = Annotated[int, Field(ge=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")]


def wrong(message: str) -> PydanticCustomError:
    """An error of a validator; the message is shown as it is."""
    return PydanticCustomError("lem", "{text}", {"text": message})


def _zoned(text: str) -> str:
    try:
        zone = datetime.fromisoformat(text).tzinfo
    except ValueError:
        zone = None
    if zone is None:
        raise ValueError(f"{text!r} is not an ISO 8601 time with its zone")
    return text


Timestamp = Annotated[str, AfterValidator(_zoned)]
"""ISO 8601 with zone, as :func:`utc_now` writes it."""


class Part(BaseModel):
    """A piece of a document: unknown keys, wrong types, NaN and infinity are refused."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        ser_json_inf_nan="strings",
        protected_namespaces=(),
    )


class Document(Part):
    """A whole wire document. Each kind has its own ``schema_version``."""

    def write(self, path: Path) -> None:
        """Write atomically: a reader sees the whole document or none."""
        write_atomic(path, (self.model_dump_json(indent=1) + "\n").encode())

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read, migrate from any older version, and check. Raises :class:`BadInput`.

        Only a plain file is read: of anything else that may lie there, a link could lead to what
        is not meant to be read, and a pipe or a device would never end.
        """
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(handle, "rb") as f:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    raise BadInput([Problem("is not a file", file=str(path))])
                data = f.read(MAX_DOCUMENT_BYTES + 1)
        except OSError as e:
            raise BadInput([Problem(f"cannot be read: {e.strerror}", file=str(path))]) from e
        if len(data) > MAX_DOCUMENT_BYTES:
            raise BadInput([Problem("larger than 64 MiB", file=str(path))])
        return cls.parse(data, str(path))

    @classmethod
    def parse(cls, data: bytes, source: str = "") -> Self:
        """As :meth:`read`, from bytes; ``source`` names them in errors."""
        try:
            raw = json.loads(data)
        except (ValueError, RecursionError) as e:
            raise BadInput([Problem(f"is not JSON: {e}", file=source)]) from e
        if not isinstance(raw, dict):
            raise BadInput([Problem("is not a JSON object", file=source)])
        raw = migrate(cls.__name__.lower(), raw, source)
        try:
            return cls.model_validate_json(json.dumps(raw, allow_nan=False))
        except (ValidationError, ValueError, RecursionError) as e:
            raise BadInput(_problems(e, source)) from e


def write_atomic(path: Path, data: bytes) -> None:
    """Write aside, fsync, rename, fsync the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        Path(aside).chmod(0o644)
        Path(aside).replace(path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def utc_now() -> str:
    """The time in UTC, ISO 8601 with milliseconds: how documents write it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def whole_text(text: str) -> str:
    """``text`` as a document can hold it: halves of surrogate pairs become question marks. What
    engines and file names say may have them."""
    return text.encode("utf-8", "replace").decode()


def canonical_json(value: Any) -> bytes:
    """One spelling for each value: sorted keys, no spaces, 1.0 written as 1 (as RFC 8785 does).

    Two configurations that mean the same thing give the same bytes, so the same hash. Unlike there,
    keys are sorted by code point, whole numbers keep all their digits, and fractions below 1e-4 are
    written as Python does.
    """
    return json.dumps(
        _plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def _problems(error: Exception, source: str) -> list[Problem]:
    if not isinstance(error, ValidationError):
        return [Problem(str(error), file=source)]
    return [
        Problem(
            f"{path}: {e['msg']}" if (path := path_of(e["loc"])) else e["msg"],
            file=source,
            path=path,
        )
        for e in error.errors()
    ]


def path_of(location: tuple[int | str, ...]) -> str:
    """``("windows", 0, "energy")`` → ``windows.0.energy``."""
    return ".".join(str(p) for p in location)
