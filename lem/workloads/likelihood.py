"""How likely an engine finds given tokens: what is asked, what comes back, and how a text is split
into what is read and what is scored."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from lem.errors import BadInput, RunFailed
from lem.workloads.datasets import chunks
from lem.workloads.requests import Tokenizer


class Passage(NamedTuple):
    """Tokens of which those from ``start`` (≥ 1) on are scored, each after all before it."""

    ids: list[int]
    start: int

    @property
    def scored(self) -> list[int]:
        return self.ids[self.start :]


class Scored(NamedTuple):
    """Of the scored tokens of a piece."""

    logprob: float
    """Sum of their log-probabilities (natural), of the model's own distribution: no temperature,
    no penalties."""
    greedy: bool | None
    """Whether each is the most likely one at its place; None where the engine does not say. One
    that another is exactly as likely as may count or not: the engine's own choice could be either.
    """


Score = Callable[[Sequence[Passage]], list[Scored] | None]


@runtime_checkable
class Bare(Protocol):
    """What a tokenizer has besides where continuations of nothing can be scored."""

    @property
    def prefix_id(self) -> int | None:
        """What stands for an empty context: the model's token for the beginning of a text, else
        that for its end."""

    def bare(self, text: str) -> list[int]:
        """Token ids without any that the tokenizer adds by itself."""


def split(tokenizer: Tokenizer, context: str, continuation: str) -> Passage:
    """Both as one piece, by lm-evaluation-harness's rule: white space at the end of the context
    belongs to the continuation, both are encoded as one text, and that is cut where the context's
    own tokens end. An empty context is the beginning of a text.

    Raises :class:`BadInput` where nothing would be read or scored.
    """
    if not context:
        return _from_nothing(tokenizer, continuation)
    kept = context.rstrip()
    read = tokenizer.encode(kept, chat=False)
    piece = Passage(tokenizer.encode(context + continuation, chat=False), len(read))
    if not read or not piece.scored:
        what = "context" if not read else "continuation"
        raise BadInput(f"a {what} has no token: {context[-40:]!r} + {continuation[:40]!r}")
    return piece


def _from_nothing(tokenizer: Tokenizer, continuation: str) -> Passage:
    if not isinstance(tokenizer, Bare) or tokenizer.prefix_id is None:
        raise BadInput(
            "an answer stands after nothing, and this model has no token for the beginning of a "
            "text, or its backend does not tell it"
        )
    ids = tokenizer.bare(continuation)
    if ids[:1] != [tokenizer.prefix_id]:
        ids = [tokenizer.prefix_id, *ids]
    if len(ids) < 2:
        raise BadInput(f"an answer that stands after nothing has no token: {continuation[:40]!r}")
    return Passage(ids, 1)


def mean_nll(score: Score, token_ids: list[int], together: bool = False) -> float | None:
    """As :meth:`lem.backends.protocol.Engine.nll`. The text's pieces are scored one after the
    other, so that none depends on what else is in its batch; ``together``: by one call."""
    pieces = [Passage(ids, 1) for ids in chunks(token_ids)]
    if not pieces:
        return None
    found: list[Scored] = []
    for some in [pieces] if together else [[p] for p in pieces]:
        told = score(some)
        if told is None:
            return None
        found += told
    return -sum(s.logprob for s in found) / sum(len(p.scored) for p in pieces)


def checked(found: list[Scored] | None, pieces: Sequence[Passage]) -> list[Scored]:
    """What an engine told. Raises :class:`RunFailed` where it cannot be."""
    if found is None or len(found) != len(pieces):
        raise RunFailed("engine_error", "the engine scored another number of texts than asked")
    for one in found:
        if not (math.isfinite(one.logprob) and one.logprob <= 1e-6):
            raise RunFailed("engine_error", f"a log-probability of {one.logprob} came")
    return found
