"""What is known of a cluster's nodes where a campaign is begun: that they have what is here."""

import shutil

from lem import plugins

IN_ORDER = (("apptainer", "apptainer"), ("charliecloud", "ch-run"))
"""Launcher → the command that it needs."""


def launcher() -> str:
    """What starts agents on nodes where nothing is said: the first that is here."""
    for name, command in IN_ORDER:
        if name in plugins.names("launchers") and shutil.which(command):
            return name
    return "process"
