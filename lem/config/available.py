"""What a campaign file may say but this version cannot do yet: refused, never silently ignored."""

from lem.config.load import CampaignFile
from lem.errors import BadInput, Problem


def check_available(file: CampaignFile) -> None:
    """Raise :class:`BadInput` for every setting that would have no effect."""
    spec = file.spec
    problems: list[Problem] = []

    def refuse(path: str, why: str) -> None:
        line, column = file.where(path) or (None, None)
        text = f"{path}: {why}"
        problems.append(Problem(text, str(file.path), line, column, path))

    if spec.parallel_blocks not in ("auto", 1):
        refuse("parallel_blocks", "this version runs one block at a time; use auto or 1")
    if spec.submit == "always":
        refuse("submit", "this version has no archive to submit to; use ask or never")
    if problems:
        raise BadInput(problems)
