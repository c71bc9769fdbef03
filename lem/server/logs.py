"""The server's log: one line an event on stderr, JSON or text; never a body, query or secret."""

import ipaddress
import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from lem.server.settings import Addresses, LogFormat

LOGGER = logging.getLogger("lem.server")
_OURS = "fields"
# Debug output of these could show addresses, statements and their values.
_QUIET = ("sqlalchemy", "alembic", "httpx", "limits", "asyncio", "urllib3")


class JsonLines(logging.Formatter):
    """ASCII alone: nothing that was sent can end a line or begin another."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, _OURS, {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True, default=str)


class TextLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        fields = " ".join(f"{k}={v}" for k, v in getattr(record, _OURS, {}).items())
        head = f"{at} {record.levelname.lower()} {record.getMessage()} {fields}".rstrip()
        line = head.encode("unicode_escape").decode()
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def set_up(form: LogFormat, level: int = logging.INFO) -> None:
    """Everything that this process logs goes to stderr in one form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    LOGGER.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers = []
    logging.getLogger("uvicorn.access").disabled = True
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def log(level: int, event: str, **fields: Any) -> None:
    """``event`` is a fixed text; what varies goes into ``fields``."""
    LOGGER.log(level, event, extra={_OURS: fields})


def failure(event: str, error: BaseException, **fields: Any) -> None:
    """An error that should not be, with where it came from. Its own text stays out: a database's
    errors quote values."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    log(
        logging.ERROR,
        event,
        error=type(error).__name__,
        said=None if _may_quote(error) else str(error)[:200],
        frames=frames[-12:],
        **fields,
    )


def _may_quote(error: BaseException) -> bool:
    return type(error).__module__.split(".")[0] in ("sqlalchemy", "psycopg", "pydantic_core")


def shown_address(address: str, how: Addresses) -> str | None:
    """As much of a client's address as the operator wants in the log."""
    if how == "none":
        return None
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if how == "full":
        return str(ip)
    prefix = 24 if ip.version == 4 else 48
    return str(ipaddress.ip_network((ip, prefix), strict=False))
