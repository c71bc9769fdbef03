"""How likely a text is to a running server, where it says so."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lem.backends.openai.server import CHECK_S, Found, Settings
from lem.backends.served import ask
from lem.errors import RunFailed
from lem.workloads.datasets import chunks
from lem.workloads.likelihood import Passage, Scored, mean_nll

AT_A_TIME = 8
"""Texts that are scored at once: how many such a server takes is not known."""


def nll(settings: Settings, found: Found, ids: list[int]) -> float | None:
    """As :meth:`lem.backends.protocol.Engine.nll`."""
    longest = found.max_model_len
    if longest is not None and any(len(piece) >= longest for piece in chunks(ids)):
        return None
    return mean_nll(lambda pieces: likelihoods(settings, found, pieces), ids)


def likelihoods(settings: Settings, found: Found, pieces: Sequence[Passage]) -> list[Scored] | None:
    """By the server's log-probabilities of a prompt: vLLM's ``prompt_logprobs``, else ``echo`` with
    ``logprobs``; None where it has neither, or where token ids cannot be given."""
    if settings.api != "completions" or settings.prompt != "ids":
        return None
    with ThreadPoolExecutor(max(1, min(AT_A_TIME, len(pieces)))) as pool:
        told = list(pool.map(lambda piece: _piece(settings, found, piece), pieces))
    scored = [one for one in told if one is not None]
    return scored if len(scored) == len(told) else None


def _piece(settings: Settings, found: Found, piece: Passage) -> Scored | None:
    base = {"model": found.model, "prompt": piece.ids, "max_tokens": 1, "temperature": 0}
    for more in ({"prompt_logprobs": 1}, {"echo": True, "logprobs": 1}):
        try:
            status, _, said = ask(
                settings.address,
                f"{settings.prefix}/completions",
                {**base, **more},
                settings.headers(),
                timeout_s=CHECK_S,
            )
        except OSError as e:
            raise RunFailed("engine_error", f"the server does not answer: {e}") from e
        try:
            if status == 200:
                return _read_logprobs(said, piece)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            continue
    return None


def _read_logprobs(said: Any, piece: Passage) -> Scored:
    """Raises one of the usual errors where the log-probabilities are not those of the prompt."""
    (choice,) = said["choices"]
    n, start = len(piece.ids), piece.start
    given = choice.get("prompt_logprobs")
    if given is not None:
        if len(given) != n:
            raise ValueError("of another number of tokens")
        tokens = zip(given[start:], piece.scored, strict=True)
        own = [one[str(i)]["logprob"] for one, i in tokens]
        best: list[Any] | None = [
            max(other["logprob"] for other in one.values()) for one in given[start:]
        ]
    else:
        given, tops = choice["logprobs"]["token_logprobs"], choice["logprobs"].get("top_logprobs")
        if given[0] is not None or said["usage"]["prompt_tokens"] != n:
            raise ValueError("not of the prompt")
        if len(given) not in (n, n + 1):
            raise ValueError("of another number of tokens")
        own, best = given[start:n], None
        # Some echo a prompt without the likeliest tokens beside its own.
        if tops and len(tops) == len(given):
            best = [max(one.values()) for one in tops[start:n]]
    if not all(isinstance(x, float) and x <= 0 for x in [*own, *(best or ())]):
        raise ValueError("not log-probabilities")
    greedy = None if best is None else all(o >= b for o, b in zip(own, best, strict=True))
    return Scored(sum(own), greedy)
