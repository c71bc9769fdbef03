"""What a runner says to its server. What the server answers is hostile until it is parsed."""

from typing import TypeVar

from lem.contract.base import Document
from lem.contract.queue import (
    Claimed,
    Finish,
    Finished,
    Handover,
    Heartbeat,
    Hello,
    Standing,
    Wanted,
    Welcome,
)
from lem.errors import BadInput
from lem.submit.client import ArchiveClient, Declined
from lem.submit.send import LEASE_LOST

ANSWER_S = 15.0
"""A heartbeat that takes longer is none: the lease would end meanwhile."""
LOST = LEASE_LOST
UNKNOWN = "runner_unknown"
QUEUED, FENCE = "Lem-Queued", "Lem-Fence"
"""Headers of a submission of a queued campaign."""
_HEARTBEAT_S, _POLL_S, _LEASE_S = (0.5, 60.0), (0.2, 300.0), (2.0, 3600.0)
"""Within these a server's own wishes are followed."""

Kind = TypeVar("Kind", bound=Document)


class Server:
    """One server, spoken to with a runner's token. Not for several threads."""

    def __init__(self, url: str, token: str, plain_http: bool) -> None:
        self.url, self._token, self._plain_http = url, token, plain_http
        self.client = self.fresh()

    def fresh(self) -> ArchiveClient:
        """Another client, for another thread."""
        return ArchiveClient(
            self.url, plain_http=self._plain_http, token=self._token, read_s=ANSWER_S
        )

    def close(self) -> None:
        self.client.close()

    def register(self, hello: Hello) -> Welcome:
        welcome = self._told(Welcome, "/runners/register", hello)
        return welcome.model_copy(
            update={
                "heartbeat_s": _within(welcome.heartbeat_s, _HEARTBEAT_S),
                "poll_s": _within(welcome.poll_s, _POLL_S),
                "lease_s": _within(welcome.lease_s, _LEASE_S),
            }
        )

    def claim(self, runner: str, queued: str | None = None) -> Claimed | None:
        """Work, or None where there is nothing."""
        claimed = self.client.tell(Claimed, "/runners/claim", Wanted(runner=runner, queued=queued))
        if claimed is not None and queued not in (None, claimed.queued):
            raise BadInput("the server gave another campaign than was asked for")
        return claimed

    def finish(self, told: Finish) -> str:
        """The campaign's state now."""
        return self._told(Finished, "/runners/finish", told).state

    def handover(self, queued: str, fence: int) -> Handover:
        asked = {"queued": queued, "fence": fence}
        found = self.client.read(Handover, "/runners/handover", asked)
        if found.queued != queued:
            raise BadInput("the server handed another campaign over than was asked for")
        return found

    def _told(self, kind: type[Kind], path: str, document: Document) -> Kind:
        answer = self.client.tell(kind, path, document)
        if answer is None:
            raise BadInput(f"{self.url} answers nothing at {path}")
        return answer


def heartbeat(client: ArchiveClient, told: Heartbeat) -> Standing:
    """Say that it goes on. A lease that is lost is an answer, not an error."""
    try:
        return client.tell(Standing, "/runners/heartbeat", told) or Standing()
    except Declined as e:
        if e.reason == LOST:
            return Standing()
        raise


def _within(value: float, bounds: tuple[float, float]) -> float:
    return min(max(value, bounds[0]), bounds[1])
