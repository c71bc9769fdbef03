"""compose/compose.yaml as a project of its own, with a PostgreSQL that needs no registry."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from postgres import free_port

ROOT = Path(__file__).parents[1]
FILE = ROOT / "compose" / "compose.yaml"
IMAGE = "lem-test/postgres:15"
PATIENCE_S = 180


def compose() -> list[str]:
    """``docker compose`` where there is the plugin, else ``docker-compose``."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if plugin.returncode == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    how = "neither docker compose nor docker-compose is here: apt-get install docker-compose"
    if os.environ.get("CI") == "true":
        pytest.fail(how)
    pytest.skip(how)


class Project:
    """One set of containers, networks and volumes."""

    def __init__(
        self, name: str, port: int, environment: Mapping[str, str], profile: str | None
    ) -> None:
        self.name = name
        self.url = f"http://127.0.0.1:{port}"
        profiles = ["--profile", profile] if profile else []
        self._command = [*compose(), "-p", name, "-f", str(FILE), *profiles]
        self._environment = {
            **os.environ,
            "LEM_PORT": str(port),
            "LEM_POSTGRES_IMAGE": IMAGE,
            "LEM_SERVER_IMAGE": "lem-test/server:compose",
            "LEM_ENROLMENT": "open",
            "DOCKER_BUILDKIT": "0",
            **environment,
        }

    def run(self, *arguments: str, stdin: bytes = b"", check: bool = True) -> bytes:
        done = subprocess.run(
            [*self._command, *arguments],
            env=self._environment,
            input=stdin,
            capture_output=True,
            timeout=900,
            check=False,
        )
        if check and done.returncode:
            said = done.stderr.decode(errors="replace")[-3000:]
            raise AssertionError(f"{' '.join(arguments)} ended with {done.returncode}: {said}")
        return done.stdout

    def up(self) -> None:
        self.run("up", "-d", "--no-build")
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            try:
                if httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.5)
        raise AssertionError(self.run("logs", "--tail=50").decode(errors="replace"))

    def inspected(self, service: str) -> Any:
        container = self.run("ps", "-q", service).decode().strip()
        done = subprocess.run(["docker", "inspect", container], capture_output=True, check=True)
        return json.loads(done.stdout)[0]

    def down(self) -> None:
        self.run("down", "-v", "--remove-orphans", "-t", "20", check=False)


@contextmanager
def project(
    environment: Mapping[str, str] | None = None, profile: str | None = None
) -> Iterator[Project]:
    """Built and up; removed afterwards, with its volumes. ``environment``: beside the caller's."""
    folder = ROOT / "tests" / "server" / "postgres_image"
    subprocess.run(
        ["docker", "build", "-q", "-t", IMAGE, str(folder)],
        env={**os.environ, "DOCKER_BUILDKIT": "0"},
        check=True,
        capture_output=True,
        timeout=600,
    )
    found = Project(f"lemtest{os.getpid()}", free_port(), environment or {}, profile)
    try:
        found.run("build", "server", *([profile] if profile else []))
        found.up()
        yield found
    finally:
        found.down()
