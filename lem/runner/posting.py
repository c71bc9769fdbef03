"""Posts live events with as little work as can be: several times a second, while something is
measured on the same machine.

Python's own HTTP client takes a third of the time of the one that everything else is asked with.
It is used where a plain answer comes; whatever else happens, the same batch goes the other way,
which knows what to make of it. A batch that comes twice is taken once.
"""

import http.client
import ssl
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies_environment

import httpx

from lem import __version__
from lem.contract.live import Taken
from lem.errors import BadInput
from lem.submit.client import API, ArchiveClient

PATH = "/runners/events"
ANSWER_S = 15.0
MAX_ANSWER_BYTES = 65_536


class Posts:
    """To one server. Not for several threads."""

    def __init__(self, client: ArchiveClient, token: str) -> None:
        self._client = client
        self._headers = {
            "User-Agent": f"lem/{__version__}",
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
        }
        parts = urlsplit(client.url)
        self._path = f"{parts.path}{API}{PATH}"
        self._connection: http.client.HTTPConnection | None = None
        if getproxies_environment():
            return
        host = parts.hostname or ""
        more: dict[str, Any] = {"timeout": ANSWER_S}
        if parts.scheme == "https":
            context: ssl.SSLContext = httpx.create_ssl_context()
            self._connection = http.client.HTTPSConnection(
                host, parts.port, context=context, **more
            )
        else:
            self._connection = http.client.HTTPConnection(host, parts.port, **more)

    def post(self, batch: bytes) -> Taken | None:
        """What the server answers to a batch. Raises as ``ArchiveClient.tell``."""
        found = self._plainly(batch)
        return self._client.tell(Taken, PATH, batch) if found is None else found

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._client.close()

    def _plainly(self, batch: bytes) -> Taken | None:
        """The answer, or None where it is anything but a plain one."""
        connection = self._connection
        if connection is None:
            return None
        try:
            connection.request("POST", self._path, batch, self._headers)
            answer = connection.getresponse()
            data = answer.read(MAX_ANSWER_BYTES)
            if not answer.isclosed():
                connection.close()
            return Taken.parse(data) if answer.status == 200 else None
        except (http.client.HTTPException, OSError, BadInput):
            connection.close()
            return None
