"""What is looked for in a campaign of somebody else, by whoever queues it and by whoever runs it.

A campaign file can name files on the machine that runs it: as an experiment's data set, but also in
a value of the sweep whose experiments are all excluded. Whoever reads it with
:func:`lem.config.load` hashes them all; so such a file is read with :func:`lem.config.parse`, and
everything in it that could name a file is refused, whatever experiments are left.
"""

import re
from collections.abc import Iterator
from typing import Any

from lem.config.load import CampaignFile
from lem.contract.workload import Workload

MAX_TOKENS = 1_000_000_000
"""Of all requests of one run."""
FILE_KEYS = frozenset({"path", "sha256", "include_path"})
PROPOSED = re.compile(r"(refs|pr|pull|convert)(/.*)?", re.ASCII | re.IGNORECASE)
"""Revisions of a hub's repository that anybody may make: a pull request's content is whoever's
proposed it."""


def files_named(file: CampaignFile) -> Iterator[str]:
    """The keys of the campaign file that name a file, or what it holds."""
    data = file.source.data
    for section in ("sweep", "baseline"):
        yield from _selected(section, data.get(section))
    for section in ("experiments", "exclude"):
        listed = data.get(section)
        for i, selector in enumerate(listed if isinstance(listed, list) else ()):
            yield from _selected(f"{section}.{i}", selector)
    for section in ("workload", "measure"):
        yield from _inside(section, data.get(section))


def _selected(at: str, selector: Any) -> Iterator[str]:
    """A selector's keys are paths of experiments."""
    for path in selector if isinstance(selector, dict) else ():
        if str(path).rpartition(".")[2] in FILE_KEYS:
            yield f"{at}.{path}"


def _inside(at: str, value: Any) -> Iterator[str]:
    if not isinstance(value, dict):
        return
    yield from _selected(at, value)
    for key, inner in value.items():
        yield from _inside(f"{at}.{key}", inner)


def is_proposed(revision: str | None) -> bool:
    """Whether anybody at all may have put there what a hub has under this revision's name."""
    return revision is not None and PROPOSED.fullmatch(revision) is not None


def most_tokens(workload: Workload) -> int:
    """Of all requests of one run, at most: a turn's prompt has the turns before it."""
    most = 0
    for key in ("input_tokens", "output_tokens", "max_input_tokens"):
        length: Any = getattr(workload.dataset, key, None)
        most += int(getattr(length, "high", length) or 0)
    turns = getattr(workload.dataset, "turns", None) or 1
    return workload.requests * most * turns
