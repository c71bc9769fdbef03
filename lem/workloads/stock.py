"""What is sent next: a request list, again and again, turns of a conversation together."""

from typing import Protocol

from lem.workloads.requests import Request


class Requests(Protocol):
    """Never runs dry."""

    def next(self) -> Request:
        """The next one of the list."""

    def conversation(self) -> list[Request]:
        """The next ones of the list that belong together, in their order."""

    @property
    def given(self) -> int:
        """How many ``next`` has handed out or passed over."""

    @property
    def listed(self) -> list[Request]:
        """The list itself."""


class Stock:
    """A request list, handed out in order, again from the beginning when it ends.

    One stock serves all phases of a run, so ids stay unique in it: the second time round they are
    ``r12#2``, and so are the ids in ``after``; ``nth`` goes on counting. A phase that takes
    requests after one that took conversations goes on behind them: at the next request where none
    belong together, else in the next time round; and the other way about.
    """

    def __init__(self, requests: list[Request]) -> None:
        if not requests:
            raise ValueError("a request list must not be empty")
        self._requests = requests
        self._conversations = conversations(requests)
        self._most = max(r.nth for r in requests)
        """How often the list has a prompt."""
        self._given = 0
        self._begun = 0
        self._seen: set[str] = set()
        self._repeated = False

    @property
    def exhausted(self) -> bool:
        """Whether a request was handed out for a second time (flag ``requests_exhausted``)."""
        return self._repeated

    @property
    def given(self) -> int:
        return self._given

    @property
    def listed(self) -> list[Request]:
        return self._requests

    def next(self) -> Request:
        begun_turns = -(-self._begun // len(self._conversations))
        if self._given < begun_turns * len(self._requests):
            self._given = begun_turns * len(self._requests)
        turn, index = divmod(self._given, len(self._requests))
        self._given += 1
        return self._handed(self._requests[index], turn)

    def conversation(self) -> list[Request]:
        if len(self._conversations) == len(self._requests):
            return [self.next()]
        given_turns = -(-self._given // len(self._requests))
        if self._begun < given_turns * len(self._conversations):
            self._begun = given_turns * len(self._conversations)
        turn, index = divmod(self._begun, len(self._conversations))
        self._begun += 1
        return [self._handed(r, turn) for r in self._conversations[index]]

    def skip_to(self, given: int) -> None:
        """Go on with the request of that number, unless the stock has passed it already."""
        self._given = max(self._given, given)

    def _handed(self, request: Request, turn: int) -> Request:
        self._repeated = self._repeated or request.id in self._seen
        self._seen.add(request.id)
        if turn == 0:
            return request
        after = None if request.after is None else f"{request.after}#{turn + 1}"
        nth = turn * self._most + request.nth
        return request._replace(id=f"{request.id}#{turn + 1}", after=after, nth=nth)


def conversations(requests: list[Request]) -> list[list[Request]]:
    """The requests that follow each other, together; in the order of the first of each."""
    found: dict[str, list[Request]] = {}
    of: dict[str, str] = {}
    for r in requests:
        root = of.get(r.after, r.id) if r.after is not None else r.id
        of[r.id] = root
        found.setdefault(root, []).append(r)
    return list(found.values())


class FirstTokens:
    """The requests of a stock, each asked for one output token only: prefill and nothing else.

    They go on where the stock stands, so that an engine that keeps prompts has not just seen them.
    """

    def __init__(self, stock: Stock) -> None:
        self._stock = stock

    @property
    def given(self) -> int:
        return self._stock.given

    @property
    def listed(self) -> list[Request]:
        return self._stock.listed

    def next(self) -> Request:
        return self._stock.next()._replace(output_tokens=1)

    def conversation(self) -> list[Request]:
        return [r._replace(output_tokens=1) for r in self._stock.conversation()]
