"""``python -m lem.agent run|stage|validate FILE`` and ``describe BACKEND``.

``run`` leaves record.json or failure.json beside FILE; ``stage`` leaves staged.json; ``validate``
reads a list of jobs, one JSON object a line, and leaves rejections.json; ``describe`` prints the
backend's versions. The exit status is 0, or 1 with the reason in the document.
"""

import contextlib
import os
import platform
import sys
import traceback
from pathlib import Path

from lem import __version__, plugins
from lem.contract.base import CONTRACT_VERSION
from lem.contract.job import Job, Rejections
from lem.contract.stage import Described
from lem.errors import LemError

SECRETS_FILE = "LEM_SECRETS_FILE"
SAYS = "lem.agent: "
"""Begins the agent's own last words in the log; the host shows these alone."""


def main(arguments: list[str]) -> int:
    """Carry out one verb."""
    if len(arguments) != 2 or arguments[0] not in ("run", "stage", "validate", "describe"):
        print(__doc__, file=sys.stderr)
        return 2
    verb, what = arguments
    take_secrets()
    try:
        if verb == "describe":
            print(describe(what).model_dump_json())
            return 0
        if verb == "run":
            from lem.agent.run import run

            return run(Path(what))
        if verb == "stage":
            from lem.agent.stage import stage

            stage(Path(what)).write(Path(what).parent / "staged.json")
            return 0
        validate(Path(what)).write(Path(what).parent / "rejections.json")
    except LemError as e:
        print(f"{SAYS}{e}", file=sys.stderr)
        return 1
    except Exception as e:  # noqa: BLE001 - said in one line below the traceback of the log
        traceback.print_exc()
        print(f"{SAYS}{type(e).__name__}: {e}", file=sys.stderr)
        return 1
    return 0


def describe(name: str) -> Described:
    """A backend's versions, without importing its engine."""
    from lem.agent.environment import engine_version, versions_around

    backend = plugins.load("backends", name)()
    return Described(
        contract_version=CONTRACT_VERSION,
        lem_version=__version__,
        backend=name,
        engine_version=engine_version(backend) or "missing",
        libraries={**versions_around(backend), "Python": platform.python_version()},
    )


def validate(path: Path) -> Rejections:
    """Each engine's own word on each job's arguments."""
    from lem.agent.blame import placed

    found = []
    for line in path.read_bytes().splitlines():
        job = Job.parse(line, str(path))
        backend = plugins.load("backends", job.backend)()
        found += [placed(backend, job, r) for r in backend.reject(job)]
    return Rejections(rejections=found)


def take_secrets() -> None:
    """Read secrets (``NAME=value`` lines) from the file named in the environment, if there is one.

    They come by file because a container's environment and arguments can be inspected.
    """
    name = os.environ.pop(SECRETS_FILE, None)
    if name is None:
        return
    text = Path(name).read_text()
    with contextlib.suppress(OSError):
        Path(name).unlink()
    for line in text.splitlines():
        key, sign, value = line.partition("=")
        if key and sign:
            os.environ[key] = value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
