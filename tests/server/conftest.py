"""Servers on SQLite and PostgreSQL: in this process, or as ``lem serve``."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from postgres import TEMPLATE, postgres
from server_process import Process

from lem.archive.queue import admin
from lem.server.app import create_app
from lem.server.service import Service
from lem.server.settings import Bounds, Rates, ServerSettings

__all__ = ["postgres"]

UNLIMITED = Rates(*["1000000/second"] * len(dataclasses.fields(Rates)))


@dataclasses.dataclass
class Served:
    client: TestClient
    service: Service
    settings: ServerSettings

    def token(self, role: Any) -> dict[str, str]:
        """Headers with a new token; a submitter's or an admin's is of a new person."""
        return {"Authorization": f"Bearer {self.secret(role)}"}

    def secret(self, role: Any) -> str:
        with self.service.database.writing() as connection:
            return admin.issue(connection, role, f"a test's {role}")


Serve = Callable[..., Served]


@pytest.fixture
def serve(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Serve]:
    """Starts servers in this process; ``kind`` is ``sqlite`` or ``postgresql``."""
    ends: list[Callable[[], Any]] = []

    def start(kind: str = "sqlite", address: str = "127.0.0.1", **changes: Any) -> Served:
        url = None
        if kind == "postgresql":
            cluster = request.getfixturevalue("postgres")
            url = cluster.new_database(TEMPLATE)
            ends.append(lambda: cluster.drop(url))
        bounds = changes.pop("bounds", Bounds())
        settings = ServerSettings(
            data=tmp_path / f"data-{len(ends)}",
            database_url=url,
            checkers=0,
            rates=changes.pop("rates", UNLIMITED),
            bounds=bounds,
            **changes,
        )
        app = create_app(settings)
        client = TestClient(
            app,
            base_url="http://127.0.0.1:8000",
            client=(address, 50000),
            raise_server_exceptions=False,
        )
        client.__enter__()
        ends.append(lambda: client.__exit__(None, None, None))
        return Served(client, app.state.service, settings)

    yield start
    for end in reversed(ends):
        end()


@pytest.fixture(params=["sqlite", "postgresql"])
def served(request: pytest.FixtureRequest, serve: Serve) -> Served:
    return serve(request.param)


@pytest.fixture
def lite(serve: Serve) -> Served:
    """On SQLite alone, for what does not depend on the database."""
    return serve()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts ``lem serve`` in processes of their own."""
    started: list[Process] = []

    def start(*arguments: str, data: Path | None = None, **environment: str) -> Process:
        started.append(Process(data or tmp_path / "data", arguments, environment))
        return started[-1]

    yield start
    for each in started:
        each.kill()
