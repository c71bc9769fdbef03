"""How much somebody may send: so much a second, and so much at once (a token bucket)."""


class Allowance:
    """``rate`` a second; what was not used adds up, to ``most``. Not for several threads."""

    def __init__(self, rate: float, most: float) -> None:
        self._rate = rate
        self._most = most
        self._left = most
        self._at = 0.0

    def take(self, n: float, now_s: float) -> bool:
        """Whether ``n`` more may come at ``now_s`` (any clock that does not go back)."""
        self._left = min(self._most, self._left + max(0.0, now_s - self._at) * self._rate)
        self._at = now_s
        if self._left < n:
            return False
        self._left -= n
        return True

    def wait_s(self, n: float) -> float:
        """How long until ``n`` may come, as it stands."""
        return max(0.0, (n - self._left) / self._rate)
