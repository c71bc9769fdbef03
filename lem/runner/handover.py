"""A campaign that another runner has begun: what was submitted of it becomes a part of the folder.

What a server hands over is read as strictly as what anybody submits. The runs are public documents,
in which boards and boots stand by their hashes; they are never submitted again.
"""

import base64
import binascii
from collections.abc import Iterator, Sequence
from pathlib import Path

from lem.agent.environment import gpus
from lem.archive.rows import device_on
from lem.campaign.attempt import attempt_folder
from lem.campaign.plan import Run
from lem.contract.base import write_atomic
from lem.contract.failure import Failure
from lem.contract.lock import Lock
from lem.contract.queue import HandedRun, Handover
from lem.contract.record import Environment, Gpu, Record
from lem.contract.submission import ArchiveInfo
from lem.errors import BadInput
from lem.runner.hardware import described
from lem.stores.folder import MAX_RECORD_BYTES
from lem.stores.hardware import of_environment
from lem.submit.allowed import PRODUCT
from lem.submit.bundle import Place
from lem.submit.pack import packed, unpacked
from lem.submit.public import public_lock, text_of

MAX_LOCK_BYTES = 32 * 2**20
MAX_UNPACKED_BYTES = 256 * 2**20
"""Of all runs together."""
MAX_PLACE = 10**8


def locked(handover: Handover) -> Lock:
    """The lock as it was submitted first."""
    return Lock.parse(unpacked(lock_gz(handover), MAX_LOCK_BYTES), "the lock that was handed over")


def lock_gz(handover: Handover) -> bytes:
    """Its bytes as they were submitted."""
    return _bytes(handover.lock)


def places(handover: Handover) -> set[Place]:
    """The attempts that the archive has."""
    return {(r.block, r.arm_id, r.attempt) for r in handover.runs}


def public(handover: Handover, own: Lock, info: ArchiveInfo) -> bytes:
    """gzip of the lock to submit with: the one that was handed over, with the arms that were chosen
    since."""
    theirs = locked(handover)
    if len(own.arms) <= len(theirs.arms):
        return lock_gz(handover)
    told = public_lock(own, info.board_salt)
    return packed(text_of(theirs.model_copy(update={"arms": told.arms, "requests": told.requests})))


def documents(handover: Handover) -> Iterator[tuple[HandedRun, Record | Failure]]:
    """Every run with its document. Raises :class:`BadInput` at one that is not what it should be:
    then nothing of the campaign is believed."""
    arms = {a.arm_id for a in locked(handover).arms}
    if len(places(handover)) < len(handover.runs):
        raise BadInput("what was handed over has an attempt twice")
    left = MAX_UNPACKED_BYTES
    for run in handover.runs:
        if (run.record is None) == (run.failure is None):
            raise BadInput("what was handed over has an attempt without its document")
        text = unpacked(_bytes(run.record or run.failure or ""), min(MAX_RECORD_BYTES, left))
        left -= len(text)
        kind = Failure if run.record is None else Record
        document: Record | Failure = kind.parse(text, "a run that was handed over")
        if (
            (document.block, document.arm_id, document.attempt)
            != (run.block, run.arm_id, run.attempt)
            or run.arm_id not in arms
            or max(run.block, run.attempt) > MAX_PLACE
        ):
            raise BadInput("what was handed over has a run at another's place")
        yield run, document


def write(folder: Path, handover: Handover) -> None:
    """Put the runs into a campaign's folder; those that are there stay as they are. Nothing is
    written where one of them is not what it should be; they are looked at one by one."""
    for _ in documents(handover):
        pass
    for run, document in documents(handover):
        place = attempt_folder(folder, Run(run.arm_id, run.block, 0, run.attempt))
        name = "record.json" if isinstance(document, Record) else "failure.json"
        if not (place / name).exists():
            write_atomic(place / name, text_of(document))


def unlike(handover: Handover, indices: Sequence[int]) -> str | None:
    """Why this machine's hardware is another than that on which the campaign was begun, or None:
    by all that comparisons and the archive hold against each other. ``indices``: the GPUs that it
    would use here.

    Raises :class:`LemError` for what no archive takes.
    """
    boards = gpus(list(indices))
    here = _told(described(boards))
    for _, document in documents(handover):
        if not isinstance(document, Record):
            continue
        there = _told(document.environment)
        if (theirs := of_environment(there)) != (ours := of_environment(here)):
            return f"it was begun on {theirs}; this runner has {ours}"
        asked = document.experiment.device.power_limit_w is not None
        mine = here.model_copy(update={"gpus": here.gpus[: len(there.gpus)]})
        if (theirs := device_on(there, asked)[0]) != (ours := device_on(mine, asked)[0]):
            return f"it was begun on {theirs}; this runner has {ours}"
    return None


def _told(environment: Environment) -> Environment:
    """By the names that may be told."""

    def name(text: str) -> str:
        return text if PRODUCT.fullmatch(text) else "unknown"

    def board(gpu: Gpu) -> Gpu:
        return gpu.model_copy(update={"name": name(gpu.name)})

    return environment.model_copy(
        update={
            "cpu_model": name(environment.cpu_model),
            "gpus": [board(g) for g in environment.gpus],
            "device_set_names": [name(n) for n in environment.device_set_names],
        }
    )


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as e:
        raise BadInput("what was handed over is not base64") from e
