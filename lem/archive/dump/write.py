"""Writes a dump: a folder aside, whole on disk, then renamed. The same state of an archive gives
the same bytes, but for what the version of the Parquet library writes of itself."""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from lem.archive import external
from lem.archive.database import Database, setting
from lem.archive.demo import is_demo
from lem.archive.dump import layout, tables
from lem.archive.packs import Packs
from lem.archive.refused import Refused
from lem.archive.schema import CAMPAIGN, CONFIG, IDENTITY, KEY, LOG, RUN, SUBMISSION
from lem.contract.base import Part
from lem.contract.dump import ArchiveDump, Counts, Head, KeyLine, Origin
from lem.errors import BadInput, EnvironmentFault
from lem.submit.manifest import canonical, parsed

Progress = Callable[[int, int], None]
"""Submissions done, of how many."""
_TRIES = 3


class Written(NamedTuple):
    folder: Path
    description: ArchiveDump
    bytes: int


def export(
    database: Database, packs: Packs, folder: Path, progress: Progress = lambda done, of: None
) -> Written:
    """Write everything public of an archive to ``folder``, which must not exist or be empty.

    Raises :class:`BadInput` where it is not, :class:`Refused` where a pack is missing, and
    :class:`EnvironmentFault` where the disk does not take it; nothing is left behind then.
    """
    folder = folder.parent.resolve() / folder.name
    if os.path.lexists(folder) and (folder.is_symlink() or not _empty(folder)):
        raise BadInput(f"{folder} is there already", hint="name a folder that is not")
    aside = folder.parent / f".{folder.name}.{secrets.token_hex(8)}"
    try:
        aside.mkdir(parents=True)
        try:
            description = _whole(database, packs, aside, progress)
            size = _sync(aside)
            aside.rename(folder)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        _sync_folder(folder.parent)
    except OSError as e:
        raise EnvironmentFault(
            f"{e.filename or folder} cannot be written: {e.strerror}", kind="disk"
        ) from e
    return Written(folder, description, size)


def _whole(database: Database, packs: Packs, folder: Path, progress: Progress) -> ArchiveDump:
    """A submission may be retracted while this reads: then once more, of the newer state."""
    for attempt in range(_TRIES):
        try:
            with database.reading() as connection:
                if not database.is_sqlite:
                    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
                return _write(connection, packs, folder, progress)
        except Refused as e:
            if e.reason != "pack_missing" or attempt == _TRIES - 1:
                raise
            for path in folder.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    raise AssertionError


def _write(
    connection: sa.Connection, packs: Packs, folder: Path, progress: Progress
) -> ArchiveDump:
    sums: dict[str, str] = {}

    def put(name: str, data: Iterable[bytes]) -> None:
        sums[name] = _put(folder / name, data)

    archive, salt = setting(connection, "archive"), setting(connection, "board_salt")
    origins: dict[str, str] = {}
    submissions = connection.execute(
        sa.select(SUBMISSION.c.content_sha256, SUBMISSION.c.manifest, CAMPAIGN.c.board_salt)
        .join(CAMPAIGN)
        .where(SUBMISSION.c.checks != "retracted")
        .order_by(SUBMISSION.c.content_sha256)
    ).all()
    for number, (content, manifest, board_salt) in enumerate(submissions):
        origins[parsed(manifest).archive] = board_salt
        put(layout.pack_name(content), [packs.whole(content)])
        progress(number + 1, len(submissions))
    keys = _keys(connection)
    put(layout.KEYS, _lines(keys))
    for key in keys:
        put(layout.pem_name(key.key), [layout.pem(bytes.fromhex(key.public_key))])
    figures = list(external.exported(connection))
    put(layout.EXTERNAL, _lines(figures))
    head, as_of = _log(connection, put)
    demo = is_demo(connection)
    cited = layout.citation(archive, head, demo)
    sums[layout.RUNS] = tables.write_runs(connection, folder / layout.RUNS, cited)
    sums[layout.CONFIGURATIONS] = tables.write_configurations(
        connection, folder / layout.CONFIGURATIONS, cited
    )
    description = ArchiveDump(
        archive=archive,
        board_salt=salt,
        origins=[
            Origin(archive=a, board_salt=s) for a, s in sorted(origins.items()) if a != archive
        ],
        as_of=as_of,
        log=head,
        counts=Counts(
            submissions=len(submissions),
            runs=_count(connection, RUN),
            configurations=_count(connection, CONFIG),
            keys=len(keys),
            external=len(figures),
        ),
        metric_semantics_versions=sorted(
            connection.scalars(sa.select(CONFIG.c.semantics_version).distinct())
        ),
        demo=demo,
        citation=cited,
    )
    put(layout.DESCRIPTION, [description.text()])
    put(layout.README, [(Path(__file__).parent / "readme.txt").read_bytes()])
    _put(folder / layout.SUMS, (f"{sums[name]}  {name}\n".encode() for name in sorted(sums)))
    return description


def _keys(connection: sa.Connection) -> list[KeyLine]:
    rows = connection.execute(
        sa.select(KEY, IDENTITY.c.name, IDENTITY.c.enrolled_by).join(IDENTITY).order_by(KEY.c.id)
    )
    return [
        KeyLine(
            key=row.id,
            public_key=row.public_key.hex(),
            identity=row.identity_id,
            name=row.name,
            enrolled_by=row.enrolled_by,
            created_at=row.created_at,
            revoked_at=row.revoked_at,
            replaced_by=row.replaced_by,
        )
        for row in rows
    ]


def _log(
    connection: sa.Connection, put: Callable[[str, Iterable[bytes]], None]
) -> tuple[Head, str | None]:
    last: list[tuple[int, str, str]] = [(0, "0" * 64, "")]

    def lines() -> Iterable[bytes]:
        rows = connection.execution_options(yield_per=10_000).execute(
            sa.select(LOG).order_by(LOG.c.seq)
        )
        for row in rows:
            entry = {**row._mapping, "payload": json.loads(row.payload)}
            last[0] = (row.seq, row.hash, row.at)
            yield canonical(entry) + b"\n"

    put(layout.LOG, lines())
    seq, hash_, at = last[0]
    return Head(seq=seq, hash=hash_), at or None


def _lines(documents: Iterable[Part]) -> Iterable[bytes]:
    return (canonical(document) + b"\n" for document in documents)


def _count(connection: sa.Connection, table: sa.Table) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def _put(path: Path, data: Iterable[bytes]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    hashed = hashlib.sha256()
    with path.open("xb") as f:
        for piece in data:
            hashed.update(piece)
            f.write(piece)
    return hashed.hexdigest()


def _empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _sync(folder: Path) -> int:
    """Everything below ``folder`` to disk; its size in bytes."""
    size = 0
    for at, _, names in os.walk(folder, topdown=False):
        for name in names:
            with (Path(at) / name).open("rb") as f:
                os.fsync(f.fileno())
                size += os.fstat(f.fileno()).st_size
        _sync_folder(Path(at))
    return size


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
