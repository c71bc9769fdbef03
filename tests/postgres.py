"""A real PostgreSQL for tests: a cluster of its own in a new folder, started and stopped here.

It runs as an unprivileged user where the tests run as root (PostgreSQL refuses root), and writes to
disk as in production (``fsync`` on), unless a test asks otherwise.
"""

import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

HOW = "apt-get install postgresql (version 15 or newer), or LEM_POSTGRES_BIN=folder of initdb"
TEMPLATE = "lem_template"


def programs() -> Path | None:
    """The folder with ``initdb`` and ``pg_ctl``, or None."""
    if named := os.environ.get("LEM_POSTGRES_BIN"):
        return Path(named)
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: p.parts[-3])
    return debian[-1].parent if debian else None


@dataclass
class Server:
    """A running cluster."""

    folder: Path
    port: int
    bin: Path
    user: str | None
    """Whom it runs as; None: as whoever runs the tests."""
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql+psycopg://lem@127.0.0.1:{self.port}/{database}"

    def execute(self, sql: str) -> None:
        """As superuser, outside of any transaction."""
        address = f"postgresql://lem@127.0.0.1:{self.port}/postgres"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(sql.encode())

    def new_database(self, template: str = "template0") -> str:
        """Its URL."""
        name = f"lem_{next(self.numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def drop(self, url: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {url.rsplit('/', 1)[1]} WITH (FORCE)")

    def start(self) -> None:
        settings = (
            f"-c port={self.port} -c listen_addresses=127.0.0.1 "
            f"-c unix_socket_directories={self.folder}"
        )
        log = str(self.folder / "log")
        self._run("pg_ctl", "-w", "-t", "60", "-l", log, "-o", settings, "start")

    def stop(self, mode: str = "fast") -> None:
        """``immediate``: without a checkpoint, as after a crash."""
        self._run("pg_ctl", "-m", mode, "-w", "stop")

    def process_id(self) -> int:
        """Of the server's first process, for whoever wants to kill it."""
        return int((self.folder / "data" / "postmaster.pid").read_text().split()[0])

    def said(self) -> str:
        """What its processes wrote to their log."""
        log = self.folder / "log"
        return log.read_text(errors="replace") if log.exists() else ""

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.bin / program), "-D", str(self.folder / "data"), *arguments]
        account = {"user": self.user, "group": self.user, "extra_groups": []} if self.user else {}
        done = subprocess.run(
            command,
            cwd=self.folder,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            **account,
        )
        if done.returncode:
            told = self.said()[-2000:] or (done.stdout or b"").decode()
            raise RuntimeError(f"{program} ended with {done.returncode}: {told}")


@contextmanager
def running(*, fsync: bool = True, settings: str = "") -> Iterator[Server]:
    """A new cluster. ``settings``: lines of ``postgresql.conf``."""
    folder = programs()
    if folder is None:
        if os.environ.get("CI"):
            pytest.fail(f"PostgreSQL is not here: {HOW}")
        pytest.skip(f"PostgreSQL is not here: {HOW}")
    user = _account() if os.geteuid() == 0 else None
    home = Path(tempfile.mkdtemp(prefix="lem-postgres-"))
    if user:
        shutil.chown(home, user, user)
    server = Server(home, free_port(), folder, user)
    try:
        server._run("initdb", "-U", "lem", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        with (home / "data" / "postgresql.conf").open("a") as f:
            f.write(f"fsync = {'on' if fsync else 'off'}\nmax_connections = 60\n{settings}\n")
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _account() -> str:
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise RuntimeError("there is no unprivileged user here to run PostgreSQL as")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """One cluster for all tests of this process, with the database ``TEMPLATE`` that has an
    archive's tables, empty."""
    from lem.archive.database import open_database
    from lem.archive.schema import SETTING

    with running() as server:
        server.execute(f"CREATE DATABASE {TEMPLATE} TEMPLATE template0")
        database = open_database(server.url(TEMPLATE), server.folder)
        database.migrate()
        with database.writing() as c:
            c.execute(SETTING.delete())
        database.close()
        yield server
