"""The command line on a machine whose Docker is played: an "image" is this machine itself. With
``NO_DOCKER`` set there is none."""

import os
import sys

from lem.cli.main import main
from lem.launchers import environment, pod
from lem.launchers.process import Process

if __name__ == "__main__":
    environment.OF_A_PROCESS += ("PYTHONPATH",)
    pod._docker = Process
    pod._docker_answers = lambda: "NO_DOCKER" not in os.environ
    sys.exit(main())
