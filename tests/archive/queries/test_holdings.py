"""How much an archive has."""

from typing import Any

from lem.archive.queries.holdings import holdings
from tests.archive_queries import filled


def test_what_counts_is_counted(archive: Any) -> None:
    with archive.database.reading() as c:
        assert holdings(c)[:3] == (0, 0, 0)
    known = filled(archive, 20)
    counted = [r for r in known.rows if r.counted]
    with archive.database.reading() as c:
        found = holdings(c)
    assert found.runs == len(counted) < len(known.rows)
    assert found.configurations == len({r.config.hash for r in counted})
    assert found.models == len({r.config.model_content for r in counted})
    assert found.submitters == 3
