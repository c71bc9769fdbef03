"""Where a report's figures come from, and how to get them again: the campaign file, its lock, the
commands, the citation."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from lem import __version__
from lem.analysis.text import plain
from lem.contract.lock import Lock
from lem.report.html.environment import Fact
from lem.web.strings import text

CAMPAIGN = "campaign.yaml"
MOST_BYTES = 200_000
MOST_IN_A_LINE = 2000


@dataclass(frozen=True)
class Origin:
    yaml: str
    """Empty where the folder has none."""
    facts: tuple[Fact, ...]
    """The lock's: ids and hashes."""
    commands: tuple[str, ...]
    protocol: tuple[str, ...]
    """How it was measured, a sentence each."""
    citation: str


def origin(folder: Path, lock: Lock | None) -> Origin:
    return Origin(
        yaml=_yaml(folder / CAMPAIGN),
        facts=() if lock is None else _facts(lock),
        commands=_commands(folder, lock),
        protocol=() if lock is None else _protocol(lock),
        citation=text("report.origin.citation", version=lock.lem_version if lock else __version__),
    )


def _yaml(path: Path) -> str:
    """The campaign as it was run, as text; no link is followed."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as f:
            data = f.read(MOST_BYTES + 1)
    except OSError:
        return ""
    lines = data[:MOST_BYTES].decode("utf-8", "replace").splitlines()
    if len(data) > MOST_BYTES:
        lines.append(f"# {text('report.origin.cut')}")
    return "\n".join("\t".join(plain(p, MOST_IN_A_LINE) for p in ln.split("\t")) for ln in lines)


def _facts(lock: Lock) -> tuple[Fact, ...]:
    lists = ", ".join(f"{sha} ({n})" for sha, n in lock.requests.items())
    contents = dict.fromkeys(
        f"{a.experiment.model.id}"
        + (f" @ {a.experiment.model.revision}" if a.experiment.model.revision else "")
        + f": {a.experiment.model.content}"
        for a in lock.arms
    )
    found = {
        "name": lock.name,
        "created": lock.created_at,
        "digest": lock.campaign_digest,
        "requests": lists,
        "models": "; ".join(contents),
        "seed": str(lock.seed),
        "version": lock.lem_version,
    }
    return tuple(
        Fact(text(f"report.origin.{name}"), plain(value, 3000))
        for name, value in found.items()
        if value
    )


def _commands(folder: Path, lock: Lock | None) -> tuple[str, ...]:
    """What makes the same anew; none where it is not known how it was made."""
    if lock is None:
        return ()
    options = []
    if lock.overrides.preset is not None:
        options += ["--preset", lock.overrides.preset]
    if lock.overrides.blocks is not None:
        options += ["--blocks", str(lock.overrides.blocks)]
    if lock.overrides.launcher is not None:
        options += ["--launcher", lock.overrides.launcher]
    run = shlex.join(["lem", "campaign", "run", CAMPAIGN, *options])
    name = shlex.quote(plain(lock.name))
    # Containers bring their engines along; processes take those that are installed.
    here = dict.fromkeys(a.experiment.backend for a in lock.arms if a.launcher == "process")
    extras = f"[{','.join(here)}]" if here else ""
    return (
        plain(f'pip install "lem-energy{extras}=={lock.lem_version}"'),
        plain(run),
        f"lem results compare results/{name}",
        f"lem results report results/{name} -o report.html",
    )


def _protocol(lock: Lock) -> tuple[str, ...]:
    m = lock.measure
    windows = text("report.method.window" if m.windows == 1 else "report.method.n", n=m.windows)
    said = [
        text(
            "report.method.windows",
            windows=windows,
            seconds=f"{m.window_s:g}",
            warm_up=f"{m.warm_up_cap_s:g}",
        )
    ]
    if m.idle_s:
        said.append(text("report.method.idle", seconds=f"{m.idle_s:g}"))
    return tuple(said)
