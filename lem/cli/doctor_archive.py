"""What ``lem doctor`` says of archives: whether one can be served here, and where results go."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple

from lem.cli.archive_place import EXTRA
from lem.errors import LemError

PACKAGES = (
    "alembic", "fastapi", "limits", "orjson", "prometheus_client", "psycopg", "pyarrow", "uvicorn",
)  # fmt: skip
OLDEST_POSTGRES = 15
CONNECT_S = 5
Found = Callable[[str], Any]


class Said(NamedTuple):
    state: Literal["ok", "missing", "absent", "note"]
    what: str
    fix: str | None = None


def serving(environ: dict[str, str], found: Found = find_spec) -> Said:
    """Whether ``lem serve`` has its packages, and reaches the database that the environment names
    (else it is SQLite, which needs nothing)."""
    lacking = [name for name in PACKAGES if found(name) is None]
    if lacking:
        return Said("absent", f"lem serve needs {', '.join(lacking)}: {EXTRA}")
    from lem.cli.serve import database_url

    try:
        url = database_url(None, environ)
    except LemError as e:
        return Said("missing", e.message, e.hint)
    if url is None:
        return Said("ok", "lem serve can start, with SQLite")
    return _postgres(url)


def _postgres(url: str) -> Said:
    import sqlalchemy as sa
    from sqlalchemy.exc import SQLAlchemyError

    fix = "look at LEM_DATABASE_URL (or …_FILE), and whether the database is up (docs/server.md)"
    try:
        address = sa.make_url(url)
        with_limit = (
            {} if address.drivername.startswith("sqlite") else {"connect_timeout": CONNECT_S}
        )
        engine = sa.create_engine(address, connect_args=with_limit)
        try:
            with engine.connect() as connection:
                version = connection.dialect.server_version_info or ()
        finally:
            engine.dispose()
    except (SQLAlchemyError, ImportError):
        # The driver's own words may have the password in them.
        return Said("missing", "the database that the environment names cannot be reached", fix)
    name = f"{address.get_backend_name()} {'.'.join(map(str, version))}"
    if address.get_backend_name() == "postgresql" and version[:1] < (OLDEST_POSTGRES,):
        return Said("missing", f"{name} is too old", f"PostgreSQL {OLDEST_POSTGRES} or newer")
    return Said("ok", f"lem serve can start, with {name}")


def submitting() -> Said:
    """Where results would be sent from here, and whether anything waits to be."""
    from lem.submit import keys
    from lem.submit.outbox import Outbox
    from lem.submit.push import server_of

    try:
        waiting = len(Outbox().waiting())
        try:
            url = server_of(None)
        except LemError:
            return Said("absent", "no archive is known; results stay here")
        key = "" if keys.default_path().exists() else "; a key is made at the first push"
        if waiting:
            return Said("note", f"{waiting} submissions wait for {url}", "lem results push")
        return Said("ok", f"{url}{key}")
    except LemError as e:
        return Said("missing", e.message, e.hint)
