"""What an operator can set, in one place. Nothing here is read from the environment; ``lem serve``
does that."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lem.archive.ingest import MAX_SUBMISSION_BYTES

Enrolment = Literal["open", "invitation"]
LogFormat = Literal["text", "json"]
Addresses = Literal["full", "shortened", "none"]
MEBIBYTE = 2**20
DATABASE_PATIENCE_S = 30.0
"""How long a server that starts waits for a database that is starting, too."""


@dataclass(frozen=True)
class Rates:
    """How often one client may ask, as ``limits`` writes it. Addresses are whole for IPv4, the /64
    for IPv6."""

    reading: str = "1200/minute"
    """GET, by address."""
    heavy: str = "30/minute"
    """Exports, plans and charts as PNG, by address: each takes a processor for a good while."""
    writing: str = "240/minute"
    """Every other POST, by address."""
    enrolling: str = "20/hour"
    """New keys and new people, by address, each."""
    wrong: str = "60/hour"
    """Tokens that are not valid, by address: beyond it, nobody signs in from there. Valid tokens of
    programs go on."""
    runners: str = "1500/minute"
    """What else runners say, by address: each some forty times a minute."""
    events: str = "3000/minute"
    """Batches of live events, by address; each runner has its own bounds besides."""
    key: str = "120/minute"
    """Nonces, by key and address: so many submissions can one key make from one place."""


@dataclass(frozen=True)
class Bounds:
    """Sizes in bytes, times in seconds."""

    submission_bytes: int = MAX_SUBMISSION_BYTES
    document_bytes: int = MEBIBYTE
    """A campaign, or a batch of live events."""
    hello_bytes: int = 128 * 1024
    """What a runner says of itself."""
    body_bytes: int = 16 * 1024
    """The body of any other request: it is read before it is known who asks."""
    target_bytes: int = 8192
    """Path and query of a request."""
    spool_bytes: int = MEBIBYTE
    """A submission beyond this waits on disk while it arrives."""
    header_s: float = 10
    """From the first byte of a request, or from connecting, until its headers are there."""
    chunk_s: float = 20
    """Without a byte from a client that sends, or taken by one that reads."""
    body_s: float = 300
    """For a whole body to arrive."""
    request_s: float = 60
    """From a whole body to the first byte of the answer."""
    shutdown_s: float = 30
    """For what is under way when the server is told to stop."""
    concurrent_requests: int = 64
    concurrent_submissions: int = 4
    """Taken in at once; others wait on disk."""
    concurrent_exports: int = 2
    viewers: int = 1000
    """Of live events, beside the requests that are under way."""
    viewers_by_address: int = 50
    recordings: int = 16
    """Whole ones of live events that are read at once, likewise beside what is under way."""
    recordings_by_address: int = 4
    recording_bytes_s: float = 64 * 1024
    """Least rate at which one is to be read on the whole."""
    connections: int = 2000
    cache_bytes: int = 64 * MEBIBYTE
    """Encoded answers that are kept."""
    compress_bytes: int = 1024
    """Answers from this size on are compressed for clients that take it."""


@dataclass(frozen=True)
class ServerSettings:
    data: Path
    database_url: str | None = field(default=None, repr=False)
    """Without one: SQLite in ``data``."""
    host: str = "127.0.0.1"
    port: int = 8000
    enrolment: Enrolment = "open"
    public_url: str | None = None
    """Where clients find this server: for the links of invitations, and its host is then the only
    one that requests may name."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks whose ``X-Forwarded-For`` and ``-Proto`` are believed."""
    log_format: LogFormat = "text"
    log_addresses: Addresses = "shortened"
    metrics_public: bool = False
    """Otherwise ``/metrics`` answers loopback and private addresses, and admins."""
    checkers: int = 1
    demo: bool = False
    """Take made-up records, into an archive that is marked as one for demonstrations."""
    rates: Rates = Rates()
    bounds: Bounds = Bounds()
