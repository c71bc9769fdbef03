"""compose/compose.yaml for real: hardened containers, and a backup that is restored."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import composed
import httpx
import pytest
import yaml
from composed import FILE, PATIENCE_S, Project
from tick import LEM, environment, write_campaign

from lem.archive.log import LogEntry, verify


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    with composed.project() as found:
        yield found


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


def asked(url: str) -> Any:
    """The board of estimated energy, once its only campaign is checked."""
    until = time.monotonic() + PATIENCE_S
    while True:
        found = httpx.get(f"{url}/api/v1/leaderboard", params={"class": "estimated"}).json()
        rows = found["rows"]
        if rows and all(r["figure"]["tier"] == "recomputed" for r in rows):
            return found
        assert time.monotonic() < until, json.dumps(found)[:4000]
        time.sleep(0.5)


@pytest.mark.docker
@pytest.mark.slow
def test_what_was_pushed_comes_back_from_a_backup(project: Project, tmp_path: Path) -> None:
    """A user's commands, and those of docs/server.md, in their order."""
    home = {f"XDG_{name}_HOME": str(tmp_path / name) for name in ("CONFIG", "STATE", "DATA")}
    campaign = write_campaign(tmp_path / "campaign.yaml", sweep={"engine.max_batch_size": [1, 4]})
    out = tmp_path / "out"

    def lem(*arguments: str | Path) -> str:
        done = subprocess.run(
            [*LEM, *map(str, arguments)],
            env=environment(tmp_path / "cache") | home,
            capture_output=True,
            text=True,
            timeout=300,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    lem("campaign", "run", campaign, "--out", out)
    push = ("results", "push", out, "--server", project.url, "--yes", "--json")
    lem(*push)
    board = asked(project.url)
    assert len(board["rows"]) == 2
    log = log_of(project.url)
    assert [e.kind for e in log] == ["key_enrolled", "accepted", "tier"]
    lem(*push)
    assert log_of(project.url) == log and asked(project.url) == board
    archive = httpx.get(f"{project.url}/api/v1/archive").json()

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

    assert httpx.get(f"{project.url}/api/v1/archive").json() == archive
    assert asked(project.url) == board
    assert log_of(project.url) == log and verify(log).seq == len(log)
    run = httpx.get(f"{project.url}/api/v1/results", params={"class": "estimated"}).json()["rows"][
        0
    ]
    trace = httpx.get(f"{project.url}/api/v1/results/{run['id']}/trace")
    assert trace.status_code == 200
    project.run("exec", "-T", "server", "lem", "archive", "verify")
    lem("log", "verify", project.url)
    lem(*push)
    assert log_of(project.url) == log


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
