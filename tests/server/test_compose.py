"""compose/compose.yaml for real: hardened containers, and a backup that is restored."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from postgres import free_port
from server.signing import enrolled

from lem.archive.log import LogEntry, verify

ROOT = Path(__file__).parents[2]
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

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.url = f"http://127.0.0.1:{port}"
        self._command = [*compose(), "-p", name, "-f", str(FILE)]
        self._environment = {
            **os.environ,
            "LEM_PORT": str(port),
            "LEM_POSTGRES_IMAGE": IMAGE,
            "LEM_SERVER_IMAGE": "lem-test/server:compose",
            "LEM_ENROLMENT": "open",
            "DOCKER_BUILDKIT": "0",
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


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    folder = Path(__file__).parent / "postgres_image"
    subprocess.run(
        ["docker", "build", "-q", "-t", IMAGE, str(folder)],
        env={**os.environ, "DOCKER_BUILDKIT": "0"},
        check=True,
        capture_output=True,
        timeout=600,
    )
    found = Project(f"lemtest{os.getpid()}", free_port())
    try:
        found.run("build", "server")
        found.up()
        yield found
    finally:
        found.down()


def log_of(url: str) -> list[LogEntry]:
    entries = httpx.get(f"{url}/api/v1/log").json()["entries"]
    return [LogEntry.model_validate_json(json.dumps(e)) for e in entries]


@pytest.mark.docker
@pytest.mark.slow
def test_the_containers_can_do_little(project: Project) -> None:
    for service in ("server", "database"):
        facts = project.inspected(service)
        host = facts["HostConfig"]
        assert facts["Config"]["User"] not in ("", "root", "0"), service
        assert host["ReadonlyRootfs"] is True
        assert host["CapDrop"] == ["ALL"] and not host["CapAdd"]
        assert "no-new-privileges:true" in host["SecurityOpt"]
        assert host["PidsLimit"] == 256 and host["Memory"] == 2 * 2**30
        shown = json.dumps([facts["Config"]["Env"], facts["Args"], facts["Config"]["Cmd"]])
        password = project.run("exec", "-T", service, "cat", "/secrets/database_password")
        assert len(password) == 64 and password.decode() not in shown
    assert project.inspected("database")["HostConfig"]["PortBindings"] in ({}, None)
    bound = project.inspected("server")["HostConfig"]["PortBindings"]["8000/tcp"]
    assert [b["HostIp"] for b in bound] == ["127.0.0.1"]


@pytest.mark.docker
@pytest.mark.slow
def test_a_backup_brings_the_same_archive_back(project: Project) -> None:
    """The commands of docs/server.md, in their order."""
    with httpx.Client(base_url=project.url) as client:
        for seed in (1, 2):
            enrolled(client, seed)
        before = client.get("/api/v1/archive").json()
    pack = "packs/ab/" + "ab" * 32 + ".tar"
    write = f"mkdir -p /data/packs/ab && printf 'as it was sent' > /data/{pack}"
    project.run("exec", "-T", "server", "sh", "-c", write)
    log = log_of(project.url)
    assert verify(log).seq == 2

    dump = project.run("exec", "-T", "database", "pg_dump", "-U", "lem", "-Fc", "lem")
    packs = project.run("exec", "-T", "server", "tar", "-C", "/data", "-cf", "-", "packs")
    project.down()
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"{project.url}/healthz", timeout=5)

    project.run("up", "-d", "--no-build", "database")
    until = time.monotonic() + PATIENCE_S
    ready = ("exec", "-T", "database", "pg_isready", "-h", "127.0.0.1", "-U", "lem", "-d", "lem")
    while b"accepting" not in project.run(*ready, check=False) and time.monotonic() < until:
        time.sleep(0.5)
    restore = ("exec", "-T", "database", "pg_restore", "-U", "lem", "-d", "lem", "--exit-on-error")
    project.run(*restore, stdin=dump)
    unpack = ("run", "--rm", "-T", "--entrypoint", "tar", "server", "-C", "/data", "-xf", "-")
    project.run(*unpack, stdin=packs)
    project.up()

    assert httpx.get(f"{project.url}/api/v1/archive").json() == before
    assert log_of(project.url) == log
    assert project.run("exec", "-T", "server", "cat", f"/data/{pack}") == b"as it was sent"
    with httpx.Client(base_url=project.url) as client:
        enrolled(client, 3)
    assert verify(log_of(project.url)).seq == 3


def test_what_the_file_promises() -> None:
    """Without Docker: nothing but the server's port is published, and on loopback by default."""
    services = yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"]
    assert {name: s.get("ports") for name, s in services.items() if s.get("ports")} == {
        "server": ["${LEM_ADDRESS:-127.0.0.1}:${LEM_PORT:-8000}:8000"]
    }
    for name, service in services.items():
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"], name
        assert "environment" not in service or not any(
            "PASSWORD" in key and not key.endswith("_FILE") for key in service["environment"]
        )
