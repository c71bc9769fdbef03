"""The compact index that the static explorer answers its questions from."""

import json

from lem.archive.queries.explore_index import explore_index
from lem.pages.page import Reader


def index(reader: Reader) -> bytes:
    """``web/src/api/index_format.ts`` says what is in it."""
    found = explore_index(reader.connection)
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()
