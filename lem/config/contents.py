"""Whether the files that a campaign names hold what its data sets and arrivals take.

Reading a campaign only hashes them: parsing may take a while, and is done before anything starts.
"""

import tempfile
from pathlib import Path

from lem.config.files import FOLDER
from lem.config.load import CampaignFile
from lem.contract.workload import FromFile, Workload
from lem.errors import BadInput, Problem
from lem.workloads import datasets
from lem.workloads.datasets import file as data_file


def check_files(campaign: CampaignFile) -> None:
    """Raise :class:`BadInput` for every file whose content is not what the data set or arrival
    takes, as far as that can be seen without the model's tokenizer."""
    problems: dict[Problem, None] = {}
    checked = set()
    for draft in campaign.drafts:
        for part in datasets.files_of(draft.workload):
            key = (part, draft.workload.requests, draft.workload.dataset)
            path = campaign.files.get(part.sha256 or "")
            if key in checked or path is None:
                continue
            checked.add(key)
            try:
                file = data_file.read(path, part.path, part.sha256)
                datasets.check(draft.workload, part, file)
            except BadInput as e:
                for problem in e.problems:
                    problems.setdefault(_placed(campaign, draft.workload, part, problem, e.hint))
    if problems:
        raise BadInput(list(problems))


def keep_files(campaign: CampaignFile, folder: Path) -> None:
    """Copy the files that the campaign names into its folder, so that the campaign file's copy
    there finds them (:class:`lem.config.files.Files`), on another machine too."""
    parts = (p for d in campaign.drafts for p in datasets.files_of(d.workload))
    for sha256, name in {p.sha256: p.path for p in parts if p.sha256 is not None}.items():
        target = folder / FOLDER / name
        target.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as aside:
            data_file.copy(campaign.files[sha256], name, sha256, Path(aside) / name)
            (Path(aside) / name).replace(target)


def _placed(
    campaign: CampaignFile, workload: Workload, part: FromFile, problem: Problem, hint: str | None
) -> Problem:
    key = "dataset" if part is workload.dataset else "arrival"
    path = f"workload.{key}.path"
    line, column = campaign.where(path) or (None, None)
    place = f"{part.path}:{problem.line}" if problem.line else part.path
    fix = f" ({hint})" if hint else ""
    text = f"{path}: {place}: {problem.message}{fix}"
    return Problem(text, str(campaign.path), line, column, path)
