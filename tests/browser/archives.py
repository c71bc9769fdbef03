"""Archives that are looked at."""

from pathlib import Path
from typing import Any

from lem.archive.checks import check_next
from tests import archive_submissions
from tests.archive_queries import filled

CAMPAIGNS = (
    ("someone else", [[0.42, 0.43, 0.41], [0.23, 0.22, 0.23], [0.14, 0.14, 0.15]], "gpu"),
    ("a third", [[0.44, 0.43, 0.44], [0.24, 0.23, 0.24], [0.15, 0.15, 0.14]], "gpu"),
    ("on a laptop", [[2.2, 2.3, 2.1], [1.9, None, 1.8]], "estimated"),
)
"""Submitter, joules per output token of each arm in each block, class of energy."""


def lively(archive: Any, folder: Path, configurations: int = 60) -> None:
    """Many configurations as rows, and a few campaigns as real submissions that were checked."""
    filled(archive, configurations)
    for number, (name, energies, energy_class) in enumerate(CAMPAIGNS):
        made = archive_submissions.campaign(
            folder / f"campaign-{number}", energies, energy_class=energy_class
        )
        archive_submissions.Submitter(archive, name).push(made)
    while check_next(archive.database, archive.packs) is not None:
        pass
