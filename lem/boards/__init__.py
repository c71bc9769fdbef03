"""Settings of NVIDIA boards: who may change them, changing them for a run, putting them back.

Host only. A run's container may change nothing; the process that starts it may, where it is root.
What stood before is written down first (``journal``), so that whatever ends this process, the next
lem on the machine can put it back.
"""

from lem.boards.journal import Left, left, state_folder
from lem.boards.looking import Able, look, obstacle, privileged
from lem.boards.settings import applied, asks, put_back

__all__ = [
    "Able",
    "Left",
    "applied",
    "asks",
    "left",
    "look",
    "obstacle",
    "privileged",
    "put_back",
    "state_folder",
]
