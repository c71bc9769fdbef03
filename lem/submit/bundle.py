"""A campaign folder as submissions: every attempt there is, blocks whole, nothing twice."""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from lem import __version__
from lem.contract.failure import Failure
from lem.contract.lock import Lock
from lem.contract.submission import MAX_RUNS, ArchiveInfo, Content, Submitted
from lem.errors import BadInput, Problem
from lem.stores import folder as store
from lem.stores.folder import Attempt, Entry
from lem.submit import rows
from lem.submit.pack import BLOCK, packed
from lem.submit.public import public_failure, public_lock, public_record, text_of, veil_of
from lem.submit.veil import campaign_of

LOCK = "campaign.lock.json"
HEAD_BYTES = 8192
"""More than a submission has besides its files and what its manifest says of runs."""
RUN_BYTES = 640
"""More than a manifest says of one run."""

Place = tuple[int, str, int]
"""Block, arm and attempt."""


@dataclass(frozen=True)
class Bundle:
    """What is sent in one go. ``files``: SHA-256 → gzip."""

    content: Content
    files: Mapping[str, bytes]
    names: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 → where in the campaign's folder it comes from."""

    @property
    def places(self) -> set[Place]:
        return {(r.block, r.arm_id, r.attempt) for r in self.content.runs}


class Made(NamedTuple):
    """An attempt's public files."""

    run: Submitted
    files: dict[str, bytes]
    names: dict[str, str]

    @property
    def size(self) -> int:
        """At most so many in a submission."""
        return RUN_BYTES + sum(map(_member_bytes, self.files.values()))


def locked(folder: Path) -> Lock:
    """The folder's lock. Raises :class:`BadInput` where it is no campaign's."""
    if not (folder / LOCK).exists():
        raise BadInput(f"{folder} is no campaign's folder: it has no {LOCK}")
    return Lock.read(folder / LOCK)


def bundles(
    folder: Path,
    info: ArchiveInfo,
    done: Collection[Place] = (),
    ended: Callable[[Attempt], bool] = lambda attempt: True,
    public: bytes | None = None,
) -> Iterator[Bundle]:
    """The submissions of a campaign's attempts that are not ``done``, in the order of its blocks.

    A block stays in one piece as long as it fits. ``ended``: whether nothing more will be written
    to an attempt. ``public``: gzip of the lock to name in place of the folder's own, where another
    machine began the campaign. Raises :class:`BadInput` where something in the folder cannot be
    sent: then nothing of it should be.
    """
    lock = locked(folder)
    public = public or packed(text_of(public_lock(lock, info.board_salt)))
    room = info.max_submission_bytes - HEAD_BYTES - _member_bytes(public)

    def bundle(parts: Sequence[Made]) -> Bundle:
        sha = _sha(public)
        content = Content(
            campaign=campaign_of(lock.owner, info.board_salt),
            lock=sha,
            board_salt=info.board_salt,
            runs=[m.run for m in parts],
            lem_version=__version__,
        )
        files, names = {sha: public}, {sha: LOCK}
        for made in parts:
            files |= made.files
            names |= made.names
        return Bundle(content, files, names)

    waiting: list[Made] = []
    for block in _blocks(folder, lock, info, done, ended):
        for part in _fitting(block, room):
            if waiting and not _fits([*waiting, *part], room):
                yield bundle(waiting)
                waiting = []
            waiting += part
    if waiting:
        yield bundle(waiting)


def open_attempts(folder: Path) -> list[tuple[Attempt, str]]:
    """Attempts that have no usable document, each with why: they were broken off."""
    return [(e.attempt, e.problem) for e in store.entries(folder) if e.record is None is e.failure]


def _blocks(
    folder: Path,
    lock: Lock,
    info: ArchiveInfo,
    done: Collection[Place],
    ended: Callable[[Attempt], bool],
) -> Iterator[list[Made]]:
    """The attempts of each block that are to be sent."""
    block: list[Made] = []
    problems: list[Problem] = []
    hint = None
    for entry in _known(folder, ended):
        attempt = entry.attempt
        if (attempt.block, attempt.arm_id, attempt.attempt) in done:
            continue
        if block and block[0].run.block != attempt.block:
            if not problems:
                yield block
            block = []
        try:
            block.append(_made(folder, entry, lock, info))
        except BadInput as e:
            problems += [
                Problem(f"{p.message}", f"{attempt.path}/{p.file or ''}".rstrip("/"))
                for p in e.problems
            ]
            hint = hint or e.hint
            if len(problems) >= 20:
                break
    if problems:
        raise BadInput(list(dict.fromkeys(problems)), hint)
    if block:
        yield block


def _known(folder: Path, ended: Callable[[Attempt], bool]) -> Iterator[Entry]:
    """Every attempt with a document. One that was left without, and was made again, was broken off:
    it is sent as a failure, so that the numbers of attempts have no gaps. Of the latest attempt
    nothing is known yet."""
    left: list[Entry] = []
    for entry in store.entries(folder):
        if not ended(entry.attempt):
            continue
        if left and left[0].attempt[:2] != entry.attempt[:2]:
            left = []
        if entry.record is None and entry.failure is None:
            left.append(entry)
            continue
        for earlier in left:
            yield Entry(earlier.attempt, earlier.outcome, failure=_broken_off(earlier, entry))
        left = []
        yield entry


def _broken_off(left: Entry, after: Entry) -> Failure:
    """All that can be said of an attempt without a document: another one followed."""
    then = after.outcome
    return Failure(
        run_id=f"none-{left.attempt.block}-{left.attempt.attempt}",
        arm_id=left.attempt.arm_id,
        block=left.attempt.block,
        block_pass=min(left.outcome.block_pass, then.block_pass),
        attempt=left.attempt.attempt,
        kind="interrupted",
        phase="unknown",
        message="",
        written_by="host",
        started_at=then.started_at,
        ended_at=then.started_at,
        boot_id=then.boot_id,
        device_set=list(then.device_set),
    )


def _made(folder: Path, entry: Entry, lock: Lock, info: ArchiveInfo) -> Made:
    attempt, salt = entry.attempt, info.board_salt
    files: dict[str, bytes] = {}
    names: dict[str, str] = {}

    def add(name: str, data: bytes) -> str:
        sha = _sha(data)
        files[sha], names[sha] = data, f"{attempt.path}/{name}"
        return sha

    run = Submitted(block=attempt.block, arm_id=attempt.arm_id, attempt=attempt.attempt)
    if entry.failure is not None:
        failure = public_failure(entry.failure, salt, lock.owner)
        sha = add("failure.json", packed(text_of(failure)))
        return Made(run.model_copy(update={"failure": sha}), files, names)
    if entry.record is None:
        raise BadInput("has no document")
    record = public_record(entry.record, salt, lock.owner)
    veil = veil_of(entry.record, salt, lock.owner)
    found = {"record": add("record.json", packed(text_of(record)))}
    most = info.max_submission_bytes
    for name, key, make in (
        ("trace.csv.gz", "trace", lambda data: rows.public_trace(data, veil)),
        ("responses.csv.gz", "responses", rows.public_responses),
    ):
        data = store.beside(folder, attempt, name, most)
        if data is None:
            continue
        try:
            found[key] = add(name, make(data))
        except BadInput as e:
            raise BadInput([Problem(p.message, name) for p in e.problems]) from e
    return Made(run.model_copy(update=found), files, names)


def _fitting(block: Sequence[Made], room: int) -> Iterator[list[Made]]:
    """The block whole, or where it alone is too large, as much as fits at a time."""
    part: list[Made] = []
    for made in block:
        if not _fits([made], room):
            run = made.run
            raise BadInput(
                f"block {run.block}, arm {run.arm_id}, attempt {run.attempt} is larger than the"
                f" archive takes ({room >> 20} MiB)"
            )
        if part and not _fits([*part, made], room):
            yield part
            part = []
        part.append(made)
    if part:
        yield part


def _fits(parts: Sequence[Made], room: int) -> bool:
    """``room``: bytes for runs and their files, the manifest's part of them included."""
    return len(parts) <= MAX_RUNS and sum(m.size for m in parts) <= room


def _member_bytes(data: bytes) -> int:
    return 2 * BLOCK + len(data)


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
