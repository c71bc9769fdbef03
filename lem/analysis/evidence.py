"""What the runs of a campaign show of their quality, from their records and answers."""

from collections.abc import Iterable
from pathlib import Path

from lem.analysis.quality import Seen
from lem.contract.answers import Answers
from lem.contract.record import Record
from lem.errors import BadInput
from lem.stores.folder import Attempt, read

ANSWERS = "answers.json"


def gather(folder: Path, chosen: Iterable[Attempt]) -> tuple[dict[str, Seen], list[str]]:
    """Attempt's path → what it shows, and notes on answers that cannot be used."""
    found: dict[str, Seen] = {}
    unusable: list[str] = []
    for attempt in chosen:
        record = read(folder, attempt).record
        if record is None:
            continue
        answers: tuple[str | None, ...] = ()
        if record.quality.agreement_sha256 is not None:
            try:
                answers = _answers(folder / attempt.path / ANSWERS, record)
            except BadInput as e:
                unusable.append(f"{attempt.path}/{ANSWERS} cannot be used: {e.message}")
        found[attempt.path] = seen(record, answers)
    return found, [f"{unusable[0]} ({len(unusable)} such file(s))"] if unusable else []


def seen(record: Record, answers: tuple[str | None, ...]) -> Seen:
    quality, accuracy = record.quality, record.quality.accuracy
    return Seen(
        nll=quality.nll_per_token,
        nll_text=quality.text_sha256,
        nll_tokens=quality.tokens,
        questions=None if accuracy is None else accuracy.questions_sha256,
        outcomes="" if accuracy is None else accuracy.outcomes,
        prompts=quality.agreement_sha256 if answers else None,
        answers=answers,
    )


def _answers(path: Path, record: Record) -> tuple[str | None, ...]:
    document = Answers.read(path)
    if document.run_id != record.run_id:
        raise BadInput("it is of another run")
    if document.agreement_sha256 != record.quality.agreement_sha256:
        raise BadInput("its prompts are not those of the record")
    return tuple(a.text if a.status == "done" else None for a in document.agreement)
