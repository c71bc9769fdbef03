"""How long a server takes to make a page: asked from a process of its own, one after the other,
with gzip and without ETag. ``python -m bench.pages.server URL`` reads addresses as JSON."""

import http.client
import json
import subprocess
import sys
import time
from urllib.parse import urlsplit


def asked(url: str, addresses: list[str]) -> tuple[list[float], list[int]]:
    """Seconds and bytes, as sent, of each answer."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.pages.server", url],
        input=json.dumps(addresses),
        check=True,
        capture_output=True,
        text=True,
        timeout=900,
    )
    seconds, sizes = json.loads(done.stdout)
    return seconds, sizes


def _ask(url: str, addresses: list[str]) -> tuple[list[float], list[int]]:
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
    headers = {"Accept": "text/html", "Accept-Encoding": "gzip"}
    seconds, sizes = [], []
    for address in addresses:
        start = time.perf_counter()
        connection.request("GET", address, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        seconds.append(time.perf_counter() - start)
        sizes.append(len(body))
        if answer.status != 200:
            raise RuntimeError(f"{address}: {answer.status}")
    return seconds, sizes


if __name__ == "__main__":
    print(json.dumps(_ask(sys.argv[1], json.loads(sys.stdin.read()))))
