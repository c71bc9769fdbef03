"""In what way a run's questions were answered: whether their energy may stand beside another's."""

from typing import NamedTuple

from lem.contract.record import Record


class Answering(NamedTuple):
    """What has to be the same of two runs for a ratio of their energies per answer to mean
    something."""

    questions: str
    """SHA-256 of the questions and of what is correct."""
    scored_by: str | None
    """How likelihoods were told; None where answers were written."""
    metric: str | None
    unscored: int
    """Of given answers, questions that did not fit into the context: the longest ones, so energy
    per answer is of others than where all fit. Of written ones 0: what failed there did so by
    chance."""


def answering_of(record: Record) -> Answering | None:
    """None where the run was asked no questions."""
    accuracy = record.quality.accuracy
    if accuracy is None:
        return None
    given = accuracy.scored_by is not None and record.answering is not None
    unscored = (record.answering.failed or 0) if given and record.answering is not None else 0
    return Answering(accuracy.questions_sha256, accuracy.scored_by, accuracy.metric, unscored)
