"""Takes another archive's dump into this one, submission by submission, as if each had just come:
checked here, with the trust that this archive's own checks give it and none of the other's."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import sqlalchemy as sa

from lem.archive import external, ingest, log
from lem.archive.database import Database, raise_data_version
from lem.archive.demo import is_demo
from lem.archive.dump import layout
from lem.archive.dump.check import check
from lem.archive.dump.read import Dump, Finding
from lem.archive.identities import add_key, new_identity
from lem.archive.packs import Packs
from lem.archive.refused import Refused
from lem.archive.retract import retract_with_origin
from lem.archive.schema import IDENTITY, KEY, SUBMISSION
from lem.contract.dump import KeyLine
from lem.errors import BadInput, Problem

Progress = Callable[[int, int], None]
MAX_SHOWN = 20


class BroughtIn(NamedTuple):
    """Numbers of submissions, but for ``external``: figures of others."""

    new: int
    already: int
    refused: list[Finding]
    """Left out, each with why: such as those that were submitted here by somebody else."""
    retracted: int
    external: int


def bring_in(
    database: Database,
    packs: Packs,
    dump: Dump,
    *,
    trust_enrolment: bool = False,
    progress: Progress = lambda done, of: None,
) -> BroughtIn:
    """Take everything in that is not there yet. Each submission is whole or not there; once more
    goes on where it ended. ``trust_enrolment``: who was invited there counts as invited here.

    Raises :class:`BadInput` where the dump does not hold: then nothing of it was taken.
    """
    checked = check(dump)
    if checked.findings:
        raise BadInput(
            [Problem(f.what, file=f.place) for f in checked.findings[:MAX_SHOWN]],
            hint=f"lem archive verify {dump.folder} lists all; nothing was taken in",
        )
    with database.reading() as connection:
        if dump.description.demo and not is_demo(connection):
            raise BadInput(
                f"{dump.folder} is of a demonstration: made-up records may be in it",
                hint="only an archive that is for demonstrations takes it: lem serve --demo",
            )
    _enrol(database, checked.keys, checked.signers, trust_enrolment)
    known = _known(database)
    new = already = 0
    refused: list[Finding] = []
    for number, content in enumerate(checked.submissions):
        if content in known:
            already += 1
        else:
            try:
                receipt = ingest.receive(
                    database,
                    packs,
                    dump.pack(content),
                    imported=True,
                    queued=checked.queued.get(content),
                )
                already += receipt.already_there
                new += not receipt.already_there
            except Refused as e:
                if e.status >= 500:
                    raise
                refused.append(Finding(layout.pack_name(content), f"{e.message} ({e.reason})"))
        progress(number + 1, len(checked.submissions))
    origin = dump.description.archive
    gone = 0
    if checked.retracted and origin != database.setting("archive"):
        gone = retract_with_origin(database, packs, origin, checked.retracted)
    with database.writing() as connection:
        figures = list(dump.parts(layout.EXTERNAL, external.External))
        added = external.add(connection, figures).new
        if added:
            raise_data_version(connection)
    return BroughtIn(new, already, refused, gone, added)


def _enrol(
    database: Database, lines: Iterable[KeyLine], signers: set[str], trust_enrolment: bool
) -> None:
    """The identities that signed anything, with all their keys. One that came with a dump before
    stays who it is here. A dump only says that keys are one submitter's: none is given a part in an
    identity that was enrolled here, nor is a key that was enrolled here taken away, unless whoever
    runs this archive trusts the other's enrolment."""
    identities: dict[int, list[KeyLine]] = {}
    for line in lines:
        identities.setdefault(line.identity, []).append(line)
    with database.writing() as connection:
        for _, keys in sorted(identities.items()):
            if not any(line.key in signers for line in keys):
                continue
            ours = sa.select(KEY.c.id, KEY.c.identity_id).where(KEY.c.id.in_([k.key for k in keys]))
            rows = connection.execute(ours.add_columns(IDENTITY.c.enrolled_by).join(IDENTITY)).all()
            proven = {row.id for row in rows if row.enrolled_by != "imported"}
            if trust_enrolment:
                proven.clear()
            theirs = [row.identity_id for row in rows if row.id not in proven]
            new = sorted({line.key for line in keys} - {row.id for row in rows})
            believed = trust_enrolment and keys[0].enrolled_by == "invitation"
            how = "invitation" if believed else "imported"
            if new:
                identity = min(theirs, default=0) or new_identity(connection, keys[0].name, how)
                public = {line.key: bytes.fromhex(line.public_key) for line in keys}
                for key in new:
                    add_key(connection, identity, public[key])
                    log.append(connection, "key_enrolled", {"key": key, "how": how})
            _revoke(connection, [line for line in keys if line.key not in proven])


def _revoke(connection: sa.Connection, keys: Iterable[KeyLine]) -> None:
    """Keys that were revoked or replaced there are so here. What they signed before stays."""
    for line in keys:
        if line.revoked_at is None:
            continue
        gone = connection.execute(
            KEY.update()
            .where(KEY.c.id == line.key, KEY.c.revoked_at.is_(None))
            .values(revoked_at=line.revoked_at, replaced_by=line.replaced_by)
        )
        if gone.rowcount and line.replaced_by:
            log.append(connection, "key_replaced", {"key": line.key, "by": line.replaced_by})
        elif gone.rowcount:
            log.append(connection, "key_revoked", {"key": line.key})


def _known(database: Database) -> set[str]:
    with database.reading() as connection:
        return set(
            connection.scalars(
                sa.select(SUBMISSION.c.content_sha256).where(SUBMISSION.c.checks != "retracted")
            )
        )
