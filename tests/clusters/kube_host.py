"""The command line on a machine whose Docker is played: an "image" is this machine itself."""

import sys

from lem.cli.main import main
from lem.launchers import pod
from lem.launchers.process import Process

if __name__ == "__main__":
    pod._docker = Process
    sys.exit(main())
