"""How likely llama.cpp finds a text.

Its server gives the raw log-probability of the token it picks, not those of a prompt. So each token
of the text is forced in turn (by a bias) after the ones before it, which stay cached.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lem.errors import RunFailed
from lem.workloads.datasets import chunks

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
        pieces = chunks(token_ids)
        scored = sum(len(p) - 1 for p in pieces)
        with ThreadPoolExecutor(min(slots, len(pieces) or 1)) as pool:
            total = sum(pool.map(self._piece_nll, pieces))
        return total / scored if scored else None

    def _piece_nll(self, ids: list[int]) -> float:
        return -sum(self.logprob(ids[:i], ids[i]) for i in range(1, len(ids)))

    def logprob(self, before: list[int], token: int) -> float:
        """Raw log-probability (natural) of ``token`` after ``before``."""
        found = self._forced(before, token, 1)
        if found is not None and found["id"] == token:
            return float(found["logprob"])
        # A token that is a part of a character (or ends the answer) comes out without its
        # probability: take some plain one instead and look the token up among all others.
        found = self._forced(before, self._letter, self._vocabulary)
        for other in found["top_logprobs"] if found is not None else ():
            if other["id"] == token:
                return float(other["logprob"])
        raise RunFailed("engine_error", f"llama.cpp gives no probability for token {token}")

    def _forced(self, before: list[int], token: int, others: int) -> dict[str, Any] | None:
        answer = self._complete(
            {
                "prompt": before,
                "n_predict": 1,
                "n_probs": others,
                "temperature": 1.0,
                "logit_bias": [[token, FORCE]],
                "cache_prompt": True,
            }
        )
        if "error" in answer:
            raise RunFailed("engine_error", str(answer["error"].get("message")))
        logprobs = answer["choices"][0].get("logprobs") or {}
        found: list[dict[str, Any]] = logprobs.get("content") or []
        return found[0] if found else None
