"""Asks a meter outside the machine for its number: a command, a page, a Prometheus server.

What comes back is somebody else's: exactly one finite number in a plain form, or no reading.
"""

from __future__ import annotations

import http.client
import json
import math
import re
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode, urlsplit

from lem.meters.sampling import background

_NUMBER = re.compile(r"\s*([+-]?\d{1,20}(?:\.\d{1,20})?(?:[eE][+-]?\d{1,2})?)\s*", re.ASCII)

Read = Callable[[], tuple[float | None, str]]


def reader(one: dict[str, Any]) -> Read:
    """A function that gives the meter's number in its own unit, or None and why not."""
    if "command" in one:
        return lambda: _from_command(one["command"], one["timeout_s"])
    return lambda: _from_url(one)


def number(text: str) -> float | None:
    """Exactly one decimal number, spaces around it allowed. None for anything else."""
    found = _NUMBER.fullmatch(text)
    value = float(found[1]) if found else math.nan
    return value if math.isfinite(value) else None


def prometheus(text: str) -> float | None:
    """The value of an instant query's answer that is one scalar or a vector of one element. None
    for anything else: of two series it is not known which is meant."""
    data = _json(text)
    if not isinstance(data, dict) or data.get("status") != "success":
        return None
    found = data.get("data")
    if not isinstance(found, dict):
        return None
    result = found.get("result")
    if found.get("resultType") == "vector":
        if not isinstance(result, list) or len(result) != 1 or not isinstance(result[0], dict):
            return None
        result = result[0].get("value")
    elif found.get("resultType") != "scalar":
        return None
    if not isinstance(result, list) or len(result) != 2 or not isinstance(result[1], str):
        return None
    return number(result[1])


def at_field(text: str, field: str) -> float | None:
    """The number at a dotted path of a JSON document; list positions are numbers."""
    node = _json(text)
    for key in field.split("."):
        if isinstance(node, dict) and key in node:
            node = node[key]
        elif isinstance(node, list) and key.isdecimal() and int(key) < len(node):
            node = node[int(key)]
        else:
            return None
    if isinstance(node, str):
        return number(node)
    if isinstance(node, bool) or not isinstance(node, int | float):
        return None
    return float(node) if abs(node) < 1e300 and math.isfinite(node) else None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _from_command(command: list[str], timeout_s: float) -> tuple[float | None, str]:
    ran = background.run(command, timeout_s)
    if ran.code is None:
        return None, f"{command[0]}: {ran.error[:200]}"
    if ran.code != 0:
        return None, f"{command[0]} ended with {ran.code}: {ran.error.strip()[:200]}"
    value = number(ran.output)
    return value, "" if value is not None else f"not one number: {ran.output.strip()[:80]!r}"


def _from_url(one: dict[str, Any]) -> tuple[float | None, str]:
    url = one["url"]
    if "query" in one:
        url = f"{url.rstrip('/')}/api/v1/query?{urlencode({'query': one['query']})}"
    try:
        text = fetch(url, one["timeout_s"])
    except (OSError, http.client.HTTPException, ValueError) as e:
        return None, f"{type(e).__name__}: {e}"[:200]
    if "query" in one:
        value = prometheus(text)
    elif "field" in one:
        value = at_field(text, one["field"])
    else:
        value = number(text)
    return value, "" if value is not None else f"not one number: {text.strip()[:80]!r}"


def fetch(url: str, timeout_s: float) -> str:
    """The body of a GET. No redirects, no proxy, at most 64 KiB, all of it within the timeout once
    there is a connection. Raises OSError, HTTPException or ValueError."""
    parts = urlsplit(url)
    host = parts.hostname
    if host is None:
        raise ValueError("no host in the address")
    secure = parts.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(host, parts.port)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with socket.create_connection((host, connection.port), timeout_s) as plain:
        late = threading.Event()
        # A socket's own time-out begins anew with each byte, and a server may send bytes of its
        # handshake, status and headers for ever. TLS takes `plain` over; this one stays.
        held = plain.dup()
        limit = threading.Timer(timeout_s, _shut, (held, late))
        limit.daemon = True
        limit.start()
        try:
            connection.sock = _wrapped(plain, host) if secure else plain
            connection.request("GET", target, headers={"Accept": "*/*", "Connection": "close"})
            body = _body(connection)
        except (OSError, http.client.HTTPException, ValueError):
            if not late.is_set():
                raise
        finally:
            limit.cancel()
            limit.join()
            held.close()
            connection.close()
    # What was cut off at the limit looks as if it had ended there.
    if late.is_set():
        raise TimeoutError(f"no whole answer within {timeout_s:g} s")
    return body.decode("utf-8", "replace")


def _body(connection: http.client.HTTPConnection) -> bytes:
    with connection.getresponse() as answer:
        if answer.status != 200:
            raise ValueError(f"HTTP status {answer.status}")
        body = answer.read(background.OUTPUT_BYTES + 1)
    if len(body) > background.OUTPUT_BYTES:
        raise ValueError("the answer is too long")
    return body


def _wrapped(plain: socket.socket, host: str) -> ssl.SSLSocket:
    return ssl.create_default_context().wrap_socket(plain, server_hostname=host)


def _shut(held: socket.socket, late: threading.Event) -> None:
    late.set()
    with suppress(OSError):
        held.shutdown(socket.SHUT_RDWR)
