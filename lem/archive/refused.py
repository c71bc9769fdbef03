"""Why an archive does not take something: a code for programs, words for people."""

from lem.errors import LemError


class Refused(LemError):
    """Nothing was stored. ``reason`` is one of the codes in docs/trust.md; ``status`` the HTTP
    status that says the same."""

    exit_code = 2

    def __init__(self, reason: str, message: str, status: int = 422, hint: str | None = None):
        super().__init__(message, hint)
        self.reason = reason
        self.status = status
