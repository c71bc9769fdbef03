"""A submission comes in: checked, stored, counted, logged, in one transaction or not at all.

Order: what needs no database first, then what it can be asked without waiting, then the turn to
write. The pack is on the disk before the transaction commits; where that fails, it is removed if it
is certainly nobody else's, and left for :func:`sweep` otherwise.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row
from sqlalchemy.exc import SQLAlchemyError

from lem.archive import campaigns, identities, log, receipts, replays, replicate, summaries
from lem.archive.bulk import insert_runs
from lem.archive.database import Database, raise_data_version, setting
from lem.archive.demo import is_demo
from lem.archive.kept import outcomes_of, packed_outcomes
from lem.archive.packs import Packs
from lem.archive.parsed import (
    SAME_RESPONSES_BYTES,
    Parsed,
    extends,
    files_of,
    parse,
    read_lock,
)
from lem.archive.queue.leases import Lease, block_submitted
from lem.archive.queue.presenting import Presented, leased
from lem.archive.queue.runners import models_of
from lem.archive.reasons import refused
from lem.archive.rows import RunRow
from lem.archive.schema import BLOB, CAMPAIGN, SELF_REPORTED, SUBMISSION
from lem.contract.base import utc_now
from lem.contract.flags import SYNTHETIC
from lem.contract.submission import Content, Manifest, Receipt, Submitted
from lem.errors import BadInput
from lem.submit import manifest as signing
from lem.submit import pack as packing
from lem.submit.pack import Pack

MAX_SUBMISSION_BYTES = 48 * 2**20


def receive(
    db: Database,
    packs: Packs,
    body: bytes,
    *,
    lease: Presented | None = None,
    imported: bool = False,
    queued: str | None = None,
) -> Receipt:
    """Take a submission in. The same content again gives the same receipt and changes nothing.

    ``lease``: of a runner. What is submitted of a campaign that was queued here is taken from
    whoever holds its lease alone, and is all of one campaign, whoever signs it.

    ``imported``: it comes from another archive's dump. Its key has to be enrolled here (as
    ``imported``), and is checked; the archive, nonce and salt are that archive's. ``queued``: the
    campaign's id in that one's queue, where it came from there.

    Raises ``Refused``; then nothing was stored.
    """
    pack = _read(body)
    manifest = _signed(db, pack, imported)
    content = manifest.content
    sha256 = signing.content_sha256(content)
    with db.reading() as c:
        if (known := receipts.known(c, sha256, manifest.key)) is not None:
            return known
        if not imported and not identities.nonce_is_there(c, manifest.nonce, manifest.key):
            raise refused("nonce_unknown")
    parsed = parse(pack, content)
    if _made_up(parsed):
        with db.reading() as c:
            # An archive that is for demonstrations stays so.
            if not is_demo(c):
                raise refused("synthetic_refused", hint="lem serve --demo serves such an archive")
    aside = packs.prepare(sha256, body)
    try:
        with db.writing() as c:
            if (known := receipts.known(c, sha256, manifest.key)) is not None:
                return known
            submission = _Submission(c, pack, manifest, parsed, sha256)
            submission.find_campaign(lease, imported, queued)
            submission.check()
            if not imported:
                identities.use_nonce(c, manifest.nonce, manifest.key)
            packs.place(sha256, aside)
            try:
                submission.store()
                made = receipts.receipt_of(c, sha256, again=False)
                assert made is not None
            except Exception:
                # Where the connection was lost, the turn to write is lost too: somebody else may
                # have committed the same content since, and this pack is theirs.
                if _is_our_turn(c):
                    packs.delete(sha256)
                raise
            return made
    finally:
        aside.unlink(missing_ok=True)


def _made_up(parsed: Parsed) -> bool:
    """Whether any record says of itself that nobody measured it."""
    return any(a.run is not None and SYNTHETIC in a.run.flags.split(",") for a in parsed.attempts)


def _is_our_turn(c: Connection) -> bool:
    """Whether the transaction still goes on, and with it the lock by which nobody else writes. One
    that failed in the database (rather than here) may be over: then it is not asked again."""
    try:
        c.exec_driver_sql("SELECT 1")
    except SQLAlchemyError:
        return False
    return True


def receipt(db: Database, content_sha256: str) -> Receipt:
    """What became of a submission. Raises ``Refused`` (``submission_unknown``)."""
    with db.reading() as c:
        found = receipts.receipt_of(c, content_sha256, again=False)
    if found is None:
        raise refused("submission_unknown")
    return found.model_copy(update={"already_there": True})


def sweep(db: Database, packs: Packs) -> int:
    """Remove packs that no row names, an hour after they were written; returns how many."""

    def known(c: Connection) -> set[str]:
        there = SUBMISSION.c.checks != "retracted"
        return set(c.scalars(sa.select(SUBMISSION.c.content_sha256).where(there)))

    with db.reading() as c:
        strays = packs.strays(known(c))
    if not strays:
        return 0
    with db.writing() as c:
        return packs.sweep(known(c))


def _read(body: bytes) -> Pack:
    if len(body) > MAX_SUBMISSION_BYTES:
        raise refused("too_large", f"a submission has at most {MAX_SUBMISSION_BYTES >> 20} MiB")
    try:
        return packing.read(body)
    except BadInput as e:
        newer = any("newer than this lem" in p.message for p in e.problems)
        message = "\n".join(str(p)[:300] for p in e.problems[:5])
        raise refused("newer_schema" if newer else "bad_submission", message) from e


def _signed(db: Database, pack: Pack, imported: bool) -> Manifest:
    """The manifest, if a key that is enrolled here signed it, for this archive."""
    with db.reading() as c:
        claimed = pack.unverified
        if not imported and claimed.archive != setting(c, "archive"):
            raise refused("wrong_archive")
        if not imported and claimed.content.board_salt != setting(c, "board_salt"):
            raise refused("wrong_archive", "boards were told apart by another archive's salt")
        key = identities.key_of(c, claimed.key)
        if key is None:
            raise refused("key_unknown", hint="lem key enrol")
        if key.revoked and not imported:
            raise refused("key_revoked")
    try:
        return signing.verify(pack.manifest, pack.signature, key.public_key)
    except BadInput as e:
        raise refused("bad_signature") from e


class _Submission:
    """One that is about to be stored, by the only transaction that writes."""

    def __init__(
        self, c: Connection, pack: Pack, manifest: Manifest, parsed: Parsed, sha256: str
    ) -> None:
        self.c, self.pack, self.manifest, self.parsed = c, pack, manifest, parsed
        self.content: Content = manifest.content
        self.sha256 = sha256
        key = identities.key_of(c, manifest.key)
        if key is None or (key.revoked and manifest.archive == setting(c, "archive")):
            raise refused("key_revoked")
        self.identity = key.identity_id
        self.campaign: Row[Any] | None = None
        self.lease: Lease | None = None
        self.queued: str | None = None

    def find_campaign(
        self, presented: Presented | None, imported: bool, queued: str | None
    ) -> None:
        """What of its campaign is there: its submitter's; or, of one that was queued, whoever's.
        Raises ``Refused`` where that is queued here, and is not the presented lease's."""
        self.lease = leased(self.c, self.content.campaign, presented, self.identity, imported)
        self.queued = queued if self.lease is None else self.lease.queued
        whose = CAMPAIGN.c.queued == self.queued
        if self.queued is None:
            whose = CAMPAIGN.c.identity_id == self.identity
        own = sa.select(CAMPAIGN).where(CAMPAIGN.c.owner == self.content.campaign)
        self.campaign = self.c.execute(own.where(whose)).first()
        mine = self.c.execute(own.where(CAMPAIGN.c.identity_id == self.identity)).first()
        if mine is not None and mine.queued != self.queued:
            raise refused("lock_differs", "a campaign of this name is here, and is another one")

    def check(self) -> None:
        """What only the database knows. Raises ``Refused``."""
        if self.campaign is not None:
            if self.campaign.state in ("retracted", "rejected"):
                raise refused(f"campaign_{self.campaign.state}")
            if self._newer_lock(self.campaign) is None:
                raise refused("lock_differs")
            self._check_attempts(self.campaign.id)
        self._check_files()

    def store(self) -> None:
        """All rows, in a fixed order of tables."""
        campaign_id = self._campaign_id()
        submission_id = self._submission_id(campaign_id)
        insert_blobs(self.c, submission_id, self.pack, self.content)
        made = run_rows(self.parsed, self.identity, campaign_id, submission_id)
        _, touched = insert_runs(self.c, made)
        stands = campaigns.stand(self.c, campaign_id)
        # A campaign that is open again counts for nothing, nor does what stood on it.
        changed = stands.submissions | replicate.refresh(self.c, stands.configs)
        summaries.refresh(self.c, touched | stands.configs)
        if self.lease is not None:
            block_submitted(self.c, self.lease, models_of(self.lease.hello))
        told = {"campaign": self.content.campaign, "submission": self.sha256}
        came = {} if self.queued is None else {"queued": self.queued}
        runs = len(self.content.runs)
        log.append(self.c, "accepted", {**told, **came, "key": self.manifest.key, "runs": runs})
        before = None if self.campaign is None else self.campaign.state
        if before == "complete" and stands.state == "open":
            # Its figures are gone from the board: nobody's go unseen.
            log.append(self.c, "reopened", told)
        replicate.log_tiers(self.c, changed)
        raise_data_version(self.c)

    def _newer_lock(self, campaign: Row[tuple[object, ...]]) -> bool | None:
        """Whether this lock goes on from the one that is there; None if neither does."""
        gz = self.pack.file(self.content.lock)
        if bytes(campaign.lock) == gz:
            return False
        old = read_lock(bytes(campaign.lock))
        if campaign.board_salt != self.content.board_salt:
            return None
        if extends(old, self.parsed.lock):
            return True
        return False if extends(self.parsed.lock, old) else None

    def _check_attempts(self, campaign_id: int) -> None:
        """No attempt twice. The first submission of it is the one that is believed."""
        rows = self.c.execute(
            sa.select(SUBMISSION.c.id, SUBMISSION.c.manifest, SUBMISSION.c.outcomes).where(
                SUBMISSION.c.campaign_id == campaign_id
            )
        )
        mine = {_place(r): r for r in self.content.runs}
        for row in rows:
            both = mine.keys() & {(o.block, o.arm_id, o.attempt) for o in outcomes_of(row.outcomes)}
            if not both:
                continue
            theirs = {_place(r): r for r in signing.parsed(bytes(row.manifest)).content.runs}
            same = all(theirs[p].files() == mine[p].files() for p in both)
            block, arm, attempt = min(both)
            where = f"block {block}, arm {arm[:12]}, attempt {attempt}"
            raise refused(
                "attempt_known" if same else "attempt_differs",
                f"{where} was submitted before" + ("" if same else ", with other bytes"),
            )

    def _check_files(self) -> None:
        """No file that another submission has: a trace is of one run."""
        wanted = [
            bytes.fromhex(sha)
            for kind, sha in files_of(self.content)
            if kind != "responses" or self.pack.files[sha][1] > SAME_RESPONSES_BYTES
        ]
        for at in range(0, len(wanted), 500):
            there = sa.select(BLOB.c.kind).where(BLOB.c.sha256.in_(wanted[at : at + 500]))
            if (kind := self.c.scalar(there.limit(1))) is not None:
                raise refused("already_submitted", f"a {kind} of it is in another submission")
        if replays.is_known(self.c, wanted):
            raise refused("already_submitted", "a trace of it was taken back before")

    def _campaign_id(self) -> int:
        gz = self.pack.file(self.content.lock)
        if self.campaign is not None:
            if self._newer_lock(self.campaign):
                self.c.execute(
                    CAMPAIGN.update().where(CAMPAIGN.c.id == self.campaign.id).values(lock=gz)
                )
            return int(self.campaign.id)
        made = self.c.execute(
            CAMPAIGN.insert().values(
                identity_id=self.identity,
                owner=self.content.campaign,
                name=self.parsed.lock.name,
                lock=gz,
                board_salt=self.content.board_salt,
                state="open",
                created_at=utc_now(),
                queued=self.queued,
            )
        )
        return int((made.inserted_primary_key or [0])[0])

    def _submission_id(self, campaign_id: int) -> int:
        made = self.c.execute(
            SUBMISSION.insert().values(
                content_sha256=self.sha256,
                campaign_id=campaign_id,
                identity_id=self.identity,
                key_id=self.manifest.key,
                manifest=self.pack.manifest,
                signature=self.pack.signature,
                schema_version=self.manifest.schema_version,
                semantics_version=self.parsed.semantics_version,
                received_at=utc_now(),
                runs=len(self.content.runs),
                bytes=len(self.pack.body),
                outcomes=packed_outcomes(a.outcome for a in self.parsed.attempts),
                checks="pending",
                log_seq=log.head(self.c).seq + 1,
            )
        )
        return int((made.inserted_primary_key or [0])[0])


def insert_blobs(c: Connection, submission_id: int, pack: Pack, content: Content) -> None:
    """Where each file lies in the pack."""
    kinds = {content.lock: "lock"}
    for kind, sha in files_of(content):
        kinds.setdefault(sha, kind)
    c.execute(
        BLOB.insert(),
        [
            {
                "submission_id": submission_id,
                "sha256": bytes.fromhex(sha),
                "offset": pack.files[sha][0],
                "length": pack.files[sha][1],
                "kind": kind,
            }
            for sha, kind in sorted(kinds.items())
        ],
    )


def run_rows(parsed: Parsed, identity: int, campaign_id: int, submission_id: int) -> list[RunRow]:
    """The rows of ``run`` of a submission: self-reported, and counted by nothing yet."""
    return [
        RunRow(
            config=a.run.config,
            boards=a.run.boards,
            identity_id=identity,
            campaign_id=campaign_id,
            submission_id=submission_id,
            number=a.number,
            block=a.submitted.block,
            arm=a.arm,
            attempt=a.submitted.attempt,
            started_at=a.run.started_at,
            tier=SELF_REPORTED,
            counted=False,
            flags=a.run.flags,
            figures=a.run.figures,
        )
        for a in parsed.attempts
        if a.run is not None
    ]


def _place(run: Submitted) -> tuple[int, str, int]:
    return (run.block, run.arm_id, run.attempt)
