"""The real server in a process of its own, and load on it from another."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.archive.load import Taken

START_S = 60


@contextmanager
def served(database_url: str | None, data: Path, checkers: int = 0) -> Iterator[str]:
    """The server's address while it runs."""
    port = _free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LEM_")}
    environment |= {"LEM_CHECKERS": str(checkers)}
    if database_url is not None:
        environment["LEM_DATABASE_URL"] = database_url
    log = data / "serve.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.archive.server", str(data), str(port)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=environment,
            start_new_session=True,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(process, f"{url}/readyz", log)
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def load(url: str, kind: str, count: int, clients: int, seed: int = 1) -> Taken:
    """What a process of its own measures; see ``bench.archive.load``."""
    arguments = [url, kind, str(count), str(clients), str(seed)]
    done = subprocess.run(
        [sys.executable, "-m", "bench.archive.load", *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=900,
    )
    return Taken(**json.loads(done.stdout))


def _wait(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"lem serve is not ready: {log.read_text()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
