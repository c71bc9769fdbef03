"""What a client takes and what it has already, by the headers of its request."""


def takes_gzip(accepted: str) -> bool:
    """Whether an ``Accept-Encoding`` names gzip, and not only to refuse it."""
    for part in accepted.lower().split(","):
        name, _, parameter = part.strip().partition(";")
        if name.strip() in ("gzip", "x-gzip"):
            weight = parameter.strip().removeprefix("q=").strip()
            return not weight or weight.strip("0.") != ""
    return False


def is_known(if_none_match: str, etag: str) -> bool:
    """Whether the client has it. Compared weakly (RFC 9110, 13.1.2)."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag.removeprefix("W/") in tags
