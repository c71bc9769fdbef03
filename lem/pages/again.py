"""A campaign file that runs one experiment anew."""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from lem.config.load import parse
from lem.config.yaml_source import scalar
from lem.contract.spec import Experiment
from lem.errors import BadInput

NAME = "again"
_PLAIN = re.compile("[A-Za-z][A-Za-z0-9_./-]*")
FILE = f"{NAME}.yaml"


class Again(NamedTuple):
    text: str
    """Empty where the experiment can't be written as a campaign file."""
    problem: str
    """Why."""
    needs: tuple[str, ...]
    """What the file alone doesn't bring: keys of ``again.needs`` in the catalogue."""


def again(experiment: Mapping[str, Any]) -> Again:
    """The file, checked to ask for the very same settings."""
    try:
        wanted = Experiment.model_validate(experiment)
        text = _text(wanted)
        drafts = parse(text, FILE).drafts
    except (BadInput, ValueError) as e:
        return Again("", str(e.problems[0].message if isinstance(e, BadInput) else e), ())
    draft = drafts[0]
    same = (
        len(drafts) == 1
        and draft.engine == wanted.engine
        and draft.args == wanted.args
        and draft.generate == wanted.generate
        and draft.workload == wanted.workload
        and draft.device == wanted.device
    )
    if not same:
        return Again("", "a campaign file would ask for other settings than these", ())
    return Again(text, "", tuple(_needs(wanted)))


def _text(e: Experiment) -> str:
    model = {"id": e.model.id} | ({"revision": e.model.revision} if e.model.revision else {})
    workload = e.workload.model_dump(mode="json", exclude_none=True)
    file: dict[str, Any] = {
        "backends": {e.backend: {}},
        "engine": e.engine,
        "args": e.args,
        "generate": e.generate,
        "workload": {k: v for k, v in workload.items() if v != {}},
        "device": e.device.model_dump(mode="json", exclude_none=True),
        "measure": {"preset": "standard"},
    }
    lines = ["version: 1", f"name: {NAME}", "models:"]
    for i, (name, value) in enumerate(model.items()):
        lines.append(f"{'    ' if i else '  - '}{name}: {_scalar(value)}")
    for name, value in file.items():
        if value or name == "backends":
            _write(lines, name, value, "")
    return "\n".join(lines) + "\n"


def _write(lines: list[str], name: str, value: Any, indent: str) -> None:
    """As YAML's blocks; scalars and lists as JSON, which YAML reads as it is meant."""
    key = _scalar(name)
    if isinstance(value, dict) and value:
        lines.append(f"{indent}{key}:")
        for inner, what in value.items():
            _write(lines, inner, what, indent + "  ")
    else:
        lines.append(f"{indent}{key}: {_scalar(value)}")


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and _reads_as_itself(value):
        return value
    return json.dumps(value, ensure_ascii=True, allow_nan=False)


def _reads_as_itself(text: str) -> bool:
    try:
        return scalar(text) == text
    except ValueError:
        return False


def _needs(e: Experiment) -> list[str]:
    found = ["engine_version"]
    if e.model.revision is None:
        found.append("model")
    if getattr(e.workload.dataset, "path", None) or getattr(e.workload.arrival, "path", None):
        found.append("file")
    return found
