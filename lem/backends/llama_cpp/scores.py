"""How likely llama.cpp finds a text.

Its server gives the raw log-probability of the token it picks, not those of a prompt. So each token
of the text is forced in turn (by a bias) after the ones before it, which stay cached. What comes
before the first one is read anew: else a question's context would be read once for all its answers
here, and once for each by other engines.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lem.errors import RunFailed
from lem.workloads.likelihood import Passage, Scored, mean_nll

FORCE = 1e9

Complete = Callable[[dict[str, Any]], dict[str, Any]]
"""A request of ``/v1/completions`` → its answer; called from several threads."""


def letter(tokens: list[str]) -> int:
    """A token that is a whole character."""
    return tokens.index("a") if "a" in tokens else 0


class Scorer:
    """``letter`` is a token that is a whole character, ``vocabulary`` how many tokens there are."""

    def __init__(self, complete: Complete, letter: int, vocabulary: int) -> None:
        self._complete = complete
        self._letter = letter
        self._vocabulary = vocabulary

    def nll(self, token_ids: list[int], slots: int) -> float | None:
        """As :meth:`lem.backends.protocol.Engine.nll`, ``slots`` pieces at a time."""
        return mean_nll(lambda pieces: self.likelihoods(pieces, slots), token_ids, together=True)

    def likelihoods(self, pieces: Sequence[Passage], slots: int) -> list[Scored]:
        """As :meth:`lem.backends.protocol.Scoring.likelihoods`, ``slots`` pieces at a time."""
        with ThreadPoolExecutor(max(1, min(slots, len(pieces)))) as pool:
            return list(pool.map(self._piece, pieces))

    def _piece(self, piece: Passage) -> Scored:
        steps = [
            self.step(piece.ids[:i], piece.ids[i], cached=i > piece.start)
            for i in range(piece.start, len(piece.ids))
        ]
        return Scored(sum(s.logprob for s in steps), all(s.greedy for s in steps))

    def step(self, before: list[int], token: int, cached: bool = True) -> Scored:
        """``token`` after ``before``, of which may be used what is ``cached``."""
        found = self._forced(before, token, 1, cached)
        others = found["top_logprobs"] if found is not None else []
        if found is not None and found["id"] == token and others:
            return _beside(float(found["logprob"]), others)
        # A token that is a part of a character (or ends the answer) comes out without its
        # probability: take some plain one instead and look the token up among all others.
        found = self._forced(before, self._letter, self._vocabulary)
        others = found["top_logprobs"] if found is not None else []
        for other in others:
            if other["id"] == token:
                return _beside(float(other["logprob"]), others)
        raise RunFailed("engine_error", f"llama.cpp gives no probability for token {token}")

    def _forced(
        self, before: list[int], token: int, others: int, cached: bool = True
    ) -> dict[str, Any] | None:
        answer = self._complete(
            {
                "prompt": before,
                "n_predict": 1,
                "n_probs": others,
                "temperature": 1.0,
                "logit_bias": [[token, FORCE]],
                "cache_prompt": cached,
            }
        )
        if "error" in answer:
            raise RunFailed("engine_error", str(answer["error"].get("message")))
        logprobs = answer["choices"][0].get("logprobs") or {}
        found: list[dict[str, Any]] = logprobs.get("content") or []
        return found[0] if found else None


def _beside(logprob: float, others: list[dict[str, Any]]) -> Scored:
    return Scored(logprob, logprob >= max(float(o["logprob"]) for o in others))
