"""Server-sent events, as browsers' EventSource reads them (HTML standard, 9.2)."""

MEDIA_TYPE = "text/event-stream"
RETRY = b"retry: 1000\n\n"
"""How long a browser waits before it connects again, in milliseconds."""
KEEP_ALIVE = b":\n\n"
KEEP_ALIVE_S = 15.0


def frame(seq: int, events: bytes) -> bytes:
    """A batch: ``events`` is JSON on one line."""
    return b"id: %d\ndata: %b\n\n" % (seq, events)


def end(seq: int) -> bytes:
    """The campaign is over and ``seq`` was the last batch: nothing follows."""
    return b"event: end\nid: %d\ndata: %d\n\n" % (seq, seq)


def last_seen(header: str | None, query: str | None) -> int:
    """After which batch a viewer goes on: what its browser says it had last, else what the address
    says; 0, from the beginning, where neither is a number."""
    for text in (header, query):
        if text is not None and text.isascii() and text.isdigit() and len(text) <= 16:
            return int(text)
    return 0
