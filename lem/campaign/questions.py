"""The questions of ``measure.accuracy``, as the bytes of a file: one's own, or what
lm-evaluation-harness makes of a task."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from lem.campaign import harness
from lem.config import CampaignFile
from lem.config.quality import place, read_file
from lem.errors import BadInput
from lem.launchers.protocol import Say
from lem.workloads import questions


@dataclass(frozen=True)
class QuestionFile:
    data: bytes
    sha256: str
    limit: int | None
    output_tokens: int | None


def gather(campaign: CampaignFile, cache: Path, say: Say) -> QuestionFile | None:
    """The campaign's questions; None where it asks none. Raises :class:`BadInput` where the file
    has changed since it was checked, :class:`EnvironmentFault` where the harness is missing."""
    wanted, known = campaign.spec.measure.accuracy, campaign.accuracy
    if wanted is None or known is None:
        return None
    folder = campaign.path.parent
    if wanted.path is not None:
        data = read_file(place(folder, wanted.path))
        if known.sha256 is not None and hashlib.sha256(data).hexdigest() != known.sha256:
            raise BadInput(f"{wanted.path} has changed since the campaign file was checked")
        limit = wanted.limit
    else:
        include = None if wanted.include_path is None else place(folder, wanted.include_path)
        data = harness.export(wanted, include, cache / "tasks", say)
        limit = None  # the harness has left out the rest
    questions.parse(data, wanted.path or f"the task {wanted.task}")
    return QuestionFile(data, hashlib.sha256(data).hexdigest(), limit, wanted.output_tokens)
