"""What the fake engines answer: the same tokens for the same prompt, one a millisecond."""

import zlib

STEP_S = 0.001
VOCABULARY = 400
END = 0


def token(prompt: list[int], index: int) -> int:
    """The ``index``-th token after a prompt; never the end token."""
    return 1 + zlib.crc32(repr((prompt, index)).encode()) % (VOCABULARY - 1)


def ends_at(prompt: list[int]) -> int:
    """How many tokens the answer has, the end token included, where it may end by itself."""
    return 2 + len(prompt) % 3


def logprob(prompt: list[int], index: int) -> float:
    """Of the prompt's ``index``-th token, given those before it."""
    return -0.25 - (prompt[index] % 7) / 4


def likeliest(prompt: list[int], index: int) -> tuple[float, int]:
    """Log-probability and id of the token that is the likeliest in that place: the prompt's own
    where it has −0.25, else the next one."""
    own = logprob(prompt, index)
    return (own, prompt[index]) if own == -0.25 else (-0.25, prompt[index] + 1)


class Cache:
    """Prompts that were seen, each under its salt; whole prompts only."""

    def __init__(self) -> None:
        self._seen: set[tuple[str | None, tuple[int, ...]]] = set()

    def hit(self, salt: str | None, prompt: list[int]) -> int:
        """Tokens found (all but the last, as a real cache does), and remember the prompt."""
        key = (salt, tuple(prompt))
        found = len(prompt) - 1 if key in self._seen else 0
        self._seen.add(key)
        return found
