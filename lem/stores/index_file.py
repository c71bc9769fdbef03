"""The SQLite file of an index: its tables, and how it is made and opened.

A folder may come from a stranger, and an SQLite file can do more than hold rows: triggers run, and
a journal beside it names files to delete. So an index that was not made here (:func:`_mark`) is
never opened.

Each machine that sees a folder has an index of its own there: the locks of SQLite are not to be
relied on where a file is another machine's too.
"""

import hashlib
import os
import socket
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

UNUSED_S = 30 * 86400.0
"""The index of a machine that has not looked for so long is removed when another one makes its."""


def _machine(path: Path = Path("/etc/machine-id")) -> bytes:
    """What nobody else has: its id, and its name, since nodes that start from one image share the
    id."""
    try:
        name = path.read_bytes()
    except OSError:
        name = b""
    return name + b":" + socket.gethostname().encode()


_MACHINE = _machine()
FILE_NAME = f".index-{hashlib.sha256(_MACHINE).hexdigest()[:8]}.sqlite"
VERSION = 8
"""Raised whenever tables or their meaning change; an index of another version is rebuilt."""

LOCK_TIMEOUT_S = 10.0
"""How long to wait for another process that is writing the index."""

METADATA = sa.MetaData()

ATTEMPTS = sa.Table(
    "attempts",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("path", sa.Text, nullable=False, unique=True),
    sa.Column("document", sa.Text),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("mtime_ns", sa.Integer, nullable=False),
    sa.Column("beside_ns", sa.Integer, nullable=False),
    sa.Column("arm_id", sa.Text, nullable=False),
    sa.Column("block", sa.Integer, nullable=False),
    sa.Column("block_pass", sa.Integer, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("failure_kind", sa.Text),
    sa.Column("consequence", sa.Text, nullable=False),
    sa.Column("started_at", sa.Text, nullable=False),
    sa.Column("ended_at", sa.Text, nullable=False),
    sa.Column("boot_id", sa.Text, nullable=False),
    sa.Column("device_set", sa.Text, nullable=False),
    sa.Column("costs", sa.Text, nullable=False),
    sa.Column("problem", sa.Text, nullable=False),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("experiment_id", sa.Text, nullable=False),
    sa.Column("campaign", sa.Text, nullable=False),
    sa.Column("semantics", sa.Integer, nullable=False),
    sa.Column("hardware", sa.Text, nullable=False),
    sa.Column("meters", sa.Text, nullable=False),
    sa.Column("flags", sa.Text, nullable=False),
    sa.Column("shares", sa.Text, nullable=False),
    sa.Column("answering", sa.Text, nullable=False),
    sa.Column("scored", sa.Text, nullable=False),
    sa.Column("commentary_s", sa.Float),
)

# The metric comes first in the key: a comparison reads few metrics of many attempts.
METRICS = sa.Table(
    "metrics",
    METADATA,
    sa.Column("metric", sa.Text, primary_key=True),
    sa.Column("part", sa.Text, primary_key=True),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("value", sa.Float, nullable=False),
    sa.Column("uncertainty", sa.Float),
    sqlite_with_rowid=False,
)


def open_file(folder: Path) -> sa.Engine:
    """The folder's index, new where there is none or an unusable one; in memory where the folder
    cannot be written."""
    file = folder / FILE_NAME
    if file.is_symlink():
        return in_memory()
    for _ in range(2):
        if not _made_here(file) and not (remove(file) and _make(file)):
            break
        try:
            return _prepared(_engine(file))
        except (_OtherVersion, SQLAlchemyError) as e:
            if is_occupied(e) or not remove(file):
                break
    return in_memory()


def _engine(file: Path) -> sa.Engine:
    return sa.create_engine(
        f"sqlite:///{file}",
        connect_args={"timeout": LOCK_TIMEOUT_S},
        poolclass=sa.NullPool,
    )


def _made_here(file: Path) -> bool:
    """Whether the file bears the mark of its own place; looked at without SQLite."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as f:
            inode = os.fstat(handle).st_ino
            # The header's "application ID": https://www.sqlite.org/fileformat.html, section 1.3
            return f.read(72)[68:] == _mark(inode).to_bytes(4, signed=True)
    except OSError:
        return False


def _mark(inode: int) -> int:
    """What nobody who packs a folder elsewhere knows: a hash of the inode that the index will have
    here, and of this machine."""
    digest = hashlib.sha256(_MACHINE + f":{inode}".encode()).digest()
    return int.from_bytes(digest[:4], signed=True)


def _remove_unused(folder: Path) -> None:
    for other in folder.glob(".index-*.sqlite"):
        with suppress(OSError):
            if other.lstat().st_mtime < time.time() - UNUSED_S:
                remove(other)


def _make(file: Path) -> bool:
    """Make an empty index aside and put it into place, so that one without its mark is never there;
    whether there is one now."""
    aside = None
    _remove_unused(file.parent)
    try:
        handle, aside = tempfile.mkstemp(dir=file.parent, prefix=f"{file.name}.")
        inode = os.fstat(handle).st_ino
        os.close(handle)
        engine = _prepared(_engine(Path(aside)))
        with engine.begin() as connection:
            connection.exec_driver_sql(f"PRAGMA application_id = {_mark(inode)}")
        engine.dispose()
        Path(aside).chmod(0o644)
        # Two may do this at once: a link never replaces the one that was faster.
        with suppress(FileExistsError):
            os.link(aside, file)
    except (OSError, SQLAlchemyError):
        return False
    finally:
        if aside is not None:
            Path(aside).unlink(missing_ok=True)
    return True


def is_occupied(error: Exception) -> bool:
    """Whether another process is busy with the index, or it cannot be written: not ours to mend."""
    said = str(error)
    return any(w in said for w in ("locked", "readonly", "unable to open", "disk is full"))


def remove(file: Path) -> bool:
    """Remove a damaged or old index; whether that worked."""
    try:
        for suffix in ("", "-journal", "-wal", "-shm"):
            Path(f"{file}{suffix}").unlink(missing_ok=True)
    except OSError:
        return False
    return True


def in_memory() -> sa.Engine:
    return _prepared(sa.create_engine("sqlite://", poolclass=sa.StaticPool))


class _OtherVersion(Exception):
    pass


def _prepared(engine: sa.Engine) -> sa.Engine:
    """The engine with its tables made; raises where the file is of another version or damaged."""
    try:
        with engine.begin() as connection:
            version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
            if version == 0 and sa.inspect(connection).get_table_names():
                raise _OtherVersion
            if version not in (0, VERSION):
                raise _OtherVersion
            # Makes a file that cannot be written show itself now, not in the middle.
            connection.exec_driver_sql(f"PRAGMA user_version = {VERSION}")
            METADATA.create_all(connection)
            connection.execute(sa.select(*ATTEMPTS.c).limit(1))
            connection.execute(sa.select(*METRICS.c).limit(1))
    except BaseException:
        engine.dispose()
        raise
    return engine
