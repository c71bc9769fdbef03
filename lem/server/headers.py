"""Headers of every answer: versions, security, and who else's pages may read it."""

from lem.contract.metrics import METRIC_SEMANTICS_VERSION
from lem.server.problems import API_SCHEMA_VERSION

Header = tuple[bytes, bytes]

ALWAYS: tuple[Header, ...] = (
    (b"lem-schema-version", str(API_SCHEMA_VERSION).encode()),
    (b"lem-metric-semantics-version", str(METRIC_SEMANTICS_VERSION).encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (
        b"content-security-policy",
        b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    (b"permissions-policy", b"interest-cohort=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
TLS: tuple[Header, ...] = ((b"strict-transport-security", b"max-age=31536000"),)
READABLE: tuple[Header, ...] = (
    (b"access-control-allow-origin", b"*"),
    (
        b"access-control-expose-headers",
        b"ETag, Retry-After, Lem-Schema-Version, Lem-Metric-Semantics-Version, Lem-Data-Version",
    ),
    (b"cross-origin-resource-policy", b"cross-origin"),
)
PREFLIGHT: tuple[Header, ...] = (
    (b"access-control-allow-methods", b"GET, HEAD"),
    (b"access-control-allow-headers", b"Accept, If-None-Match, Last-Event-ID"),
    (b"access-control-max-age", b"86400"),
)
UNCACHED: Header = (b"cache-control", b"no-store")
PRIVATE: tuple[Header, ...] = ((b"cross-origin-resource-policy", b"same-origin"),)
OF_THE_ASKER = ("admin", "accounts", "session", "tokens")
"""First parts of the API's addresses whose answers depend on who asks."""
API = "/api/v1/"
EMBEDS = "/embed/"
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors {}"
)
"""Content security policy of pages: nothing from elsewhere, nothing inline."""


def is_public(path: str) -> bool:
    """Whether any page may read what GET gives there. Nothing there depends on who asks."""
    if path.startswith(("/charts/", "/assets/")):
        return True
    return path.startswith(API) and not is_private(path)


def is_private(path: str) -> bool:
    """Whether an answer there may be meant for one asker alone: no cache keeps it, and no page from
    elsewhere reads or shows it."""
    if not path.startswith(API):
        return False
    first, _, rest = path.removeprefix(API).partition("/")
    # What only runners ask is below the list of them.
    return first in OF_THE_ASKER or (first == "runners" and rest != "")


def of_answer(
    given: list[Header], method: str, path: str, secure: bool, request_id: str
) -> list[Header]:
    """``given`` with what every answer has; what a route set itself stays."""
    names = {name.lower() for name, _ in given}
    more = [*ALWAYS, (b"x-request-id", request_id.encode())]
    if path.startswith(EMBEDS):
        # Its policy says who may frame it: anyone.
        more = [h for h in more if h[0] != b"x-frame-options"]
    if secure:
        more += TLS
    if method in ("GET", "HEAD") and is_public(path):
        more += READABLE
    if is_private(path):
        more += PRIVATE
        # Whatever a route says.
        given = [h for h in given if h[0].lower() not in (b"cache-control", b"etag")]
        names -= {b"cache-control", b"etag"}
    if b"cache-control" not in names:
        more.append(UNCACHED)
    return [*given, *(h for h in more if h[0] not in names)]


def is_preflight(method: str, path: str, given: list[Header]) -> bool:
    """A browser asks whether a page from elsewhere may GET this, with a header of its own."""
    asked = [value for name, value in given if name.lower() == b"access-control-request-method"]
    return method == "OPTIONS" and is_public(path) and asked in ([b"GET"], [b"HEAD"])
