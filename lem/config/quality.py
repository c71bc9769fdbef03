"""What a campaign file says of quality, checked against its files and its experiments."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from lem.config.paths import Draft
from lem.config.problems import said
from lem.config.schema import CampaignSpec
from lem.config.yaml_source import KeyPath
from lem.contract.spec import Accuracy
from lem.errors import BadInput, Problem
from lem.workloads import questions

MOST_SHOWN = 20

Found = tuple[KeyPath, str]


def place(folder: Path, written: str) -> Path:
    """Where a path of the campaign file leads, ``~`` put in."""
    return folder / os.path.expanduser(written)  # noqa: PTH111


def accuracy_of(
    spec: CampaignSpec, folder: Path, must_exist: bool
) -> tuple[Accuracy | None, list[Found]]:
    """``measure.accuracy`` as documents have it (names without folders, the file's hash), and what
    is wrong with the files it names. Without ``must_exist`` they are not looked at."""
    wanted = spec.measure.accuracy
    if wanted is None:
        return None, []
    found: list[Found] = []
    sha256 = None
    if must_exist and wanted.path is not None:
        try:
            data = read_file(place(folder, wanted.path))
            questions.parse(data, wanted.path)
            sha256 = hashlib.sha256(data).hexdigest()
        except BadInput as e:
            found += [
                (
                    ("measure", "accuracy", "path"),
                    f"{p.file}{f':{p.line}' if p.line else ''}: {p.message}",
                )
                for p in e.problems[:MOST_SHOWN]
            ]
    tasks = wanted.include_path
    if must_exist and tasks is not None and not place(folder, tasks).is_dir():
        found.append((("measure", "accuracy", "include_path"), f"there is no folder {said(tasks)}"))
    bare = {
        name: None if (value := getattr(wanted, name)) is None else Path(value).name
        for name in ("path", "include_path")
    }
    return wanted.model_copy(update={**bare, "sha256": sha256}), found


def read_file(path: Path) -> bytes:
    """A file of questions. Raises :class:`BadInput` where it cannot be read or is too large."""
    try:
        if not path.is_file():
            raise BadInput([Problem("there is no such file", file=str(path))])
        with path.open("rb") as f:
            data = f.read(questions.MAX_FILE_BYTES + 1)
    except OSError as e:
        raise BadInput([Problem(f"cannot be read: {e.strerror}", file=str(path))]) from e
    if len(data) > questions.MAX_FILE_BYTES:
        most = questions.MAX_FILE_BYTES >> 20
        raise BadInput([Problem(f"is larger than {most} MiB", file=str(path))])
    return data


def contradictions(spec: CampaignSpec, drafts: Sequence[Draft]) -> list[Found]:
    """What the experiments' settings make of quality that could not mean anything."""
    found: list[Found] = []
    if "agreement" in spec.measure.quality and any(_number(d, "temperature") > 0 for d in drafts):
        found.append(
            (
                ("measure", "quality"),
                "agreement is of greedy answers, and generate.temperature is above 0",
            )
        )
    if spec.measure.accuracy is not None and any(d.generate.get("ignore_eos") for d in drafts):
        found.append(
            (
                ("measure", "accuracy"),
                "generate.ignore_eos keeps answers from ending, so none would be the one asked for;"
                " leave it out",
            )
        )
    return found


def _number(draft: Draft, name: str) -> float:
    value = draft.generate.get(name)
    return float(value) if isinstance(value, int | float) else 0.0
