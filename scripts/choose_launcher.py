"""Which launcher the quickstart should use here: one word on stdout, the reason on stderr.

``docker`` where an engine answers, can give containers the GPU (where there is one), and has or
can get the base image; otherwise ``process``, with the reason and its fix in one line.
A campaign that was begun keeps its launcher.
"""

import sys
from pathlib import Path

from lem import containers
from lem.agent.environment import gpus
from lem.contract.lock import Lock
from lem.errors import LemError
from lem.launchers.image import DEFAULT_BASE

LOCK = Path("results/quickstart/campaign.lock.json")


def main() -> int:
    if LOCK.exists():
        print(Lock.read(LOCK).arms[0].launcher)
    elif (obstacle := docker_obstacle(gpu=bool(gpus(None)))) is None:
        print("docker")
    else:
        print(f"quickstart: no containers, but local processes: {obstacle}", file=sys.stderr)
        print("process")
    return 0


def docker_obstacle(gpu: bool) -> str | None:
    """Why containers cannot be used here, with the fix, on one line; None where they can."""
    try:
        with containers.connect() as engine:
            if gpu and not engine.facts.nvidia:
                return "Docker cannot give them the GPU (fix: install the NVIDIA Container Toolkit)"
            if engine.image(DEFAULT_BASE) is None:
                engine.pull(
                    DEFAULT_BASE, lambda line: print(f"quickstart: {line}", file=sys.stderr)
                )
    except LemError as e:
        return e.message + (f" (fix: {e.hint})" if e.hint else "")
    return None


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LemError as e:
        print(f"quickstart: {e}", file=sys.stderr)
        sys.exit(e.exit_code)
