"""A campaign folder as a store: ``DIR/blocks/0000/<arm id>/<attempt>/``.

What lies there may have come from anywhere: names are checked, links are not followed, sizes are
bounded, and a document that disagrees with its own place is never a result.
"""

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from lem.contract.failure import Failure
from lem.contract.flags import worst
from lem.contract.record import Record
from lem.errors import BadInput
from lem.stores.costs import costs_of
from lem.stores.outcomes import Outcome

BLOCK = re.compile(r"[0-9]{4,9}")
ARM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
ATTEMPT = re.compile(r"[0-9]{1,6}")

DOCUMENTS = ("failure.json", "record.json", "job.json")
"""In this order of weight. A failure written after the record was (the host had given the agent up)
means that something else may have run beside it: the attempt does not count."""

MAX_RECORD_BYTES = 16 * 2**20
MANY_BLOCKS, AT_ONCE = 32, 8
"""From so many blocks on, so many are looked at together: on a network file system each look is a
journey of its own."""


class Attempt(NamedTuple):
    """A place where a run was tried, and the document that decides what became of it."""

    block: int
    arm_id: str
    attempt: int
    path: str
    """Relative to the campaign folder."""
    document: str | None
    """``failure.json``, ``record.json``, ``job.json``, or None for an empty folder."""
    size: int
    mtime_ns: int
    beside_ns: int
    """When something was last added beside this attempt."""


class Settled(NamedTuple):
    """An arm's attempts in a block, as they were when its folder had last changed at ``beside_ns``.
    All of them are over."""

    beside_ns: int
    attempts: list[Attempt]


@dataclass(frozen=True)
class Entry:
    """An attempt, read. ``record`` and ``failure`` exclude each other."""

    attempt: Attempt
    outcome: Outcome
    record: Record | None = None
    failure: Failure | None = None
    problem: str = ""
    """Why a document could not be used."""


def attempts(folder: Path, settled: Mapping[str, Settled] = {}) -> Iterator[Attempt]:
    """Every attempt of a campaign folder in the order (block, arm, attempt); reads no document.

    ``settled``: ``blocks/0000/ARM`` → what need not be looked at again while nothing is added.
    """
    blocks = _folders(f"{os.fspath(folder)}/blocks", BLOCK)
    if len(blocks) < MANY_BLOCKS:
        for block in blocks:
            yield from attempts_of(folder, block, settled)
        return
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for found in pool.map(lambda b: list(attempts_of(folder, b, settled)), blocks):
            yield from found


def attempts_of(folder: Path, block: str, settled: Mapping[str, Settled] = {}) -> Iterator[Attempt]:
    """Those of one block, by its folder's name (``0003``)."""
    root = os.fspath(folder)
    if not BLOCK.fullmatch(block):
        return
    for arm, beside_ns in _changed(f"{root}/blocks/{block}", ARM):
        here = f"blocks/{block}/{arm}"
        known = settled.get(here)
        if known is not None and known.beside_ns == beside_ns:
            yield from known.attempts
            continue
        for name in sorted(_folders(f"{root}/{here}", ATTEMPT), key=int):
            path = f"{here}/{name}"
            document, size, mtime_ns = _deciding(f"{root}/{path}")
            yield Attempt(int(block), arm, int(name), path, document, size, mtime_ns, beside_ns)


def entries(folder: Path) -> Iterator[Entry]:
    """Every attempt with its documents read and checked."""
    for attempt in attempts(folder):
        yield read(folder, attempt)


def outcomes(folder: Path) -> list[Outcome]:
    """What the plan needs to know of every attempt on disk."""
    return [entry.outcome for entry in entries(folder)]


def outcomes_of(folder: Path, block: int) -> list[Outcome]:
    """The same of one block."""
    return [read(folder, attempt).outcome for attempt in attempts_of(folder, f"{block:04d}")]


def read(folder: Path, attempt: Attempt) -> Entry:
    """Read one attempt. One whose document cannot be used is ``open``, as if it had none, with the
    reason in ``problem``: the plan makes that run again."""
    try:
        if attempt.document == "record.json":
            return _of_record(attempt, _read_record(folder, attempt))
        if attempt.document == "failure.json":
            return _of_failure(attempt, _read_failure(folder, attempt))
    except BadInput as e:
        problem = str(e)
    else:
        problem = ""
    block_pass = _pass_of_job(folder, attempt)
    return Entry(attempt, _outcome(attempt, block_pass), problem=problem)


def _folders(path: str, names: re.Pattern[str]) -> list[str]:
    """Real folders (no links) whose names have the right form, sorted."""
    return sorted(e.name for e in _entries(path, names))


def _changed(path: str, names: re.Pattern[str]) -> list[tuple[str, int]]:
    """The same with when each was last changed (ns)."""
    found = []
    for e in _entries(path, names):
        try:
            found.append((e.name, e.stat(follow_symlinks=False).st_mtime_ns))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    return sorted(found)


def _entries(path: str, names: re.Pattern[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as found:
            return [e for e in found if names.fullmatch(e.name) and e.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as e:
        raise BadInput(f"{path} cannot be read: {e.strerror}") from e


def _deciding(folder: str) -> tuple[str | None, int, int]:
    for name in DOCUMENTS:
        try:
            status = os.lstat(f"{folder}/{name}")
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            return name, status.st_size, status.st_mtime_ns
    return None, 0, 0


def beside(folder: Path, attempt: Attempt, name: str, most: int) -> bytes | None:
    """A file of an attempt, or None where there is none. Raises :class:`BadInput` where it is no
    plain file, cannot be read or has more than ``most`` bytes."""
    if not os.path.lexists(folder / attempt.path / name):
        return None
    return _bytes(folder, attempt, name, most)


def _bytes(folder: Path, attempt: Attempt, name: str, most: int = MAX_RECORD_BYTES) -> bytes:
    """A regular file's content, opened without following a link and with a bound on its size."""
    path = folder / attempt.path / name
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as f:
            data = f.read(most + 1)
    except OSError as e:
        raise BadInput(f"{path} cannot be read: {e.strerror}") from e
    if len(data) > most:
        raise BadInput(f"{path} is larger than {most >> 20} MiB")
    return data


def _read_record(folder: Path, attempt: Attempt) -> Record:
    record = Record.parse(_bytes(folder, attempt, "record.json"), f"{attempt.path}/record.json")
    _check_place(attempt, record)
    return record


def _read_failure(folder: Path, attempt: Attempt) -> Failure:
    failure = Failure.parse(_bytes(folder, attempt, "failure.json"), f"{attempt.path}/failure.json")
    _check_place(attempt, failure)
    return failure


def _check_place(attempt: Attempt, document: Record | Failure) -> None:
    """A record that was copied to another place, or whose times make no sense, is refused."""
    place = (attempt.block, attempt.arm_id, attempt.attempt)
    if (document.block, document.arm_id, document.attempt) != place:
        raise BadInput(f"{attempt.path} holds the document of another attempt")
    for text in (document.started_at, document.ended_at):
        try:
            time = datetime.fromisoformat(text)
        except ValueError:
            time = None
        if time is None or time.tzinfo is None:
            raise BadInput(f"{attempt.path}: {text!r} is not an ISO 8601 time with its zone")


def _of_record(attempt: Attempt, record: Record) -> Entry:
    outcome = Outcome(
        arm_id=attempt.arm_id,
        block=attempt.block,
        block_pass=record.block_pass,
        attempt=attempt.attempt,
        kind="record",
        failure_kind=None,
        consequence=worst(record.flags),
        started_at=record.started_at,
        ended_at=record.ended_at,
        boot_id=record.environment.boot_id,
        device_set=tuple(record.environment.device_set),
        path=attempt.path,
        costs=costs_of(record),
    )
    return Entry(attempt, outcome, record=record)


def _of_failure(attempt: Attempt, failure: Failure) -> Entry:
    outcome = _outcome(attempt, block_pass=failure.block_pass)._replace(
        kind="failure",
        failure_kind=failure.kind,
        started_at=failure.started_at,
        ended_at=failure.ended_at,
        boot_id=failure.boot_id,
        device_set=tuple(failure.device_set),
    )
    return Entry(attempt, outcome, failure=failure)


def _outcome(attempt: Attempt, block_pass: int) -> Outcome:
    """An attempt of which only its place is known."""
    return Outcome(
        arm_id=attempt.arm_id,
        block=attempt.block,
        block_pass=block_pass,
        attempt=attempt.attempt,
        kind="open",
        failure_kind=None,
        consequence="info",
        started_at="",
        ended_at="",
        boot_id="",
        device_set=(),
        path=attempt.path,
    )


def _pass_of_job(folder: Path, attempt: Attempt) -> int:
    """The pass an attempt belongs to, from its job; 0 where that cannot be read."""
    try:
        job: Any = json.loads(_bytes(folder, attempt, "job.json"))
        block_pass = job["block_pass"]
    except (BadInput, ValueError, RecursionError, TypeError, KeyError):
        return 0
    valid = isinstance(block_pass, int) and not isinstance(block_pass, bool) and block_pass >= 0
    return block_pass if valid else 0
