"""Whether a backend is the same thing under every launcher of a campaign.

Where the launcher is swept, its arms are one experiment started in two ways, and an experiment's
identity holds the engine's version: with two versions there would be two experiments, compared
under the name of one.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from lem.errors import EnvironmentFault
from lem.launchers.protocol import Prepared

ByLauncher = dict[str, Prepared]


def check_alike(prepared: Mapping[tuple[str, str], Prepared]) -> None:
    """Raise :class:`EnvironmentFault` where two launchers found different versions of an engine.

    ``prepared``: launcher and backend → what staging found there.
    """
    for backend, found in _by_backend(prepared):
        versions = {name: p.described.engine_version for name, p in found.items()}
        if len(set(versions.values())) > 1:
            listed = ", ".join(f"{v} under {name}" for name, v in versions.items())
            raise EnvironmentFault(
                f"{backend} is not the same engine under every launcher: {listed}",
                hint="install one version in both: name the interpreter with backends."
                f"{backend}.python, or build the image anew with lem images build {backend}",
                kind="image",
            )


def unlike(prepared: Mapping[tuple[str, str], Prepared]) -> list[str]:
    """In words, what else differs between the launchers: libraries, Python, lem itself."""
    notes = []
    for backend, found in _by_backend(prepared):
        versions = {name: _versions(p) for name, p in found.items()}
        for what in sorted({k for v in versions.values() for k in v}):
            here = {name: v.get(what, "missing") for name, v in versions.items()}
            if len(set(here.values())) > 1:
                listed = ", ".join(f"{v} under {name}" for name, v in here.items())
                notes.append(f"{backend}: {what} is {listed}")
    return notes


def _by_backend(
    prepared: Mapping[tuple[str, str], Prepared],
) -> Iterator[tuple[str, ByLauncher]]:
    """The backends that several launchers start."""
    grouped: dict[str, ByLauncher] = defaultdict(dict)
    for (launcher, backend), found in sorted(prepared.items(), key=lambda item: item[0]):
        grouped[backend][launcher] = found
    yield from ((backend, found) for backend, found in grouped.items() if len(found) > 1)


def _versions(prepared: Prepared) -> dict[str, str]:
    about = prepared.described
    return {**about.libraries, "lem": about.lem_version}
