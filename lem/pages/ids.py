"""What addresses name, checked before anything is asked of the archive."""

import re

from lem.archive.refused import Refused

_CONFIGURATION = re.compile(r"[0-9a-f]{16,64}")
_RUN = re.compile(r"[0-9a-f]{64}-[0-9]{1,5}")
_CAMPAIGN = re.compile(r"[0-9a-f]{64}-[0-9]{1,12}")


def configuration_id(text: str) -> str:
    """Raises :class:`Refused` (404), as the next two."""
    return _checked(_CONFIGURATION, text, "configuration")


def run_id(text: str) -> str:
    return _checked(_RUN, text, "run")


def campaign_id(text: str) -> str:
    return _checked(_CAMPAIGN, text, "campaign")


def _checked(form: re.Pattern[str], text: str, what: str) -> str:
    if form.fullmatch(text) is None:
        raise Refused(f"no_such_{what}", f"there is no such {what} here", 404)
    return text
