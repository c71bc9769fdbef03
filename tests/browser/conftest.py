"""The pages as a browser sees them: from ``lem serve`` on both databases, and as files."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from lem.archive.database import open_database
from lem.archive.packs import Packs
from tests.archive.conftest import Archive
from tests.browser import chromium as browsers
from tests.browser.archives import lively
from tests.browser.outlets import Outlet, file_server
from tests.browser.visits import Visit, begin
from tests.postgres import running
from tests.server_process import Process

Fill = Callable[[Archive, Path], Any]
Serve = Callable[[str, Fill], Outlet]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    # Of each file: while Playwright runs, tests of other folders could not use asyncio.
    with browsers.opened() as browser:
        yield browser


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Callable[..., Visit]]:
    """Begins visits of an outlet, and ends them."""
    begun: list[Visit] = []

    def start(outlet: Outlet, **options: Any) -> Visit:
        begun.append(begin(chromium, outlet, **options))
        return begun[-1]

    yield start
    for one in begun:
        one.context.close()


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Makes an archive on ``sqlite`` or ``postgresql``, or ``files`` of one, and serves it."""
    with ExitStack() as ends:

        def start(kind: str, fill: Fill) -> Outlet:
            folder = tmp_path_factory.mktemp(f"outlet-{kind}")
            url = None
            if kind == "postgresql":
                url = ends.enter_context(running()).new_database()
            database = open_database(url, folder)
            database.migrate()
            ends.callback(database.close)
            archive = Archive(database, Packs(folder / "packs"), url or "")
            fill(archive, folder)
            if kind == "files":
                from lem.pages.static_site import write

                # Below the root, so that an address that only works there is seen.
                write(database, archive.packs, folder / "host" / "below")
                address = ends.enter_context(file_server(folder / "host")) + "below/"
            else:
                named = ("--database", url) if url else ()
                # Each visit is somebody else, or the tests would ask more than one client may.
                process = Process(folder, ("--checkers", "0", "--trust-proxy", "127.0.0.1", *named))
                ends.callback(process.terminate)
                address = f"{process.url}/"
            return Outlet(kind, address, archive=archive)

        yield start


@pytest.fixture(scope="session")
def outlets(serve: Serve) -> Callable[[str], Outlet]:
    """Outlets of a lively archive, each made when it is first asked for, with their pages known."""
    made: dict[str, Outlet] = {}

    def get(kind: str) -> Outlet:
        if kind not in made:
            made[kind] = serve(kind, lively).walk()
        return made[kind]

    return get


@pytest.fixture(params=["sqlite", "postgresql", "files"])
def outlet(request: pytest.FixtureRequest, outlets: Callable[[str], Outlet]) -> Outlet:
    """Every outlet in turn."""
    return outlets(request.param)


@pytest.fixture(params=["sqlite", "files"])
def each_outlet(request: pytest.FixtureRequest, outlets: Callable[[str], Outlet]) -> Outlet:
    """A server and files: for what the database can't change."""
    return outlets(request.param)


@pytest.fixture
def live(outlets: Callable[[str], Outlet]) -> Outlet:
    return outlets("sqlite")
