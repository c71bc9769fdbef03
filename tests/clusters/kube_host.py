"""The command line on a machine whose Docker is played: an "image" is this machine itself."""

import sys

from lem.cli.main import main
from lem.launchers import environment, pod
from lem.launchers.process import Process

if __name__ == "__main__":
    environment.OF_A_PROCESS += ("PYTHONPATH",)
    pod._docker = Process
    sys.exit(main())
