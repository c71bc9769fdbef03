"""Finds the setting that an engine's refusal is about, so that it is shown at its line."""

import re
from collections.abc import Iterator
from typing import Literal

from lem.backends.protocol import Backend
from lem.contract.job import Job, Rejection

MOST_TRIALS = 32
Section = Literal["args", "generate", "engine"]
SECTIONS: tuple[Section, ...] = ("args", "generate", "engine")


def placed(backend: Backend, job: Job, rejection: Rejection) -> Rejection:
    """The rejection with the experiment path of the setting it is about, where that can be told.

    Engines name it in their message, mostly. Otherwise each setting is left out in turn: the one
    without which the engine is content is it.
    """
    if rejection.argument is not None:
        return rejection
    settings = list(_settings(job))
    named = [(s, name) for s, name in settings if _says(rejection.message, name)]
    if len(named) != 1:
        trials = (named or settings)[:MOST_TRIALS]
        found = next((t for t in trials if not backend.reject(_without(job, *t))), None)
        named = [] if found is None else [found]
    if not named:
        return rejection
    section, name = named[0]
    path = f"{job.backend}.{section}.{name}"
    return rejection.model_copy(update={"argument": path})


def _settings(job: Job) -> Iterator[tuple[Section, str]]:
    for section in SECTIONS:
        for name in getattr(job, section):
            yield section, name


def _says(message: str, name: str) -> bool:
    """Whether the name stands in it by itself, in any of its spellings (as a flag, too)."""
    spelling = re.escape(name).replace("_", "[-_]")
    return re.search(rf"(?<![A-Za-z0-9_]){spelling}(?![A-Za-z0-9_])", message) is not None


def _without(job: Job, section: Section, name: str) -> Job:
    left = {k: v for k, v in getattr(job, section).items() if k != name}
    return job.model_copy(update={section: left})
