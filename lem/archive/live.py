"""Whether an archive that is in use holds: packs, rows, summaries and log agree with each other."""

from collections.abc import Callable, Iterator

import sqlalchemy as sa

from lem.archive import log
from lem.archive.database import Database, setting
from lem.archive.dump.read import Finding
from lem.archive.packs import Packs
from lem.archive.rebuild import differences
from lem.archive.schema import BLOB, KEY, RUN, SUBMISSION
from lem.errors import BadInput, LemError
from lem.submit import manifest, pack

Progress = Callable[[int, int], None]
PAGE = 1000


def check(
    database: Database, packs: Packs, progress: Progress = lambda done, of: None
) -> list[Finding]:
    """Everything that does not hold. Reads one state; a server may go on meanwhile."""
    findings: list[Finding] = []
    with database.reading() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        archive = setting(connection, "archive")
        retracted = sa.select(SUBMISSION.c.content_sha256).where(SUBMISSION.c.checks == "retracted")
        accepted = _log(connection, findings)
        rows = connection.execute(
            sa.select(SUBMISSION)
            .where(SUBMISSION.c.checks != "retracted")
            .order_by(SUBMISSION.c.id)
        ).all()
        keys = {
            row.id: bytes(row.public_key)
            for row in connection.execute(sa.select(KEY.c.id, KEY.c.public_key))
        }
        for number, row in enumerate(rows):
            told = list(_submission(connection, packs, row, keys, accepted))
            if told and not _retracted_meanwhile(database, row.id):
                findings += [Finding(f"submission {row.content_sha256}", what) for what in told]
            progress(number + 1, len(rows))
        findings += [
            Finding(f"submission {content}", "was retracted, and its pack is still on disk")
            for content in connection.scalars(retracted)
            if packs.path(content).exists()
        ]
    findings += [Finding(f"archive {archive[:16]}", what) for what in differences(database)]
    return findings


def _log(connection: sa.Connection, findings: list[Finding]) -> dict[str, tuple[int, str]]:
    """Submission → place and hash of its acceptance."""
    accepted: dict[str, tuple[int, str]] = {}

    def entries() -> Iterator[log.LogEntry]:
        after = 0
        while some := log.entries(connection, after, PAGE):
            for entry in some:
                if entry.kind == "accepted":
                    accepted[str(entry.payload.get("submission"))] = (entry.seq, entry.hash)
                yield entry
            after = some[-1].seq

    try:
        log.verify(entries())
    except (BadInput, ValueError) as e:
        findings.append(Finding("log", str(e).splitlines()[0]))
    return accepted


def _submission(
    connection: sa.Connection,
    packs: Packs,
    row: sa.Row[tuple[object, ...]],
    keys: dict[str, bytes],
    accepted: dict[str, tuple[int, str]],
) -> Iterator[str]:
    content = row.content_sha256
    if accepted.get(content, (0, ""))[0] != row.log_seq:
        yield "is not accepted in the log where its row says"
    try:
        read = pack.read(packs.whole(content))
        signed = manifest.verify(read.manifest, read.signature, keys[row.key_id])
    except LemError as e:
        yield e.message
        return
    if manifest.content_sha256(signed.content) != content:
        yield "its pack is of another submission"
    if (bytes(row.manifest), bytes(row.signature)) != (read.manifest, read.signature):
        yield "its row has another manifest than its pack"
    blobs = connection.execute(
        sa.select(BLOB.c.sha256, BLOB.c.offset, BLOB.c.length).where(BLOB.c.submission_id == row.id)
    )
    if {bytes(b.sha256).hex(): (b.offset, b.length) for b in blobs} != read.files:
        yield "its rows say that its files lie elsewhere in its pack"
    runs = connection.scalar(
        sa.select(sa.func.count()).select_from(RUN).where(RUN.c.submission_id == row.id)
    )
    if runs != sum(1 for run in signed.content.runs if run.record is not None):
        yield f"has {runs} runs in the database, and another number in its manifest"


def _retracted_meanwhile(database: Database, submission: int) -> bool:
    """Its pack is gone then, though the state that is being read still has it."""
    with database.reading() as connection:
        checks = sa.select(SUBMISSION.c.checks).where(SUBMISSION.c.id == submission)
        return connection.scalar(checks) == "retracted"
