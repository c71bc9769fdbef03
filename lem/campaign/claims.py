"""Who runs a block, where several machines write to one campaign folder.

Whoever begins a block writes its name there, and looks before and after each run whether it still
stands there. So a job that was taken for dead and is not (a node that lost its scheduler goes on
working) stops at its next step, and what it has open by then was closed by the one that came after.

That holds on network file systems: a claim is replaced in one step, and opening a file there shows
what was last closed.

The containers of a pod, which follow one another, are one holder: the first of them claims.
"""

import os
import secrets
import socket
from pathlib import Path
from typing import NamedTuple

from lem.contract.base import utc_now
from lem.contract.order import Claim
from lem.errors import BadInput

FOLDER = "cluster"


class Lost(Exception):
    """Another one has claimed the block since."""


class Holder(NamedTuple):
    """Who claims a block, where that is more than one process: the containers of a pod."""

    token: str
    """The same for all of them, and nobody else's."""
    of: str
    """What is begun anew under the same name, where its node was wanted for another."""
    goes_on: bool
    """Whether the block is to be its already."""


class Held:
    """A block that this process, or the pod that it is in, has claimed."""

    def __init__(
        self, campaign: Path, block: int, by: str, holder: Holder | None = None, host: str = ""
    ) -> None:
        """Claim it, from whoever had it. Raises :class:`Lost` where it was the holder's to go on
        with, and is another's."""
        self._path = campaign / FOLDER / "claims" / f"{block:04d}.json"
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._token = secrets.token_hex(16) if holder is None else holder.token
        if holder is not None and holder.goes_on:
            self.restarts = self._own().start
            return
        of = "" if holder is None else holder.of
        self.restarts = self._begun_before(of)
        claim = Claim(
            token=self._token,
            by=by,
            of=of,
            start=self.restarts,
            host=host or socket.gethostname(),
            at=utc_now(),
        )
        claim.write(self._path)

    def check(self) -> None:
        """Raises :class:`Lost` where it is another's by now."""
        self._own()

    def _own(self) -> Claim:
        try:
            now = Claim.read(self._path)
        except BadInput as e:
            raise Lost(f"the claim cannot be read: {e.message}") from e
        if now.token != self._token:
            raise Lost(f"the block is {now.by}'s on {now.host} since {now.at}")
        return now

    def _begun_before(self, of: str) -> int:
        """How often the same job had the block before; not more than once for each holder."""
        try:
            last = Claim.read(self._path)
        except BadInput:
            return 0
        return last.start + (last.token != self._token) if of and last.of == of else 0


class Claims:
    """Of a host that runs blocks itself: it claims them where others might, in a folder whose
    blocks were, or might have been, given to a scheduler."""

    def __init__(self, campaign: Path) -> None:
        self._campaign = campaign
        self._held: tuple[int, Held] | None = None

    def begin(self, block: int) -> None:
        if not (self._campaign / FOLDER).is_dir():
            return
        if self._held is None or self._held[0] != block:
            by = f"process {os.getpid()}"
            self._held = block, Held(self._campaign, block, by)

    def check(self) -> None:
        """Raises :class:`Lost` where a job has claimed the block since."""
        if self._held is not None:
            self._held[1].check()
