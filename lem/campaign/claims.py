"""Who runs a block, where several machines write to one campaign folder.

Whoever begins a block writes its name there, and looks before and after each run whether it still
stands there. So a job that was taken for dead and is not (a node that lost its scheduler goes on
working) stops at its next step, and what it has open by then was closed by the one that came after.

That holds on network file systems: a claim is replaced in one step, and opening a file there shows
what was last closed.
"""

import secrets
import socket
from pathlib import Path

from lem.contract.base import utc_now
from lem.contract.order import Claim
from lem.errors import BadInput

FOLDER = "cluster"


class Lost(Exception):
    """Another one has claimed the block since."""


class Held:
    """A block that this process has claimed."""

    def __init__(self, campaign: Path, block: int, by: str) -> None:
        """Claim it, from whoever had it."""
        self._path = campaign / FOLDER / "claims" / f"{block:04d}.json"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._token = secrets.token_hex(16)
        claim = Claim(token=self._token, by=by, host=socket.gethostname(), at=utc_now())
        claim.write(self._path)

    def check(self) -> None:
        """Raises :class:`Lost` where it is another's by now."""
        try:
            now = Claim.read(self._path)
        except BadInput as e:
            raise Lost(f"the claim cannot be read: {e.message}") from e
        if now.token != self._token:
            raise Lost(f"the block is {now.by}'s on {now.host} since {now.at}")
