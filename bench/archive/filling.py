"""Fills an archive with made-up runs by the same code that takes in everything else in bulk."""

import hashlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from bench.archive import synthetic
from lem.archive.bulk import merge
from lem.archive.database import Database
from lem.archive.rows import FIGURES, ConfigRow, RunRow
from lem.archive.schema import CAMPAIGN, HEADLINE, IDENTITY, KEY, SUBMISSION, WITH_UNCERTAINTY
from lem.contract.base import utc_now

SALT = "5" * 32
RELATIVE_U = 0.02


def fill(database: Database, runs: int, configurations: int, seed: int = 1) -> tuple[int, float]:
    """Runs that were taken in, and the seconds that took: until rows, summaries and facets are
    committed, with the making of the rows. What campaigns and submissions need is not counted."""
    configs = synthetic.configurations(configurations, seed)
    rows = [_config(c) for c in configs]
    boards = [[_boards(s, b) for b in range(4)] for s in range(synthetic.SUBMITTERS)]
    identities = _identities(database)
    places = _places(database, list(synthetic.campaigns(runs, configs, seed)), identities)
    made = (
        run
        for campaign in synthetic.campaigns(runs, configs, seed)
        for run in _runs(campaign, rows, boards, identities, places[campaign.number])
    )
    start = time.perf_counter()
    taken = merge(database, made)
    return taken, time.perf_counter() - start


def _runs(
    campaign: synthetic.Campaign,
    rows: Sequence[ConfigRow],
    boards: Sequence[Sequence[str]],
    identities: Sequence[int],
    place: tuple[int, int],
) -> Iterator[RunRow]:
    columns = [campaign.values[name].tolist() for name in HEADLINE]
    for block in range(synthetic.BLOCKS):
        for arm, config in enumerate(campaign.arms):
            values = [column[block][arm] for column in columns]
            energy_class = rows[config].energy_class
            relative = 0.5 if energy_class == "estimated" else RELATIVE_U
            number = block * campaign.arms.size + arm
            yield RunRow(
                config=rows[config],
                boards=boards[campaign.submitter][campaign.board] if energy_class == "gpu" else "",
                identity_id=identities[campaign.submitter],
                campaign_id=place[0],
                submission_id=place[1],
                number=number,
                block=block,
                arm=arm,
                attempt=0,
                started_at=campaign.started_at + 35.0 * number,
                tier=campaign.tier,
                counted=True,
                flags="estimated" if energy_class == "estimated" else "",
                figures=(*values, *(relative * v for v in values[: len(WITH_UNCERTAINTY)])),
            )


def _config(raw: dict[str, Any]) -> ConfigRow:
    return ConfigRow(**{name: raw[name] for name in ConfigRow._fields})


def _boards(submitter: int, board: int) -> str:
    return f"{SALT}:board-{hashlib.sha256(f'{submitter} {board}'.encode()).hexdigest()[:32]}"


def _identities(database: Database) -> list[int]:
    found: list[int] = []
    with database.writing() as c:
        for number in range(synthetic.SUBMITTERS):
            row = {"name": f"Submitter {number}", "enrolled_by": "invitation"}
            made = c.execute(IDENTITY.insert().values(**row, created_at=utc_now()))
            found.append(int((made.inserted_primary_key or [0])[0]))
            public = hashlib.sha256(f"key {number}".encode()).digest()
            c.execute(
                KEY.insert().values(
                    id=_key(number), identity_id=found[-1], public_key=public, created_at=utc_now()
                )
            )
    return found


def _places(
    database: Database, campaigns: Sequence[synthetic.Campaign], identities: Sequence[int]
) -> dict[int, tuple[int, int]]:
    """Campaign → ids of its campaign's and its submission's row."""
    with database.writing() as c:
        first = c.scalar(sa.select(sa.func.coalesce(sa.func.max(CAMPAIGN.c.id), 0))) or 0
        last = c.scalar(sa.select(sa.func.coalesce(sa.func.max(SUBMISSION.c.id), 0))) or 0
        places = {x.number: (first + 1 + i, last + 1 + i) for i, x in enumerate(campaigns)}
        c.execute(
            CAMPAIGN.insert(),
            [
                {
                    "id": places[x.number][0],
                    "identity_id": identities[x.submitter],
                    "owner": hashlib.sha256(f"campaign {x.number}".encode()).hexdigest(),
                    "name": f"made up {x.number}",
                    "lock": b"",
                    "board_salt": SALT,
                    "state": "complete",
                    "created_at": utc_now(),
                }
                for x in campaigns
            ],
        )
        c.execute(
            SUBMISSION.insert(),
            [
                {
                    "id": places[x.number][1],
                    "content_sha256": hashlib.sha256(f"content {x.number}".encode()).hexdigest(),
                    "campaign_id": places[x.number][0],
                    "identity_id": identities[x.submitter],
                    "key_id": _key(x.submitter),
                    "schema_version": 1,
                    "semantics_version": 4,
                    "received_at": utc_now(),
                    "runs": x.arms.size * synthetic.BLOCKS,
                    "bytes": 0,
                    "checks": "passed",
                    "log_seq": 0,
                }
                for x in campaigns
            ],
        )
        if not database.is_sqlite:
            for table in ("campaign", "submission"):
                c.exec_driver_sql(
                    f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"
                )
    return places


def _key(submitter: int) -> str:
    return hashlib.sha256(hashlib.sha256(f"key {submitter}".encode()).digest()).hexdigest()


assert (*HEADLINE, *(f"{name}_u" for name in WITH_UNCERTAINTY)) == FIGURES
