"""A submission's documents, read and held against each other: all that needs no database.

Everything in them is hostile until it has come through here. What comes out is small: rows and
outcomes, not records.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

from lem.archive.reasons import refused
from lem.archive.rows import (
    ConfigRow,
    boards_of,
    config_of,
    figures_of,
    flags_of,
    is_board,
    shown,
    started_at_of,
)
from lem.config.identity import experiment_id, meaning
from lem.contract.base import Document
from lem.contract.failure import Failure
from lem.contract.flags import worst
from lem.contract.lock import Lock
from lem.contract.metrics import METRIC_SEMANTICS_VERSION
from lem.contract.record import Record
from lem.contract.submission import Content, Submitted
from lem.errors import BadInput
from lem.stores.costs import costs_of
from lem.stores.outcomes import Outcome
from lem.submit.pack import Pack, unpacked
from lem.submit.telling import private_in

MAX_RECORD_BYTES = 4 * 2**20
MAX_LOCK_BYTES = 16 * 2**20
MAX_TEXT_BYTES = 256 * 2**20
"""Of all documents of one submission together, uncompressed."""
MAX_WINDOWS = 1000
MAX_BLOCKS = 10_000
MAX_CELLS = 50_000
"""Blocks × arms that a lock may promise: the plan looks at each."""
MAX_TRIES = 1000
"""Passes of a block, and attempts in one: the plan gives up long before."""
SAME_RESPONSES_BYTES = 256
"""Two runs in which nothing was answered have the same responses: so small a file may be there
twice."""
YEARS = range(2000, 2200)
_NONSENSE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What arithmetic on hostile documents may end in."""

Kind = TypeVar("Kind", bound=Document)


class Figures(NamedTuple):
    """What a run's row has of its record."""

    config: ConfigRow
    boards: str
    started_at: float
    flags: str
    figures: tuple[float | None, ...]


class Attempt(NamedTuple):
    """One attempt: its outcome, and figures where it has a record."""

    number: int
    submitted: Submitted
    arm: int
    outcome: Outcome
    run: Figures | None


class Parsed(NamedTuple):
    """A submission, read."""

    content: Content
    lock: Lock
    attempts: list[Attempt]
    semantics_version: int
    """The newest of its records'; 0 where it has none."""


def parse(pack: Pack, content: Content) -> Parsed:
    """Read all documents of a submission whose signature was checked. Raises ``Refused``."""
    _refuse_repeats(pack, content)
    left = MAX_TEXT_BYTES
    lock, used = _document(Lock, pack, content.lock, MAX_LOCK_BYTES, left, "bad_lock")
    left -= used
    check_lock(lock, content)
    places = {arm.arm_id: i for i, arm in enumerate(lock.arms)}
    attempts: list[Attempt] = []
    semantics = 0
    for number, run in enumerate(content.runs):
        if run.arm_id not in places:
            raise refused("arm_unknown", f"arm {run.arm_id[:12]} is not in the campaign's lock")
        arm = places[run.arm_id]
        if run.failure is not None:
            failure, used = _document(
                Failure, pack, run.failure, MAX_RECORD_BYTES, left, "bad_failure"
            )
            outcome, figures = _guarded(_of_failure, "bad_failure", failure, run), None
        else:
            assert run.record is not None
            record, used = _document(Record, pack, run.record, MAX_RECORD_BYTES, left, "bad_record")
            outcome, figures = _guarded(_of_record, "bad_record", record, run, lock, arm, content)
            semantics = max(semantics, record.metric_semantics_version)
        left -= used
        attempts.append(Attempt(number, run, arm, outcome, figures))
    return Parsed(content, lock, attempts, semantics)


def read_lock(gz: bytes) -> Lock:
    """A lock that was taken in before."""
    return Lock.parse(unpacked(gz, MAX_LOCK_BYTES), "lock")


def check_lock(lock: Lock, content: Content) -> None:
    """Raise ``Refused`` for a lock that is not the campaign's, promises more than anybody runs, or
    whose experiments are not what their ids say."""
    if lock.owner != content.campaign:
        raise refused("lock_differs", "the lock is of another campaign")
    blocks = max(lock.blocks, lock.max_blocks or 0)
    if not lock.arms or blocks > MAX_BLOCKS or blocks * len(lock.arms) > MAX_CELLS:
        raise refused("bad_lock", "the lock has no arms, or more blocks and arms than are taken")
    ids = [a.arm_id for a in lock.arms]
    if len(set(ids)) < len(ids) or lock.baseline not in ids:
        raise refused("bad_lock", "the lock has an arm twice, or lacks its baseline")
    if not shown(lock.name) or not all(d == "cpu" or is_board(d) for d in lock.device_set):
        raise refused("not_private", "the lock has a name or a device that cannot be shown")
    for arm in lock.arms:
        made = _guarded(experiment_id, "bad_lock", arm.experiment)
        if made != arm.experiment_id:
            raise refused("experiment_differs", "an arm's experiment_id is not its experiment's")
        # lem sends no such text; who sends one by other means would have it published.
        for path, what in private_in(arm.experiment.model_dump(mode="json")):
            raise refused("not_private", f"an experiment's {path[:100]} looks like {what}")


def extends(old: Lock, new: Lock) -> bool:
    """Whether ``new`` is ``old`` with nothing changed but arms (and request lists) added, which is
    what campaigns that choose their arms as they go do. Another that grew after it was complete
    would be open again, and so take its figures back without a word in the public log."""
    if old.adaptive is None:
        return new == old
    if new.arms[: len(old.arms)] != old.arms:
        return False
    if not old.requests.items() <= new.requests.items():
        return False
    grown = {"arms": new.arms, "requests": new.requests}
    return old.model_copy(update=grown) == new


def _of_record(
    record: Record, run: Submitted, lock: Lock, arm: int, content: Content
) -> tuple[Outcome, Figures]:
    _check_place(record, run)
    if len(record.windows) > MAX_WINDOWS:
        raise refused("bad_record", f"a record has more than {MAX_WINDOWS} windows")
    if record.metric_semantics_version > METRIC_SEMANTICS_VERSION:
        raise refused("newer_semantics")
    locked = lock.arms[arm]
    if record.experiment_id != locked.experiment_id:
        made = experiment_id(record.experiment)
        reason = "arm_unknown" if made == record.experiment_id else "experiment_differs"
        raise refused(reason)
    # The lock's own was hashed. Equal in meaning, names included: then it has that id too.
    if meaning(record.experiment) != meaning(locked.experiment):
        raise refused("experiment_differs", "a record's experiment is not that of its arm")
    if record.campaign != lock.name or record.metric_semantics_version < 1:
        raise refused("wrong_place", "a record is of another campaign")
    env = record.environment
    outcome = Outcome(
        arm_id=run.arm_id,
        block=run.block,
        block_pass=record.block_pass,
        attempt=run.attempt,
        kind="record",
        failure_kind=None,
        consequence=worst(record.flags),
        started_at=_utc(record.started_at),
        ended_at=_utc(record.ended_at),
        boot_id=_name(env.boot_id),
        device_set=_devices(env.device_set),
        path=_path(run),
        costs=costs_of(record),
    )
    config = config_of(record)
    figures = Figures(
        config=config,
        boards=boards_of(record, content.board_salt),
        started_at=started_at_of(record),
        flags=flags_of(record),
        figures=figures_of(record, config.energy_class),
    )
    return outcome, figures


def _of_failure(failure: Failure, run: Submitted) -> Outcome:
    _check_place(failure, run)
    return Outcome(
        arm_id=run.arm_id,
        block=run.block,
        block_pass=failure.block_pass,
        attempt=run.attempt,
        kind="failure",
        failure_kind=failure.kind,
        consequence="info",
        started_at=_utc(failure.started_at),
        ended_at=_utc(failure.ended_at),
        boot_id=_name(failure.boot_id),
        device_set=_devices(failure.device_set),
        path=_path(run),
    )


def _check_place(document: Record | Failure, run: Submitted) -> None:
    if (document.block, document.arm_id, document.attempt) != (run.block, run.arm_id, run.attempt):
        raise refused("wrong_place")
    if run.block >= MAX_BLOCKS or max(document.block_pass, run.attempt) > MAX_TRIES:
        raise refused("wrong_place", "more blocks, passes or attempts than anybody makes")


def _document(
    kind: type[Kind], pack: Pack, sha256: str, most: int, left: int, reason: str
) -> tuple[Kind, int]:
    """A document of a pack, and how many bytes of text it has."""
    name = kind.__name__.lower()
    try:
        text = unpacked(pack.file(sha256), min(most, left))
    except BadInput as e:
        raise refused("too_large" if "more than" in e.message else reason, f"{name}: {e}") from e
    try:
        return kind.parse(text, name), len(text)
    except BadInput as e:
        newer = any("newer than this lem" in p.message for p in e.problems)
        raise refused("newer_schema" if newer else reason, _short(e)) from e
    except _NONSENSE as e:
        raise refused(reason, f"{name}: {type(e).__name__} in reading it") from e


def _guarded(made, reason: str, *arguments):  # type: ignore[no-untyped-def]
    """Call with hostile documents: what fails on them is their fault."""
    try:
        return made(*arguments)
    except _NONSENSE as e:
        raise refused(reason, f"{type(e).__name__} in reading it") from e


def _refuse_repeats(pack: Pack, content: Content) -> None:
    """One file of two runs, or in two parts: what is measured is never the same twice."""
    seen: set[str] = {content.lock}
    for kind, sha in files_of(content):
        small = kind == "responses" and pack.files[sha][1] <= SAME_RESPONSES_BYTES
        if sha in seen and not small:
            raise refused("already_submitted", f"the {kind} of a run is there twice")
        seen.add(sha)


def files_of(content: Content) -> Iterator[tuple[str, str]]:
    """Kind and SHA-256 of each file of each run."""
    for run in content.runs:
        for kind in ("record", "trace", "responses", "failure"):
            if (sha := getattr(run, kind)) is not None:
                yield kind, sha


def _utc(text: str) -> str:
    """One spelling for each moment: outcomes are sorted by it."""
    time = datetime.fromisoformat(text).astimezone(UTC)
    if time.year not in YEARS:
        raise ValueError("not a year of measurements")
    return time.isoformat("T", "microseconds")


def _name(text: str) -> str:
    if not shown(text):
        raise ValueError("not a name")
    return text


def _devices(devices: list[str]) -> tuple[str, ...]:
    if len(devices) > 1024 or not all(d == "cpu" or is_board(d) for d in devices):
        raise refused("not_private", "a device is told by something else than its salted hash")
    return tuple(devices)


def _path(run: Submitted) -> str:
    return f"blocks/{run.block:04d}/{run.arm_id}/{run.attempt}"


def _short(error: BadInput) -> str:
    """The first problems; the rest would only echo what was sent."""
    return "\n".join(str(p)[:300] for p in error.problems[:5])
