import re
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from lem.archive import columns
from lem.archive.database import once, once_each, open_database, raise_data_version, setting
from lem.archive.queue.tables import METADATA
from lem.archive.refused import Refused
from lem.archive.schema import BOARD, SETTING, TOKEN
from lem.errors import BadInput, EnvironmentFault
from tests import archive_queries


def compare_tables(c: sa.Connection) -> set[tuple[str, str]]:
    """What differs from the schema."""
    found = compare_metadata(MigrationContext.configure(c), METADATA)
    # SQLite has no index on what is inside documents.
    expected = {"ix_config_experiment"} if c.dialect.name == "sqlite" else set()
    return {(d[0], d[1].name) for d in found} ^ {("add_index", name) for name in expected}


def test_migrations_give_the_tables_of_the_schema(archive) -> None:
    with archive.database.reading() as c:
        assert compare_tables(c) == set()


def test_a_new_archive_has_a_name_a_salt_and_a_version_and_keeps_them(archive) -> None:
    before = {n: archive.database.setting(n) for n in ("archive", "board_salt", "data_version")}
    archive.database.migrate()
    assert {n: archive.database.setting(n) for n in before} == before
    assert [len(before["archive"]), len(before["board_salt"])] == [64, 32]
    assert before["data_version"] == "0"


def test_an_archive_of_before_the_last_step_is_brought_up_to_date(archive) -> None:
    archive_queries.filled(archive)
    with archive.database.writing() as c:
        rows = sorted(map(tuple, c.execute(sa.select(BOARD))))
        _without_queue(c)
        c.exec_driver_sql("DROP INDEX ix_board_changed")
        c.exec_driver_sql("ALTER TABLE board DROP COLUMN changed")
        c.exec_driver_sql("UPDATE alembic_version SET version_num = '0003'")
        c.execute(SETTING.delete().where(SETTING.c.name == "states"))
    version = int(archive.database.setting("data_version"))
    for _ in range(2):
        archive.database.migrate()
        with archive.database.reading() as c:
            assert compare_tables(c) == set()
            found = sorted(map(tuple, c.execute(sa.select(BOARD))))
            assert [row[:-1] for row in found] == [row[:-1] for row in rows] != []
            assert {row[-1] for row in found} == {version + 1}
            assert len(columns.columns(c)) == len(rows)
        # Once: what was answered before may be answered otherwise now.
        assert archive.database.setting("data_version") == str(version + 1)


OLD_TOKEN = """
CREATE TABLE token (
    hash TEXT NOT NULL, role TEXT NOT NULL, name TEXT NOT NULL, identity_id BIGINT,
    created_at TEXT NOT NULL, expires_at TEXT, revoked_at TEXT,
    CONSTRAINT pk_token PRIMARY KEY (hash),
    CONSTRAINT fk_token_identity_id FOREIGN KEY (identity_id) REFERENCES identity (id)
)"""


OLD_INVITATION = """
CREATE TABLE invitation (
    hash TEXT NOT NULL, name TEXT NOT NULL, created_at TEXT NOT NULL, expires_at TEXT NOT NULL,
    used_at TEXT, identity_id BIGINT,
    CONSTRAINT pk_invitation PRIMARY KEY (hash),
    CONSTRAINT fk_invitation_identity_id FOREIGN KEY (identity_id) REFERENCES identity (id)
)"""


def _without_queue(c: sa.Connection) -> None:
    gone = ("declined", "claim", "queued", "runner", "session", "token", "invitation", "person")
    for name in gone:
        c.exec_driver_sql(f"DROP TABLE {name}")
    big = "INTEGER" if c.dialect.name == "sqlite" else "BIGINT"
    c.exec_driver_sql("ALTER TABLE campaign DROP COLUMN queued")
    for old in (OLD_TOKEN, OLD_INVITATION):
        c.exec_driver_sql(old.replace("BIGINT", big))
    c.exec_driver_sql(
        "INSERT INTO token (hash, role, name, created_at) "
        "VALUES ('a', 'admin', 'one', '2025'), ('b', 'runner', 'two', '2025')"
    )


def test_tokens_of_before_the_queue_can_be_told_apart(archive) -> None:
    with archive.database.writing() as c:
        _without_queue(c)
        c.exec_driver_sql("UPDATE alembic_version SET version_num = '0004'")
    archive.database.migrate()
    with archive.database.reading() as c:
        assert compare_tables(c) == set()
        rows = c.execute(sa.select(TOKEN).order_by(TOKEN.c.hash)).all()
    assert [(r.hash, r.role, r.name, r.person_id) for r in rows] == [
        ("a", "admin", "one", None),
        ("b", "runner", "two", None),
    ]
    assert len({r.handle for r in rows}) == 2
    assert all(re.fullmatch("t[0-9a-f]{20}", r.handle) for r in rows)


def test_many_that_start_at_once_migrate_once(new_archive, archive, tmp_path) -> None:
    url = archive.url
    with archive.database.writing() as c:
        METADATA.drop_all(c)
        c.exec_driver_sql("DROP TABLE alembic_version")
    databases = [open_database(url, tmp_path) for _ in range(4)]
    failed: list[Exception] = []

    def start(database) -> None:
        try:
            database.migrate()
        except Exception as e:  # noqa: BLE001
            failed.append(e)

    threads = [threading.Thread(target=start, args=(d,)) for d in databases]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert failed == []
    assert len({d.setting("archive") for d in databases}) == 1
    for d in databases:
        d.close()


def test_tables_of_a_newer_lem_are_left_alone(archive) -> None:
    with archive.database.writing() as c:
        c.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(EnvironmentFault, match="newer lem"):
        archive.database.migrate()


def test_writers_take_turns_and_lose_nothing(archive) -> None:
    def add() -> None:
        for _ in range(10):
            with archive.database.writing() as c:
                raise_data_version(c)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert archive.database.setting("data_version") == "40"


def test_who_waits_too_long_is_told_so(archive, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("lem.archive.database.WAIT_S", 0.2)
    other = open_database(archive.url, tmp_path)
    with archive.database.writing(), pytest.raises(Refused) as caught, other.writing():
        pass
    assert (caught.value.reason, caught.value.status) == ("busy", 503)
    with other.writing() as c:
        raise_data_version(c)
    other.close()


def test_an_error_takes_the_whole_transaction_back(archive) -> None:
    with pytest.raises(ZeroDivisionError), archive.database.writing() as c:
        raise_data_version(c)
        _ = 1 / 0
    assert archive.database.setting("data_version") == "0"


def test_a_reader_sees_one_state_and_does_not_wait(archive) -> None:
    with archive.database.reading() as reader:
        assert setting(reader, "data_version") == "0"
        with archive.database.writing() as c:
            raise_data_version(c)
            assert setting(reader, "data_version") == "0"
        assert setting(reader, "data_version") == "0"
    assert archive.database.setting("data_version") == "1"


def test_a_reader_cannot_write(archive) -> None:
    with pytest.raises(DBAPIError), archive.database.reading() as c:
        c.execute(SETTING.insert().values(name="x", value="y"))
    with archive.database.writing() as c:
        c.execute(SETTING.insert().values(name="x", value="y"))
    assert archive.database.setting("x") == "y"


def test_references_are_enforced(archive) -> None:
    values = {
        "hash": "h",
        "handle": "t",
        "role": "admin",
        "name": "",
        "created_at": "",
        "identity_id": 77,
    }
    with pytest.raises(IntegrityError), archive.database.writing() as c:
        c.execute(TOKEN.insert().values(values))


def test_errors_show_no_parameters(archive) -> None:
    with pytest.raises(IntegrityError) as caught, archive.database.writing() as c:
        c.execute(SETTING.insert(), [{"name": "n", "value": "s3cr3t"}] * 2)
    assert "s3cr3t" not in str(caught.value).replace("Key (name)=(n)", "")


def test_what_cannot_be_opened_is_told_without_the_password(tmp_path: Path) -> None:
    url = "postgresql+psycopg://someone:s3cr3t@127.0.0.1:9/x?connect_timeout=2"
    with pytest.raises(EnvironmentFault) as caught:
        open_database(url, tmp_path)
    assert "s3cr3t" not in str(caught.value) and "127.0.0.1" in str(caught.value)


@pytest.mark.parametrize(
    "url", ["mysql://x:s3cr3t@h/d", "s3cr3t", "sqlite://", "sqlite:///:memory:"]
)
def test_other_urls_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        open_database(url, tmp_path)
    assert "s3cr3t" not in str(caught.value)


def test_sqlite_is_durable_and_checks_references(tmp_path: Path) -> None:
    database = open_database(None, tmp_path / "new" / "folder")
    with database.writing() as c:
        pragma = {n: c.scalar(sa.text(f"PRAGMA {n}")) for n in ("journal_mode", "synchronous")}
    assert pragma == {"journal_mode": "wal", "synchronous": 2}
    database.close()


def test_an_empty_database_says_that_nothing_is_in_it(tmp_path: Path) -> None:
    database = open_database(None, tmp_path)
    with pytest.raises(EnvironmentFault, match="no archive in it"):
        database.setting("archive")
    database.close()


def test_a_question_that_takes_too_long_is_ended(archive, monkeypatch) -> None:
    """On SQLite too: else one query with thousands of filters holds a thread for minutes."""
    if archive.database.is_sqlite:
        monkeypatch.setattr("lem.archive.engines.READ_TIMEOUT_S", 0.2)
        archive.database.limit_reading()
    forever = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    with pytest.raises(OperationalError), archive.database.reading() as c:
        if not archive.database.is_sqlite:
            c.exec_driver_sql("SET LOCAL statement_timeout = 200")
        c.exec_driver_sql(forever)
    with archive.database.writing() as c:
        assert c.exec_driver_sql("SELECT 1").scalar() == 1


def test_a_database_that_is_starting_is_waited_for(postgres, tmp_path, monkeypatch) -> None:
    """After a crash PostgreSQL refuses for a moment, and says so."""
    from lem.archive import database as module

    tries: list[int] = []
    real = sa.engine.Engine.connect

    def connect(self):
        tries.append(1)
        if len(tries) < 3:
            error = Exception("FATAL:  the database system is in recovery mode")
            raise sa.exc.OperationalError("", {}, error)
        return real(self)

    monkeypatch.setattr(sa.engine.Engine, "connect", connect)
    with pytest.raises(EnvironmentFault, match="recovery mode"):
        module.open_database(postgres.url(), tmp_path)
    module.open_database(postgres.url(), tmp_path, patience_s=20).close()
    assert len(tries) == 3


def test_what_is_too_large_is_looked_for_again(archive) -> None:
    asked: list[int] = []

    def find() -> bytes:
        asked.append(1)
        return bytes(100)

    with archive.database.reading() as c:
        for _ in range(2):
            assert once(c, "large", find, lambda found: len(found) < 100) == bytes(100)
        assert len(asked) == 2
        for _ in range(2):
            once(c, "small", find, lambda found: len(found) <= 100)
        assert len(asked) == 3


def test_of_several_each_is_looked_for_once_in_one_state(archive) -> None:
    asked: list[list[int]] = []

    def find(missing: list[int]) -> dict[int, str]:
        asked.append(missing)
        return {key: f"{key}" for key in missing if key != 13}

    with archive.database.reading() as c:
        assert once_each(c, "a", [3, 1, 3], find) == {3: "3", 1: "1"}
        assert list(once_each(c, "a", [2, 1, 13], find)) == [2, 1]
        assert once_each(c, "a", [2, 3], find) == {2: "2", 3: "3"}
        assert once_each(c, "b", [1], find) == {1: "1"}
        assert asked == [[3, 1], [2, 13], [1]]
        # More than is kept: all of it is found nevertheless.
        assert len(once_each(c, "a", range(20, 2000), find)) == 1980
        assert once_each(c, "a", [1, 1999], find) == {1: "1", 1999: "1999"}
        asked.clear()
        for first in range(3000, 3600, 100):
            once_each(c, "c", range(first, first + 100), find)
        assert list(once_each(c, "c", [3599], find)) == [3599]
        assert len(asked) == 6, "the newest are kept, however many there were"
    with archive.database.reading() as c:
        asked.clear()
        once_each(c, "a", [1], find)
        assert asked == [[1]], "another state may have another answer"
    with archive.database.writing() as c:
        asked.clear()
        for _ in range(2):
            once_each(c, "a", [1], find)
        assert asked == [[1], [1]], "what is written changes what is found"
